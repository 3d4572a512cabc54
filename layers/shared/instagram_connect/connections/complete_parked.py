"""Completes parked connections: stores accounts, and finishes logins that a failure at Meta interrupted.

Messages arrive in any order and more than once, so every step is idempotent and a newer login wins. Errors that may
pass, or that an operator can fix, are raised so that SQS delivers the message again; a login ends only if its user has
to act.
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

# The connection is stored by then; a slow Meta must not hold up the next message.
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
        """Complete a parked connection, or end it if only its user can continue.

        Raises StorageError, MetaError, TokenEncryptionError, ConfigurationError: the message must be delivered again.
        """
        # Retried even if its user seems to be deleted: storage may be another project or an older backup for a while.
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
            # The token counts as valid; the next refresh will find out.
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
            # Scopes that were not requested cannot be added to this login, so NoAccountError ends it too.
            if error.actor not in (Actor.USER, Actor.PAGE_ADMIN) and not isinstance(error, NoAccountError):
                raise
            self._end(parked, error)
            return
        # If storage is down it is parked once more, now with a token that is valid for months.
        try:
            self.flow.store_or_park(connection, deadline)
        except AccountDisconnectedError as error:
            self._drop(parked, error)
            return
        metrics.add_metric("LoginsFinishedLate", MetricUnit.Count, 1)
        self.parking.remove(parked)

    def _drop(self, parked: Parked, error: AccountDisconnectedError) -> None:
        """The account's owner disconnected it, or had their data deleted, after this login."""
        logger.warning("Dropped a parked connection", extra={"user_id": parked.user_id, "reason": error.reason})
        self.parking.remove(parked)

    def _end(self, parked: ParkedLogin, error: InstagramConnectError) -> None:
        logger.warning(
            "A parked login needs its user",
            extra={"user_id": parked.user_id, "code": error.code, "reason": error.reason},
        )
        metrics.add_metric("LoginsEndedLate", MetricUnit.Count, 1)
        self.parking.end(parked, error.code)
