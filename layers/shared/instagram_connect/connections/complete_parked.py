"""Completing what was parked: stores connections, and finishes logins that Meta had interrupted.

A message may come in any order and more than once, so each step can be repeated with the same result, and what was
stored since by a newer login wins. Whatever may pass by itself or be mended by an operator is raised, so that the
message comes again; only what needs the person ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.metrics import MetricUnit

from instagram_connect.connections.connect import ConnectionFlow, Request
from instagram_connect.connections.parking import Parked, ParkedConnection, ParkedLogin, Parking
from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import (
    AccountDisconnectedError,
    Actor,
    InstagramConnectError,
    NoAccountError,
    ReconnectRequiredError,
)
from instagram_connect.meta.products import LoginProducts
from instagram_connect.models import Provider, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger, metrics
from instagram_connect.security.token_vault import LoginBinding, TokenBinding, TokenVault

# The connection is stored before; a Meta that does not answer must not hold up the next one.
CHECKING_S = 6.0


@dataclass(frozen=True)
class ParkedConnectionFlow:
    """Completes parked connections. Shared between messages; holds nothing of any of them."""

    products: LoginProducts
    vault: TokenVault
    repository: ConnectionRepository
    parking: Parking
    flow: ConnectionFlow
    now: Callable[[], datetime]

    def complete(self, parked: Parked, deadline: Deadline) -> None:
        """Completes it, or ends it where only its user can go on.

        Raises StorageError, MetaError, TokenEncryptionError, ConfigurationError: then it has to come again.
        """
        # Also when its user seems to be deleted: storage may be another project's for a while, or an older backup.
        if isinstance(parked, ParkedConnection):
            self._store(parked, deadline)
        else:
            self._finish(parked, deadline)

    def _store(self, parked: ParkedConnection, deadline: Deadline) -> None:
        try:
            stored = self.repository.store_payload(parked.payload, deadline)
        except AccountDisconnectedError as error:
            self._drop(parked, error)
            return
        self._end_if_dead(parked, deadline)
        logger.info("Stored a parked connection", user_id=parked.user_id, accounts=len(stored))
        metrics.add_metric("ConnectionsStoredLate", MetricUnit.Count, 1)
        self.parking.remove(parked)

    def _end_if_dead(self, parked: ParkedConnection, deadline: Deadline) -> None:
        payload = parked.payload
        first = payload["accounts"][0]
        provider = Provider(payload["provider"])
        binding = TokenBinding(parked.user_id, provider, first["instagram_business_id"])
        ciphertext = first["user_token_ciphertext"] or first["access_token_ciphertext"]
        try:
            self.products[provider].check_token(self.vault.decrypt(ciphertext, binding), deadline.within(CHECKING_S))
        except ReconnectRequiredError as error:
            self.repository.mark_needs_reauth(
                parked.user_id,
                [entry["instagram_business_id"] for entry in payload["accounts"]],
                datetime.fromisoformat(first["issued_at"]),
                error,
                deadline,
            )
            logger.warning("A token died while it was parked", extra={"reason": error.reason, **error.log_context})
        except InstagramConnectError as error:
            # It counts as alive: the refresh will find out.
            logger.warning("Could not check a parked token", extra={"code": error.code, **error.log_context})

    def _finish(self, parked: ParkedLogin, deadline: Deadline) -> None:
        if parked.expires_at is not None and parked.expires_at <= self.now():
            self._end(parked, ReconnectRequiredError(reason="TOKEN_EXPIRED"))
            return
        value = self.vault.decrypt(parked.token_ciphertext, LoginBinding(parked.user_id, parked.provider, parked.login))
        token = UserToken(value, parked.issued_at, parked.expires_at, parked.granted_scopes)
        request = Request(parked.user_id, parked.request_id, deadline)
        try:
            connection = self.flow.prepare(self.products[parked.provider], token, request, request.time_for_meta())
        except InstagramConnectError as error:
            # What the login did not ask for it never gets, whoever has to correct that: only a new one can.
            if error.actor not in (Actor.USER, Actor.PAGE_ADMIN) and not isinstance(error, NoAccountError):
                raise
            self._end(parked, error)
            return
        # Parked once more, if storage is down: the token that it now holds lives for months.
        try:
            self.flow.store_or_park(connection, deadline)
        except AccountDisconnectedError as error:
            self._drop(parked, error)
            return
        metrics.add_metric("LoginsFinishedLate", MetricUnit.Count, 1)
        self.parking.remove(parked)

    def _drop(self, parked: Parked, error: AccountDisconnectedError) -> None:
        """Its person wants nothing of it kept."""
        logger.warning("Dropped a parked connection", extra={"user_id": parked.user_id, "reason": error.reason})
        self.parking.remove(parked)

    def _end(self, parked: ParkedLogin, error: InstagramConnectError) -> None:
        logger.warning(
            "A parked login needs its user",
            extra={"user_id": parked.user_id, "code": error.code, "reason": error.reason},
        )
        metrics.add_metric("LoginsEndedLate", MetricUnit.Count, 1)
        self.parking.end(parked, error.code)
