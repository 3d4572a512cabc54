"""Stands between the deployed functions and everything they call: sees each call as a step, and fails a chosen one.

What happens to a call happens on real sockets and to real processes: connections are reset, left open or cut in the
middle of an answer, and the function that made the call is killed or stopped while it waits for the answer.
"""

import contextlib
import http.client
import json
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import psutil


class Failure(StrEnum):
    """What happens to a call. The comment says whether the other side has done its part by then."""

    REFUSED = "connection refused"  # no
    HALF_OPEN = "half-open connection"  # no
    FAILING = "500 response"  # no
    THROTTLED = "throttled response"  # no
    SLOW = "late response"  # yes
    LOST = "response lost"  # yes
    CUT = "response cut off"  # yes
    DOUBLED = "delivered twice"  # yes, and once more
    KILLED_BEFORE = "killed before the call"  # no
    KILLED_AFTER = "killed after the call"  # yes
    FROZEN = "timed out in the call"  # yes


# Of these the process that made the call dies.
DEADLY = frozenset({Failure.KILLED_BEFORE, Failure.KILLED_AFTER, Failure.FROZEN})
# Longer than the longest wait for AWS (1 s) and for the Data API (4 s).
LATE_S = 5.0
REFUSED_S = 2.0
HALF_OPEN_S = 30.0
UPSTREAM_TIMEOUT_S = 120
AWS_SERVICES = {
    "SQS": "sqs",
    "KMS": "kms",
    "DYNAMODB": "dynamodb",
    "SECRETS_MANAGER": "secretsmanager",
    "EVENTBRIDGE": "events",
}
META_HOSTS = {
    "FACEBOOK_GRAPH_URL": "graph.facebook.com",
    "INSTAGRAM_GRAPH_URL": "graph.instagram.com",
    "INSTAGRAM_API_URL": "api.instagram.com",
}


@dataclass(frozen=True, order=True)
class Step:
    """The `nth` call of its kind that a function makes while a flow runs once."""

    function: str
    target: str
    operation: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.function} → {self.target} {self.operation}" + (f" #{self.nth}" if self.nth > 1 else "")


@dataclass
class Plan:
    """A failure of one step: of so many calls in a row, so that it can outlast a client's own repetition."""

    step: Step
    failure: Failure
    calls: int = 1
    when_met: Callable[[], None] | None = None
    seen: int = 0
    happened: int = 0
    _met: threading.Event = field(default_factory=threading.Event)

    def takes(self, function: str, target: str, operation: str) -> bool:
        """Counts a call; whether the failure happens to it."""
        if (function, target, operation) != (self.step.function, self.step.target, self.step.operation):
            return False
        self.seen += 1
        if not self.step.nth <= self.seen < self.step.nth + self.calls:
            return False
        self.happened += 1
        self._met.set()
        return True

    def wait_until_met(self, seconds: float) -> bool:
        """Whether it happened, at the latest by then."""
        return self._met.wait(seconds)


