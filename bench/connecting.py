"""Measures how long a connection takes, against its critical path: the calls that must wait for each other.

The real exchange_token handler runs in this process, with real PostgREST and Postgres, the local AWS, and a Meta
simulator that delays every call. All of them share this machine.
"""

import statistics
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from bench.figures import Figure
from bench.frontend import Frontend
from bench.recording import Call, Recording, by_service, in_a_row, recorded
from bench.system import HOME, deployed
from instagram_connect.models import Provider
from local.progress import step
from local.settings import Keys

PAGES = (1, 10, 100)
LATENCIES_MS = (0, 50, 200)
# Fewer with 100 Pages, which take the simulator longer.
ROUNDS = {1: 7, 10: 7, 100: 3}
# Minimum duration of a call while sequential calls are counted, plus a part per account: longer than it takes to start
# that many threads.
COUNTING_S = 0.5
COUNTING_ONE_S = 0.005
_SERVICES = {"data_api": "the Data API", "dynamodb": "DynamoDB", "kms": "KMS", "meta": "Meta"}


def measure(stack: Mapping[str, str]) -> list[Figure]:
    """Return all figures for connections."""
    keys = Keys.of_home(HOME)
    with deployed(stack, keys), closing(Frontend(stack, keys)) as frontend:
        # The first one also loads libraries and opens connections.
        connection(frontend, Provider.FACEBOOK, 1)
        figures = [*_walls(frontend), *_counts(frontend)]
        frontend.slow_down(0)
    return figures


def connection(frontend: Frontend, provider: Provider, accounts: int, *, least_s: float = 0.0) -> Recording:
    """Record the calls of a new user's connection. Raises RuntimeError unless all accounts are stored."""
    _, event = _login(frontend, provider, accounts)
    with recorded(frontend.stack, least_s=least_s) as calls:
        frontend.connect(event, accounts)
    return calls


def connect_user(frontend: Frontend, provider: Provider, accounts: int) -> str:
    """Connect a new user with this number of accounts, and return the user's id."""
    user_id, event = _login(frontend, provider, accounts)
    frontend.connect(event, accounts)
    return user_id


def _login(frontend: Frontend, provider: Provider, accounts: int) -> tuple[str, dict[str, Any]]:
    user_id = frontend.sign_up()
    code = frontend.log_in(provider, frontend.add_person(provider, accounts))
    return user_id, frontend.request(user_id, provider, code)


def critical_path_s(calls: Sequence[Call]) -> float:
    """Return the duration of the longest chain of calls that waited for each other, in seconds.

    Each call counts with the time of the fastest call of its kind, so concurrent calls that slow each other down do not
    lengthen the path.
    """
    fastest: dict[tuple[str, str], float] = {}
    for call in calls:
        kind = (call.service, call.operation)
        fastest[kind] = min(fastest.get(kind, call.ended - call.started), call.ended - call.started)
    ends: list[float] = []
    longest: list[float] = []  # duration of the longest chain that ends with this call or before
    for call in sorted(calls, key=lambda call: call.ended):
        before = bisect_right(ends, call.started)
        own = fastest[call.service, call.operation] + (longest[before - 1] if before else 0.0)
        ends.append(call.ended)
        longest.append(max(own, longest[-1] if longest else 0.0))
    return longest[-1]


def _walls(frontend: Frontend) -> Iterator[Figure]:
    cells = [(latency_ms, pages) for latency_ms in LATENCIES_MS for pages in PAGES]
    walls: dict[tuple[int, int], list[float]] = {cell: [] for cell in cells}
    paths: dict[tuple[int, int], list[float]] = {cell: [] for cell in cells}
    computing: dict[int, list[float]] = {pages: [] for pages in PAGES}
    people = {pages: frontend.add_person(Provider.FACEBOOK, pages) for pages in PAGES}
    with step(f"Connecting 1 to {max(PAGES)} Pages, with {', '.join(map(str, LATENCIES_MS))} ms per call to Meta"):
        for number in range(max(ROUNDS.values())):
            for latency_ms, pages in cells:
                if number >= ROUNDS[pages]:
                    continue
                frontend.slow_down(latency_ms)
                code = frontend.log_in(Provider.FACEBOOK, people[pages])
                event = frontend.request(frontend.sign_up(), Provider.FACEBOOK, code)
                with recorded(frontend.stack) as calls:
                    frontend.connect(event, pages)
                walls[latency_ms, pages].append(calls.wall_s * 1000)
                computing[pages].append(calls.computing_s * 1000)
                paths[latency_ms, pages].append(critical_path_s(calls) * 1000)
    for latency_ms, pages in cells:
        wall, path = walls[latency_ms, pages], paths[latency_ms, pages]
        yield Figure.against(
            f"connection: time with {_pages(pages)}, {latency_ms} ms per call to Meta",
            statistics.median(wall),
            statistics.median(path),
            "ms",
            baseline_is="the calls that must wait for each other",
            runs=wall,
            baseline_runs=path,
        )
    for pages, times in computing.items():
        median = round(statistics.median(times), 1)
        yield Figure(f"connection: processor time with {_pages(pages)}", median, "ms", runs=tuple(times))


def _counts(frontend: Frontend) -> Iterator[Figure]:
    frontend.slow_down(0)
    logins = [(Provider.FACEBOOK, pages) for pages in PAGES] + [(Provider.INSTAGRAM, 1)]
    with step("Counting the calls of a connection"):
        for provider, accounts in logins:
            calls = connection(frontend, provider, accounts, least_s=COUNTING_S + accounts * COUNTING_ONE_S)
            what = "Instagram Login" if provider is Provider.INSTAGRAM else _pages(accounts)
            yield Figure(f"connection: sequential calls with {what}", len(in_a_row(calls)), "calls")
            meta = [call for call in calls if call.service == "meta"]
            yield Figure(f"connection: sequential calls to Meta with {what}", len(in_a_row(meta)), "calls")
            for service, count in sorted(by_service(calls).items()):
                yield Figure(f"connection: calls to {_SERVICES.get(service, service)} with {what}", count, "calls")


def _pages(number: int) -> str:
    return "1 Page" if number == 1 else f"{number} Pages"
