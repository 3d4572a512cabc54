"""Direct messages sent as changes: test events from Meta's dashboard are kept apart from real ones."""

from datetime import UTC, datetime

import pytest

from instagram_connect.webhooks.events import EventKind
from instagram_connect.webhooks.parser import parse
from tests.support.deliveries import (
    ACCOUNT,
    CUSTOMER,
    MID,
    SENT_S,
    Json,
    body,
    change,
    item,
    only,
    talk,
)
from tests.support.webhook_shapes import OPTIN, REFERRAL

DASHBOARD_ENDS = {"sender": {"id": "12334"}, "recipient": {"id": "23245"}, "timestamp": "1527459824"}
DASHBOARD = [
    ("messages", {"message": {"mid": "random_mid", "text": "random_text"}}),
    ("message_reactions", {"reaction": {"mid": "random_mid", "action": "react", "reaction": "love"}}),
    ("messaging_seen", {"read": {"mid": "random_mid"}}),
    ("messaging_postbacks", {"postback": {"mid": "random_mid", "title": "t", "payload": "p"}}),
    ("messaging_referral", {"referral": REFERRAL}),
    ("messaging_optins", {"optin": OPTIN}),
    ("message_edit", {"message_edit": {"mid": "random_mid", "text": "t", "num_edit": 1}}),
    ("message_echoes", {"message": {"mid": "random_mid", "is_echo": True}}),
]


@pytest.mark.parametrize(("field", "content"), DASHBOARD)
@pytest.mark.parametrize("entry_id", ["0", ACCOUNT])
def test_dashboard_test_event_is_recognized(field: str, content: Json, entry_id: str) -> None:
    event = only(
        {"id": entry_id, "time": SENT_S, "changes": [{"field": field, "value": {**DASHBOARD_ENDS, **content}}]}
    )

    assert event.kind is EventKind.TEST
    assert event.payload["entry"][0]["changes"][0]["value"] == {**DASHBOARD_ENDS, **content}
    assert event.occurred_at == datetime.fromtimestamp(1_527_459_824, UTC)


@pytest.mark.parametrize(("field", "content"), DASHBOARD)
@pytest.mark.parametrize("ends", [(CUSTOMER, ACCOUNT), (ACCOUNT, CUSTOMER)])
def test_direct_message_sent_as_a_change_is_the_same_event(field: str, content: Json, ends: tuple[str, str]) -> None:
    changed = only(change(field, item(*ends, **content)))
    talked = only(talk(item(*ends, **content)))

    assert changed.kind is not EventKind.TEST
    assert (changed.kind, changed.key, changed.data, changed.participant_id, changed.is_from_us) == (
        talked.kind,
        talked.key,
        talked.data,
        talked.participant_id,
        talked.is_from_us,
    )


@pytest.mark.parametrize(("sender", "recipient"), [("12334", "23245"), ("12334", None), (None, None)])
def test_change_between_made_up_people_is_a_dashboard_test(sender: str | None, recipient: str | None) -> None:
    value = {"sender": {"id": sender}, "recipient": {"id": recipient}, "message": {"mid": "random_mid", "text": "x"}}

    (event,) = parse(body({"id": ACCOUNT, "changes": [{"field": "messages", "value": value}]}))

    assert event.kind is EventKind.TEST


def test_change_naming_the_account_beside_its_page_is_a_message() -> None:
    """Meta documents page ids as entry.id for linked Pages."""
    value = {"sender": {"id": "900100"}, "recipient": {"id": ACCOUNT}, "message": {"mid": MID, "text": "x"}}

    (event,) = parse(body({"id": "104857600000001", "changes": [{"field": "messages", "value": value}]}))

    assert (event.kind, event.participant_id, event.other_end_id) == (EventKind.MESSAGE, "900100", ACCOUNT)
