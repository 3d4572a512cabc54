"""Calls to the Data API end in time, and their errors say what happened without quoting anything."""

import json
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from instagram_connect.storage.data_api import DataApi, DataApiError
from tests.support.fakes import data_api, refusal

SECRET = "EAAtoken-of-anna@example.com"


def failure_of(api: DataApi, *, limit_s: float = 7.0) -> DataApiError:
    with pytest.raises(DataApiError) as caught:
        api.call("list_accounts", {"payload": None}, limit_s=limit_s)
    return caught.value


def answering(answer: httpx.Response) -> DataApi:
    return data_api(lambda _: answer)


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (refusal(403, "42501"), "42501", 403),
        (refusal(404, "PGRST205"), "PGRST205", 404),
        (refusal(500, "PGRSTX00"), "PGRSTX00", 500),
        # PostgREST 16 may leave out hint and details.
        (httpx.Response(400, json={"code": "23502", "message": "m"}), "23502", 400),
        # An ambiguous embedding: the details are a list.
        (httpx.Response(300, json={"code": "PGRST201", "message": "m", "details": [{"a": 1}]}), "PGRST201", 300),
        # A proxy replaced the body and left the header.
        (httpx.Response(503, html="<html>", headers={"Proxy-Status": "PostgREST; error=PGRST002"}), "PGRST002", 503),
        (httpx.Response(401, json={"message": "Invalid API key", "hint": "h"}), None, 401),
        (httpx.Response(401, json={"code": 401, "message": "Invalid API key"}), None, 401),
        (httpx.Response(401, json={"code": "UNAUTHORIZED_INVALID_JWT", "message": "m"}), None, 401),
        (httpx.Response(502, html="<html>"), None, 502),
        (httpx.Response(502), None, 502),
        (httpx.Response(404, json={}), None, 404),
        (httpx.Response(503, json=["what", "is", "this"]), None, 503),
    ],
)
def test_rejection_has_its_code_and_status(answer: httpx.Response, code: str | None, status: int) -> None:
    error = failure_of(answering(answer))

    assert (error.code, error.status, error.network) == (code, status, None)
    assert str(error) == (code or f"HTTP {status}")


@pytest.mark.parametrize(
    ("answer", "is_empty"),
    [
        (httpx.Response(404), True),
        (httpx.Response(404, json={}), True),
        (httpx.Response(404, html="<html>"), False),
        (httpx.Response(404, json={"message": "no Route matched"}), False),
    ],
)
def test_empty_response_differs_from_null(answer: httpx.Response, is_empty: bool) -> None:
    assert failure_of(answering(answer)).is_empty is is_empty


def test_earlier_status_is_not_attributed_to_a_later_failure() -> None:
    outcomes: Iterator[httpx.Response | Exception] = iter([refusal(403, "42501"), httpx.ConnectError("x")])

    def answer(_: httpx.Request) -> httpx.Response:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    api = data_api(answer)

    assert failure_of(api).status == 403
    assert failure_of(api).status is None


class BodyThatWaits(httpx.SyncByteStream):
    """A body that arrives long after status and headers."""

    def __init__(self) -> None:
        self.is_awaited, self.may_come = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self.is_awaited.set()
        self.may_come.wait(timeout=5)
        yield b"{}"


def test_concurrent_calls_keep_their_own_status() -> None:
    body = BodyThatWaits()
    answers = iter([httpx.Response(401, stream=body), httpx.Response(503)])
    api = data_api(lambda _: next(answers))

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(failure_of, api)
        body.is_awaited.wait(timeout=5)
        second = failure_of(api)
        body.may_come.set()

    assert (first.result().status, second.status) == (401, 503)


@pytest.mark.parametrize("code", ["PGRST205", "PGRST202", "42501", "42P01", "42883"])
def test_schema_hint_is_kept(code: str) -> None:
    assert failure_of(answering(refusal(404, code, hint="Grant it."))).hint == "Grant it."


@pytest.mark.parametrize("code", ["23502", "23505", "22P02", "P0001", "XX000"])
def test_hint_that_may_quote_values_is_dropped(code: str) -> None:
    assert failure_of(answering(refusal(400, code, hint=SECRET))).hint is None


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "23502", message=SECRET, details=f"Failing row contains ({SECRET})", hint=SECRET),
        refusal(404, "42P01", message=SECRET, details=SECRET),
        httpx.Response(500, text=SECRET),
        httpx.Response(401, json={"message": SECRET, "hint": SECRET}),
        httpx.Response(400, json={"code": SECRET, "message": SECRET}),
        httpx.Response(502, html=f"<html>{SECRET}</html>"),
    ],
)
def test_response_text_is_in_neither_the_error_nor_its_traceback(answer: httpx.Response) -> None:
    error = failure_of(answering(answer))

    shown = f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
    assert SECRET not in shown


