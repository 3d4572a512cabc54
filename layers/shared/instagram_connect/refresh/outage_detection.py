"""Tells dead tokens from an outage at Meta or a block of the app.

If many people's tokens fail the same way, the cause is Meta or the app: no account is marked, and refreshing is
suspended except for one probe per sweep until tokens work again. In July 2026 Meta blocked a whole product's app for
weeks, and its customers were asked to log in again for nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import groupby

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.errors import InstagramConnectError, StorageError
from instagram_connect.meta.graph_errors import APP_ID_INVALID, APP_SECRET_INVALID, TOKEN_EXPIRED, names_its_cause
from instagram_connect.models import Provider
from instagram_connect.refresh.account_refresh import AccountRefresh, Attempt, FailureKind, failure_kind
from instagram_connect.refresh.models import RefreshTask
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics

OUTAGE_SHARE = 0.5
# Fewer people can fail the same way by chance.
MIN_FAILING_PEOPLE = 5
CONTROL_GROUP_SIZE = 9
CHECK_TIMEOUT_S = 8.0
# How many failing people to recheck when the control group works.
RECHECKED_PEOPLE = 3
# These are always the app's fault, so no control group is needed.
APP_ERRORS = (APP_ID_INVALID, APP_SECRET_INVALID)


class Cause(Enum):
    """Why tokens fail. No account is marked while the cause is unknown."""

    TOKENS = "tokens"
    OUTAGE = "outage"
    UNKNOWN = "unknown"


@dataclass
class _Sample:
    """People whose tokens fail the same way, people whose tokens work, and the results of the control group.

    `has_individual_cause`: Meta named a cause specific to one control account, so it does serve this app.
    """

    failing: set[str]
    working: set[str]
    controls: int = 0
    has_individual_cause: bool = False
    controls_working: int = 0
    controls_failing: int = 0

    @property
    def suggests_outage(self) -> bool:
        """Whether enough people fail, in number and in share, to suspect an outage."""
        people = len(self.failing)
        return people >= MIN_FAILING_PEOPLE and people >= OUTAGE_SHARE * (people + len(self.working))

    @property
    def control_group_works(self) -> bool:
        """Whether more of the control group work than fail."""
        return self.controls_working > self.controls_failing

    @property
    def is_inconclusive(self) -> bool:
        """Whether there is a control group, but none of its checks gave a usable result."""
        has_result = self.controls_working or self.controls_failing or self.has_individual_cause
        return self.controls > 0 and not has_result


@dataclass(frozen=True)
class OutageDetector:
    """Finds the cause of failures. Shared between invocations; keeps no state of theirs."""

    flow: AccountRefresh
    repository: RefreshRepository
    now: Callable[[], datetime]

    def dead_tokens(
        self, provider: Provider, failed: Iterable[Attempt], attempts: Iterable[Attempt], deadline: Deadline
    ) -> Iterator[Attempt]:
        """Yield the failures caused by the account's own token; suspend the product if the cause is an outage.

        Resumes a suspended product when the control group shows that tokens work again.
        """
        working = {done.task.person for done in attempts if done.shows_meta_works}
        for failure, group in _grouped(failed):
            failing = []
            for done in group:
                if self._has_expired(done):
                    yield done
                else:
                    failing.append(done)
            if not failing:
                continue
            cause = self._cause(provider, failure, failing, working, deadline)
            if cause is Cause.OUTAGE:
                self._suspend(provider, failure, len(failing), deadline)
            elif cause is Cause.TOKENS:
                if any(done.task.is_suspended for done in failing):
                    self._resume(provider, deadline)
                yield from (done for done in failing if done.error and failure_kind(done.error) is FailureKind.DEAD)

    def _has_expired(self, done: Attempt) -> bool:
        """Whether the token is past its stored end as well, so that no further check is needed.

        A Facebook login's end is that of the user token. A Page token has none, so there Meta must report the end.
        """
        ends, error = done.task.expires_at, done.error
        if ends is None or ends > self.now() or error is None or failure_kind(error) is not FailureKind.DEAD:
            return False
        return error.reason == TOKEN_EXPIRED or done.task.user_token_ciphertext is None

    def _cause(
        self, provider: Provider, failure: str, failing: Sequence[Attempt], working: set[str], deadline: Deadline
    ) -> Cause:
        people = {done.task.person for done in failing}
        sample = _Sample(failing=set(people), working=working - people)
        suspected_at_once = sample.suggests_outage  # before the control group, which gets a different call
        if any(done.error and done.error.reason in APP_ERRORS for done in failing):
            return Cause.OUTAGE
        is_suspended = any(done.task.is_suspended for done in failing)
        if len(sample.working) > len(people) and not is_suspended:
            return Cause.TOKENS
        try:
            self._check_control_group(sample, provider, failure, deadline)
        except StorageError as error:
            logger.warning("Could not find a control group", extra={"code": error.code, **error.log_context})
            return Cause.UNKNOWN
        if sample.is_inconclusive:
            return Cause.UNKNOWN
        if is_suspended and not sample.control_group_works:
            return Cause.UNKNOWN
        if not (suspected_at_once or sample.suggests_outage or is_suspended):
            return Cause.TOKENS
        if not sample.control_group_works:
            return Cause.OUTAGE
        # The control group works and these do not: are their tokens dead, or did only the refresh call fail?
        one_per_person = {done.task.person: done.task for done in failing}
        rechecked = [
            error for _, error in self._token_errors(list(one_per_person.values())[:RECHECKED_PEOPLE], deadline)
        ]
        if any(error is None for error in rechecked):
            return Cause.UNKNOWN if is_suspended else Cause.OUTAGE
        return (
            Cause.TOKENS
            if all(error and failure_kind(error) is FailureKind.DEAD for error in rechecked)
            else Cause.UNKNOWN
        )

    def _check_control_group(self, sample: _Sample, provider: Provider, failure: str, deadline: Deadline) -> None:
        controls = self.repository.witnesses(provider, sample.failing | sample.working, CONTROL_GROUP_SIZE, deadline)
        sample.controls = len(controls)
        for control, error in self._token_errors(controls, deadline):
            if error is None:
                sample.working.add(control.person)
                sample.controls_working += 1
            elif _failure_name(error) == failure:
                sample.failing.add(control.person)
                sample.controls_failing += 1
            elif names_its_cause(error):
                sample.has_individual_cause = True

    def _token_errors(
        self, tasks: Sequence[RefreshTask], deadline: Deadline
    ) -> list[tuple[RefreshTask, InstagramConnectError | None]]:
        """Check each account's token, concurrently. An error of None means that the token works."""
        until = deadline.within(CHECK_TIMEOUT_S)
        with ThreadPoolExecutor(CONTROL_GROUP_SIZE) as threads:
            errors = threads.map(lambda task: self.flow.token_error(task, until), tasks)
            return list(zip(tasks, errors, strict=True))

    def _suspend(self, provider: Provider, failure: str, accounts: int, deadline: Deadline) -> None:
        try:
            is_new = self.repository.suspend(provider, failure, deadline)
        except StorageError as error:
            logger.warning("Could not suspend refreshing", extra={"code": error.code, **error.log_context})
            return
        if is_new:
            logger.error(
                "Suspended refreshing: Meta or the app is at fault, not the accounts",
                extra={"provider": provider, "failure": failure, "accounts": accounts},
            )
            metrics.add_metric("RefreshSuspended", MetricUnit.Count, 1)

    def _resume(self, provider: Provider, deadline: Deadline) -> None:
        try:
            self.repository.resume(provider, deadline)
        except StorageError as error:
            logger.warning("Could not resume refreshing", extra={"code": error.code, **error.log_context})
        else:
            logger.warning("Resumed refreshing: other people's tokens work again", provider=provider)


def _grouped(failed: Iterable[Attempt]) -> Iterator[tuple[str, Iterable[Attempt]]]:
    """Group the failures that may mean a dead token or a blocked app by what Meta reported."""
    failing = [
        (_failure_name(done.error), done)
        for done in failed
        if done.error and failure_kind(done.error) is not FailureKind.TRANSIENT
    ]
    failing.sort(key=lambda entry: entry[0])
    for name, group in groupby(failing, key=lambda entry: entry[0]):
        yield name, [done for _, done in group]


def _failure_name(error: InstagramConnectError) -> str:
    """Identify a kind of failure by Meta's code and subcode and our reason for it."""
    numbers = [str(error.log_context.get(name) or "-") for name in ("meta_code", "meta_subcode")]
    return f"{'/'.join(numbers)} {error.reason or error.code}"
