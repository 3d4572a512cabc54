"""Meta's handshake, and its webhooks: 200 for what is signed and in the queue, and for nothing else."""

import base64
import hmac
import io
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from functions.webhook import app
from functions.webhook.app import KEEPING_S, Dependencies, handle, lambda_handler
from instagram_connect.api.schemas import Problem
from instagram_connect.errors import ConfigurationError
from instagram_connect.runtime.settings import SECRETS_AGE_S, CurrentSecrets, Secrets
from instagram_connect.webhooks.queue import CLIENT_CONFIG, body_of
from tests.support.counting import counts
from tests.support.deliveries import body, message, talk
from tests.support.deployments import deploy
from tests.support.fake_sqs import FakeSqs, refusal
from tests.support.lambda_context import FakeLambdaContext
from tests.support.routes import Answer, LoadEvent

# Those with which events/webhook.json is signed and events/webhook_handshake.json made.
INSTAGRAM, FACEBOOK, VERIFY_TOKEN = "the-instagram-app-secret", "the-facebook-app-secret", "the-verify-token"
NEW = "the-new-app-secret"
ROOT = Path(__file__).parents[3]
# Loading these takes longer than all the rest of a start, and Meta waits for it.
SLOW = ("pydantic", "httpx", "postgrest", "aws_lambda_powertools.event_handler")
LARGE = body(*(talk(message(number, text="t" * 900)) for number in range(1000)))


class Endpoint:
    """The function, with secrets that can change and a queue that can fail."""

    def __init__(self, load_event: LoadEvent) -> None:
        self.load_event = load_event
        self.sqs = FakeSqs()
        self.now_s = 1000.0
        self.loads = 0
        self.unreadable: ConfigurationError | None = None
        self.secrets: dict[str, Any] = {
            "instagram_app_secret": INSTAGRAM,
            "facebook_app_secret": FACEBOOK,
            "webhook_verify_token": VERIFY_TOKEN,
        }
        self.deps = Dependencies(CurrentSecrets(self._load, lambda: self.now_s), self.sqs.queue())

    def _load(self) -> Secrets:
        self.loads += 1
        if self.unreadable:
            raise self.unreadable
        return Secrets(dict(self.secrets))

    def get(self, **query: str | None) -> Answer:
        """A handshake with some parameters of its query changed, or left out when None."""
        event = self.load_event("webhook_handshake")
        changed = {f"hub.{name}": value for name, value in query.items()}
        given = {**event["queryStringParameters"], **changed}
        return self.send({**event, "queryStringParameters": {name: v for name, v in given.items() if v is not None}})

    def post(self, received: bytes | None = None, *, secret: str = INSTAGRAM, **changes: Any) -> Answer:
        """The recorded webhook, or one with this body, signed anew."""
        event = self.load_event("webhook")
        if received is not None:
            event["body"], event["isBase64Encoded"] = base64.b64encode(received).decode(), True
        event["headers"] = signature(event["body"].encode() if received is None else received, secret)
        return self.send({**event, **changes})

    def send(self, event: dict[str, Any]) -> Answer:
        return handle(event, lambda: self.deps)

    def kept(self) -> bytes:
        """The bytes in the queue."""
        return b"".join(body_of(text, attributes.get("encoding")) for text, attributes in self.sqs.sent)


def signature(received: bytes, secret: str = INSTAGRAM) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), received, 'sha256').hex()}"}


@pytest.fixture
def endpoint(load_event: LoadEvent) -> Endpoint:
    return Endpoint(load_event)


def problem(answer: Answer) -> Problem:
    """The error that an answer tells of, in the shape of docs/errors.md."""
    assert answer["headers"]["Content-Type"] == "application/json; charset=utf-8"
    told = json.loads(answer["body"])
    assert set(told) - {"reason"} == {
        "success",
        "error",
        "details",
        "code",
        "actor",
        "recoverable",
        "hint",
        "requestId",
    }
    return Problem.model_validate(told)


def refusal_of(answer: Answer) -> tuple[int, str, str | None]:
    found = problem(answer)
    return answer["statusCode"], found.code, found.reason


def test_the_handshake_gives_the_challenge_back_as_it_came(endpoint: Endpoint) -> None:
    answer = endpoint.get()

    assert (answer["statusCode"], answer["body"]) == (200, "1158201444")
    assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("challenge", ["0", "007", "a-Z_9", "x" * 256])
def test_a_challenge_of_letters_and_digits_is_given_back(endpoint: Endpoint, challenge: str) -> None:
    answer = endpoint.get(challenge=challenge)

    assert (answer["statusCode"], answer["body"]) == (200, challenge)


