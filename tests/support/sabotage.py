"""Faults for end-to-end tests: killed processes and a queue that rejects messages."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from local.processes import Processes
from tests.support.deployed import queue_url
from tests.support.home import TEST_HOME


class QueueGateway:
    """Passes calls on to SQS, or refuses them: nothing in the local AWS can be told to."""

    def __init__(self, upstream: str) -> None:
        self.refuses = False
        self.refused = 0
        gateway = self
        self._http = http = httpx.Client(trust_env=False, timeout=10)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if gateway.refuses:
                    gateway.refused += 1
                    self.send_response(503)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = http.post(f"{upstream}{self.path}", content=body, headers=headers)
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._http.close()


@contextmanager
def queue_gateway(aws: dict[str, Any], stack: dict[str, str], function_name: str) -> Iterator[QueueGateway]:
    """The way of one function, by its logical id, to all queues, for the length of a with block."""
    functions = aws["client"]("lambda")
    (function,) = [
        entry for entry in functions.list_functions()["Functions"] if f"-{function_name}-" in entry["FunctionName"]
    ]
    variables = function["Environment"]["Variables"]
    gateway = QueueGateway(stack["aws_endpoint_url"])

    def configure(environment: dict[str, str]) -> None:
        functions.update_function_configuration(
            FunctionName=function["FunctionName"], Environment={"Variables": environment}
        )

    configure({**variables, "AWS_ENDPOINT_URL_SQS": gateway.url})
    try:
        yield gateway
    finally:
        configure(variables)
        gateway.close()


def forget_messages(aws: dict[str, Any], queue: str) -> None:
    """What earlier tests left in a queue, by its logical id, and would be done in the middle of this one."""
    sqs = aws["client"]("sqs")
    sqs.purge_queue(QueueUrl=queue_url(sqs, queue))


@contextmanager
def impatient_queue(sqs: Any, name: str, visibility_s: int) -> Iterator[None]:
    """A queue by its logical id, in which what was not done comes again sooner than deployed."""
    url = queue_url(sqs, name)
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(visibility_s)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def kill_function(stack: dict[str, str], service: str) -> int:
    """End the function's processes of this stack at once, as a crash or an exhausted memory would; how many."""
    killed = 0
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        is_meant = environment.get("POWERTOOLS_SERVICE_NAME") == service
        if is_meant and environment.get("AWS_ENDPOINT_URL") == stack["aws_endpoint_url"]:
            process.kill()
            killed += 1
    return killed


def kill_service(service: str, home: Path = TEST_HOME) -> None:
    """End a service of a home folder's stack with SIGKILL."""
    record = Processes(home).running(service)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
