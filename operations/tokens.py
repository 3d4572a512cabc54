"""How the tokens stand, on the command line and as a picture: what is due when, what is late, who has to act.

It reads `refresh_overview`, which holds no token, and changes nothing. The project is chosen as in
`operations.doctor`.
Days are those of UTC, as the database counts them. Exit code 1 makes it a check, for when nobody looks.
"""

import argparse
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from instagram_connect.doctor.project import Project
from instagram_connect.errors import StorageError
from instagram_connect.models import Provider
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger
from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.rpc import Rpcs
from local.errors import LocalSystemError
from local.progress import say
from local.stack import DEFAULT_HOME
from operations.doctor import project
from operations.refresh_schedule import HORIZON_DAYS, Schedule
from operations.tokens_picture import picture

HEALTHY, SICK, WRONG_USAGE = 0, 1, 2

# The sweep comes every hour; what two days of sweeps have left does not solve itself.
TOLERATED = timedelta(days=2)
NEEDING_LIMIT = 50
COLUMNS = 100
# One call, and the time to heal a stale schema cache for it.
LIMIT_S = 30

_BLOCKS = {Provider.FACEBOOK: "█", Provider.INSTAGRAM: "▒"}


def read_overview(wanted: Project, rules: RefreshRules, now: datetime) -> dict[str, Any]:
    """How a project's tokens stand at `now`. Raises StorageError, and LocalSystemError for an address that is none."""
    try:
        data_api = DataApi(wanted.supabase_url, wanted.secret_key)
    except ValueError as error:
        raise LocalSystemError(f"SUPABASE_URL is not an address: {error}.") from None
    logger.setLevel(logging.CRITICAL)  # the error's reason and remedy are printed
    try:
        return RefreshRepository(Rpcs(data_api), lambda: now, rules).overview(NEEDING_LIMIT, Deadline(LIMIT_S))
    finally:
        data_api.close()


def problems(overview: Mapping[str, Any], now: datetime) -> list[str]:
    """What an operator has to look at, a sentence each: tokens overdue too long or expired, products suspended."""
    found = []
    since = overview["oldest_due_at"]
    if since and now - datetime.fromisoformat(since) > TOLERATED:
        found.append(f"A token has been overdue since {_moment(since)}, longer than {TOLERATED.days} days.")
    if overview["expired"]:
        found.append(f"Tokens have expired: {overview['expired']:,}.")
    found += [
        f"Refreshing is suspended for {brake['provider']}." for brake in overview["brakes"] if brake["suspended_at"]
    ]
    return found


