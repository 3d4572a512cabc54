"""What is remembered of a login for a while, in DynamoDB: its outcome, its token while it runs, and its used state.

A code is worth one exchange at Meta, but a frontend may send it twice: a double click, React mounting twice, the back
button, a time-out and a retry. Powertools Idempotency lets one attempt run and gives its outcome to all others. Three
kinds of records share a table, told apart by the beginning of their id; none holds a code or a readable token.
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

# As long as Meta's longest-lived code.
REMEMBERED_S = 3600
# As long as Meta's tokens before they are extended, and longer than Meta throttles.
TOKEN_KEPT_S = 7200

# JSON. After "counts_for_s" seconds, if it is there, a request makes another attempt.
LoginOutcome = dict[str, Any]


@dataclass(frozen=True)
class LoginKey:
    """Names one login of one user, without holding the code."""

    user_id: str
    provider: Provider
    code_digest: str

    @classmethod
    def of(cls, user_id: str, provider: Provider, code: str) -> "LoginKey":
        """The key of a code: another user's request with the same code is another login."""
        return cls(user_id, provider, hashlib.sha256(code.encode()).hexdigest())

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
        """The outcome of this login: of an attempt before or beside this request while it counts, else of this one.

        What the attempt returns is remembered; when it raises, the next request makes another one. Waits for an
        attempt elsewhere until the deadline. Once an outcome is final the token kept for the login is deleted. Raises
        LoginInProgressError, LoginRecordsUnavailableError, and what the attempt raises.
        """
        made: list[LoginOutcome] = []
        raised: list[Exception] = []

        def remember(*, login: str) -> LoginOutcome:  # noqa: ARG001 - what Powertools makes the key of
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
            # Each further attempt is a record of its own, named after the one before: nothing is ever taken back, so
            # all requests find the same latest outcome whatever runs beside them.
            while not made and outcome.get("remembered_until", math.inf) <= self._now().timestamp():
                outcome = retrying(once, login=f"{login}:{outcome['remembered_until']}")
        except RetryError as error:
            raise LoginInProgressError(retry_after_s=5) from error
        except LateStartError as error:
            if retrying.statistics["attempt_number"] == 1:
                raise
            # Another attempt was waited for until its time was up, and ours does not suffice any more.
            raise LoginInProgressError(retry_after_s=1) from error
        except IdempotencyPersistenceLayerError as error:
            cause = {"cause": type(error.__cause__).__name__}
            if raised:
                raise raised[0] from None
            if not made:
                raise LoginRecordsUnavailableError(log_context=cause) from error
            # The login is done. Not being able to tell it a second time is no reason to fail it.
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
        """Marks a state as used by this login; whether this is the first time.

        Raises OAuthStateError with the reason STATE_USED, LoginRecordsUnavailableError.
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
        """Keeps the token of a spent code, encrypted, until the login is done. Never raises.

        If the function is killed in between, a repeated request goes on from here instead of telling its user that
        the code was already used.
        """
        try:
            ciphertext = self._vault.encrypt(token.value, _binding(login))
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
            # DynamoDB deletes what has expired within days, not at once.
            if item is None or int(item["expiration"]["N"]) < self._now().timestamp():
                return None
            value = self._vault.decrypt(item["ciphertext"]["S"], _binding(login))
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


def _binding(login: LoginKey) -> LoginBinding:
    return LoginBinding(login.user_id, login.provider, login.code_digest)
