"""Privacy callbacks in unit tests: Meta's signed requests, and fakes of storage and queue."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from instagram_connect.errors import StorageError
from instagram_connect.privacy.requests import PrivacyRequest
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.settings import CurrentSecrets, Secrets
from instagram_connect.runtime.sqs import QueueError
from tests.support.fakes import NOW
from tests.support.refreshing import STORAGE_DOWN, FakeStorage

# Those with which events/deauthorize.json and events/data_deletion.json are signed.
FACEBOOK_SECRET, INSTAGRAM_SECRET = "the-facebook-app-secret", "the-instagram-app-secret"
APP_SECRETS = {"instagram_app_secret": INSTAGRAM_SECRET, "facebook_app_secret": FACEBOOK_SECRET}
CODE_KEY = "a-signing-key-that-is-long-enough-for-hs256"
PERSON = "10220000000000001"
CODE = "0123456789abcdef01234567fedcba9876543210"
NOT_FOR_JSONB = re.compile("[\x00\ud800-\udfff]")
ISSUED_AT = int(NOW.timestamp()) - 300
MESSAGE_ID = "7c2f4b1e-3d0c-4a36-8f59-1b7a5c9e2d01"
COMES_AGAIN = {"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}
DONE: dict[str, Any] = {"batchItemFailures": []}
CALLBACKS = ["deauthorize", "data_deletion"]
# A minute after Meta made the request: what was connected in that minute is of the person who asked.
ASKED_AT = NOW - timedelta(seconds=240)

Send = Callable[..., dict[str, Any]]


def said(**changes: Any) -> dict[str, Any]:
    """The payload of a signed request; fields changed to None are left out."""
    claims = {"algorithm": "HMAC-SHA256", "issued_at": ISSUED_AT, "expires": ISSUED_AT + 3600, "user_id": PERSON}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signature_of(payload: str, secret: str) -> str:
    return encoded(hmac.digest(secret.encode(), payload.encode(), "sha256"))


def signed(claims: object, secret: str = FACEBOOK_SECRET) -> str:
    """A signed request with this payload."""
    payload = encoded(json.dumps(claims).encode())
    return f"{signature_of(payload, secret)}.{payload}"


def form(signed_request: str) -> str:
    """The form body of a signed request."""
    return urlencode({"signed_request": signed_request})


def forgeries() -> Mapping[str, str]:
    """Invalid signed requests."""
    good_signature, good_payload = signed(said()).split(".")
    unsaid = encoded(b"user_id=" + PERSON.encode())
    return {
        "of another secret": signed(said(), "the-secret-of-another-app"),
        "of no secret": signed(said(), ""),
        "changed afterwards": f"{good_signature}.{encoded(json.dumps(said(user_id='666')).encode())}",
        "with an altered signature": f"{'A' if good_signature[0] != 'A' else 'B'}{good_signature[1:]}.{good_payload}",
        "with half of a signature": f"{good_signature[:20]}.{good_payload}",
        "without a signature": f".{good_payload}",
        "without a payload": f"{good_signature}.",
        "without a dot": good_payload,
        "empty": "",
        "not of base64": "!!!.???",
        "not of ASCII": f"é{good_signature}.{good_payload}é",
        "signed over what it decodes to": f"{signature_of(json.dumps(said()), FACEBOOK_SECRET)}.{good_payload}",
        "of another algorithm": signed(said(algorithm="none")),
        "of no algorithm": signed(said(algorithm=None)),
        "that is a list": signed([said()]),
        "that is no JSON": f"{signature_of(unsaid, FACEBOOK_SECRET)}.{unsaid}",
    }


class PrivacyStorage(FakeStorage):
    """Stands for `Rpcs`: erases at once, deletes in as many steps as a person has, and takes no late calls.

    Nor any text that jsonb does not hold.
    """

    def __init__(self) -> None:
        self.accounts = {PERSON: 2}
        self.steps = {PERSON: 1}
        self.deletions: dict[str, dict[str, Any]] = {}
        super().__init__(
            answers={
                "revoke_person": lambda payload: self.accounts.get(payload["meta_user_id"], 0),
                "delete_person": self._delete,
                "deletion_status": lambda payload: self.deletions.get(payload["confirmation_code"]),
            }
        )

    def call(self, function: str, payload: Any, deadline: Deadline) -> Any:
        if deadline.remaining_s() == 0:
            raise STORAGE_DOWN
        if NOT_FOR_JSONB.search(str(payload.get("confirmation_code"))):
            raise StorageError(reason="DATA_REJECTED", log_context={"storage_code": "22P05"})
        return super().call(function, payload, deadline)

    call_patiently = call

    def _delete(self, payload: dict[str, Any]) -> dict[str, Any]:
        person = payload["meta_user_id"]
        request = self.deletions.setdefault(
            payload["confirmation_code"],
            {"requested_at": payload["requested_at"], "completed_at": None, "retained_reason": None},
        )
        self.steps[person] = self.steps.get(person, 1) - 1
        if self.steps[person] > 0:
            return {"is_complete": False}
        request["completed_at"] = payload["now"]
        return {"is_complete": True, "accounts": self.accounts.pop(person, 0)}


class FakePrivacyQueue:
    """Records requests as messages; rejects everything while `is_down`."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.is_down = False

    def keep(self, request: PrivacyRequest) -> None:
        if self.is_down:
            raise QueueError("EndpointConnectionError")
        self.kept.append(request.model_dump_json())

    @property
    def requests(self) -> list[PrivacyRequest]:
        return [PrivacyRequest.model_validate_json(message) for message in self.kept]


class StoredSecrets:
    """The deployment's secrets, which can change, and a clock."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = dict(APP_SECRETS)
        self.now_s = 0.0
        self.loads = 0

    def current(self) -> CurrentSecrets:
        return CurrentSecrets(self._load, lambda: self.now_s)

    def _load(self) -> Secrets:
        self.loads += 1
        return Secrets(dict(self.values))


def problem(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["statusCode"], json.loads(answer["body"])["code"]