@pytest.mark.parametrize(
    "challenge",
    [None, "", "<script>alert(1)</script>", "a b", "1158201444\n", "\n1", "a&b", "a/b", "é", "٣", "\ud800", "x" * 257],
)
def test_any_other_challenge_is_not(endpoint: Endpoint, challenge: str | None) -> None:
    answer = endpoint.get(challenge=challenge)

    assert refusal_of(answer) == (400, "INVALID_REQUEST", None)
    assert not challenge or challenge not in answer["body"]


@pytest.mark.parametrize(
    "token",
    [None, "", "wrong", "the-verify-toke", "the-verify-tokens", "THE-VERIFY-TOKEN", " the-verify-token", "é", "\ud800"],
)
def test_a_wrong_verify_token_is_refused(endpoint: Endpoint, token: str | None, log: io.StringIO) -> None:
    answer = endpoint.get(verify_token=token)

    assert refusal_of(answer) == (403, "VERIFY_TOKEN_INVALID", None)
    assert "1158201444" not in answer["body"]
    assert VERIFY_TOKEN not in answer["body"] + log.getvalue()


@pytest.mark.parametrize("mode", [None, "", "unsubscribe", "SUBSCRIBE"])
def test_only_a_subscription_is_confirmed(endpoint: Endpoint, mode: str | None) -> None:
    assert refusal_of(endpoint.get(mode=mode)) == (403, "VERIFY_TOKEN_INVALID", None)


def test_a_request_without_a_query_is_refused(endpoint: Endpoint, load_event: LoadEvent) -> None:
    answer = endpoint.send({**load_event("webhook_handshake"), "queryStringParameters": None})

    assert refusal_of(answer) == (403, "VERIFY_TOKEN_INVALID", None)


@pytest.mark.parametrize("configured", [None, "", " \n"])
@pytest.mark.parametrize("given", [None, "", " \n", VERIFY_TOKEN])
def test_without_a_verify_token_of_ours_nobody_is_confirmed(
    endpoint: Endpoint, log: io.StringIO, configured: str | None, given: str | None
) -> None:
    endpoint.secrets["webhook_verify_token"] = configured

    answer = endpoint.get(verify_token=given)

    assert refusal_of(answer) == (500, "CONFIGURATION_INVALID", None)
    assert '"secret_key":"webhook_verify_token"' in log.getvalue()


def test_a_signed_webhook_is_kept_as_it_came(endpoint: Endpoint, load_event: LoadEvent) -> None:
    event = load_event("webhook")

    answer = endpoint.send(event)

    assert (answer["statusCode"], answer["body"]) == (200, "EVENT_RECEIVED")
    assert endpoint.sqs.sent == [(event["body"], {})]


@pytest.mark.parametrize("received", [b"\xff\x00", b"{", b"no json", b"[]", "café 😀".encode(), LARGE[:100_000]])
def test_whatever_is_signed_is_kept_byte_for_byte(endpoint: Endpoint, received: bytes) -> None:
    answer = endpoint.post(received)

    assert (answer["statusCode"], endpoint.kept()) == (200, received)


def test_a_webhook_of_many_events_is_kept_in_parts(endpoint: Endpoint) -> None:
    answer = endpoint.post(LARGE)

    entries = [entry for text, _ in endpoint.sqs.sent for entry in json.loads(text)["entry"]]
    assert (answer["statusCode"], entries) == (200, json.loads(LARGE)["entry"])
    assert len(endpoint.sqs.sent) > 1


def test_a_signed_webhook_without_a_body_is_answered_and_nothing_is_kept(endpoint: Endpoint) -> None:
    answer = endpoint.post(b"")

    assert (answer["statusCode"], endpoint.sqs.sent) == (200, [])


@pytest.mark.parametrize("name", ["x-hub-signature-256", "X-HUB-SIGNATURE-256", "X-Hub-Signature-256"])
def test_the_case_of_the_headers_name_does_not_matter(endpoint: Endpoint, load_event: LoadEvent, name: str) -> None:
    event = load_event("webhook")
    event["headers"] = {name: event["headers"]["X-Hub-Signature-256"]}

    assert endpoint.send(event)["statusCode"] == 200


