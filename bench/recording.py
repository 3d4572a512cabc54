"""Records all calls from this process to Meta, the Data API and AWS, with their start and end times.

Benchmarks report these calls, and tests compare them with budgets.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import httpx
from botocore.client import BaseClient


@dataclass(frozen=True)
class Call:
    """One call. `service` is "meta", "data_api", or the name of an AWS service; times are in seconds."""

    service: str
    operation: str
    started: float
    ended: float


class Recording(list[Call]):
    """Calls in the order in which they ended, with the wall-clock and processor time of the whole block in seconds."""

    wall_s = 0.0
    computing_s = 0.0


@contextmanager
def recorded(stack: Mapping[str, str], *, least_s: float = 0.0) -> Iterator[Recording]:
    """Record the calls made in a with block.

    With `least_s` each call takes at least that long, so that concurrent calls overlap even on a busy machine.
    """
    hosts = {"meta": stack["meta_url"], "data_api": stack["supabase_url"]}
    calls = Recording()
    send, make_api_call = httpx.Client.send, BaseClient._make_api_call  # type: ignore[attr-defined]

    def note(service: str, operation: str, started: float) -> None:
        time.sleep(max(0.0, started + least_s - time.perf_counter()))
        calls.append(Call(service, operation, started, time.perf_counter()))

    def recording_send(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        url = str(request.url)
        service = next((name for name, address in hosts.items() if url.startswith(f"{address}/")), request.url.host)
        started = time.perf_counter()
        try:
            return send(client, request, **options)
        finally:
            note(service, f"{request.method} {request.url.path.rsplit('/', 1)[-1]}", started)

    def recording_make_api_call(client: Any, operation: str, parameters: Any) -> Any:
        started = time.perf_counter()
        try:
            return make_api_call(client, operation, parameters)
        finally:
            note(client.meta.service_model.service_name, operation, started)

    with (
        patch.object(httpx.Client, "send", recording_send),
        patch.object(BaseClient, "_make_api_call", recording_make_api_call),
    ):
        began, computed = time.perf_counter(), time.process_time()
        try:
            yield calls
        finally:
            calls.wall_s = time.perf_counter() - began
            calls.computing_s = time.process_time() - computed


def by_service(calls: Iterable[Call]) -> Counter[str]:
    """Count the calls to each service."""
    return Counter(call.service for call in calls)


def in_a_row(calls: Iterable[Call]) -> list[Call]:
    """Return the longest chain of calls that each began after the previous one had ended."""
    chain: list[Call] = []
    # Interval scheduling: always taking the call that ends first gives the longest chain.
    for call in sorted(calls, key=lambda call: call.ended):
        if not chain or call.started >= chain[-1].ended:
            chain.append(call)
    return chain