def report(overview: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """The lines of the report for people; those with bars have at most COLUMNS characters."""
    yield from problems(overview, now) or ["The tokens are as they should be."]
    schedule = Schedule.of(overview, now)
    for title, text in _summary(overview, schedule):
        yield f"  {title:<19} {text}"
    yield ""
    yield from _calendar(schedule)
    if overview["needs_reauth"]:
        yield ""
        yield from _needing(overview)


def _summary(overview: Mapping[str, Any], schedule: Schedule) -> Iterator[tuple[str, str]]:
    yield "active", f"{overview['active']:,}"
    overdue = f"{overview['overdue']:,}"
    if overview["oldest_due_at"]:
        # Of today's tokens the overview does not say which are overdue, only how many.
        overdue += f", {overview['overdue'] - schedule.before.total():,} of them due today; the oldest since "
        overdue += f"{_moment(overview['oldest_due_at'])}: account {overview['oldest_account_id']}"
    yield "overdue", overdue
    yield "expired", f"{overview['expired']:,}"
    yield "asked to reconnect", f"{overview['reconnect_requested']:,}"
    yield "need their user", f"{overview['needs_reauth']:,}"
    if overview["first_expiry_at"]:
        yield "first end", _moment(overview["first_expiry_at"])
    brakes = {brake["provider"]: brake for brake in overview["brakes"]}
    for provider in Provider:
        yield f"{provider} brakes", "; ".join(_brakes(brakes.get(provider, {}))) or "none"


def _brakes(brake: Mapping[str, Any]) -> Iterator[str]:
    if brake.get("suspended_at"):
        yield f"suspended since {_moment(brake['suspended_at'])}: {brake['suspended_reason']}"
    if brake.get("paused_until"):
        yield f"paused until {_moment(brake['paused_until'])}"
    if brake.get("app_used_percent") is not None:
        yield f"{brake['app_used_percent']} % of the app's calls used when last told"


def _calendar(schedule: Schedule) -> Iterator[str]:
    rows = [("before today, overdue", schedule.before), *_days(schedule.days)]
    last = max(schedule.days)
    widths = {
        provider: max(len(provider), *(len(f"{counts[provider]:,}") for _, counts in [*rows, ("", schedule.later)]))
        for provider in Provider
    }

    def line(title: str, cells: Mapping[Provider, str], bar: str = "") -> str:
        return f"{title:<23}  {'  '.join(f'{cells[p]:>{widths[p]}}' for p in Provider)}  {bar}".rstrip()

    def numbers(counts: Counter[Provider]) -> dict[Provider, str]:
        return {provider: f"{counts[provider]:,}" for provider in Provider}

    room = COLUMNS - len(line("", numbers(Counter()), "|")) + 1
    # One block is one token, as long as there is room for that.
    unit = max(1, max(counts.total() for _, counts in rows) / room)
    scale = "one token" if unit == 1 else f"{unit:,.{1 if unit < 100 else 0}f} tokens"
    legend = ", ".join(f"{block} {provider}" for provider, block in _BLOCKS.items())
    yield line("due by day (UTC)", {provider: provider.value for provider in Provider}, f"{legend}; a block: {scale}")
    for title, counts in rows:
        yield line(title, numbers(counts), _bar(counts, unit))
    # No bar: it is no day, and would make the days small.
    yield line(f"later than {_day(last)}", numbers(schedule.later))


def _days(days: Mapping[date, Counter[Provider]]) -> Iterator[tuple[str, Counter[Provider]]]:
    """Each day with something due, and each row of days without as one."""
    for is_empty, group in groupby(days.items(), lambda item: not item[1].total()):
        entries = list(group)
        if is_empty and len(entries) > 1:
            yield f"{_day(entries[0][0])} - {_day(entries[-1][0])}", Counter()
        else:
            yield from ((_day(day), counts) for day, counts in entries)


def _bar(counts: Counter[Provider], unit: float) -> str:
    """As many blocks as the sum is worth, but one for each product that is there at all."""
    present = [provider for provider in Provider if counts[provider]]
    length = max(len(present), round(counts.total() / unit))
    bar = ""
    for position, provider in enumerate(present):
        others = len(present) - position - 1
        share = round(length * counts[provider] / counts.total()) if others else length - len(bar)
        bar += _BLOCKS[provider] * min(max(1, share), length - len(bar) - others)
    return bar


def _needing(overview: Mapping[str, Any]) -> Iterator[str]:
    accounts = overview["needing_their_user"]
    rows = [("needs its user", "product", "reason", "since")]
    for account in accounts:
        name = f"@{account['username']}" if account["username"] else account["id"]
        since = _moment(account["failed_at"]) if account["failed_at"] else "unknown"
        rows += [(name, account["provider"], account["reconnect_reason"] or "unknown", since)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    if overview["needs_reauth"] > len(accounts):
        yield f"and {overview['needs_reauth'] - len(accounts):,} more, for longer"


def _title(overview: Mapping[str, Any], now: datetime) -> str:
    counts = [("active", "active"), ("overdue", "overdue"), ("expired", "expired"), ("needs_reauth", "need their user")]
    told = ", ".join(f"{overview[count]:,} {title}" for count, title in counts)
    return f"Tokens by the day they are due to be refreshed, {_moment(now.isoformat())}\n{told}"


def _day(day: date) -> str:
    return f"{day:%a %d %b}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def number_of_days(text: str) -> float:
    """The lead of an argument, shorter than a token's life. Raises ValueError."""
    days = float(text)
    if not 0 < days < HORIZON_DAYS:
        raise ValueError
    return days


def main(
    argv: Sequence[str] | None = None, read: Callable[[Project, RefreshRules, datetime], dict[str, Any]] = read_overview
) -> int:
    """Report once; 0 when all is well, 1 when something is not or storage does not answer, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.tokens", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the overview as JSON, and nothing else")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="an SVG to write (default: .local/tokens.svg)")
    parser.add_argument(
        "--lead-days", type=number_of_days, default=10, help="the deployment's RefreshLeadDays (default: 10)"
    )
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="of the local system (default: .local)")
    arguments = parser.parse_args(argv)
    lead_s = arguments.lead_days * DAY_S
    now = datetime.now(UTC)
    try:
        wanted = project(arguments.home, os.environ)
        overview = read(wanted, RefreshRules(lead_s=lead_s, spread_s=lead_s / 2), now)
        _tell(overview, now, arguments)
    except LocalSystemError as error:
        print(error, file=sys.stderr)
        return WRONG_USAGE
    except StorageError as error:
        print(f"{error.reason}: {error.log_context.get('remedy', error.hint)}", file=sys.stderr)
        return SICK
    return SICK if problems(overview, now) else HEALTHY


def _tell(overview: Mapping[str, Any], now: datetime, arguments: argparse.Namespace) -> None:
    """Print the overview and write the picture; JSON is alone, unless a picture was asked for too."""
    path = arguments.picture or (None if arguments.json else arguments.home / "tokens.svg")
    if arguments.json:
        say(json.dumps(overview, indent=2))
    else:
        for line in report(overview, now):
            say(line)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(Schedule.of(overview, now), _title(overview, now)))
    except OSError as error:
        raise LocalSystemError(f"The picture cannot be written to {path}: {error.strerror}.") from None
    if not arguments.json:
        say(f"\npicture: {path}")


if __name__ == "__main__":
    sys.exit(main())
