"""Short-lived records of logins, in DynamoDB: outcomes, tokens of logins under way, and used OAuth states.

Powertools Idempotency lets one attempt at a login run and gives its outcome to all other requests with the same code.
The three kinds of records share a table and differ by the prefix of their id; none holds a code or a readable token.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryError, Retrying, retry_if_exception_type, wait_random

from instagram_connect.errors import (
    LateStartError,
    LoginInProgressError,
    LoginRecordsUnavailableError,
    OAuthStateError,
    TokenEncryptionError,
)
from instagram_connect.models import Provider, UserToken
from instagram_connect.runtime import aws
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from instagram_connect.security.token_vault import LoginBinding, TokenVault

# The lifetime of Meta's longest-lived code.
REMEMBERED_S = 3600
# The lifetime of Meta's short-lived tokens, and longer than Meta throttles.
TOKEN_KEPT_S = 7200

# JSON. An outcome with "counts_for_s" is final for that many seconds only; then a request makes another attempt.
LoginOutcome = dict[str, Any]


@dataclass(frozen=True)
class LoginKey:
    """Identifies one login of one user without holding the code."""

    user_id: str
    provider: Provider
    code_digest: str

    @classmethod
    def of(cls, user_id: str, provider: Provider, code: str) -> "LoginKey":
        """The key of a code: another user's request with the same code is another login."""
        return cls(user_id, provider, hashlib.sha256(code.encode()).hexdigest())

    @property
    def binding(self) -> LoginBinding:
        """The encryption context of the token that is kept for this login."""
        return LoginBinding(self.user_id, self.provider, self.code_digest)

    def __str__(self) -> str:
        return f"{self.provider}:{self.user_id}:{self.code_digest}"