@pytest.mark.parametrize("secret", [INSTAGRAM, FACEBOOK])
def test_either_product_may_have_signed(endpoint: Endpoint, log: io.StringIO, secret: str) -> None:
    answer = endpoint.post(secret=secret)

    assert answer["statusCode"] == 200
    assert f'"signer":"{"facebook" if secret == FACEBOOK else "instagram"}_app_secret"' in log.getvalue()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (None, "SIGNATURE_MISSING"),
        ({}, "SIGNATURE_MISSING"),
        ({"X-Hub-Signature-256": ""}, "SIGNATURE_MISSING"),
        ({"X-Hub-Signature": "sha1=" + "0" * 40}, "SIGNATURE_MISSING"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 63}, "SIGNATURE_MALFORMED"),
        ({"X-Hub-Signature-256": "sha256=" + "é" * 64}, "SIGNATURE_MALFORMED"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, "SIGNATURE_MISMATCH"),
    ],
)
def test_what_is_not_signed_is_refused_and_nothing_is_kept(
    endpoint: Endpoint, log: io.StringIO, headers: dict[str, str] | None, reason: str
) -> None:
    answer = endpoint.post(headers=headers)

    assert refusal_of(answer) == (403, "SIGNATURE_INVALID", reason)
    assert problem(answer).request_id == "6f1c2e0a-0000-4000-8000-000000000011"
    assert endpoint.sqs.sent == []
    assert f'"reason":"{reason}"' in log.getvalue()


def test_the_legacy_signature_proves_nothing(endpoint: Endpoint, load_event: LoadEvent) -> None:
    event = load_event("webhook")
    del event["headers"]["X-Hub-Signature-256"]

    assert refusal_of(endpoint.send(event)) == (403, "SIGNATURE_INVALID", "SIGNATURE_MISSING")
    assert event["headers"]["X-Hub-Signature"].startswith("sha1=")


def test_a_body_that_was_changed_after_signing_is_refused(endpoint: Endpoint, load_event: LoadEvent) -> None:
    event = load_event("webhook")
    event["body"] = event["body"].replace(r"\u00e9", "é")

    assert refusal_of(endpoint.send(event)) == (403, "SIGNATURE_INVALID", "SIGNATURE_MISMATCH")
    assert endpoint.sqs.sent == []


@pytest.mark.parametrize("broken", ["{}", "YQ=", "é"])
def test_a_body_that_claims_to_be_base64_and_is_not_is_refused(endpoint: Endpoint, broken: str) -> None:
    answer = endpoint.post(b"", body=broken)

    assert refusal_of(answer) == (400, "INVALID_REQUEST", None)
    assert endpoint.sqs.sent == []


@pytest.mark.parametrize(
    "error",
    [refusal("ServiceUnavailable"), EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com")],
)
def test_what_sqs_does_not_take_is_never_answered_with_success(
    endpoint: Endpoint, log: io.StringIO, error: Exception
) -> None:
    """Meta sends it again."""
    endpoint.sqs.error = error

    answer = endpoint.post()

    assert refusal_of(answer) == (503, "CALLBACK_NOT_KEPT", None)
    assert f'"cause":"{type(error).__name__}"' in log.getvalue()


def test_a_webhook_of_which_a_part_was_not_taken_is_no_success(endpoint: Endpoint) -> None:
    endpoint.sqs.error, endpoint.sqs.fails_at = refusal("ServiceUnavailable"), 2

    answer = endpoint.post(LARGE)

    assert (answer["statusCode"], len(endpoint.sqs.sent)) == (503, 2)


def test_even_a_last_message_that_sqs_takes_late_leaves_meta_its_answer_in_time() -> None:
    config: Any = CLIENT_CONFIG
    call_s = config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)

    assert KEEPING_S + call_s < 5


def test_a_defect_is_no_success_either(endpoint: Endpoint) -> None:
    """Lambda makes a 502 of it, and raises its alarm."""
    endpoint.sqs.error = RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        endpoint.post()


@pytest.mark.parametrize("missing", [None, "", " \n"])
def test_without_any_app_secret_nothing_is_kept(endpoint: Endpoint, log: io.StringIO, missing: str | None) -> None:
    endpoint.secrets.update(instagram_app_secret=missing, facebook_app_secret=missing)

    answers = [endpoint.post(secret=secret or "") for secret in (INSTAGRAM, missing)]

    assert [refusal_of(answer) for answer in answers] == [(500, "CONFIGURATION_INVALID", None)] * 2
    assert endpoint.sqs.sent == []
    assert '"secret_key":"instagram_app_secret or facebook_app_secret"' in log.getvalue()


