"""`make webhooks` and `make delete-people`: what they tell, what they take, and with which exit code."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.repository import KeptEvent, Stored
from local.errors import LocalSystemError
from operations import deletions, webhooks
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


def told_of(**changes: int) -> dict[str, Any]:
    day = {**DAY, **changes}
    return {**TOLD, "days": [day], "totals": {count: day[count] for count in COUNTS}}


TOLD: dict[str, Any] = {
    "days": [DAY],
    "totals": {count: DAY[count] for count in COUNTS},
    "waiting_to_be_published": 0,
    "found": None,
    "newest_id": 7,
}


def lines(told: dict[str, Any], queued: int = 0, dead: int = 0, event_id: str | None = None) -> list[str]:
    return list(webhooks.report(told, queued, dead, event_id))


def test_when_everything_is_stored_the_report_says_so_first() -> None:
    told = lines(TOLD)

    assert told[0] == "Everything that Meta delivered is stored."
    assert told[-2].split() == ["2026-11-28", "@cafe.azul", "17841400000000001", "1,500", "500", "1,000", "0", "0"]


def test_the_report_ends_with_the_totals_of_all_days_also_of_those_that_it_does_not_show() -> None:
    totals = {"received": 9000, "stored": 5000, "duplicate": 3000, "unknown": 700, "failed": 300}

    told = lines({**TOLD, "totals": totals})

    assert told[0] == "700 events are kept without an account: nobody has connected it."
    assert told[-1].split() == ["all", "days", "9,000", "5,000", "3,000", "700", "300"]


@pytest.mark.parametrize(
    ("changes", "queued", "dead", "sentence"),
    [
        ({}, 0, 3, "3 messages are in the dead-letter queue: mend their reason, then make redrive."),
        ({"unknown": 2}, 0, 0, "2 events are kept without an account: nobody has connected it."),
        ({}, 5, 0, "5 messages are in the queue; if that stays, make doctor tells whether storage works."),
    ],
    ids=["dead letters", "unknown accounts", "a queue that is not empty"],
)
def test_what_an_operator_has_to_look_at_comes_first(
    changes: dict[str, int], queued: int, dead: int, sentence: str
) -> None:
    assert lines(told_of(**changes), queued, dead)[0] == sentence


def test_an_event_that_is_stored_is_told_with_its_account() -> None:
    row = {
        "event_key": "msg:m1",
        "kind": "message",
        "business_account_id": "29a67df6",
        "received_at": "2026-11-28T09:00:00+00:00",
        "is_erased": True,
    }

    told = lines({**TOLD, "found": [row]}, event_id="m1")

    assert told[-1].startswith("msg:m1 (message) is stored for account 29a67df6, received 2026-11-28T09:00:00+00:00")
    assert "took it back" in told[-1]


def test_an_event_that_is_nowhere_is_told_with_who_can_have_lost_it() -> None:
    nowhere = lines({**TOLD, "found": []}, event_id="m1")
    perhaps_queued = lines({**TOLD, "found": []}, queued=1, event_id="m1")

    assert nowhere[-2] == "m1 is not stored."
    assert "Meta did not deliver it" in nowhere[-1]
    assert perhaps_queued[-2] == "m1 is not stored. It may be in one of the queues."


def test_a_deployments_queues_need_the_name_of_its_stack(tmp_path: Path) -> None:
    queues = webhooks.Queues.of(tmp_path, {"SUPABASE_URL": "https://example.supabase.co"})

    with pytest.raises(LocalSystemError, match="STACK_NAME"):
        queues.__enter__()


@pytest.mark.parametrize("verb", ["report", "redrive", "replay"])
def test_without_a_system_the_commands_say_what_to_do(
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
    ids=["one in a line", "a CSV with a heading", "a byte order mark, a blank line, one twice", "an empty file"],
)
def test_the_ids_of_a_list_are_read_once_each(text: str, ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_bytes(text.encode())

    assert list(deletions.ids_of(file)) == ids


@pytest.mark.parametrize("text", ["218471\nana@people.example\n", "218471\n²\n", "218471\n-5\n"])
def test_a_line_without_an_id_stops_before_anything_is_deleted(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ids.csv"
    file.write_text(text)

    code = deletions.main([str(file), "--home", str(tmp_path)])

    assert code == 2
    assert "line 2" in capsys.readouterr().err


def test_a_list_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = deletions.main([str(tmp_path / "none.csv"), "--home", str(tmp_path)])

    assert code == 2
    assert "cannot be read" in capsys.readouterr().err


def test_everybody_on_the_list_is_deleted_step_by_step() -> None:
    class Repository:
        """Answers that there is more, then how many accounts it was."""

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
    """Stands for the repository: so many events of messages, of which few are looked through at once."""

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


def test_stored_events_are_parsed_again_to_the_last_one_also_behind_many_that_are_not_wanted() -> None:
    """Where nothing is found among those that are looked through at once, there may be something behind."""
    events = StoredEvents([3, 4, 950, 1000], newest_id=1000, window=100)

    assert replay(events, kind="unparsed") == (4, 2)

    assert events.replayed == [[3, 4], [950, 1000]]
    assert events.asked == [{"kind": "unparsed"}] * 10


def test_a_page_that_is_full_is_gone_on_from_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "REPLAYED_AT_ONCE", 2)
    events = StoredEvents([1, 2, 3, 4, 5], newest_id=5, window=100)

    assert replay(events) == (5, 3)

    assert events.replayed == [[1, 2], [3, 4], [5]]


def test_what_is_stored_while_events_are_parsed_again_is_left_alone() -> None:
    events = StoredEvents([1, 2, 3], newest_id=2, window=100)

    assert replay(events) == (2, 1)

    assert events.replayed == [[1, 2]]


def test_where_nothing_is_stored_nothing_is_parsed_again() -> None:
    events = StoredEvents([], newest_id=0, window=100)

    assert replay(events) == (0, 0)

    assert (events.asked, events.replayed) == ([], [])
