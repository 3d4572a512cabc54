"""How many tokens are due on each day, from a token overview. Days are in UTC, as in the database."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from instagram_connect.models import Provider

# Instagram tokens live 60 days and Facebook logins are checked weekly, so almost nothing is due later.
HORIZON_DAYS = 60


@dataclass(frozen=True)
class Schedule:
    """The number of due tokens by product: before today, on each day of the horizon, and later."""

    before: Counter[Provider]
    days: Mapping[date, Counter[Provider]]
    later: Counter[Provider]

    @classmethod
    def of(cls, overview: Mapping[str, Any], now: datetime) -> "Schedule":
        """Return the schedule in an overview taken at `now`; the horizon starts on that day."""
        today = now.astimezone(UTC).date()
        before: Counter[Provider] = Counter()
        days: dict[date, Counter[Provider]] = {today + timedelta(days=n): Counter() for n in range(HORIZON_DAYS)}
        later: Counter[Provider] = Counter()
        for row in overview["due_by_day"]:
            day = date.fromisoformat(row["day"])
            counts = before if day < today else days.get(day, later)
            counts[Provider(row["provider"])] += row["due"]
        return cls(before, days, later)
