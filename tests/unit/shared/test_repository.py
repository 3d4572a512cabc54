"""What counts as stored: an answer with the rows, and nothing less."""

import json

import httpx
import pytest

from instagram_connect.deadline import Deadline
from instagram_connect.errors import StorageError
from instagram_connect.repository import ConnectionRepository
from tests.unit.fakes import data_api

PAYLOAD = {"user_id": "u", "request_id": "r", "accounts": [{"instagram_business_id": "1"}]}


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "<html>maintenance</html>", "5"])
def test_a_success_without_the_rows_is_no_success(body: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=body)

    with pytest.raises(StorageError) as caught:
        ConnectionRepository(data_api(answer), sleep=lambda _: None).store_payload(PAYLOAD, Deadline(20))

    assert caught.value.reason == "UNEXPECTED_ANSWER"


def test_the_payload_is_sent_as_it_was_parked_under_its_own_request_id() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(403, json={"code": "42501", "message": "m"})

    with pytest.raises(StorageError):
        ConnectionRepository(data_api(answer)).store_payload(PAYLOAD, Deadline(20))

    (request,) = requests
    assert json.loads(request.content) == {"payload": PAYLOAD}
    assert request.headers["X-Request-Id"] == "r"
