"""When calls to Meta are retried, when they never are, and that no secret is logged."""

import io
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from instagram_connect.errors import InstagramConnectError, LoginOutcomeUnknownError, MetaUnavailableError
from instagram_connect.meta.graph import MAX_ATTEMPTS, GraphClient
from instagram_connect.runtime.deadline import Deadline

URL = "https://graph.facebook.com/v25.0/x"
TOKEN_ANSWER = httpx.Response(200, json={"access_token": "EAAtoken"})
SERVER_ERROR = httpx.Response(500, json={"error": {"code": 2, "message": "down", "is_transient": True}})
HTML_ERROR = httpx.Response(502, text="<html>Bad gateway</html>")
Answer = httpx.Response | Exception


class FakeMeta:
    """Returns the responses in order, repeating the last one, and counts the calls."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.calls = 0
        self.waits: list[float] = []

    def answer(self, _: httpx.Request) -> httpx.Response:
        answer = self._answers[min(self.calls, len(self._answers) - 1)]
        self.calls += 1
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    def client(self, **options: int) -> GraphClient:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        return GraphClient(http, sleep=self.waits.append, **options)


def exchange(meta: FakeMeta, seconds: float = 20) -> object:
    return meta.client().exchange_code("GET", URL, params={"code": "secret-code"}, deadline=Deadline(seconds))


def call(meta: FakeMeta, seconds: float = 20) -> object:
    return meta.client().call(
        "list_accounts", "GET", URL, params={"access_token": "EAAsecret"}, deadline=Deadline(seconds)
    )


@pytest.mark.parametrize(
    "lost", [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x"), SERVER_ERROR, HTML_ERROR]
)
def test_code_exchange_with_unknown_outcome_is_never_retried(lost: Answer) -> None:
    meta = FakeMeta(lost, TOKEN_ANSWER)

    with pytest.raises(LoginOutcomeUnknownError):
        exchange(meta)
    assert meta.calls == 1


@pytest.mark.parametrize("unsent", [httpx.ConnectError("x"), httpx.ConnectTimeout("x")])
def test_code_exchange_that_was_never_sent_is_retried(unsent: Exception) -> None:
    meta = FakeMeta(unsent, TOKEN_ANSWER)

    assert exchange(meta) == {"access_token": "EAAtoken"}
    assert meta.calls == 2


def test_code_that_was_never_sent_is_reported_unspent() -> None:
    with pytest.raises(MetaUnavailableError):
        exchange(FakeMeta(httpx.ConnectError("x")))


@pytest.mark.parametrize(
    "failure",
    [
        SERVER_ERROR,
        HTML_ERROR,
        httpx.ReadTimeout("x"),
        httpx.ConnectError("x"),
        httpx.RemoteProtocolError("x"),
        httpx.Response(200, text="not json"),
        httpx.Response(200, json=[1]),
    ],
)
def test_later_calls_survive_a_transient_failure(failure: Answer) -> None:
    meta = FakeMeta(failure, failure, TOKEN_ANSWER)

    assert call(meta) == {"access_token": "EAAtoken"}


def test_attempts_are_counted_and_spaced() -> None:
    meta = FakeMeta(SERVER_ERROR)

    with pytest.raises(MetaUnavailableError):
        call(meta)
    assert meta.calls == MAX_ATTEMPTS
    assert len(meta.waits) == MAX_ATTEMPTS - 1
    assert max(meta.waits) <= 2


@pytest.mark.parametrize("most", [1, 3])
def test_background_work_can_use_fewer_attempts(most: int) -> None:
    meta = FakeMeta(SERVER_ERROR)
    client = meta.client(max_attempts=most)

    with pytest.raises(MetaUnavailableError):
        client.call("x", "GET", URL, params={}, deadline=Deadline(20))
    assert (meta.calls, len(meta.waits)) == (most, most - 1)


def test_the_last_of_fewer_attempts_may_still_succeed() -> None:
    meta = FakeMeta(SERVER_ERROR, SERVER_ERROR, TOKEN_ANSWER)
    client = meta.client(max_attempts=3)

    assert client.call("x", "GET", URL, params={}, deadline=Deadline(20)) == {"access_token": "EAAtoken"}


def test_no_attempt_is_started_without_time_for_its_response() -> None:
    meta = FakeMeta(SERVER_ERROR)

    with pytest.raises(MetaUnavailableError):
        call(meta, seconds=0.5)
    assert meta.calls == 1


@pytest.mark.parametrize("code", [4, 10, 100, 190, 368, 80002])
def test_permanent_failures_are_not_retried(code: int) -> None:
    meta = FakeMeta(httpx.Response(400, json={"error": {"code": code, "message": "no"}}), TOKEN_ANSWER)

    with pytest.raises(InstagramConnectError):
        call(meta)
    assert meta.calls == 1


def test_error_body_with_status_200_is_an_error() -> None:
    with pytest.raises(InstagramConnectError) as caught:
        call(FakeMeta(httpx.Response(200, json={"error": {"code": 190, "error_subcode": 463}})))
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_slowly_trickling_response_is_abandoned() -> None:
    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(30):
                time.sleep(0.1)
                yield b" "

    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Trickle())))
    started = time.monotonic()

    with pytest.raises(MetaUnavailableError):
        GraphClient(http).call("x", "GET", URL, params={}, deadline=Deadline(0.5))
    assert time.monotonic() - started < 2


def test_redirects_are_not_followed() -> None:
    meta = FakeMeta(httpx.Response(302, headers={"Location": "https://elsewhere.example.com/"}))

    with pytest.raises(MetaUnavailableError):
        call(meta, seconds=0.5)
    assert meta.calls == 1


@pytest.mark.parametrize("make", [exchange, call])
def test_logs_and_errors_do_not_quote_the_request(make: Callable[[FakeMeta, float], object], log: io.StringIO) -> None:
    with pytest.raises(InstagramConnectError) as caught:
        make(FakeMeta(SERVER_ERROR), 0.5)

    assert "secret" not in f"{log.getvalue()}{caught.value!r}{caught.value.log_context}"
    assert '"meta_http_status":500' in log.getvalue()
