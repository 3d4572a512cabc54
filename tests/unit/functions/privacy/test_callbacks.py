"""Meta's privacy callbacks: nothing unsigned has an effect, what was confirmed is carried out, and nobody is named."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from moto import mock_aws

from functions.privacy import app
from functions.privacy.app import Dependencies, handle, lambda_handler
from instagram_connect.errors import ConfigurationError, InternalError, StorageError
from instagram_connect.privacy.callbacks import MAX_BODY_BYTES, was_made_here
from instagram_connect.privacy.requests import PrivacyRequest
from instagram_connect.runtime.settings import SECRETS_AGE_S
from tests.support.asking import (
    ASKED_AT,
    CALLBACKS,
    CODE_KEY,
    DONE,
    FACEBOOK_SECRET,
    INSTAGRAM_SECRET,
    ISSUED_AT,
    PERSON,
    FakePrivacyQueue,
    PrivacyStorage,
    Send,
    StoredSecrets,
    forgeries,
    form,
    problem,
    said,
    signed,
)
from tests.support.counting import counts
from tests.support.deployments import deploy
from tests.support.fakes import NOW
from tests.support.lambda_context import FakeLambdaContext
from tests.support.refreshing import STORAGE_DOWN
from tests.support.routes import LoadEvent


def test_a_person_who_removed_the_app_has_no_token_when_meta_gets_its_answer(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue
) -> None:
    answer = send("deauthorize")

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    ((function, asked),) = storage.calls
    assert (function, asked["meta_user_id"], asked["moment"]) == ("revoke_person", PERSON, NOW.isoformat())
    assert queue.kept == []


def test_a_deletion_is_taken_on_and_told_of_in_metas_shape(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue
) -> None:
    answer = send("data_deletion")

    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json; charset=utf-8"
    told = json.loads(answer["body"])
    code = told["confirmation_code"]
    assert told == {"url": f"https://api.example.com/live/api/instagram/data-deletion?code={code}"} | {
        "confirmation_code": code
    }
    assert code.isascii()
    assert code.isalnum()
    assert was_made_here(code, CODE_KEY)
    assert queue.requests == [
        PrivacyRequest(kind="delete", meta_user_id="17841400000000001", asked_at=NOW, confirmation_code=code)
    ]
    assert storage.calls == []


@pytest.mark.parametrize("public_url", ["https://app.example.com", "https://app.example.com/"])
def test_a_person_is_sent_to_the_public_address_where_there_is_one(send: Send, public_url: str) -> None:
    told = json.loads(send("data_deletion", with_deps={"public_url": public_url})["body"])

    assert told["url"] == f"https://app.example.com/api/instagram/data-deletion?code={told['confirmation_code']}"


def test_the_address_that_a_person_is_given_opens_their_page(send: Send, look: Callable[[str], Any]) -> None:
    url = json.loads(send("data_deletion")["body"])["url"]

    (code,) = parse_qs(urlsplit(url).query)["code"]
    assert look(code)["statusCode"] == 200


def test_every_deletion_has_a_code_of_its_own(send: Send) -> None:
    codes = {json.loads(send("data_deletion")["body"])["confirmation_code"] for _ in range(3)}

    assert len(codes) == 3


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("secret", [FACEBOOK_SECRET, INSTAGRAM_SECRET])
@pytest.mark.parametrize("user_id", [PERSON, int(PERSON)])
def test_a_request_may_be_signed_by_either_product_and_name_its_person_as_text_or_number(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, name: str, secret: str, user_id: object
) -> None:
    answer = send(name, body=form(signed(said(user_id=user_id), secret)))

    assert answer["statusCode"] == 200
    asked_of = [payload["meta_user_id"] for _, payload in storage.calls]
    assert asked_of + [request.meta_user_id for request in queue.requests] == [PERSON]


@pytest.mark.parametrize("name", CALLBACKS)
def test_what_was_asked_counts_from_when_it_was_asked(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, name: str
) -> None:
    send(name, body=form(signed(said(issued_at=ISSUED_AT))))

    asked_at = [payload["moment"] for _, payload in storage.calls]
    assert asked_at + [request.asked_at.isoformat() for request in queue.requests] == [ASKED_AT.isoformat()]


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("forgery", forgeries())
def test_a_forged_request_is_refused_and_has_no_effect(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, log: io.StringIO, name: str, forgery: str
) -> None:
    answer = send(name, body=form(forgeries()[forgery]))

    assert problem(answer) == (403, "SIGNATURE_INVALID")
    assert (storage.calls, queue.kept) == ([], [])
    assert '"level":"WARNING"' in log.getvalue()
    assert PERSON not in log.getvalue() + answer["body"]


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (form(signed(said(user_id=None))), (400, "INVALID_REQUEST")),
        (form(signed(said(user_id=""))), (400, "INVALID_REQUEST")),
        (form(signed(said(user_id=True))), (400, "INVALID_REQUEST")),
        (form(signed(said())) + "&more=" + "x" * MAX_BODY_BYTES, (400, "INVALID_REQUEST")),
        (form(signed(said())) + "&more=é", (400, "INVALID_REQUEST")),
        (form(signed(said())) + "&more=\ud800", (400, "INVALID_REQUEST")),
        (form(signed(said())) + "&x=y" * 20, (400, "INVALID_REQUEST")),
        (json.dumps({"signed_request": signed(said())}), (403, "SIGNATURE_INVALID")),
        ("", (403, "SIGNATURE_INVALID")),
        (None, (403, "SIGNATURE_INVALID")),
    ],
)
def test_a_body_that_is_not_as_agreed_has_no_effect(
    send: Send,
    storage: PrivacyStorage,
    queue: FakePrivacyQueue,
    log: io.StringIO,
    name: str,
    body: str | None,
    refusal: tuple[int, str],
) -> None:
    answer = send(name, body=body)

    assert problem(answer) == refusal
    assert (storage.calls, queue.kept) == ([], [])
    assert [json.loads(line)["level"] for line in log.getvalue().splitlines()] == ["WARNING"]
    assert PERSON not in log.getvalue() + answer["body"]


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_body_may_come_as_base64(send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, name: str) -> None:
    body = base64.b64encode(form(signed(said())).encode()).decode()

    assert send(name, body=body, isBase64Encoded=True)["statusCode"] == 200

    assert len(storage.calls) + len(queue.kept) == 1


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("body", ["no base64!", form(signed(said()))])
def test_base64_that_is_none_has_no_effect(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, name: str, body: str
) -> None:
    answer = send(name, body=body, isBase64Encoded=True)

    assert problem(answer) == (400, "INVALID_REQUEST")
    assert "base64" in json.loads(answer["body"])["details"]
    assert (storage.calls, queue.kept) == ([], [])


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_secret_that_was_replaced_is_found_after_a_minute_at_most(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, secrets: StoredSecrets, name: str
) -> None:
    """Meta may never ask again."""
    body = form(signed(said(), "the-new-secret"))
    send(name, body=form(signed(said(), "another")))
    secrets.values["facebook_app_secret"] = "the-new-secret"
    secrets.now_s += SECRETS_AGE_S - 1
    assert problem(send(name, body=body)) == (403, "SIGNATURE_INVALID")
    secrets.now_s += 1

    assert send(name, body=body)["statusCode"] == 200

    assert len(storage.calls) + len(queue.kept) == 1
    assert secrets.loads == 2


@pytest.mark.parametrize("name", CALLBACKS)
def test_wrong_signatures_have_the_secrets_read_once_in_a_minute(send: Send, secrets: StoredSecrets, name: str) -> None:
    send(name, body=form(signed(said())))
    secrets.now_s += SECRETS_AGE_S

    for _ in range(5):
        send(name, body=form(signed(said(), "another")))

    assert secrets.loads == 2


@pytest.mark.parametrize("name", CALLBACKS)
def test_without_any_app_secret_nothing_has_an_effect(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, secrets: StoredSecrets, name: str
) -> None:
    secrets.values = {}

    assert problem(send(name, body=form(signed(said(), "")))) == (500, "CONFIGURATION_INVALID")

    assert (storage.calls, queue.kept) == ([], [])


def test_every_callback_that_is_refused_is_counted(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, counted: dict[str, Any]
) -> None:
    for name in CALLBACKS:
        send(name)
    assert counts(counted) == {}

    send("deauthorize", body=form(signed(said(), "another")))
    send("data_deletion", body=form(signed(said(user_id=None))))
    storage.failures = {"revoke_person": STORAGE_DOWN}
    queue.is_down = True
    send("deauthorize")

    assert counts(counted) == {"PrivacyCallbacksRefused": 3}


@pytest.mark.parametrize("context", [None, {}, {"requestId": None}])
def test_a_request_without_its_context_is_refused_in_our_shape_too(send: Send, context: Any) -> None:
    answer = send("deauthorize", body="", requestContext=context)

    assert problem(answer) == (403, "SIGNATURE_INVALID")
    assert json.loads(answer["body"])["requestId"] == ""


def test_a_message_of_the_queue_is_not_acknowledged_here(deps: Dependencies) -> None:
    """During an update of a stack the queue may still invoke this function; its worker carries the request out."""
    with pytest.raises(ValueError, match="not a request"):
        handle({"Records": [{"messageId": "1", "body": "{}"}]}, lambda: deps)


def test_a_deauthorization_waits_in_the_queue_while_storage_fails_and_is_done_from_there(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, deliver: Send, log: io.StringIO
) -> None:
    storage.failures = {"revoke_person": STORAGE_DOWN}

    assert send("deauthorize", body=form(signed(said())))["statusCode"] == 200

    assert queue.requests == [PrivacyRequest(kind="deauthorize", meta_user_id=PERSON, asked_at=ASKED_AT)]
    assert '"reason":"DATA_API_UNREACHABLE"' in log.getvalue()

    storage.failures = {}

    assert deliver(*queue.kept) == DONE
    assert [asked["moment"] for asked in storage.asked("revoke_person")] == [ASKED_AT.isoformat()]


@pytest.mark.parametrize("answer", [None, "", {}])
def test_a_deauthorization_waits_too_when_storage_says_nothing_that_makes_sense(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, answer: Any
) -> None:
    """Nobody knows whether Meta would ask again."""
    storage.answers["revoke_person"] = answer

    assert send("deauthorize")["statusCode"] == 200

    assert len(queue.kept) == 1


@pytest.mark.parametrize(
    "failure",
    [InternalError(), ConfigurationError(log_context={"setting": "x"}), RuntimeError(f"row of {PERSON}")],
    ids=["a failure of ours", "a missing setting", "what nobody foresaw"],
)
def test_a_deauthorization_waits_after_whatever_failure(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, log: io.StringIO, failure: Exception
) -> None:
    storage.failures = {"revoke_person": failure}

    answer = send("deauthorize", body=form(signed(said())))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    assert queue.requests == [PrivacyRequest(kind="deauthorize", meta_user_id=PERSON, asked_at=ASKED_AT)]
    assert PERSON not in log.getvalue()


def test_meta_is_told_to_come_again_when_neither_storage_nor_the_queue_takes_a_deauthorization(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, log: io.StringIO
) -> None:
    storage.failures = {"revoke_person": STORAGE_DOWN}
    queue.is_down = True

    assert problem(send("deauthorize")) == (503, "CALLBACK_NOT_KEPT")
    assert '"cause":"EndpointConnectionError"' in log.getvalue()


def test_a_deletion_that_the_queue_does_not_take_is_carried_out_at_once(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, look: Callable[[str], Any], counted: dict[str, Any]
) -> None:
    """Meta may never ask again."""
    queue.is_down = True

    answer = send("data_deletion", body=form(signed(said())))

    assert answer["statusCode"] == 200
    code = json.loads(answer["body"])["confirmation_code"]
    (asked,) = storage.asked("delete_person")
    assert (asked["meta_user_id"], asked["confirmation_code"]) == (PERSON, code)
    assert asked["requested_at"] == ASKED_AT.isoformat()
    assert "Your data has been deleted" in look(code)["body"]
    assert counts(counted) == {}


@pytest.mark.parametrize("failure", [STORAGE_DOWN, RuntimeError(f"row of {PERSON}")], ids=["storage", "a defect"])
def test_a_deletion_that_nobody_keeps_and_nobody_carries_out_is_not_confirmed(
    send: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, counted: dict[str, Any], failure: Exception
) -> None:
    queue.is_down = True
    storage.failures = {"delete_person": failure}

    answer = send("data_deletion")

    assert problem(answer) == (503, "CALLBACK_NOT_KEPT")
    assert "confirmation_code" not in answer["body"]
    assert counts(counted) == {"PrivacyCallbacksRefused": 1}


def test_a_defect_is_answered_in_our_shape_and_says_nothing_of_itself(
    send: Send, storage: PrivacyStorage, log: io.StringIO
) -> None:
    storage.failures = {"deletion_status": RuntimeError(f"row of {PERSON}")}

    answer = send("data_deletion_status")

    assert problem(answer) == (500, "INTERNAL_ERROR")
    assert json.loads(answer["body"])["requestId"] == "6f1c2e0a-0000-4000-8000-000000000023"
    assert '"cause":"RuntimeError"' in log.getvalue()
    assert "functions/privacy/app.py" in log.getvalue()
    assert PERSON not in log.getvalue() + answer["body"]


@pytest.mark.parametrize("name", [*CALLBACKS, "data_deletion_status"])
def test_a_deployment_without_a_setting_says_which_to_its_operator_only(
    load_event: LoadEvent, log: io.StringIO, name: str
) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "PRIVACY_QUEUE_URL"})

    answer = handle(load_event(name), not_configured)

    assert problem(answer) == (500, "CONFIGURATION_INVALID")
    assert '"setting":"PRIVACY_QUEUE_URL"' in log.getvalue()
    assert "PRIVACY_QUEUE_URL" not in answer["body"]


def test_no_line_names_a_person_or_holds_what_is_secret(
    send: Send, deliver: Send, storage: PrivacyStorage, queue: FakePrivacyQueue, log: io.StringIO
) -> None:
    good, forged = signed(said()), signed(said(), "another")
    storage_down = StorageError(reason="DATABASE_BUSY", log_context={"storage_operation": "x", "storage_code": "57014"})
    for name in CALLBACKS:
        send(name, body=form(good))
        send(name, body=form(forged))
        send(name, body=form(signed(said(user_id=[PERSON]))))
    deliver(*queue.kept)
    deliver(f'{{"meta_user_id": "{PERSON}"}}')
    storage.failures = dict.fromkeys(("revoke_person", "delete_person", "deletion_status"), storage_down)
    send("deauthorize", body=form(good))
    send("data_deletion_status")
    deliver(*queue.kept)
    queue.is_down = True
    for name in CALLBACKS:
        send(name, body=form(good))
    defect = RuntimeError(f"{PERSON} {good}")
    storage.failures = dict.fromkeys(("revoke_person", "delete_person", "deletion_status"), defect)
    for name in CALLBACKS:
        send(name, body=form(good))
    send("data_deletion_status")

    lines = log.getvalue()
    for told in (
        "A person removed the app",
        "Deleted a person's data",
        "Refused a privacy callback",
        "Could not carry out a privacy request at once",
        "A privacy request has to wait",
        "Could not look at a deletion",
    ):
        assert told in lines
    for secret in (PERSON, FACEBOOK_SECRET, INSTAGRAM_SECRET, CODE_KEY, *good.split("."), *forged.split(".")):
        assert secret not in lines


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the functions of the database answer to the entry point."""
    return {"revoke_person": 1, "delete_person": {"is_complete": True, "accounts": 1}, "deletion_status": None}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> Any:
    """The functions of the database that the entry point calls, with dependencies of its own making."""
    app.dependencies.cache_clear()
    with mock_aws():
        yield deploy(monkeypatch, answers, PRIVACY_QUEUE_URL="https://sqs.us-east-1.amazonaws.com/1/privacy")
    app.dependencies.cache_clear()


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(
    ("name", "status", "asked"),
    [
        ("deauthorize", 200, ["revoke_person"]),
        ("data_deletion", 200, ["delete_person"]),
        ("data_deletion_status", 404, ["deletion_status"]),
    ],
)
def test_the_entry_point_answers_metas_requests(
    called: list[str],
    load_event: LoadEvent,
    lambda_context: FakeLambdaContext,
    name: str,
    status: int,
    asked: list[str],
) -> None:
    """There is no queue here."""
    answer = lambda_handler(load_event(name), lambda_context)  # type: ignore[arg-type]

    assert (answer["statusCode"], called) == (status, asked)
