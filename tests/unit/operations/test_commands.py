"""`make webhooks` and `make delete-people`: their output, input and exit codes."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.repository import KeptEvent, Stored
from operations import deletions, webhooks
from operations.project import UsageError
from tests.support.ingesting import delivery

DAY: dict[str, Any] = {
    "entry_id": "17841400000000001",
    "username": "cafe.azul",
    "day": "2026-11-28",
    "received": 1500,
    "stored": 500,
    "duplicate": 1000,
    "unknown": 0,
    "failed": 0,
}
COUNTS = ("received", "stored", "duplicate", "unknown", "failed")


def counted(**changes: int) -> dict[str, Any]:
    day = {**DAY, **changes}
    return {**COUNTED, "days": [day], "totals": {count: day[count] for count in COUNTS}}


COUNTED: dict[str, Any] = {
    "days": [DAY],
    "totals": {count: DAY[count] for count in COUNTS},
    "waiting_to_be_published": 0,
    "found": None,
    "newest_id": 7,
}


def lines(counts: dict[str, Any], queued: int = 0, dead: int = 0, event_id: str | None = None) -> list[str]:
    return list(webhooks.report(counts, queued, dead, event_id))


def test_report_starts_with_the_good_news_if_everything_is_stored() -> None:
    printed = lines(COUNTED)

    assert printed[0] == "Everything that Meta delivered is stored."
    assert printed[-2].split() == ["2026-11-28", "@cafe.azul", "17841400000000001", "1,500", "500", "1,000", "0", "0"]


def test_report_ends_with_totals_that_include_days_not_shown() -> None:
    totals = {"received": 9000, "stored": 5000, "duplicate": 3000, "unknown": 700, "failed": 300}

    printed = lines({**COUNTED, "totals": totals})

    assert printed[0] == "Events kept for accounts that nobody has connected: 700."
    assert printed[-1].split() == ["all", "days", "9,000", "5,000", "3,000", "700", "300"]


@pytest.mark.parametrize(
    ("changes", "queued", "dead", "sentence"),
    [
        ({}, 0, 3, "Messages in the dead-letter queue: 3. Fix the reason, then run `make redrive`."),
        ({"unknown": 2}, 0, 0, "Events kept for accounts that nobody has connected: 2."),
        ({}, 5, 0, "Messages in the queue: 5. If that does not change, run `make doctor`."),
    ],
    ids=["dead letters", "unknown accounts", "queue not empty"],
)
def test_report_starts_with_problems(changes: dict[str, int], queued: int, dead: int, sentence: str) -> None:
    assert lines(counted(**changes), queued, dead)[0] == sentence


def test_report_names_the_account_of_a_stored_event() -> None:
    row = {
        "event_key": "msg:m1",
        "kind": "message",
        "business_account_id": "29a67df6",
        "received_at": "2026-11-28T09:00:00+00:00",
        "is_erased": True,
    }

    printed = lines({**COUNTED, "found": [row]}, event_id="m1")

    assert printed[-1].startswith("msg:m1 (message) is stored for account 29a67df6, received 2026-11-28T09:00:00+00:00")
    assert "its author deleted the message" in printed[-1]


def test_report_explains_where_a_missing_event_can_be() -> None:
    nowhere = lines({**COUNTED, "found": []}, event_id="m1")
    perhaps_queued = lines({**COUNTED, "found": []}, queued=1, event_id="m1")

    assert nowhere[-2] == "m1 is not stored."
    assert "Meta did not deliver it" in nowhere[-1]
    assert perhaps_queued[-2] == "m1 is not stored. It may be in one of the queues."


def test_queues_of_a_deployment_require_stack_name(tmp_path: Path) -> None:
    queues = webhooks.Queues.of(tmp_path, {"SUPABASE_URL": "https://example.supabase.co"})

    with pytest.raises(UsageError, match="STACK_NAME"):
        queues.__enter__()


@pytest.mark.parametrize("verb", ["report", "redrive", "replay"])
def test_commands_need_a_running_local_system(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SUPABASE_URL", raising=False)

    code = webhooks.main(["--home", str(tmp_path), verb])

    assert code == 2
    assert "make up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("218471\n27640875392278831\n", ["218471", "27640875392278831"]),
        ("user_id,removed_at\n218471,2026-11-01\n218472,2026-11-02\n", ["218471", "218472"]),
        ("\ufeff218471\r\n\r\n218471\r\n", ["218471"]),
        ("", []),
    ],
    ids=["one per line", "CSV with heading", "byte order mark, blank line, duplicate", "empty file"],
)
def test_each_id_of_a_list_is_read_once(text: str, ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_bytes(text.encode())

    assert list(deletions.ids_of(file)) == ids


@pytest.mark.parametrize("text", ["218471\nana@people.example\n", "218471\n²\n", "218471\n-5\n"])
def test_invalid_line_stops_before_anything_is_deleted(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ids.csv"
    file.write_text(text)

    code = deletions.main([str(file), "--home", str(tmp_path)])

    assert code == 2
    assert "line 2" in capsys.readouterr().err


def test_missing_list_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = deletions.main([str(tmp_path / "none.csv"), "--home", str(tmp_path)])

    assert code == 2
    assert "cannot be read" in capsys.readouterr().err


def test_delete_repeats_until_the_repository_has_finished() -> None:
    class Repository:
        """Reports twice that there is more to do, then the number of accounts."""

        def __init__(self) -> None:
            self.asked: list[tuple[str, str]] = []

        def delete(self, meta_user_id: str, asked_at: datetime, code: str, deadline: object) -> int | None:
            self.asked.append((meta_user_id, code))
            return 2 if len(self.asked) == 3 else None

    repository: Any = Repository()

    accounts = deletions.delete(repository, "218471", datetime.fromisoformat("2026-11-28T09:00:00+00:00"))

    assert accounts == 2
    assert len(repository.asked) == 3
    assert len(set(repository.asked)) == 1


class StoredEvents:
    """A repository of message events that searches `window` ids per call."""

    def __init__(self, ids: list[int], newest_id: int, window: int) -> None:
        self.ids = ids
        self.newest_id = newest_id
        self.window = window
        self.replayed: list[list[int]] = []
        self.asked: list[dict[str, Any]] = []

    def report(self, days: int, deadline: object) -> dict[str, Any]:
        return {"newest_id": self.newest_id}

    def kept(
        self, *, after_id: int, until_id: int, limit: int, deadline: object, **wanted: Any
    ) -> tuple[tuple[KeptEvent, ...], int]:
        self.asked.append(wanted)
        last = min(until_id, after_id + self.window)
        found = [id_ for id_ in self.ids if after_id < id_ <= last][:limit]
        events = tuple(KeptEvent(id_, f"msg:m-{id_}", delivery(f"m-{id_}"), RECEIVED_AT) for id_ in found)
        return events, found[-1] if len(found) == limit else last

    def replay(self, ids: list[int], events: list[tuple[WebhookEvent, datetime]], deadline: object) -> Stored:
        assert [event.key for event, _ in events] == [f"msg:m-{id_}" for id_ in ids]
        assert {received_at for _, received_at in events} == {RECEIVED_AT}
        self.replayed.append(ids)
        return Stored(len(ids), 0, 0, [{"id": "e"}])


RECEIVED_AT = datetime.fromisoformat("2026-11-28T09:00:00+00:00")


def replay(events: StoredEvents, **wanted: Any) -> tuple[int, int]:
    repository: Any = events
    return webhooks.replay(repository, wanted)


def test_replay_continues_past_windows_without_wanted_events() -> None:
    events = StoredEvents([3, 4, 950, 1000], newest_id=1000, window=100)

    assert replay(events, kind="unparsed") == (4, 2)

    assert events.replayed == [[3, 4], [950, 1000]]
    assert events.asked == [{"kind": "unparsed"}] * 10


def test_replay_continues_after_a_full_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "REPLAYED_AT_ONCE", 2)
    events = StoredEvents([1, 2, 3, 4, 5], newest_id=5, window=100)

    assert replay(events) == (5, 3)

    assert events.replayed == [[1, 2], [3, 4], [5]]


def test_replay_ignores_events_stored_after_it_started() -> None:
    events = StoredEvents([1, 2, 3], newest_id=2, window=100)

    assert replay(events) == (2, 1)

    assert events.replayed == [[1, 2]]


def test_replay_of_an_empty_store_does_nothing() -> None:
    events = StoredEvents([], newest_id=0, window=100)

    assert replay(events) == (0, 0)

    assert (events.asked, events.replayed) == ([], [])