@dataclass(frozen=True)
class Answer:
    """What the other side said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Gateway:
    """The ways of all functions to all that they call."""

    def __init__(self, stack: Mapping[str, str]) -> None:
        self._upstreams = {
            "supabase": stack["supabase_url"],
            "meta": stack["meta_url"],
            **dict.fromkeys(AWS_SERVICES.values(), stack["aws_endpoint_url"]),
        }
        self._lock = threading.Lock()
        self._plans: list[Plan] = []
        self._calls: list[Step] = []
        self._ways: dict[tuple[str, str], _Way] = {}

    def environment(self, function: str) -> dict[str, str]:
        """What makes a function, named as in POWERTOOLS_SERVICE_NAME, go through here."""
        urls = {target: self._way(function, target).url for target in self._upstreams}
        return {
            "SUPABASE_URL": urls["supabase"],
            **{name: f"{urls['meta']}/{host}" for name, host in META_HOSTS.items()},
            **{f"AWS_ENDPOINT_URL_{name}": urls[service] for name, service in AWS_SERVICES.items()},
        }

    @contextmanager
    def failing(self, plan: Plan) -> Iterator[Plan]:
        """Carries out a plan for the length of a with block."""
        with self._lock:
            self._plans.append(plan)
        try:
            yield plan
        finally:
            with self._lock:
                self._plans.remove(plan)

    @contextmanager
    def watching(self, functions: tuple[str, ...]) -> Iterator[list[Step]]:
        """The steps that these functions take during a with block, in their order."""
        with self._lock:
            start = len(self._calls)
        steps: list[Step] = []
        yield steps
        with self._lock:
            calls = [call for call in self._calls[start:] if call.function in functions]
        seen: dict[Step, int] = {}
        for call in calls:
            seen[call] = seen.get(call, 0) + 1
            steps.append(Step(call.function, call.target, call.operation, seen[call]))

    def close(self) -> None:
        """Closes every way."""
        for way in self._ways.values():
            way.close()

    def plan_for(self, function: str, target: str, operation: str) -> Plan | None:
        """Counts a call; the plan that meets it, if any."""
        with self._lock:
            self._calls.append(Step(function, target, operation))
            return next((plan for plan in self._plans if plan.takes(function, target, operation)), None)

    def _way(self, function: str, target: str) -> "_Way":
        key = (function, target)
        if key not in self._ways:
            self._ways[key] = _Way(self, function, target, self._upstreams[target])
        return self._ways[key]


class _Way:
    """One function's way to one target: a port of its own, so that it is known who calls whom."""

    def __init__(self, gateway: Gateway, function: str, target: str, upstream: str) -> None:
        address = urlsplit(upstream)
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # The headers and the body of an answer are two writes: together they wait for nobody's acknowledgement.
            wbufsize = -1

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = _operation(self.command, self.path, self.headers.get("X-Amz-Target"))
                plan = gateway.plan_for(function, target, operation)
                if plan is None:
                    self.answer(self.ask(body))
                    return
                if plan.when_met:
                    plan.when_met()
                with contextlib.suppress(OSError):  # nobody is there any more to be answered
                    self.fail(plan.failure, body)

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that the library calls

            def fail(self, failure: Failure, body: bytes) -> None:
                match failure:
                    case Failure.REFUSED:
                        way.refuse()
                        self.reset()
                    case Failure.HALF_OPEN:
                        self.hang_until_given_up()
                    case Failure.FAILING:
                        self.answer(_refusal(target, 500))
                    case Failure.THROTTLED:
                        self.answer(_refusal(target, 429))
                    case Failure.SLOW:
                        answer = self.ask(body)
                        time.sleep(LATE_S)
                        self.answer(answer)
                    case Failure.LOST:
                        self.ask(body)
                        self.reset()
                    case Failure.CUT:
                        self.cut(self.ask(body))
                    case Failure.DOUBLED:
                        answer = self.ask(body)
                        self.ask(body)
                        self.answer(answer)
                    case Failure.KILLED_BEFORE:
                        self.signal_caller(signal.SIGKILL)
                        self.reset()
                    case Failure.KILLED_AFTER:
                        self.ask(body)
                        self.signal_caller(signal.SIGKILL)
                        self.reset()
                    case Failure.FROZEN:
                        self.signal_caller(signal.SIGSTOP)  # until Lambda ends it
                        self.answer(self.ask(body))

            def ask(self, body: bytes) -> Answer:
                connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=UPSTREAM_TIMEOUT_S)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                try:
                    connection.request(self.command, self.path, body, headers)
                    response = connection.getresponse()
                    return Answer(response.status, response.getheaders(), response.read())
                except OSError:  # the other side is away itself
                    return Answer(502, [], b"")
                finally:
                    connection.close()

            def answer(self, answer: Answer) -> None:
                self.begin(answer)
                self.wfile.write(answer.body)

            def cut(self, answer: Answer) -> None:
                self.begin(Answer(answer.status, answer.headers, answer.body or b"?"))
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self.close_connection = True

            def begin(self, answer: Answer) -> None:
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()

            def reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def hang_until_given_up(self) -> None:
                self.connection.settimeout(HALF_OPEN_S)
                self.connection.recv(1)  # returns when the caller closes
                self.close_connection = True

            def signal_caller(self, number: int) -> None:
                for process in psutil.process_iter():
                    with contextlib.suppress(psutil.Error):
                        if process.environ().get("POWERTOOLS_SERVICE_NAME") != function:
                            continue
                        for link in process.net_connections("tcp4"):
                            if link.raddr and (link.laddr.port, link.raddr.port) == (self.client_address[1], way.port):
                                process.send_signal(number)
                                return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # callers that are killed or give up break their connections: that is what is tested

        def make(port: int) -> ThreadingHTTPServer:
            return Server(("127.0.0.1", port), Handler)

        self._make = make
        self._server = self._make(0)
        self.port = self._server.server_port
        self._lock = threading.Lock()
        self._is_open = True
        self.url = f"http://127.0.0.1:{self.port}"
        self._serve()

    def refuse(self) -> None:
        """Connections are refused for a while from now on."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        threading.Thread(target=self._reopen_later, daemon=True).start()

    def close(self) -> None:
        """No connections any more."""
        self._server.shutdown()
        self._server.server_close()

    def _reopen_later(self) -> None:
        self.close()
        time.sleep(REFUSED_S)
        self._server = self._make(self.port)
        self._serve()
        with self._lock:
            self._is_open = True

    def _serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


def _operation(method: str, path: str, aws_target: str | None) -> str:
    if aws_target:
        return aws_target.rpartition(".")[2]
    parts = urlsplit(path).path.strip("/").split("/")
    if parts[:2] == ["rest", "v1"] or parts[:2] == ["auth", "v1"]:
        return parts[-1]
    # A path of Meta's: without its version, and with one name for all ids.
    named = [
        "{id}" if re.fullmatch(r"\d+", part) else part for part in parts[1:] if not re.fullmatch(r"v\d+\.\d", part)
    ]
    return f"{method} {'/'.join(named)}"


def _refusal(target: str, status: int) -> Answer:
    """How each of them says no."""
    json_body = [("Content-Type", "application/json")]
    if target == "meta":
        code = 4 if status == 429 else 2
        error = {"message": f"(#{code}) refused by a test", "type": "OAuthException", "code": code}
        return Answer(400 if status == 429 else 500, json_body, json.dumps({"error": error}).encode())
    if target == "supabase":  # the gateway in front of PostgREST
        return Answer(429 if status == 429 else 503, [("Content-Type", "text/html")], b"<html><body>no</body></html>")
    kind = "ThrottlingException" if status == 429 else "InternalFailure"
    body = json.dumps({"__type": kind, "message": "refused by a test"}).encode()
    return Answer(400 if status == 429 else 500, [("Content-Type", "application/x-amz-json-1.1")], body)
