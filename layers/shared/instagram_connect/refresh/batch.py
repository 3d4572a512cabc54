"""Refreshes many accounts concurrently, within Meta's rate limits, and detects outages that only show across accounts.

Each result is stored as soon as it is there, so one failing account never delays the others. Tokens that look dead are
examined together at the end.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.errors import (
    InstagramConnectError,
    InternalError,
    MetaActionBlockedError,
    MetaRateLimitedError,
    MetaRequestRejectedError,
    RefreshInProgressError,
    StorageError,
    TokenEncryptionError,
)
from instagram_connect.meta import graph
from instagram_connect.meta.products import LoginProducts, MetaSettings
from instagram_connect.models import Account, Provider
from instagram_connect.outbox.publisher import EventPublisher
from instagram_connect.refresh.account_refresh import AccountRefresh, Attempt
from instagram_connect.refresh.models import ON_DEMAND, Claim, RefreshTask
from instagram_connect.refresh.outage_detection import OutageDetector
from instagram_connect.refresh.queue import RefreshQueue
from instagram_connect.refresh.rate_limits import Pacer
from instagram_connect.refresh.repository import RefreshRepository
from instagram_connect.runtime.clock import utc_now
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics, stack_of
from instagram_connect.runtime.settings import Secrets
from instagram_connect.runtime.sqs import QueueError
from instagram_connect.security.token_vault import TokenVault

CONCURRENCY = 20
# Attempts per call. Few are enough: the sweep tries again every hour, for days.
MAX_ATTEMPTS = 3
# Time reserved for the work after the calls to Meta: a maximum, and a share of the time available.
RESERVE_S = 20.0
MAX_RESERVE_SHARE = 0.4
# Do not start an attempt that Meta has no time to answer.
MIN_ATTEMPT_S = 8.0
BLOCKED_PAUSE = timedelta(hours=6)
# For errors that an operator must fix. At most this long, less if the token expires sooner.
PERSISTENT_ERROR_PAUSE = timedelta(days=1)
PERSISTENT_ERRORS = (MetaRequestRejectedError, TokenEncryptionError, InternalError)


@dataclass(frozen=True)
class RefreshResult:
    """Result of one account: the stored account if it was written, the error if there was one."""

    account: Account | None
    error: InstagramConnectError | None


@dataclass(frozen=True)
class RefreshBatch:
    """Refreshes accounts whose leases the caller holds. Shared between invocations; keeps no state of theirs."""

    flow: AccountRefresh
    outage_detector: OutageDetector
    repository: RefreshRepository
    queue: RefreshQueue
    events: EventPublisher
    now: Callable[[], datetime]
    concurrency: int = CONCURRENCY
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of_deployment(
        cls,
        meta: MetaSettings,
        secrets: Secrets,
        vault: TokenVault,
        repository: RefreshRepository,
        queue: RefreshQueue,
        events: EventPublisher,
    ) -> "RefreshBatch":
        """Build one with Meta and the app secrets of the deployment."""
        client = graph.GraphClient(graph.http_client(), max_attempts=MAX_ATTEMPTS)
        flow = AccountRefresh(
            products=LoginProducts(meta, secrets, client, utc_now),
            vault=vault,
            now=utc_now,
            lead_s=repository.rules.lead_s,
        )
        return cls(flow, OutageDetector(flow, repository, utc_now), repository, queue, events, utc_now)

    def work(self, owner: str, claims: Sequence[Claim], deadline: Deadline) -> dict[str, RefreshResult]:
        """Refresh the claimed accounts whose leases are still held; return the results by account id.

        Raises StorageError if the accounts cannot be read, in which case nothing has been done.
        """
        due = {claim.account_id: claim for claim in claims}
        outcomes: dict[str, RefreshResult] = {}
        tasks = sorted(self.repository.leased(owner, due, deadline), key=lambda task: task.provider)
        for provider, group in groupby(tasks, key=lambda task: task.provider):
            outcomes |= self.refresh(owner, provider, [(task, due[task.account_id]) for task in group], deadline)
        return outcomes

    def refresh(
        self, owner: str, provider: Provider, due: Sequence[tuple[RefreshTask, Claim]], deadline: Deadline
    ) -> dict[str, RefreshResult]:
        """Refresh accounts of one login product; return the results by account id. Never raises."""
        rules = self.repository.rules
        starts_slow = any(claim.is_slow for _, claim in due)
        pacer = Pacer(rules.slow_percent, rules.stop_percent, self.sleep, starts_slow=starts_slow)
        # The rest is for storing results, checking the control group and releasing leases.
        for_meta = deadline.earlier(min(RESERVE_S, deadline.remaining_s() * MAX_RESERVE_SHARE))
        # For a suspended product, only one account is tried: the probe.
        spared = [task for task, _ in due if task.is_suspended][1:]
        left = list(spared)
        outcomes: dict[str, RefreshResult] = {}

        def is_over() -> bool:
            return pacer.is_stopped or for_meta.remaining_s() < MIN_ATTEMPT_S

        def attempt(entry: tuple[RefreshTask, Claim]) -> Attempt | None:
            task, claim = entry
            if not is_over():
                pacer.wait()
            if is_over():
                left.append(task)
                return None
            done = self.flow.attempt(task, for_meta, renew=claim.renew, check_subscription=claim.check_subscription)
            pacer.learn(done)
            if done.renewal or done.error is None:
                not_before = pacer.account_paused_until(done, self.now())
                outcomes[task.account_id] = RefreshResult(self._store(owner, done, not_before, deadline), done.error)
            return done

        with ThreadPoolExecutor(min(self.concurrency, len(due))) as threads:
            trying = [entry for entry in due if entry[0] not in spared]
            attempts = [done for done in threads.map(attempt, trying) if done]
        # Before any lease is released: otherwise a sweep could claim the account again in between.
        self._note_limits(provider, pacer, deadline)
        failed = [done for done in attempts if done.error and not done.renewal]
        ended = self._end(owner, self.outage_detector.dead_tokens(provider, failed, attempts, deadline), deadline)
        outcomes |= ended
        failed = [done for done in failed if done.task.account_id not in ended]
        outcomes |= {done.task.account_id: RefreshResult(None, done.error) for done in failed}
        outcomes |= {task.account_id: RefreshResult(None, RefreshInProgressError(retry_after_s=60)) for task in left}
        self._release(owner, failed, left, deadline)
        _count(attempts, failed=len(failed), ended=len(ended))
        if ended or any(done.renewal and done.renewal.reconnect for done in attempts):
            self._publish(deadline)
        return outcomes

    def _store(self, owner: str, done: Attempt, not_before: datetime | None, deadline: Deadline) -> Account | None:
        """Store a success, or queue it if storage fails. Return None if it was queued or the lease was lost."""
        payload = self.repository.finished(
            owner,
            done.task.account_id,
            renewal=done.renewal,
            subscription=done.subscription,
            usage=done.usage,
            not_before=not_before,
        )
        try:
            account = self.repository.finish(payload, deadline)
        except Exception as failure:  # noqa: BLE001 - one bad account must not stop the others
            if done.renewal:
                self._keep(done.task, self.repository.kept(payload, done.task), failure)
            return None
        if account is None:
            logger.warning("Lost the lease of an account during its refresh", account_id=done.task.account_id)
        return account

    def _keep(self, task: RefreshTask, payload: dict[str, object], cause: Exception) -> None:
        extra = {"account_id": task.account_id, **_log_context(cause)}
        try:
            self.queue.keep(payload)
        except QueueError:
            # Extending a token does not end the old one, so the next sweep can refresh it again.
            logger.error("Could neither store nor queue a refreshed token", extra=extra)
            return
        logger.error("Queued a refreshed token that could not be stored", extra=extra)
        metrics.add_metric("RefreshesKept", MetricUnit.Count, 1)

    def _end(self, owner: str, dead: Iterable[Attempt], deadline: Deadline) -> dict[str, RefreshResult]:
        """Mark accounts whose tokens are dead; return the ones marked."""
        ended: dict[str, RefreshResult] = {}
        for done in dead:
            error = done.error
            if error is None:
                continue
            try:
                account = self.repository.end(owner, done.task.account_id, error, deadline)
            except StorageError:
                continue  # the next sweep will find it again
            if account is None:
                continue  # lost the lease to a login or another refresh, which has a newer token
            logger.warning(
                "An account must be reconnected by its user",
                extra={"account_id": done.task.account_id, "reason": error.reason or error.code, **error.log_context},
            )
            ended[done.task.account_id] = RefreshResult(account, error)
        return ended

    def _release(self, owner: str, failed: Sequence[Attempt], left: Sequence[RefreshTask], deadline: Deadline) -> None:
        accounts = [self.repository.released(task.account_id) for task in left]
        for done in failed:
            not_before = self._not_before(owner, done)
            accounts.append(self.repository.released(done.task.account_id, not_before=not_before, usage=done.usage))
            error = done.error
            if error is None:
                continue
            logger.warning(
                "Could not refresh an account",
                extra={"account_id": done.task.account_id, **_log_context(error)},
            )
            if isinstance(error, PERSISTENT_ERRORS) and not owner.startswith(ON_DEMAND):
                self._send_to_dead_letters(done.task, error)
        if not accounts:
            return
        try:
            self.repository.release(owner, accounts, deadline)
        except StorageError as error:
            # The leases expire.
            logger.warning("Could not release leases", extra={"code": error.code, **error.log_context})

    def _send_to_dead_letters(self, task: RefreshTask, error: InstagramConnectError) -> None:
        try:
            self.queue.send_to_dead_letters(task.account_id, error.code)
        except QueueError as refused:
            logger.error(
                "Could not send an account to the dead-letter queue", account_id=task.account_id, cause=str(refused)
            )

    def _not_before(self, owner: str, done: Attempt) -> datetime | None:
        now, error = self.now(), done.error
        if isinstance(error, MetaRateLimitedError):
            return now + timedelta(seconds=error.retry_after_s or 0)
        if isinstance(error, MetaActionBlockedError):
            return now + BLOCKED_PAUSE
        # On demand, the user sees the error and may retry at once; only sweeps pause the account.
        if isinstance(error, PERSISTENT_ERRORS) and not owner.startswith(ON_DEMAND):
            remaining = (done.task.expires_at - now) / 4 if done.task.expires_at else PERSISTENT_ERROR_PAUSE
            return now + max(min(PERSISTENT_ERROR_PAUSE, remaining), timedelta(0))
        return None

    def _note_limits(self, provider: Provider, pacer: Pacer, deadline: Deadline) -> None:
        paused_until = pacer.paused_until(self.now())
        is_scarce = (pacer.app_used_percent or 0) >= self.repository.rules.slow_percent
        if not is_scarce and paused_until is None:
            return
        try:
            self.repository.brake(provider, pacer.app_used_percent, paused_until, deadline)
        except StorageError as error:
            logger.warning("Could not store Meta's rate limits", extra={"code": error.code, **error.log_context})

    def _publish(self, deadline: Deadline) -> None:
        try:
            self.events.publish_pending(deadline)
        except StorageError as error:
            # They stay in the outbox; the next sweep publishes them.
            logger.warning("Could not publish events", extra={"code": error.code, **error.log_context})


def _log_context(failure: Exception) -> dict[str, object]:
    if isinstance(failure, InstagramConnectError):
        return {"code": failure.code, "reason": failure.reason, **failure.log_context}
    return {"cause": type(failure).__name__, "stack": stack_of(failure)}


def _count(attempts: Iterable[Attempt], *, failed: int, ended: int) -> None:
    resubscribed = sum(1 for done in attempts if done.subscription and done.subscription.subscribed_at)
    for name, count in {
        "TokensRefreshed": sum(1 for done in attempts if done.renewal),
        "RefreshesFailed": failed,
        "AccountsNeedReauth": ended,
        "WebhooksResubscribed": resubscribed,
    }.items():
        if count:
            metrics.add_metric(name, MetricUnit.Count, count)