def network_failure(error: httpx.TransportError, cause: Exception | None) -> DataApi:
    def answer(_: httpx.Request) -> httpx.Response:
        # What httpx raises wraps the same failure of httpcore, which wraps that of the operating system.
        wrapping = OSError(SECRET)
        wrapping.__cause__ = cause
        raise error from wrapping

    return data_api(answer)


@pytest.mark.parametrize(
    ("error", "cause", "network"),
    [
        (httpx.ConnectError(SECRET), socket.gaierror(-2, "Name or service not known"), "DNS"),
        (httpx.ConnectError(SECRET), ssl.SSLCertVerificationError("self-signed certificate"), "TLS"),
        (httpx.ReadError(SECRET), ssl.SSLError("bad record"), "TLS"),
        (httpx.ConnectError(SECRET), ConnectionRefusedError(111, "Connection refused"), "REFUSED"),
        (httpx.ConnectTimeout(SECRET), TimeoutError("timed out"), "TIMEOUT"),
        (httpx.ReadTimeout(SECRET), None, "TIMEOUT"),
        (httpx.PoolTimeout(SECRET), None, "TIMEOUT"),
        (httpx.ReadError(SECRET), ConnectionResetError(104, "Connection reset by peer"), "BROKEN"),
        (httpx.RemoteProtocolError(SECRET), None, "BROKEN"),
    ],
)
def test_network_failures_are_distinguished(error: httpx.TransportError, cause: Exception | None, network: str) -> None:
    failure = failure_of(network_failure(error, cause))

    assert (failure.network, failure.code, failure.status) == (network, None, None)
    assert str(failure) == network
    assert SECRET not in "".join(traceback.format_exception(failure))


def test_slow_call_is_abandoned_and_runs_to_completion() -> None:
    may_answer, has_answered = threading.Event(), threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        may_answer.wait(timeout=10)
        has_answered.set()
        return httpx.Response(200, json=[])

    started = time.monotonic()
    failure = failure_of(data_api(answer), limit_s=0.2)
    took_s = time.monotonic() - started
    may_answer.set()

    assert failure.network == "TIMEOUT"
    assert took_s < 2
    assert has_answered.wait(timeout=5)


def sent_by(api_key: str) -> httpx.Request:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=[])

    api = DataApi("https://project.example.com/", api_key, transport=httpx.MockTransport(answer))
    api.call("list_accounts", {"payload": {"user_id": "u"}}, request_id="r-1")
    return requests[0]


def test_new_key_is_not_sent_as_a_bearer_token() -> None:
    headers = sent_by("sb_secret_abc").headers

    assert headers["apikey"] == "sb_secret_abc"
    assert "Authorization" not in headers


def test_legacy_key_is_also_the_bearer_token() -> None:
    headers = sent_by("eyJhbGciOiJIUzI1NiJ9.e30.c2ln").headers

    assert headers["apikey"] == "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
    assert headers["Authorization"] == "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"


def test_function_call_sends_name_arguments_and_request_id() -> None:
    request = sent_by("sb_secret_abc")

    assert (request.method, str(request.url)) == ("POST", "https://project.example.com/rest/v1/rpc/list_accounts")
    assert json.loads(request.content) == {"payload": {"user_id": "u"}}
    assert request.headers["X-Request-Id"] == "r-1"


def test_function_result_is_returned() -> None:
    assert answering(httpx.Response(200, json=[{"id": 1}])).call("list_accounts", {}) == [{"id": 1}]
    assert answering(httpx.Response(200, content="null")).call("list_accounts", {}) is None


def test_relation_probes_transfer_no_rows() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=[])

    api = data_api(answer)
    api.insert_nothing("api_usage", ("id", "used_percent"))
    api.read_nothing("api_usage", ("id", "used_percent"))

    insert, read = requests
    assert (insert.method, insert.url.params["columns"], insert.content) == ("POST", "id,used_percent", b"[]")
    assert "return=minimal" in insert.headers["Prefer"]
    assert (read.method, read.url.params["select"], read.url.params["limit"]) == ("GET", "id,used_percent", "0")


def test_failed_read_is_not_retried() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(503)

    with pytest.raises(DataApiError):
        data_api(answer).read_nothing("api_usage", ("id",))

    assert len(requests) == 1
