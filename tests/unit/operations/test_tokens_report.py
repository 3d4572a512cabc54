"""`make tokens`: its text, JSON and chart, and its exit codes."""

import json
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from instagram_connect.doctor.project import Project
from instagram_connect.errors import StorageError
from instagram_connect.refresh.repository import DAY_S, RefreshRules
from operations import tokens
from operations.project import HEALTHY, SICK, WRONG_USAGE, UsageError
from operations.tokens_picture import picture
from operations.tokens_schedule import HORIZON_DAYS, Schedule

NOW = datetime(2026, 11, 28, 4, 30, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
ACCOUNT_ID = "5b0f6d1e-6f0e-4f0c-8f0f-0a4f1f0e1d2c"
EMPTY: dict[str, Any] = {
    "active": 0,
    "overdue": 0,
    "oldest_due_at": None,
    "oldest_account_id": None,
    "first_expiry_at": None,
    "expired": 0,
    "reconnect_requested": 0,
    "needs_reauth": 0,
    "needing_their_user": [],
    "due_by_day": [],
    "brakes": [],
}
BRAKE = {"paused_until": None, "app_used_percent": None, "suspended_at": None, "suspended_reason": None}


def due(days: int, provider: str, count: int) -> dict[str, Any]:
    return {"day": (NOW.date() + timedelta(days=days)).isoformat(), "provider": provider, "due": count}


def overview(*rows: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {**EMPTY, "active": sum(row["due"] for row in rows), "due_by_day": list(rows), **others}


def overdue_for(age: timedelta, *rows: dict[str, Any], count: int = 1) -> dict[str, Any]:
    since = (NOW - age).isoformat()
    return overview(*rows, overdue=count, oldest_due_at=since, oldest_account_id=ACCOUNT_ID)


def lines(state: dict[str, Any]) -> list[str]:
    return list(tokens.report(state, NOW))


def line(state: dict[str, Any], start: str) -> str:
    (found,) = [text for text in lines(state) if text.strip().startswith(start)]
    return found


class Command:
    """Runs the command on a project whose overview, or error, a test chooses."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.asked: list[tuple[Project, RefreshRules]] = []

    def __call__(self, answer: dict[str, Any] | StorageError, *arguments: str) -> int:
        def read(wanted: Project, rules: RefreshRules, now: datetime) -> dict[str, Any]:
            assert now.tzinfo is UTC
            self.asked.append((wanted, rules))
            if isinstance(answer, StorageError):
                raise answer
            return answer

        return tokens.main(["--home", str(self.home), *arguments], read)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("SUPABASE_URL", "https://project.test")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_test")
    return Command(tmp_path / "home")


def drawn_bars(svg: bytes) -> list[list[tuple[str, float, float]]]:
    """Return the bars of each series in order: their number, height and left edge."""
    series = [group for group in ET.fromstring(svg).iter(f"{SVG}g") if group.get("class", "").startswith("series ")]
    return [
        [
            (
                bar.findtext(f"{SVG}desc[@class='value']", ""),
                float(bar.find(f"{SVG}rect").get("height")),  # type: ignore[union-attr, arg-type]
                float(bar.find(f"{SVG}rect").get("x")),  # type: ignore[union-attr, arg-type]
            )
            for bar in group.iter(f"{SVG}g")
            if bar.get("class") == "bar"
        ]
        for group in series
        if group.find(f"{SVG}g[@class='bars']") is not None
    ]


def draw(state: dict[str, Any]) -> bytes:
    return picture(Schedule.of(state, NOW), "<title> & more")


def test_report_of_a_healthy_project_shows_its_days() -> None:
    state = overview(
        due(0, "facebook", 2), due(3, "facebook", 3), due(3, "instagram", 4), first_expiry_at=NOW.isoformat()
    )

    assert lines(state)[0] == "All tokens are in order."
    assert line(state, "active").split() == ["active", "9"]
    assert line(state, "overdue").split() == ["overdue", "0"]
    assert line(state, "next expiry").endswith("2026-11-28 04:30 UTC")
    assert line(state, "Sat 28 Nov").split() == ["Sat", "28", "Nov", "2", "0", "██"]
    assert line(state, "Tue 01 Dec").split() == ["Tue", "01", "Dec", "3", "4", "███▒▒▒▒"]


def test_runs_of_days_without_due_tokens_are_one_row() -> None:
    state = overview(due(1, "facebook", 1), due(3, "facebook", 1))

    first = lines(state).index(line(state, "before today, overdue")) + 1
    titles = [text[:23].strip() for text in lines(state)[first:-1]]
    assert titles == ["Sat 28 Nov", "Sun 29 Nov", "Mon 30 Nov", "Tue 01 Dec", "Wed 02 Dec - Tue 26 Jan"]
    assert line(state, "Wed 02 Dec - Tue 26 Jan").split()[-2:] == ["0", "0"]


def test_tokens_due_after_sixty_days_are_a_number_without_a_bar() -> None:
    last, later = due(HORIZON_DAYS - 1, "instagram", 1), due(HORIZON_DAYS, "instagram", 7_000)

    state = overview(last, later)

    assert line(state, "Tue 26 Jan").split()[-3:] == ["0", "1", "▒"]
    assert line(state, "later than Tue 26 Jan").split()[-2:] == ["0", "7,000"]


def test_days_are_in_utc_regardless_of_the_zone_of_now() -> None:
    east = NOW.replace(hour=23).astimezone(tz=datetime.fromisoformat("2026-01-01T00:00+09:00").tzinfo)

    schedule = Schedule.of(overview(due(0, "facebook", 1)), east)

    assert schedule.days[date(2026, 11, 28)].total() == 1


def test_overdue_tokens_are_shown_with_the_oldest_and_those_of_today() -> None:
    state = overdue_for(timedelta(hours=30), due(-1, "instagram", 4), due(0, "facebook", 9), count=6)

    assert line(state, "overdue").endswith(
        f"6, 2 of them due today; oldest: account {ACCOUNT_ID}, due 2026-11-26 22:30 UTC"
    )
    assert line(state, "before today, overdue").split()[-3:] == ["0", "4", "▒▒▒▒"]
    assert lines(state)[0] == "All tokens are in order."


def test_suspension_pause_and_usage_are_shown() -> None:
    suspended = {**BRAKE, "provider": "facebook", "suspended_at": NOW.isoformat(), "suspended_reason": "META_190"}
    paused = {**BRAKE, "provider": "instagram", "paused_until": "2026-11-28T05:00:00.5+00:00", "app_used_percent": 0}

    state = overview(brakes=[suspended, paused])

    assert lines(state)[0] == "Refreshing is suspended for facebook."
    assert line(state, "facebook limits").endswith("suspended since 2026-11-28 04:30 UTC: META_190")
    assert "paused until 2026-11-28 05:00 UTC; 0 % of the app's calls" in line(state, "instagram limits")


def test_empty_database_is_healthy() -> None:
    assert lines(EMPTY)[0] == "All tokens are in order."
    assert line(EMPTY, "facebook limits").split() == ["facebook", "limits", "none"]
    assert line(EMPTY, "Sat 28 Nov - Tue 26 Jan").split()[-2:] == ["0", "0"]
    assert not any(text.startswith("must reconnect") for text in lines(EMPTY))


@pytest.mark.parametrize("factor", [1, 40, 9_999, 1_234_567])
def test_longest_bar_fills_the_columns_at_any_scale(factor: int) -> None:
    rows = [due(day, provider, (day + 3) * factor) for day in range(-2, 60) for provider in ("facebook", "instagram")]

    table = [text for text in lines(overview(*rows)) if "█" in text or "▒" in text]

    assert len(table) > HORIZON_DAYS - 2
    assert max(map(len, table)) == tokens.COLUMNS


def test_single_token_beside_thousands_still_has_a_block() -> None:
    state = overview(
        due(0, "facebook", 50_000), due(1, "facebook", 1), due(2, "facebook", 9_000), due(2, "instagram", 1)
    )

    assert line(state, "Sun 29 Nov").split()[-1] == "█"
    assert line(state, "Mon 30 Nov").endswith("█▒")


def test_bar_is_divided_in_proportion_to_the_products() -> None:
    state = overview(due(0, "facebook", 3_000), due(0, "instagram", 1_000))

    bar = line(state, "Sat 28 Nov").split()[-1]
    assert bar.count("█") == pytest.approx(0.75 * len(bar), abs=1)
    assert bar.count("█") + bar.count("▒") == len(bar) > 40


def test_accounts_that_must_reconnect_are_listed_and_the_rest_counted() -> None:
    known = {
        "id": ACCOUNT_ID,
        "username": "ana.cafe",
        "provider": "instagram",
        "reconnect_reason": "TOKEN_EXPIRED",
        "failed_at": "2026-11-27T10:00:00.12345+00:00",
    }
    unknown = {**known, "username": None, "provider": "facebook", "reconnect_reason": None, "failed_at": None}

    state = overview(needs_reauth=1_002, needing_their_user=[known, unknown])

    assert line(state, "@ana.cafe").split() == [
        "@ana.cafe",
        "instagram",
        "TOKEN_EXPIRED",
        "2026-11-27",
        "10:00",
        "UTC",
    ]
    assert line(state, ACCOUNT_ID).split() == [ACCOUNT_ID, "facebook", "unknown", "unknown"]
    assert lines(state)[-1] == "and 1,000 older ones"


def test_json_output_is_only_the_overview(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    state = overview(due(0, "facebook", 2))

    code = command(state, "--json")

    output = capsys.readouterr()
    assert code == HEALTHY
    assert json.loads(output.out) == state
    assert output.err == ""
    assert not command.home.exists()


def test_json_with_picture_writes_the_file_silently(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(EMPTY, "--json", "--picture", str(tmp_path / "asked.svg"))

    assert json.loads(capsys.readouterr().out) == EMPTY
    assert ET.parse(tmp_path / "asked.svg").getroot().tag == f"{SVG}svg"


def test_picture_is_written_to_the_home_folder_and_its_path_printed(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command(overview(due(0, "facebook", 2)))

    assert capsys.readouterr().out.splitlines()[-1] == f"picture: {command.home / 'tokens.svg'}"
    assert ET.parse(command.home / "tokens.svg").getroot().tag == f"{SVG}svg"


def test_picture_that_cannot_be_written_is_wrong_usage(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command(EMPTY, "--picture", str(tmp_path))

    assert code == WRONG_USAGE
    assert str(tmp_path) in capsys.readouterr().err


EXPIRED = overview(due(-1, "instagram", 1), expired=1)
SUSPENDED = overview(brakes=[{**BRAKE, "provider": "facebook", "suspended_at": "2026-11-01T00:00:00+00:00"}])
NEEDING = overview(needs_reauth=3, reconnect_requested=2)
PAUSED = overview(brakes=[{**BRAKE, "provider": "facebook", "paused_until": "2126-11-01T00:00:00+00:00"}])


@pytest.mark.parametrize(
    ("state", "code"),
    [(EXPIRED, SICK), (SUSPENDED, SICK), (NEEDING, HEALTHY), (PAUSED, HEALTHY)],
    ids=["expired", "suspended", "needing users", "paused"],
)
@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["text", "json"])
def test_exit_code_says_whether_an_operator_must_act(
    command: Command, state: dict[str, Any], code: int, arguments: tuple[str, ...]
) -> None:
    assert command(state, *arguments) == code


def test_token_overdue_for_more_than_two_days_is_a_problem() -> None:
    tolerated = tokens.problems(overdue_for(timedelta(days=2)), NOW)
    too_long = tokens.problems(overdue_for(timedelta(days=2, seconds=1)), NOW)

    assert tolerated == []
    assert too_long == ["A token has been overdue since 2026-11-26 04:29 UTC, longer than 2 days."]


def test_token_overdue_too_long_makes_the_command_fail(command: Command) -> None:
    assert command({**EMPTY, "overdue": 1, "oldest_due_at": "2026-01-01T00:00:00+00:00"}) == SICK


@pytest.mark.parametrize("days", ["0", "-1", "60", "nan", "ten"])
def test_impossible_lead_is_wrong_usage(command: Command, days: str) -> None:
    with pytest.raises(SystemExit) as ended:
        command(EMPTY, "--lead-days", days)

    assert ended.value.code == WRONG_USAGE
    assert command.asked == []


def test_incomplete_project_is_wrong_usage(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SUPABASE_SECRET_KEY")

    code = command(EMPTY)

    assert code == WRONG_USAGE
    assert "SUPABASE_SECRET_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["project", "http://["])
def test_invalid_supabase_url_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match="SUPABASE_URL is not a URL"):
        tokens.read_overview(Project(address, "sb_secret_test"), RefreshRules(), NOW)


@pytest.mark.parametrize(("arguments", "lead"), [((), 10), (("--lead-days", "4"), 4)], ids=["default", "four"])
def test_lead_is_in_days_and_spread_is_half_of_it(command: Command, arguments: tuple[str, ...], lead: int) -> None:
    command(EMPTY, *arguments)

    ((wanted, rules),) = command.asked
    assert wanted == Project("https://project.test", "sb_secret_test", None)
    assert rules == RefreshRules(lead_s=lead * DAY_S, spread_s=lead * DAY_S / 2)


def test_storage_error_is_printed_with_its_remedy(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    error = StorageError(reason="FUNCTION_MISSING", log_context={"remedy": "Apply the migrations: supabase db push"})

    code = command(error, "--json")

    output = capsys.readouterr()
    assert code == SICK
    assert output.err == "FUNCTION_MISSING: Apply the migrations: supabase db push\n"
    assert output.out == ""


BUSY = overview(
    due(-2, "facebook", 2),
    due(-1, "instagram", 3),
    due(0, "facebook", 4),
    due(0, "instagram", 1),
    due(60, "facebook", 9),
)


@pytest.mark.parametrize("state", [EMPTY, BUSY], ids=["empty", "busy"])
def test_picture_is_xml_without_hosts_or_scripts(state: dict[str, Any]) -> None:
    svg = draw(state)

    text = svg.decode()
    ET.fromstring(svg)
    assert "&lt;title&gt; &amp; more" in text
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert "//" not in text.replace("http://www.w3.org/", "")
    assert "script" not in text


def test_drawing_leaves_no_import_finder_behind() -> None:
    """Warnings are errors in tests, so pygal's finder would make every later import fail, in any test."""
    draw(BUSY)

    assert not [finder for finder in sys.meta_path if not hasattr(finder, "find_spec")]


def test_bars_of_the_picture_are_proportional_to_their_numbers() -> None:
    facebook, instagram, overdue = drawn_bars(draw(BUSY))

    numbers = [[number for number, height, _ in series if height] for series in (facebook, instagram, overdue)]
    (facebook_bar,), (instagram_bar,), (overdue_bar,) = [
        [(height, left) for _, height, left in series if height] for series in (facebook, instagram, overdue)
    ]
    assert len(facebook) == len(instagram) == HORIZON_DAYS + 2
    assert numbers == [["4"], ["1"], ["5"]]
    assert facebook_bar[0] == pytest.approx(4 * instagram_bar[0])
    assert overdue_bar[0] == pytest.approx(5 * instagram_bar[0])
    # The two products are stacked on one day; the overdue bar is to their left.
    assert facebook_bar[1] == instagram_bar[1] > overdue_bar[1]


def test_axis_of_the_picture_shows_the_number_due_later() -> None:
    assert "due later: 9" in draw(BUSY).decode()
