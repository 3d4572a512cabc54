"""One login is attempted once however often its code arrives, and its record reveals no secret."""

import base64
import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from botocore.exceptions import ClientError

from instagram_connect.connections.login_records import LoginKey, LoginOutcome, LoginRecords
from instagram_connect.errors import (
    LateStartError,
    LoginInProgressError,
    LoginRecordsUnavailableError,
    MetaUnavailableError,
    OAuthStateError,
)
from instagram_connect.models import Provider, UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.security.token_vault import LoginBinding, TokenVault
from tests.support.fakes import NOW, USER_ID
from tests.support.lambda_context import FakeLambdaContext
from tests.support.simulated_services import RECORDS_TABLE

CODE = "AQ-the-login-code"
LOGIN = LoginKey.of(USER_ID, Provider.FACEBOOK, CODE)
OTHER_LOGINS = [
    LoginKey.of("7b0f1c5e-0000-4000-8000-000000000002", Provider.FACEBOOK, CODE),
    LoginKey.of(USER_ID, Provider.INSTAGRAM, CODE),
    LoginKey.of(USER_ID, Provider.FACEBOOK, "AQ-another-code"),
]
OUTCOME: LoginOutcome = {"accounts": ["9a000000-0000-4000-8000-000000000001", "9a000000-0000-4000-8000-000000000002"]}
TOKEN = UserToken("EAA-the-token", NOW - timedelta(minutes=1), None, ("instagram_basic", "pages_show_list"))
KEY_THAT_IS_GONE = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000"


def outcome_of(
    records: LoginRecords,
    attempt: Callable[[], LoginOutcome],
    login: LoginKey = LOGIN,
    *,
    seconds: float = 10,
    function_ends_in_s: float = 28,
) -> tuple[LoginOutcome, bool]:
    """The outcome, and whether this request made the attempt."""
    context: Any = FakeLambdaContext(remaining_s=function_ends_in_s)
    made: list[bool] = []

    def watched() -> LoginOutcome:
        made.append(True)
        return attempt()

    return records.outcome_of(login, watched, context, Deadline(seconds)), bool(made)


def must_not_happen() -> LoginOutcome:
    raise AssertionError("attempted a login again")


def be_killed() -> LoginOutcome:
    raise SystemExit


def dynamodb_fails() -> None:
    boto3.client("dynamodb").delete_table(TableName=RECORDS_TABLE)


def items() -> list[dict[str, Any]]:
    return list(boto3.client("dynamodb").scan(TableName=RECORDS_TABLE)["Items"])


def change_only_item(attribute: str, value: dict[str, Any]) -> None:
    (item,) = items()
    boto3.client("dynamodb").put_item(TableName=RECORDS_TABLE, Item={**item, attribute: value})


def records_at(now: datetime, vault: TokenVault) -> LoginRecords:
    """The same records at another time."""
    return LoginRecords(RECORDS_TABLE, vault, lambda: now)


def test_later_requests_get_the_outcome_of_the_first(records: LoginRecords) -> None:
    first = outcome_of(records, lambda: OUTCOME)
    second = outcome_of(records, must_not_happen)
    third = outcome_of(records, must_not_happen)

    assert first == (OUTCOME, True)
    assert second == third == (OUTCOME, False)


def test_error_outcome_is_remembered_unchanged(records: LoginRecords) -> None:
    failed: LoginOutcome = {"status": 403, "problem": {"code": "SCOPES_DECLINED", "details": 'Nicht erteilt: "é" ☕'}}
    outcome_of(records, lambda: failed)

    assert outcome_of(records, must_not_happen) == (failed, False)


def test_record_holds_hundreds_of_accounts(records: LoginRecords) -> None:
    many: LoginOutcome = {"accounts": [f"9a000000-0000-4000-8000-{number:012}" for number in range(1_500)]}
    outcome_of(records, lambda: many)

    assert outcome_of(records, must_not_happen) == (many, False)