def test_secrets_that_could_not_be_read_are_read_at_the_next_webhook(endpoint: Endpoint) -> None:
    endpoint.unreadable = ConfigurationError(log_context={"secret": "s"})
    refused = endpoint.post()
    endpoint.unreadable = None

    answer = endpoint.post()

    assert refusal_of(refused) == (500, "CONFIGURATION_INVALID", None)
    assert (answer["statusCode"], len(endpoint.sqs.sent)) == (200, 1)


def test_a_request_without_its_context_is_refused_in_our_shape_too(endpoint: Endpoint) -> None:
    answer = endpoint.post(headers=None, requestContext=None)

    assert refusal_of(answer) == (403, "SIGNATURE_INVALID", "SIGNATURE_MISSING")
    assert problem(answer).request_id == ""


@pytest.mark.parametrize("name", ["webhook", "webhook_handshake"])
def test_a_deployment_that_is_not_set_up_answers_so(load_event: LoadEvent, log: io.StringIO, name: str) -> None:
    def not_configured() -> Dependencies:
        raise ConfigurationError(log_context={"setting": "WEBHOOK_QUEUE_URL"})

    answer = handle(load_event(name), not_configured)

    assert refusal_of(answer) == (500, "CONFIGURATION_INVALID", None)
    assert '"setting":"WEBHOOK_QUEUE_URL"' in log.getvalue()


def test_secrets_are_read_once_for_all_webhooks_that_are_signed(endpoint: Endpoint) -> None:
    for _ in range(3):
        endpoint.post()
        endpoint.get()
        endpoint.now_s += 10 * SECRETS_AGE_S

    assert endpoint.loads == 1


def test_a_secret_that_was_replaced_is_found_after_a_minute_at_most(endpoint: Endpoint) -> None:
    endpoint.post()
    endpoint.secrets["instagram_app_secret"] = NEW
    endpoint.now_s += SECRETS_AGE_S - 1
    too_early = endpoint.post(secret=NEW)
    endpoint.now_s += 1

    answer = endpoint.post(secret=NEW)

    assert refusal_of(too_early) == (403, "SIGNATURE_INVALID", "SIGNATURE_MISMATCH")
    assert (answer["statusCode"], endpoint.loads) == (200, 2)


def test_a_verify_token_that_was_replaced_is_found_too(endpoint: Endpoint) -> None:
    endpoint.get()
    endpoint.secrets["webhook_verify_token"] = "another-token"
    endpoint.now_s += SECRETS_AGE_S

    answer = endpoint.get(verify_token="another-token")

    assert (answer["statusCode"], answer["body"], endpoint.loads) == (200, "1158201444", 2)


def test_after_a_replacement_the_previous_secret_counts_as_long_as_it_is_kept(endpoint: Endpoint) -> None:
    endpoint.post()
    endpoint.secrets.update(instagram_app_secret=NEW, previous_instagram_app_secret=INSTAGRAM)
    endpoint.now_s += SECRETS_AGE_S
    both = [endpoint.post(secret=secret)["statusCode"] for secret in (NEW, INSTAGRAM)]
    del endpoint.secrets["previous_instagram_app_secret"]
    endpoint.now_s += SECRETS_AGE_S
    endpoint.post(secret="anybody's")

    late = endpoint.post(secret=INSTAGRAM)

    assert (both, late["statusCode"]) == ([200, 200], 403)


def test_wrong_signatures_have_the_secrets_read_once_in_a_minute(endpoint: Endpoint) -> None:
    endpoint.post()
    loads = []
    for _ in range(3):
        endpoint.now_s += SECRETS_AGE_S
        loads.append([endpoint.post(secret="anybody's") and endpoint.loads for _ in range(5)])

    assert loads == [[2] * 5, [3] * 5, [4] * 5]


@pytest.mark.parametrize("headers", [None, {"X-Hub-Signature-256": "sha256=0"}])
def test_what_has_no_signature_at_all_has_no_secrets_read(endpoint: Endpoint, headers: dict[str, str] | None) -> None:
    endpoint.post()
    endpoint.now_s += SECRETS_AGE_S

    endpoint.post(headers=headers)

    assert endpoint.loads == 1


def test_secrets_that_cannot_be_read_again_leave_those_that_are_known(endpoint: Endpoint) -> None:
    """Otherwise one wrong signature while Secrets Manager is down costs every webhook after it."""
    endpoint.post()
    endpoint.now_s += SECRETS_AGE_S
    endpoint.unreadable = ConfigurationError(log_context={"secret": "s"})

    forged = endpoint.post(secret="anybody's")
    genuine = endpoint.post()

    assert (forged["statusCode"], genuine["statusCode"]) == (403, 200)
    assert len(endpoint.sqs.sent) == 2


