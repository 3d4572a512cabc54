"""A connection counts as stored only if the response contains its rows."""

import json

import httpx
import pytest

from instagram_connect.connections.repository import ConnectionRepository
from instagram_connect.errors import AccountDisconnectedError, StorageError
from instagram_connect.runtime.deadline import Deadline
from tests.support.fakes import FakeDataApi, data_api, refusal

PAYLOAD = {"user_id": "u", "request_id": "r", "accounts": [{"instagram_business_id": "1"}]}


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "<html>maintenance</html>", "5"])
def test_response_without_rows_is_an_error(body: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=body)

    with pytest.raises(StorageError) as caught:
        ConnectionRepository(data_api(answer), sleep=lambda _: None).store_payload(PAYLOAD, Deadline(20))

    assert caught.value.reason == "UNEXPECTED_ANSWER"


def test_parked_payload_is_sent_unchanged_with_its_request_id() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(403, json={"code": "42501", "message": "m"})

    with pytest.raises(StorageError):
        ConnectionRepository(data_api(answer)).store_payload(PAYLOAD, Deadline(20))

    (request,) = requests
    assert json.loads(request.content) == {"payload": PAYLOAD}
    assert request.headers["X-Request-Id"] == "r"


def test_data_deletion_error_is_raised_without_retry() -> None:
    storage = FakeDataApi()
    storage.failures = [refusal(410, "PT410", message="The person has asked for the deletion of their data.")]

    with pytest.raises(AccountDisconnectedError) as caught:
        ConnectionRepository(storage.client(), sleep=lambda _: None).store_payload(PAYLOAD, Deadline(20))

    assert caught.value.reason == "DATA_DELETED"
    assert (caught.value.status, caught.value.recoverable) == (409, True)
    assert storage.payloads == []


@pytest.mark.parametrize("code", ["P0001", "PT409", "23503"])
def test_other_database_rejections_are_storage_errors(code: str) -> None:
    storage = FakeDataApi()
    storage.failures = [refusal(409, code)]

    with pytest.raises(StorageError):
        ConnectionRepository(storage.client(), sleep=lambda _: None).store_payload(PAYLOAD, Deadline(20))