@pytest.mark.parametrize("other", OTHER_LOGINS, ids=["user", "provider", "code"])
def test_users_products_and_codes_have_separate_records(records: LoginRecords, other: LoginKey) -> None:
    outcome_of(records, lambda: OUTCOME)

    assert outcome_of(records, lambda: {"accounts": ["other"]}, other) == ({"accounts": ["other"]}, True)
    assert outcome_of(records, must_not_happen) == (OUTCOME, False)


def test_attempt_that_raised_is_retried_by_the_next_request(records: LoginRecords) -> None:
    def fail() -> LoginOutcome:
        raise MetaUnavailableError

    with pytest.raises(MetaUnavailableError):
        outcome_of(records, fail)

    assert items() == []
    assert outcome_of(records, lambda: OUTCOME) == (OUTCOME, True)


def test_outcome_expires_after_an_hour(records: LoginRecords) -> None:
    before = time.time()
    outcome_of(records, lambda: OUTCOME)
    (item,) = items()
    change_only_item("expiration", {"N": str(int(time.time()) - 1)})

    assert before + 3599 <= int(item["expiration"]["N"]) <= time.time() + 3600
    assert outcome_of(records, lambda: {"accounts": ["new"]}) == ({"accounts": ["new"]}, True)


def test_concurrent_request_waits_for_the_outcome(records: LoginRecords) -> None:
    begun, go_on = threading.Event(), threading.Event()
    answers: dict[str, tuple[LoginOutcome, bool]] = {}

    def attempt() -> LoginOutcome:
        begun.set()
        assert go_on.wait(10)
        return OUTCOME

    first = threading.Thread(target=lambda: answers.update(first=outcome_of(records, attempt)))
    second = threading.Thread(target=lambda: answers.update(second=outcome_of(records, must_not_happen)))
    first.start()
    assert begun.wait(10)
    second.start()
    second.join(0.5)
    is_waiting = second.is_alive()
    go_on.set()
    first.join()
    second.join()

    assert is_waiting
    assert answers == {"first": (OUTCOME, True), "second": (OUTCOME, False)}


def test_concurrent_request_retries_after_the_first_one_raises(records: LoginRecords) -> None:
    begun, go_on = threading.Event(), threading.Event()
    answers: list[tuple[LoginOutcome, bool]] = []

    def fail() -> LoginOutcome:
        begun.set()
        assert go_on.wait(10)
        raise MetaUnavailableError

    def fail_in_the_end() -> None:
        with pytest.raises(MetaUnavailableError):
            outcome_of(records, fail)

    first = threading.Thread(target=fail_in_the_end)
    second = threading.Thread(target=lambda: answers.append(outcome_of(records, lambda: OUTCOME)))
    first.start()
    assert begun.wait(10)
    second.start()
    go_on.set()
    first.join()
    second.join()

    assert answers == [(OUTCOME, True)]


def test_waiting_request_stops_at_its_deadline_with_a_retry_after(records: LoginRecords) -> None:
    with pytest.raises(SystemExit):
        outcome_of(records, be_killed)
    started = time.monotonic()

    with pytest.raises(LoginInProgressError) as caught:
        outcome_of(records, must_not_happen, seconds=1.3)

    assert time.monotonic() - started < 1.3
    assert caught.value.retry_after_s == 5


def test_login_of_a_killed_function_is_taken_over_after_its_timeout(
    records: LoginRecords,
) -> None:
    with pytest.raises(SystemExit):
        outcome_of(records, be_killed, function_ends_in_s=0.5)

    assert outcome_of(records, lambda: OUTCOME) == (OUTCOME, True)


def test_login_is_not_attempted_without_dynamodb(records: LoginRecords) -> None:
    dynamodb_fails()

    with pytest.raises(LoginRecordsUnavailableError) as caught:
        outcome_of(records, must_not_happen)
    assert caught.value.recoverable
    assert caught.value.log_context == {"cause": "ResourceNotFoundException"}


def test_outcome_is_returned_when_it_cannot_be_remembered(records: LoginRecords, log: io.StringIO) -> None:
    def attempt() -> LoginOutcome:
        dynamodb_fails()
        return OUTCOME

    assert outcome_of(records, attempt) == (OUTCOME, True)
    assert "Could not remember the outcome of a login" in log.getvalue()


