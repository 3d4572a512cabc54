"""Whose fault it is when tokens look dead: their people's, or that of Meta or the app.

When those of a large share of people fail alike it is not the people: nobody is marked, and refreshing is suspended but
for one probe a sweep, until others work again. In July 2026 Meta blocked a whole product's app for weeks; its customers
were told to log in again, in vain.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
# Fewer can fail alike by chance.
MIN_FAILING_PEOPLE = 5
CONTROL_GROUP_SIZE = 9
CHECK_TIMEOUT_S = 8.0
# Of the accused, where they fail and the witnesses do not.
RECHECKED_PEOPLE = 3
# Nobody's token is to blame for these, and nobody needs to be asked.
APP_ERRORS = (APP_ID_INVALID, APP_SECRET_INVALID)


class Cause(Enum):
    """Who is at fault. Nobody is marked while it is undecided."""

    PEOPLE = "people"
    AT_LARGE = "at large"
    UNDECIDED = "undecided"


@dataclass
class _Sample:
    """People who fail alike, people whose tokens work, and how many others were asked.

    `has_others`: Meta named a cause of their own for somebody, so that it answers for this app.
    """

    failing: set[str]
    working: set[str]
    witnesses: int = 0
    has_others: bool = False
    testimonies: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    @property
    def is_large(self) -> bool:
        """Whether those who fail are a large share of all who were asked."""
        people = len(self.failing)
        return people >= MIN_FAILING_PEOPLE and people >= OUTAGE_SHARE * (people + len(self.working))

    @property
    def is_contradicted(self) -> bool:
        """Whether most others work."""
        return self.testimonies[True] > self.testimonies[False]

    @property
    def is_unheard(self) -> bool:
        """Whether there are others, and none of them could be asked."""
        return self.witnesses > 0 and not any(self.testimonies.values()) and not self.has_others


@dataclass(frozen=True)
class OutageDetector:
    """Judges failures. Shared between invocations; holds nothing of any of them."""

    flow: AccountRefresh
    repository: RefreshRepository
    now: Callable[[], datetime]

    def dead_tokens(
        self, provider: Provider, failed: Iterable[Attempt], attempts: Iterable[Attempt], deadline: Deadline
    ) -> Iterator[Attempt]:
        """The failures that are the fault of an account's own token. Suspends the product when they are not.

        Where the product is suspended already, it is resumed once others work.
        """
        working = {done.task.person for done in attempts if done.shows_meta_works}
        for alike, group in _alike(failed):
            accused = []
            for done in group:
                if self._has_run_out(done):
                    yield done
                else:
                    accused.append(done)
            if not accused:
                continue
            verdict = self._verdict(provider, alike, accused, working, deadline)
            if verdict is Cause.AT_LARGE:
                self._suspend(provider, alike, len(accused), deadline)
            elif verdict is Cause.PEOPLE:
                if any(done.task.is_suspended for done in accused):
                    self._resume(provider, deadline)
                yield from (done for done in accused if done.error and failure_kind(done.error) is FailureKind.DEAD)

    def _has_run_out(self, done: Attempt) -> bool:
        """Whether the token has ended by our own calendar too: that needs no judgement.

        The end of a Facebook login is the person's token's; a Page's has none, so there Meta has to say it.
        """
        ends, error = done.task.expires_at, done.error
        if ends is None or ends > self.now() or error is None or failure_kind(error) is not FailureKind.DEAD:
            return False
        return error.reason == TOKEN_EXPIRED or done.task.user_token_ciphertext is None

    def _verdict(
        self, provider: Provider, alike: str, accused: Sequence[Attempt], working: set[str], deadline: Deadline
    ) -> Cause:
        people = {done.task.person for done in accused}
        hearing = _Sample(failing=set(people), working=working - people)
        is_large_already = hearing.is_large  # among those who were asked the same
        if any(done.error and done.error.reason in APP_ERRORS for done in accused):
            return Cause.AT_LARGE
        is_suspended = any(done.task.is_suspended for done in accused)
        if len(hearing.working) > len(people) and not is_suspended:
            return Cause.PEOPLE
        try:
            self._hear(hearing, provider, alike, deadline)
        except StorageError as error:
            logger.warning("Could not find other accounts to ask", extra={"code": error.code, **error.log_context})
            return Cause.UNDECIDED
        if hearing.is_unheard:
            return Cause.UNDECIDED
        if is_suspended and not hearing.is_contradicted:
            return Cause.UNDECIDED
        if not (is_large_already or hearing.is_large or is_suspended):
            return Cause.PEOPLE
        if not hearing.is_contradicted:
            return Cause.AT_LARGE
        # Others work and these do not: is it their tokens, or only what was asked of Meta with them?
        one_each = {done.task.person: done.task for done in accused}
        again = [error for _, error in self._testimonies(list(one_each.values())[:RECHECKED_PEOPLE], deadline)]
        if any(error is None for error in again):
            return Cause.UNDECIDED if is_suspended else Cause.AT_LARGE
        return (
            Cause.PEOPLE
            if all(error and failure_kind(error) is FailureKind.DEAD for error in again)
            else Cause.UNDECIDED
        )

    def _hear(self, hearing: _Sample, provider: Provider, alike: str, deadline: Deadline) -> None:
        witnesses = self.repository.witnesses(provider, hearing.failing | hearing.working, CONTROL_GROUP_SIZE, deadline)
        hearing.witnesses = len(witnesses)
        for witness, error in self._testimonies(witnesses, deadline):
            if error is None:
                hearing.working.add(witness.person)
                hearing.testimonies[True] += 1
            elif _name_of(error) == alike:
                hearing.failing.add(witness.person)
                hearing.testimonies[False] += 1
            elif names_its_cause(error):
                hearing.has_others = True

    def _testimonies(
        self, witnesses: Sequence[RefreshTask], deadline: Deadline
    ) -> list[tuple[RefreshTask, InstagramConnectError | None]]:
        """Side by side whether each one's token works: None, or what Meta says."""
        until = deadline.within(CHECK_TIMEOUT_S)
        with ThreadPoolExecutor(CONTROL_GROUP_SIZE) as threads:
            errors = threads.map(lambda witness: self.flow.token_error(witness, until), witnesses)
            return list(zip(witnesses, errors, strict=True))

    def _suspend(self, provider: Provider, alike: str, accounts: int, deadline: Deadline) -> None:
        try:
            is_new = self.repository.suspend(provider, alike, deadline)
        except StorageError as error:
            logger.warning("Could not suspend refreshing", extra={"code": error.code, **error.log_context})
            return
        if is_new:
            logger.error(
                "Suspended refreshing: Meta or the app is at fault, not the accounts",
                extra={"provider": provider, "failure": alike, "accounts": accounts},
            )
            metrics.add_metric("RefreshSuspended", MetricUnit.Count, 1)

    def _resume(self, provider: Provider, deadline: Deadline) -> None:
        try:
            self.repository.resume(provider, deadline)
        except StorageError as error:
            logger.warning("Could not resume refreshing", extra={"code": error.code, **error.log_context})
        else:
            logger.warning("Resumed refreshing: others work again", provider=provider)


def _alike(failed: Iterable[Attempt]) -> Iterator[tuple[str, Iterable[Attempt]]]:
    """Failures that speak against a token or the app, together with those that are the same."""
    accused = [
        (_name_of(done.error), done)
        for done in failed
        if done.error and failure_kind(done.error) is not FailureKind.TRANSIENT
    ]
    accused.sort(key=lambda entry: entry[0])
    for name, group in groupby(accused, key=lambda entry: entry[0]):
        yield name, [done for _, done in group]


def _name_of(error: InstagramConnectError) -> str:
    """What failures have in common that are alike: Meta's numbers, and what they mean."""
    numbers = [str(error.log_context.get(name) or "-") for name in ("meta_code", "meta_subcode")]
    return f"{'/'.join(numbers)} {error.reason or error.code}"
