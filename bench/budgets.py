"""`python -m bench.budgets HOME`: counts the calls of everything that has a budget, and prints them as JSON.

It runs as a process of its own because functions keep their connections open, which tests do not allow. The budgets are
in tests/integration/test_budgets.py.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench import counting
from bench.connecting import COUNTING_S, PAGES, connect_user, connection
from bench.frontend import Frontend
from bench.recording import Call, by_service, in_a_row
from bench.system import deployed
from instagram_connect.models import Provider
from local.progress import say
from local.settings import Keys
from local.stack import aws_environment, read_stack

# Number of webhooks in a batch, and of events in each.
BATCHES = ((1, 1), (10, 10), (10, 100))


def count(frontend: Frontend) -> dict[str, dict[str, int]]:
    """Return, for each piece of work, the calls to each service, the sequential calls, and the lost events."""
    counts: dict[str, dict[str, int]] = {}
    # The first request also reads the secrets.
    connection(frontend, Provider.FACEBOOK, 1)
    logins = [*((Provider.FACEBOOK, pages) for pages in PAGES), (Provider.INSTAGRAM, 1)]
    for provider, accounts in logins:
        # Not for 100 accounts: starting that many threads takes unpredictably long.
        has_rows = accounts <= 10
        calls = connection(frontend, provider, accounts, least_s=COUNTING_S if has_rows else 0.0)
        counts[f"connect {accounts} by {provider}"] = {**by_service(calls), **(_rows(calls) if has_rows else {})}
    pages = connect_user(frontend, Provider.FACEBOOK, 3)
    users = [connect_user(frontend, Provider.INSTAGRAM, 1) for _ in range(3)]
    counting.age(frontend, [pages, *users])
    calls = counting.refresh(frontend, Provider.FACEBOOK, [pages], renew=False, check_subscription=True)
    counts["check 3 subscriptions"] = dict(by_service(calls))
    calls = counting.refresh(frontend, Provider.INSTAGRAM, users, renew=True, check_subscription=False)
    counts["refresh 3 accounts"] = dict(by_service(calls))
    counts["acknowledge"] = dict(by_service(counting.acknowledge(frontend, counting.messages(frontend, users[0], 20))))
    for webhooks, events in BATCHES:
        user_id = connect_user(frontend, Provider.INSTAGRAM, 1)
        bodies = [counting.messages(frontend, user_id, events) for _ in range(webhooks)]
        calls = counting.ingest(frontend, bodies)
        lost = webhooks * events - counting.count_events(frontend, user_id)
        counts[f"store {webhooks} webhooks of {events}"] = {**by_service(calls), "lost": lost}
    return counts


def _rows(calls: Sequence[Call]) -> dict[str, int]:
    meta = [call for call in calls if call.service == "meta"]
    return {"in a row": len(in_a_row(calls)), "in a row to Meta": len(in_a_row(meta))}


def main() -> int:
    """Print the counts and return the exit code."""
    home = Path(sys.argv[1])
    stack, keys = read_stack(home), Keys.of_home(home)
    os.environ |= aws_environment(stack)
    with deployed(stack, keys), closing(Frontend(stack, keys)) as frontend:
        say(json.dumps(count(frontend)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