class LoginRecords:
    """The records of logins. Shared between requests."""

    def __init__(self, table_name: str, vault: TokenVault, now: Callable[[], datetime]) -> None:
        self._table_name = table_name
        self._vault = vault
        self._now = now
        self._client = aws.client("dynamodb")
        self._outcomes = DynamoDBPersistenceLayer(table_name, key_attr="id", boto3_client=self._client)

    def outcome_of(
        self, login: LoginKey, attempt: Callable[[], LoginOutcome], context: LambdaContext, deadline: Deadline
    ) -> LoginOutcome:
        """The outcome of this login: of an earlier or concurrent attempt while it counts, else of `attempt`.

        What `attempt` returns is remembered; if it raises, the next request makes another attempt. Waits for a
        concurrent attempt until the deadline. Deletes the kept token once the outcome is final. Raises
        LoginInProgressError, LoginRecordsUnavailableError, and what `attempt` raises.
        """
        made: list[LoginOutcome] = []
        raised: list[Exception] = []

        def remember(*, login: str) -> LoginOutcome:  # noqa: ARG001 - Powertools makes the key of it
            try:
                made.append(self._dated(attempt()))
            except Exception as error:
                raised.append(error)
                raise
            return made[0]

        once = idempotent_function(
            remember,
            data_keyword_argument="login",
            persistence_store=self._outcomes,
            config=IdempotencyConfig(
                expires_after_seconds=REMEMBERED_S, hash_function="sha256", lambda_context=context
            ),
            key_prefix="outcome",
        )
        retrying = Retrying(
            retry=retry_if_exception_type((IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError)),
            stop=lambda _: deadline.remaining_s() < 1.0,
            wait=wait_random(0.2, 0.4),
        )
        try:
            outcome: LoginOutcome = retrying(once, login=str(login))
            # A further attempt is a record of its own, named after the previous one. Records are never replaced, so
            # concurrent requests all find the same latest outcome.
            while not made and outcome.get("remembered_until", math.inf) <= self._now().timestamp():
                outcome = retrying(once, login=f"{login}:{outcome['remembered_until']}")
        except RetryError as error:
            raise LoginInProgressError(retry_after_s=5) from error
        except LateStartError as error:
            if retrying.statistics["attempt_number"] == 1:
                raise
            # We waited for another attempt until it timed out, and have too little time left for our own.
            raise LoginInProgressError(retry_after_s=1) from error
        except IdempotencyPersistenceLayerError as error:
            cause = {"cause": type(error.__cause__).__name__}
            if raised:
                raise raised[0] from None
            if not made:
                raise LoginRecordsUnavailableError(log_context=cause) from error
            # The login is done. A failure to remember its outcome must not fail it.
            logger.warning("Could not remember the outcome of a login", extra=cause)
            return made[0]
        if not made:
            logger.info("Answering with the outcome of another request for the same login")
        elif "remembered_until" not in outcome:
            self._forget_token(login)
        return outcome

    def _dated(self, outcome: LoginOutcome) -> LoginOutcome:
        if "counts_for_s" not in outcome:
            return outcome
        return {**outcome, "remembered_until": self._now().timestamp() + outcome["counts_for_s"]}

    def use_state(self, state_id: str, login: LoginKey) -> bool:
        """Mark a state as used by this login; True if it was not used before.

        Raises OAuthStateError (reason STATE_USED) if another login used it; LoginRecordsUnavailableError.
        """
        try:
            self._client.put_item(
                TableName=self._table_name,
                Item={
                    "id": {"S": f"state#{state_id}"},
                    "login": {"S": str(login)},
                    "expiration": self._expiration(REMEMBERED_S),
                },
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            if error.response.get("Item", {}).get("login") != {"S": str(login)}:
                raise OAuthStateError(reason="STATE_USED") from error
            return False
        except (BotoCoreError, ClientError) as error:
            raise LoginRecordsUnavailableError(log_context={"cause": type(error).__name__}) from error
        return True

    def keep_token(self, login: LoginKey, token: UserToken) -> None:
        """Keep the token of a spent code, encrypted, until the login is done. Never raises.

        If the function is killed meanwhile, a repeated request continues with this token; otherwise its user would
        learn that the code was already used.
        """
        try:
            ciphertext = self._vault.encrypt(token.value, login.binding)
            item = {
                "id": {"S": f"token#{login}"},
                "ciphertext": {"S": ciphertext},
                "issued_at": {"S": token.issued_at.isoformat()},
                "granted_scopes": {"NULL": True}
                if token.granted_scopes is None
                else {"S": ",".join(token.granted_scopes)},
                "expiration": self._expiration(TOKEN_KEPT_S),
            }
            self._client.put_item(TableName=self._table_name, Item=item)
        except (BotoCoreError, ClientError, TokenEncryptionError) as error:
            logger.warning("Could not keep the token of a running login", cause=type(error).__name__)

    def kept_token(self, login: LoginKey) -> UserToken | None:
        """The token that an interrupted attempt at this login left behind, or None. Never raises."""
        try:
            answer = self._client.get_item(
                TableName=self._table_name, Key={"id": {"S": f"token#{login}"}}, ConsistentRead=True
            )
            item = answer.get("Item")
            # DynamoDB deletes expired items within days, not at once.
            if item is None or int(item["expiration"]["N"]) < self._now().timestamp():
                return None
            value = self._vault.decrypt(item["ciphertext"]["S"], login.binding)
        except (BotoCoreError, ClientError, TokenEncryptionError) as error:
            logger.warning("Could not look for the token of an interrupted login", cause=type(error).__name__)
            return None
        named = item["granted_scopes"].get("S")
        scopes = None if named is None else tuple(filter(None, named.split(",")))
        return UserToken(value, datetime.fromisoformat(item["issued_at"]["S"]), None, scopes)

    def _forget_token(self, login: LoginKey) -> None:
        try:
            self._client.delete_item(TableName=self._table_name, Key={"id": {"S": f"token#{login}"}})
        except (BotoCoreError, ClientError) as error:
            logger.warning("Could not delete the token of a finished login", cause=type(error).__name__)

    def _expiration(self, seconds: float) -> dict[str, str]:
        return {"N": str(int((self._now() + timedelta(seconds=seconds)).timestamp()))}