def test_dynamodb_failure_does_not_hide_the_attempts_exception(records: LoginRecords) -> None:
    def fail() -> LoginOutcome:
        dynamodb_fails()
        raise MetaUnavailableError

    with pytest.raises(MetaUnavailableError):
        outcome_of(records, fail)


def test_codes_and_tokens_are_neither_stored_readably_nor_logged(records: LoginRecords, log: io.StringIO) -> None:
    outcome_of(records, lambda: OUTCOME)
    records.use_state("a-state", LOGIN)
    records.keep_token(LOGIN, TOKEN)
    with pytest.raises(OAuthStateError):
        records.use_state("a-state", OTHER_LOGINS[0])

    stored = items()
    shown = f"{stored} {log.getvalue()} {LOGIN} {LOGIN!r}"
    assert sorted(item["id"]["S"].partition("#")[0] for item in stored) == ["outcome", "state", "token"]
    assert CODE not in shown
    assert TOKEN.value not in shown


def test_every_record_has_a_ttl_in_seconds(records: LoginRecords) -> None:
    outcome_of(records, lambda: OUTCOME)
    records.use_state("a-state", LOGIN)
    records.keep_token(LOGIN, TOKEN)

    ends = {item["id"]["S"].partition("#")[0]: int(item["expiration"]["N"]) for item in items()}

    assert ends.pop("outcome") == pytest.approx(time.time() + 3600, abs=60)
    assert ends == {
        "state": (NOW + timedelta(hours=1)).timestamp(),
        "token": (NOW + timedelta(hours=2)).timestamp(),
    }


def test_state_can_be_reused_only_by_its_own_login(records: LoginRecords) -> None:
    first, again = records.use_state("a-state", LOGIN), records.use_state("a-state", LOGIN)

    assert (first, again) == (True, False)
    for other in OTHER_LOGINS:
        with pytest.raises(OAuthStateError) as caught:
            records.use_state("a-state", other)
        assert caught.value.reason == "STATE_USED"
    records.use_state("a-state", LOGIN)
    records.use_state("another-state", OTHER_LOGINS[0])


def test_state_cannot_be_used_without_dynamodb(records: LoginRecords) -> None:
    dynamodb_fails()

    with pytest.raises(LoginRecordsUnavailableError) as caught:
        records.use_state("a-state", LOGIN)
    assert caught.value.log_context == {"cause": "ResourceNotFoundException"}


@pytest.mark.parametrize("scopes", [(), ("instagram_basic",), ("instagram_basic", "pages_show_list")])
def test_kept_token_keeps_its_age_and_scopes(records: LoginRecords, scopes: tuple[str, ...]) -> None:
    records.keep_token(LOGIN, replace(TOKEN, granted_scopes=scopes))

    assert records.kept_token(LOGIN) == replace(TOKEN, granted_scopes=scopes)


@pytest.mark.parametrize(
    ("outcome", "is_kept"), [(OUTCOME, False), ({"error": {}}, False), ({"error": {}, "counts_for_s": 3.0}, True)]
)
def test_token_is_kept_until_the_outcome_is_final(records: LoginRecords, outcome: LoginOutcome, is_kept: bool) -> None:
    def attempt() -> LoginOutcome:
        records.keep_token(LOGIN, TOKEN)
        return outcome

    outcome_of(records, attempt)

    assert (records.kept_token(LOGIN) is not None) == is_kept


