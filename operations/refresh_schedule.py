"""How many tokens are due on which day, of an overview of the tokens. Days are those of UTC, as the database counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from instagram_connect.models import Provider

# Instagram's tokens live so long, and Facebook's logins are checked weekly: nearly nothing is due later.
HORIZON_DAYS = 60


@dataclass(frozen=True)
class Schedule:
    """How many tokens of each product are due: on days before today, on each day of the horizon, and later."""

    before: Counter[Provider]
    days: Mapping[date, Counter[Provider]]
    later: Counter[Provider]

    @classmethod
    def of(cls, overview: Mapping[str, Any], now: datetime) -> "Schedule":
        """The schedule of what `refresh_overview` told at `now`, whose day is the first of the horizon."""
        today = now.astimezone(UTC).date()
        before: Counter[Provider] = Counter()
        days: dict[date, Counter[Provider]] = {today + timedelta(days=n): Counter() for n in range(HORIZON_DAYS)}
        later: Counter[Provider] = Counter()
        for row in overview["due_by_day"]:
            day = date.fromisoformat(row["day"])
            counts = before if day < today else days.get(day, later)
            counts[Provider(row["provider"])] += row["due"]
        return cls(before, days, later)
