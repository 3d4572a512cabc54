"""Sending the same code again: the first outcome is repeated, with the accounts as they are now."""

import io
import time
from typing import Any

import pytest

from instagram_connect.connections.connect_once import LEAST_TIME_BETWEEN_ATTEMPTS_S
from instagram_connect.errors import (
    InstagramConnectError,
    LateStartError,
    LoginCodeUsedError,
    MetaRateLimitedError,
    MetaUnavailableError,
    ScopesDeclinedError,
    StorageError,
)
from tests.support.exchanging import DATA_DELETED, FakeAccountList, FakeFlow, FakeRecords
from tests.support.routes import ACCOUNT, Send, header


def test_repeated_code_returns_the_first_outcome_with_its_own_request_id(post: Send, flow: FakeFlow) -> None:
    first = post()
    second = post(requestContext={"requestId": "another", "httpMethod": "POST", "stage": "live"})

    assert first["json"]["data"] == second["json"]["data"]
    assert second["json"]["requestId"] == "another"
    assert len(flow.asked) == 1


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (ScopesDeclinedError(), None),
        (LoginCodeUsedError(), None),
        (StorageError(reason="PERMISSION_DENIED"), LEAST_TIME_BETWEEN_ATTEMPTS_S),
        (MetaUnavailableError(), LEAST_TIME_BETWEEN_ATTEMPTS_S),
        (MetaRateLimitedError(retry_after_s=420), 420),
    ],
)
def test_errors_are_remembered_for_as_long_as_they_apply(
    post: Send, flow: FakeFlow, records: FakeRecords, error: InstagramConnectError, wait_s: float | None
) -> None:
    flow.outcome = error

    post()

    (outcome,) = records.outcomes.values()
    assert outcome.get("counts_for_s") == wait_s


def test_repeated_retry_after_is_the_remaining_time(post: Send, flow: FakeFlow, records: FakeRecords) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420)
    post()
    (outcome,) = records.outcomes.values()
    outcome["remembered_until"] = time.time() + 60

    answer = post()

    assert 59 <= answer["json"]["retryAfterSeconds"] <= 61
    assert header(answer, "Retry-After") == str(answer["json"]["retryAfterSeconds"])


def test_repeated_code_of_a_disconnected_account_is_an_error(post: Send, account_list: FakeAccountList) -> None:
    post()
    account_list.accounts = (ACCOUNT.model_copy(update={"status": "disconnected"}),)

    assert post()["json"]["code"] == "ACCOUNT_DISCONNECTED"


def test_repeated_code_does_not_restore_deleted_data(post: Send, flow: FakeFlow, records: FakeRecords) -> None:
    flow.outcome = DATA_DELETED
    first = post()
    flow.outcome = (ACCOUNT,)

    second = post()

    assert (first["statusCode"], first["json"]) == (second["statusCode"], second["json"])
    assert len(flow.asked) == 1
    (outcome,) = records.outcomes.values()
    assert "counts_for_s" not in outcome


def test_repeated_code_returns_the_first_error(post: Send, flow: FakeFlow) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420)
    first = post()
    flow.outcome = (ACCOUNT,)

    second = post()

    assert (first["statusCode"], first["json"]) == (second["statusCode"], second["json"])
    assert header(second, "Retry-After") == "420"


def test_repeated_failure_is_logged_and_counted_once(
    post: Send, flow: FakeFlow, log: io.StringIO, counted: dict[str, Any]
) -> None:
    flow.outcome = MetaRateLimitedError(retry_after_s=420, log_context={"meta_code": 4})

    post()
    post()

    assert log.getvalue().count("Request failed") == 1
    assert log.getvalue().count("Repeated the failure of an earlier request") == 1
    assert counted["RequestsFailed"]["Value"] == [1.0]


def test_error_of_a_single_request_is_not_remembered(post: Send, flow: FakeFlow) -> None:
    flow.error = LateStartError()
    assert post()["statusCode"] == 503
    flow.error = None

    assert post()["statusCode"] == 200


def test_repeated_outcome_shows_current_accounts(post: Send, flow: FakeFlow, account_list: FakeAccountList) -> None:
    post()
    account_list.accounts = (ACCOUNT.model_copy(update={"status": "needs_reauth"}),)

    assert post()["json"]["data"]["accounts"][0]["status"] == "needs_reauth"


def test_remembered_outcome_holds_ids_only(post: Send, records: FakeRecords) -> None:
    post()

    assert list(records.outcomes.values()) == [{"accounts": [ACCOUNT.id]}]


def test_repeated_code_of_deleted_accounts_is_not_found(post: Send, account_list: FakeAccountList) -> None:
    post()
    account_list.accounts = ()

    assert post()["json"]["code"] == "ACCOUNT_NOT_FOUND"
