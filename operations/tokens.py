"""Show when tokens are due for refresh, which are overdue, and who must reconnect; as text, JSON and a chart.

It reads counts and names, no tokens, and changes nothing. Days are in UTC, as in the database. Exit code 1 makes it
usable as an unattended check.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from instagram_connect.doctor.project import Project
from instagram_connect.models import Provider
from instagram_connect.refresh.repository import DAY_S, RefreshRepository, RefreshRules
from instagram_connect.runtime.deadline import Deadline
from operations.project import HEALTHY, SICK, UsageError, add_home, exit_code, read_project, storage_of
from operations.tokens_picture import picture
from operations.tokens_schedule import HORIZON_DAYS, Schedule

# The sweep runs every hour; a token that two days of sweeps did not refresh needs an operator.
TOLERATED = timedelta(days=2)
NEEDING_LIMIT = 50
COLUMNS = 100
# Enough for one call and for healing a stale schema cache.
LIMIT_S = 30

_BLOCKS = {Provider.FACEBOOK: "█", Provider.INSTAGRAM: "▒"}


def read_overview(project: Project, rules: RefreshRules, now: datetime) -> dict[str, Any]:
    """Return the state of a project's tokens at `now`. Raises StorageError and UsageError."""
    with storage_of(project) as rpcs:
        return RefreshRepository(rpcs, lambda: now, rules).overview(NEEDING_LIMIT, Deadline(LIMIT_S))


def problems(overview: Mapping[str, Any], now: datetime) -> list[str]:
    """Return one sentence for each problem: tokens overdue too long or expired, and suspended products."""
    found = []
    since = overview["oldest_due_at"]
    if since and now - datetime.fromisoformat(since) > TOLERATED:
        found.append(f"A token has been overdue since {_moment(since)}, longer than {TOLERATED.days} days.")
    if overview["expired"]:
        found.append(f"Expired tokens: {overview['expired']:,}.")
    found += [
        f"Refreshing is suspended for {brake['provider']}." for brake in overview["brakes"] if brake["suspended_at"]
    ]
    return found


def report(overview: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield the lines of the text report; lines with bars have at most COLUMNS characters."""
    yield from problems(overview, now) or ["All tokens are in order."]
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
        # The overview counts overdue tokens of all days together, so those due today are the difference.
        overdue += f", {overview['overdue'] - schedule.before.total():,} of them due today; oldest: account "
        overdue += f"{overview['oldest_account_id']}, due {_moment(overview['oldest_due_at'])}"
    yield "overdue", overdue
    yield "expired", f"{overview['expired']:,}"
    yield "asked to reconnect", f"{overview['reconnect_requested']:,}"
    yield "must reconnect", f"{overview['needs_reauth']:,}"
    if overview["first_expiry_at"]:
        yield "next expiry", _moment(overview["first_expiry_at"])
    brakes = {brake["provider"]: brake for brake in overview["brakes"]}
    for provider in Provider:
        yield f"{provider} limits", "; ".join(_brakes(brakes.get(provider, {}))) or "none"


def _brakes(brake: Mapping[str, Any]) -> Iterator[str]:
    if brake.get("suspended_at"):
        yield f"suspended since {_moment(brake['suspended_at'])}: {brake['suspended_reason']}"
    if brake.get("paused_until"):
        yield f"paused until {_moment(brake['paused_until'])}"
    if brake.get("app_used_percent") is not None:
        yield f"{brake['app_used_percent']} % of the app's calls used at the last report"


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
    # One block is one token as long as they fit.
    unit = max(1, max(counts.total() for _, counts in rows) / room)
    scale = "one token" if unit == 1 else f"{unit:,.{1 if unit < 100 else 0}f} tokens"
    legend = ", ".join(f"{block} {provider}" for provider, block in _BLOCKS.items())
    yield line("due by day (UTC)", {provider: provider.value for provider in Provider}, f"{legend}; a block: {scale}")
    for title, counts in rows:
        yield line(title, numbers(counts), _bar(counts, unit))
    # Without a bar, which would dwarf those of the days.
    yield line(f"later than {_day(last)}", numbers(schedule.later))


def _days(days: Mapping[date, Counter[Provider]]) -> Iterator[tuple[str, Counter[Provider]]]:
    """Yield each day with due tokens, and each run of days without any as one row."""
    for is_empty, group in groupby(days.items(), lambda item: not item[1].total()):
        entries = list(group)
        if is_empty and len(entries) > 1:
            yield f"{_day(entries[0][0])} - {_day(entries[-1][0])}", Counter()
        else:
            yield from ((_day(day), counts) for day, counts in entries)


def _bar(counts: Counter[Provider], unit: float) -> str:
    """Return a bar as long as the sum, with at least one block for each product that has tokens."""
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
    rows = [("must reconnect", "product", "reason", "since")]
    for account in accounts:
        name = f"@{account['username']}" if account["username"] else account["id"]
        since = _moment(account["failed_at"]) if account["failed_at"] else "unknown"
        rows += [(name, account["provider"], account["reconnect_reason"] or "unknown", since)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    if overview["needs_reauth"] > len(accounts):
        yield f"and {overview['needs_reauth'] - len(accounts):,} older ones"


def _title(overview: Mapping[str, Any], now: datetime) -> str:
    counts = [("active", "active"), ("overdue", "overdue"), ("expired", "expired"), ("needs_reauth", "must reconnect")]
    summary = ", ".join(f"{overview[count]:,} {title}" for count, title in counts)
    return f"Tokens by due date, {_moment(now.isoformat())}\n{summary}"


def _day(day: date) -> str:
    return f"{day:%a %d %b}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def number_of_days(text: str) -> float:
    """Parse a lead, which must be shorter than a token's life. Raises ValueError."""
    days = float(text)
    if not 0 < days < HORIZON_DAYS:
        raise ValueError
    return days


def main(
    argv: Sequence[str] | None = None, read: Callable[[Project, RefreshRules, datetime], dict[str, Any]] = read_overview
) -> int:
    """Return 0 if the tokens are in order, 1 if they are not or storage failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m operations.tokens", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the overview as JSON and nothing else")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="the SVG to write (default: .local/tokens.svg)")
    parser.add_argument(
        "--lead-days", type=number_of_days, default=10, help="the deployment's RefreshLeadDays (default: 10)"
    )
    add_home(parser)
    arguments = parser.parse_args(argv)

    def run() -> int:
        lead_s = arguments.lead_days * DAY_S
        now = datetime.now(UTC)
        project = read_project(arguments.home, os.environ)
        overview = read(project, RefreshRules(lead_s=lead_s, spread_s=lead_s / 2), now)
        _show(overview, now, arguments)
        return SICK if problems(overview, now) else HEALTHY

    return exit_code(run)


def _show(overview: Mapping[str, Any], now: datetime, arguments: argparse.Namespace) -> None:
    """Print the overview and write the chart; with `--json` the chart is written only if asked for."""
    path = arguments.picture or (None if arguments.json else arguments.home / "tokens.svg")
    if arguments.json:
        print(json.dumps(overview, indent=2))
    else:
        for line in report(overview, now):
            print(line)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(Schedule.of(overview, now), _title(overview, now)))
    except OSError as error:
        raise UsageError(f"The picture cannot be written to {path}: {error.strerror}.") from None
    if not arguments.json:
        print(f"\npicture: {path}")


if __name__ == "__main__":
    sys.exit(main())