def test_secrets_that_cannot_be_read_again_are_not_asked_for_more_often(endpoint: Endpoint) -> None:
    endpoint.post()
    endpoint.now_s += SECRETS_AGE_S
    endpoint.unreadable = ConfigurationError(log_context={"secret": "s"})

    for _ in range(5):
        endpoint.post(secret="anybody's")

    assert endpoint.loads == 2


def test_the_log_holds_no_body_no_secret_and_no_signature(endpoint: Endpoint, log: io.StringIO) -> None:
    private = body(talk(message(text="private words")))
    endpoint.post(private)
    endpoint.post(private, secret="anybody's")
    endpoint.post(private, headers={"X-Hub-Signature-256": "sha256=short"})
    endpoint.get()
    endpoint.get(verify_token="guessed")
    endpoint.get(challenge="<private>")
    endpoint.sqs.error = refusal("ServiceUnavailable")
    endpoint.post(private)
    endpoint.secrets = {}
    endpoint.now_s += SECRETS_AGE_S
    endpoint.post(private, secret="anybody's")

    written = log.getvalue()
    signed = [signature(private, secret)["X-Hub-Signature-256"][7:] for secret in (INSTAGRAM, "anybody's")]
    assert written.count("\n") >= 7
    for one in ("private", "aWdf", "900100", INSTAGRAM, FACEBOOK, VERIFY_TOKEN, "guessed", "sha256=short", *signed):
        assert one not in written


def test_every_refusal_is_counted_and_so_is_every_webhook_that_is_kept(
    endpoint: Endpoint, counted: dict[str, Any]
) -> None:
    endpoint.post()
    endpoint.get(challenge="<script>")
    endpoint.post(secret="anybody's")
    endpoint.sqs.error = refusal("ServiceUnavailable")
    endpoint.post()

    assert counts(counted) == {"WebhooksKept": 1, "WebhooksRefused": 3}


def test_what_anybody_can_send_is_a_warning_and_what_we_fail_at_an_error(endpoint: Endpoint, log: io.StringIO) -> None:
    endpoint.get(verify_token="guessed")
    endpoint.post(secret="anybody's")
    endpoint.post(headers={})
    endpoint.get(challenge="<script>")
    endpoint.post(b"", body="no base64!")
    endpoint.sqs.error = refusal("ServiceUnavailable")
    endpoint.post()

    levels = [json.loads(line)["level"] for line in log.getvalue().splitlines()]
    assert levels == ["WARNING", "WARNING", "WARNING", "WARNING", "WARNING", "ERROR"]


def test_the_entry_point_keeps_what_comes_in_the_queue_of_its_deployment(
    load_event: LoadEvent, lambda_context: FakeLambdaContext, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    event = load_event("webhook")
    with mock_aws():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName=f"webhooks-{uuid.uuid4()}")["QueueUrl"]
        deploy(monkeypatch, {}, WEBHOOK_QUEUE_URL=url)
        app.dependencies.cache_clear()

        answer = lambda_handler(event, lambda_context)  # type: ignore[arg-type]

        kept = sqs.receive_message(QueueUrl=url)["Messages"]
        app.dependencies.cache_clear()

    assert answer["statusCode"] == 200
    assert [one["Body"] for one in kept] == [event["body"]]
    assert f'"correlation_id":"{event["requestContext"]["requestId"]}"' in log.getvalue()


def test_the_entry_point_of_a_deployment_without_settings_answers_so(
    load_event: LoadEvent, lambda_context: FakeLambdaContext
) -> None:
    app.dependencies.cache_clear()

    answer = lambda_handler(load_event("webhook"), lambda_context)  # type: ignore[arg-type]

    assert refusal_of(answer) == (500, "CONFIGURATION_INVALID", None)


def test_the_function_loads_nothing_that_is_slow_to_load() -> None:
    """In a process of its own: in this one others have loaded it."""
    paths = os.pathsep.join(str(ROOT / path) for path in ("functions/webhook", "layers/shared"))
    tell = "import json, sys, app; print(json.dumps([app.__file__, *sys.modules]))"

    told = subprocess.run(
        [sys.executable, "-c", tell],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    file, *loaded = json.loads(told.stdout)
    assert Path(file) == ROOT / "functions/webhook/app.py"
    assert "instagram_connect.webhooks.queue" in loaded
    assert not [name for name in loaded if name in SLOW or name.startswith(tuple(f"{slow}." for slow in SLOW))]
