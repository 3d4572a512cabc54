"""How long a connection takes, against the sum of its critical path: the calls in it that have to wait for each other.

The real handler of exchange_token in this process; real PostgREST and Postgres; the local AWS; a Meta simulator that
takes its time for every call. All of it shares this machine.
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
# By turns; a hundred Pages keep the simulator busy for longer.
ROUNDS = {1: 7, 10: 7, 100: 3}
# So long each call takes at least while round trips are counted, and so much longer for each account: more than as many
# threads take to start.
COUNTING_S = 0.5
COUNTING_ONE_S = 0.005


def measure(stack: Mapping[str, str]) -> list[Figure]:
    """All figures of connections."""
    keys = Keys.of_home(HOME)
    with deployed(stack, keys), closing(Frontend(stack, keys)) as frontend:
        # The first one loads libraries and opens connections, as the first request of a sandbox.
        connection(frontend, Provider.FACEBOOK, 1)
        figures = [*_walls(frontend), *_counts(frontend)]
        frontend.slow_down(0)
    return figures


def connection(frontend: Frontend, provider: Provider, accounts: int, *, least_s: float = 0.0) -> Recording:
    """The calls that a new user's connection makes. Raises RuntimeError unless all accounts are stored."""
    _, event = _login(frontend, provider, accounts)
    with recorded(frontend.stack, least_s=least_s) as calls:
        frontend.connect(event, accounts)
    return calls


def connect_user(frontend: Frontend, provider: Provider, accounts: int) -> str:
    """The id of a new user with so many accounts."""
    user_id, event = _login(frontend, provider, accounts)
    frontend.connect(event, accounts)
    return user_id


def _login(frontend: Frontend, provider: Provider, accounts: int) -> tuple[str, dict[str, Any]]:
    user_id = frontend.sign_up()
    code = frontend.log_in(provider, frontend.add_person(provider, accounts))
    return user_id, frontend.request(user_id, provider, code)


def critical_path_s(calls: Sequence[Call]) -> float:
    """How long the calls that waited for each other take if nothing else does: the longest such chain, in seconds.

    Each call counts as the fastest of its kind: what calls beside each other take from each other is not forgiven.
    """
    fastest: dict[tuple[str, str], float] = {}
    for call in calls:
        kind = (call.service, call.operation)
        fastest[kind] = min(fastest.get(kind, call.ended - call.started), call.ended - call.started)
    ends: list[float] = []
    longest: list[float] = []  # of the chains that end with the call, or before it
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
    with step(f"Connecting 1 to {max(PAGES)} Pages at {', '.join(map(str, LATENCIES_MS))} ms, by turns"):
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
            f"connection: {_pages(pages)}, Meta takes {latency_ms} ms",
            statistics.median(wall),
            statistics.median(path),
            "ms; baseline: its critical path",
            runs=wall,
            baseline_runs=path,
        )
    for pages, times in computing.items():
        median = round(statistics.median(times), 1)
        yield Figure(f"connection: computing, {_pages(pages)}", median, "ms, this process", runs=tuple(times))


def _counts(frontend: Frontend) -> Iterator[Figure]:
    frontend.slow_down(0)
    logins = [(Provider.FACEBOOK, pages) for pages in PAGES] + [(Provider.INSTAGRAM, 1)]
    with step("Counting its calls"):
        for provider, accounts in logins:
            calls = connection(frontend, provider, accounts, least_s=COUNTING_S + accounts * COUNTING_ONE_S)
            what = "Instagram Login" if provider is Provider.INSTAGRAM else _pages(accounts)
            yield Figure(f"connection: round trips in a row, {what}", len(in_a_row(calls)), "calls")
            meta = [call for call in calls if call.service == "meta"]
            yield Figure(f"connection: of these to Meta, {what}", len(in_a_row(meta)), "calls")
            for service, count in sorted(by_service(calls).items()):
                yield Figure(f"connection: calls to {service}, {what}", count, "calls")


def _pages(number: int) -> str:
    return "1 Page" if number == 1 else f"{number} Pages"