def test_token_is_kept_when_the_outcome_cannot_be_remembered(
    records: LoginRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt() -> LoginOutcome:
        records.keep_token(LOGIN, TOKEN)
        monkeypatch.setattr(DynamoDBPersistenceLayer, "_update_record", refuse)
        return OUTCOME

    def refuse(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")

    assert outcome_of(records, attempt) == (OUTCOME, True)
    assert records.kept_token(LOGIN) == TOKEN


@pytest.mark.parametrize("other", OTHER_LOGINS, ids=["user", "provider", "code"])
def test_kept_token_is_found_only_by_its_own_login(records: LoginRecords, other: LoginKey) -> None:
    records.keep_token(LOGIN, TOKEN)

    assert records.kept_token(other) is None


@pytest.mark.parametrize("other", OTHER_LOGINS, ids=["user", "provider", "code"])
def test_kept_token_moved_to_another_login_does_not_decrypt(records: LoginRecords, other: LoginKey) -> None:
    records.keep_token(LOGIN, TOKEN)
    change_only_item("id", {"S": f"token#{other}"})

    assert records.kept_token(other) is None
    assert records.kept_token(LOGIN) == TOKEN


def test_kept_token_is_bound_to_its_login(records: LoginRecords, vault: TokenVault) -> None:
    records.keep_token(LOGIN, TOKEN)

    (item,) = items()
    binding = LoginBinding(USER_ID, Provider.FACEBOOK, LOGIN.code_digest)
    assert vault.decrypt(item["ciphertext"]["S"], binding) == TOKEN.value


@pytest.mark.parametrize(("later_s", "is_found"), [(7199, True), (7201, False)])
def test_kept_token_expires_after_two_hours_before_dynamodb_deletes_it(
    records: LoginRecords, vault: TokenVault, later_s: int, is_found: bool
) -> None:
    records.keep_token(LOGIN, TOKEN)

    found = records_at(NOW + timedelta(seconds=later_s), vault).kept_token(LOGIN)

    assert (found == TOKEN) is is_found
    assert (found is None) is not is_found


def test_keeping_and_finding_tokens_tolerate_missing_dynamodb(records: LoginRecords, log: io.StringIO) -> None:
    dynamodb_fails()

    records.keep_token(LOGIN, TOKEN)

    assert records.kept_token(LOGIN) is None
    assert log.getvalue().count('"cause":"ResourceNotFoundException"') == 2


def test_keeping_and_finding_tokens_tolerate_missing_kms(records: LoginRecords, log: io.StringIO) -> None:
    records.keep_token(LOGIN, TOKEN)
    without_kms = records_at(NOW, TokenVault(KEY_THAT_IS_GONE))

    assert without_kms.kept_token(LOGIN) is None
    without_kms.keep_token(OTHER_LOGINS[0], TOKEN)

    assert len(items()) == 1
    assert log.getvalue().count('"cause":"TokenEncryptionError"') == 2


@pytest.mark.parametrize("position", [0, 3, 40, -115, -1])  # the last two damage the body's tag and the signature
def test_damaged_kept_token_is_ignored(records: LoginRecords, position: int) -> None:
    records.keep_token(LOGIN, TOKEN)
    (item,) = items()
    damaged = bytearray(base64.b64decode(item["ciphertext"]["S"]))
    damaged[position] ^= 0x41
    change_only_item("ciphertext", {"S": base64.b64encode(damaged).decode()})

    assert records.kept_token(LOGIN) is None


def test_temporary_outcome_expires_and_allows_a_new_attempt(records: LoginRecords) -> None:
    passed: LoginOutcome = {"problem": {"code": "A"}, "counts_for_s": 0}
    counting: LoginOutcome = {"problem": {"code": "B"}, "counts_for_s": 60}

    answers = [outcome_of(records, attempt) for attempt in (lambda: passed, lambda: counting, must_not_happen)]

    assert [(outcome["problem"]["code"], is_own) for outcome, is_own in answers] == [
        ("A", True),
        ("B", True),
        ("B", False),
    ]
    assert answers[2][0]["remembered_until"] == NOW.timestamp() + 60


def test_timed_out_request_does_not_claim_that_the_code_is_unused(records: LoginRecords) -> None:
    def too_late() -> LoginOutcome:
        raise LateStartError

    started = threading.Event()
    with ThreadPoolExecutor(1) as threads:

        def slow() -> LoginOutcome:
            started.set()
            time.sleep(1)
            raise LateStartError

        first = threads.submit(outcome_of, records, slow)
        assert started.wait(5)
        with pytest.raises(LoginInProgressError):
            outcome_of(records, too_late)
        assert isinstance(first.exception(), LateStartError)
