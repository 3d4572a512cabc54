"""Webhooks on the deployed stack: from a signed POST to rows, conversations and events on the bus."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from local.database import connect
from operations import webhooks as operator
from tests.support.app import App, User
from tests.support.deployed import WEBHOOK_EVENTS, consumer, function_logs, queue_url, schedule_of
from tests.support.home import TEST_HOME
from tests.support.polling import eventually
from tests.support.sabotage import forget_messages

ACCOUNT = "17841400000000001"
CUSTOMER = "900100"
TEXT = "Café \"aberto\"? 😀\u2028naïve 'ok' <b>&amp; \\ /"
# A worker that starts loads its libraries, on a machine that may be busy.
STORED_WITHIN_S = 60


class Webhooks:
    """Meta's side of a webhook, written down by hand: what the simulator does is not what is tested here."""

    def __init__(self, stack: dict[str, str], http: httpx.Client) -> None:
        self.url = f"{stack['api_url']}/api/instagram/webhook"
        self.secret = stack["instagram_app_secret"]
        self._http = http

    def post(self, body: Any, *, secret: str | None = None, **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        digest = hmac.digest((secret or self.secret).encode(), raw, hashlib.sha256).hex()
        return self.raw(raw, {"X-Hub-Signature-256": f"sha256={digest}", **headers})

    def raw(self, body: bytes, headers: dict[str, Any]) -> httpx.Response:
        return self._http.post(self.url, content=body, headers={"Content-Type": "application/json", **headers})

    def handshake(self, **query: str) -> httpx.Response:
        return self._http.get(self.url, params={f"hub.{name}": value for name, value in query.items()})


def event(number: int, *, account: str = ACCOUNT, **inner: Any) -> dict[str, Any]:
    inner = inner or {"message": {"mid": f"m-{number}", "text": f"{number} {TEXT}"}}
    return {
        "sender": {"id": CUSTOMER},
        "recipient": {"id": account},
        "timestamp": 1_769_000_000_000 + number * 1000,
        **inner,
    }


def body(*events: dict[str, Any], account: str = ACCOUNT) -> dict[str, Any]:
    return {
        "object": "instagram",
        "entry": [{"id": account, "time": 1_769_000_000_123, "messaging": list(events)}],
    }


@pytest.fixture
def webhooks(app: App, stack: dict[str, str]) -> Webhooks:
    return Webhooks(stack, app.http)


@pytest.fixture
def database(stack: dict[str, str], aws: dict[str, Any]) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    forget_messages(aws, "ParkingQueue")
    with connect(stack["database_url"], autocommit=True, row_factory=dict_row) as database:
        database.execute("delete from instagram_business_accounts")
        database.execute("truncate webhook_events, webhook_counts, outgoing_events")
        yield database


Rows = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rows(database: psycopg.Connection[dict[str, Any]]) -> Rows:
    def read(query: str, *values: Any) -> list[dict[str, Any]]:
        cursor = database.execute(query.encode(), values or None)
        return list(cursor.fetchall()) if cursor.description else []

    return read


@pytest.fixture
def account(app: App, user: User, rows: Rows) -> str:
    """The id of a connected account; asks for the rows first, so that they are those of this test."""
    rows("select 1")
    answer = app.exchange(user, app.log_in_to_instagram(), provider="instagram").raise_for_status()
    return str(answer.json()["data"]["businessAccountId"])


def operate(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 1) -> str:
    """The output of an operator's command; `expected` is its exit code."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "DATABASE_URL", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        code = operator.main(["--home", str(TEST_HOME), *arguments])
    printed = capsys.readouterr()
    assert code == expected, printed
    return printed.out


def count(rows: Rows, where: str = "true") -> int:
    return int(rows(f"select count(*) as n from webhook_events where {where}")[0]["n"])


def test_handshake_requires_the_right_token(webhooks: Webhooks, stack: dict[str, str]) -> None:
    token = stack["webhook_verify_token"]

    right = webhooks.handshake(mode="subscribe", verify_token=token, challenge="1158201444")
    refused = [
        webhooks.handshake(mode="subscribe", verify_token=f"{token}x", challenge="1158201444"),
        webhooks.handshake(mode="subscribe", challenge="1158201444"),
        webhooks.handshake(mode="unsubscribe", verify_token=token, challenge="1158201444"),
        webhooks.handshake(),
    ]
    script = webhooks.handshake(mode="subscribe", verify_token=token, challenge="<script>alert(1)</script>")

    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["Content-Type"].startswith("text/plain")
    assert [answer.status_code for answer in refused] == [403] * 4
    assert script.status_code == 400
    assert "script" not in script.text


def test_shuffled_concurrent_redeliveries_store_each_event_once(webhooks: Webhooks, account: str, rows: Rows) -> None:
    events = [event(number) for number in range(500)]
    deliveries = []
    for _ in range(3):
        random.shuffle(events)
        deliveries += [body(*events[start : start + 40]) for start in range(0, 500, 40)]
    random.shuffle(deliveries)

    with ThreadPoolExecutor(6) as threads:
        statuses = {answer.status_code for answer in threads.map(webhooks.post, deliveries)}
    counted = "select sum(received) as received, sum(stored) as stored, sum(duplicate) as duplicate from webhook_counts"
    assert eventually(lambda: rows(counted)[0]["received"] == 1500, STORED_WITHIN_S)

    assert statuses == {200}
    assert count(rows) == count(rows, f"business_account_id = '{account}'") == 500
    assert rows(counted) == [{"received": 1500, "stored": 500, "duplicate": 1000}]
    messages = rows("select message_id, text from instagram_dm_messages")
    assert {row["message_id"]: row["text"] for row in messages} == {f"m-{n}": f"{n} {TEXT}" for n in range(500)}
    (conversation,) = rows("select * from instagram_dm_conversations")
    assert (conversation["participant_id"], conversation["last_message_id"]) == (CUSTOMER, "m-499")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature": "sha1=" + "0" * 40},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha256=" + "0" * 63},
        {"X-Hub-Signature-256": "0" * 64},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=" + "é" * 64},
        {"X-Hub-Signature-256": "md5=" + "0" * 64},
    ],
    ids=["absent", "SHA-1", "wrong", "short", "without its name", "empty", "not ASCII", "another algorithm"],
)
def test_unsigned_bodies_are_rejected_and_not_stored(webhooks: Webhooks, headers: dict[str, str], rows: Rows) -> None:
    encoded = {name: value.encode("latin-1", "replace") for name, value in headers.items()}

    answer = webhooks.raw(json.dumps(body(event(1))).encode(), encoded)

    assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID")
    assert count(rows) == 0


def test_only_the_secrets_of_both_products_are_accepted(webhooks: Webhooks, stack: dict[str, str]) -> None:
    answers = [
        webhooks.post(body(event(1)), secret=stack[name]).status_code
        for name in ("instagram_app_secret", "facebook_app_secret", "webhook_verify_token")
    ]

    assert answers == [200, 200, 403]


def test_signed_bodies_are_always_accepted_and_stored(webhooks: Webhooks, rows: Rows) -> None:
    oddities: list[Any] = [
        {},
        [],
        "text",
        None,
        {"object": "page", "entry": [{"id": "1", "time": 1, "changes": [{"field": "feed", "value": {"a": 1}}]}]},
        {"object": "instagram", "entry": {"id": "1"}},
        {"object": "instagram", "entry": [{"id": {"a": 1}, "messaging": [7, None, {"message": "x"}]}]},
        {
            "object": "instagram",
            "entry": [{"id": "1", "messaging": [event(1, message={"mid": 7, "text": 5, "new": [1]})]}],
        },
        b"not JSON",
        b'{"object": "instagram", "entry": [NaN]}',
        b'{"object":"instagram","entry":[{"id":"1","messaging":[{"message":{"mid":"cut","text":"\\ud83d"}}]}]}',
        b'{"object":"instagram","entry":[{"id":"1","messaging":[{"message":{"mid":"nul","text":"a\\u0000b"}}]}]}',
        b"[" * 500 + b"]" * 500,
    ]

    statuses = [webhooks.post(oddity).status_code for oddity in oddities]

    assert statuses == [200] * len(oddities)
    # One of them holds three events.
    assert eventually(lambda: count(rows) == len(oddities) + 2, STORED_WITHIN_S), rows(
        "select payload from webhook_events"
    )
    assert count(rows, "business_account_id is not null") == 0


def test_post_larger_than_a_queue_message_arrives_whole(webhooks: Webhooks, account: str, rows: Rows) -> None:
    events = [event(number, message={"mid": f"big-{number}", "text": TEXT * 10}) for number in range(1000)]
    raw = json.dumps(body(*events)).encode()

    answer = webhooks.post(raw)

    assert len(raw) > 600_000
    assert answer.status_code == 200
    assert eventually(lambda: count(rows, "kind = 'message'") == 1000, STORED_WITHIN_S)
    assert rows("select distinct text from instagram_dm_messages") == [{"text": TEXT * 10}]


def test_conversations_follow_event_order_not_arrival_order(webhooks: Webhooks, account: str, rows: Rows) -> None:
    ours = {"sender": {"id": ACCOUNT}, "recipient": {"id": CUSTOMER}}
    late_first = [
        event(1, message={"mid": "taken-back", "is_deleted": True}),
        event(5, message_edit={"mid": "edited", "text": "second", "num_edit": 2}),
        event(4, message_edit={"mid": "edited", "text": "first", "num_edit": "1"}),
        event(6, reaction={"mid": "ours", "action": "react", "reaction": "love", "emoji": "❤"}),
        event(7, read={"mid": "ours"}),
        {**event(3, message={"mid": "ours", "text": "Yes", "is_echo": True}), **ours},
        event(2, message={"mid": "edited", "text": "zeroth"}),
        event(0, message={"mid": "taken-back", "text": "secret of a customer"}),
    ]

    for one in late_first:
        assert webhooks.post(body(one)).status_code == 200
    assert eventually(lambda: count(rows) == len(late_first), STORED_WITHIN_S)

    messages = {row["message_id"]: row for row in rows("select * from instagram_dm_messages")}
    (conversation,) = rows("select * from instagram_dm_conversations")
    assert messages["taken-back"]["unsent_at"]
    assert messages["taken-back"]["text"] is None
    assert (messages["edited"]["text"], messages["edited"]["edited_text"]) == ("zeroth", "second")
    assert (messages["ours"]["is_from_us"], messages["ours"]["reactions"][CUSTOMER]["emoji"]) == (True, "❤")
    assert messages["ours"]["read_at"] is not None
    assert conversation["last_message_id"] == "ours"
    assert conversation["last_inbound_at"] < conversation["last_message_at"] < conversation["last_read_at"]
    assert count(rows, "payload::text like '%secret of a customer%' or data::text like '%secret of a customer%'") == 0


def test_consumers_get_each_event_once_with_its_key(
    webhooks: Webhooks, account: str, user: User, rows: Rows, aws: dict[str, Any]
) -> None:
    comment = {"id": "C1", "text": "love it", "from": {"id": "900101", "username": "anna"}, "media": {"id": "M1"}}
    changes = {"id": ACCOUNT, "time": 1_769_000_000, "changes": [{"field": "comments", "value": comment}]}
    with consumer(aws["client"]("events"), aws["client"]("sqs"), WEBHOOK_EVENTS) as published:
        webhooks.post(body(event(1)))
        webhooks.post({"object": "instagram", "entry": [changes]})
        webhooks.post(body(event(1), event(2)))
        webhooks.post(body(event(3, account="1784199"), account="1784199"))
        assert eventually(lambda: len(published.read()) >= 3, STORED_WITHIN_S)
        assert eventually(lambda: count(rows) == 4, STORED_WITHIN_S)
        got = published.read()

    details = {message["detail"]["eventKey"]: message["detail"] for message in got}
    assert len(got) == len(details) == 3
    assert details["msg:m-1"]["data"] == {"text": f"1 {TEXT}"}
    assert details["msg:m-1"]["businessAccountId"] == account
    assert details["msg:m-1"]["userId"] == user.id
    assert details["cmt:C1"]["data"]["authorUsername"] == "anna"
    assert {message["detail-type"] for message in got} == {"instagram.webhook.message", "instagram.webhook.comment"}
    assert rows("select * from outgoing_events") == []


def test_events_before_their_account_are_adopted(
    webhooks: Webhooks, app: App, user: User, rows: Rows, aws: dict[str, Any]
) -> None:
    newcomer = app.meta("POST", "/people", {"instagram": {"username": "late.comer"}})["instagram"]["id"]
    code = app.log_in_to_instagram("late.comer")
    webhooks.post(body(event(0, account=newcomer), account=newcomer))
    assert eventually(lambda: count(rows, "business_account_id is null") == 1, STORED_WITHIN_S)
    connected = app.exchange(user, code, provider="instagram").raise_for_status().json()["data"]["businessAccountId"]
    rows("update instagram_business_accounts set connected_at = connected_at - interval '5 minutes'")
    schedule = schedule_of(aws["client"]("scheduler"), "WebhookMaintenanceFunction")["Target"]

    answer = aws["client"]("lambda").invoke(FunctionName=schedule["Arn"], Payload=schedule["Input"].encode())

    assert "FunctionError" not in answer, answer["Payload"].read()
    (stored,) = rows("select business_account_id::text, event_key from webhook_events")
    assert stored == {"business_account_id": connected, "event_key": "msg:m-0"}
    assert rows("select received, stored, unknown from webhook_counts where entry_id = %s", newcomer) == [
        {"received": 1, "stored": 1, "unknown": 0}
    ]
    assert rows("select text from instagram_dm_messages") == [{"text": f"0 {TEXT}"}]


def test_poison_event_is_dead_lettered_without_blocking_others(
    webhooks: Webhooks, account: str, rows: Rows, aws: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows(
        "create function refuse_poison() returns trigger language plpgsql as "
        "$$ begin raise exception 'no' using errcode = '22023'; end $$"
    )
    rows(
        "create trigger refuse_poison before insert on instagram_dm_messages for each row "
        "when (new.text = 'poison') execute function refuse_poison()"
    )
    sqs = aws["client"]("sqs")
    url = queue_url(sqs, "WebhookDeadLetterQueue")
    events = [event(number) for number in range(20)]
    events[7] = event(7, message={"mid": "poison", "text": "poison"})
    try:
        webhooks.post(body(*events))
        assert eventually(lambda: count(rows) == 19, STORED_WITHIN_S)

        read = {"QueueUrl": url, "MessageAttributeNames": ["All"], "WaitTimeSeconds": 5, "VisibilityTimeout": 0}
        messages = sqs.receive_message(**read)["Messages"]
        told = operate(capsys, "report", "--id", "poison")
    finally:
        rows("drop trigger refuse_poison on instagram_dm_messages")
        rows("drop function refuse_poison()")
    (letter,) = messages
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "DATA_REJECTED 22023"
    assert json.loads(letter["Body"])["entry"][0]["messaging"] == [events[7]]
    assert rows("select received, stored, failed from webhook_counts") == [{"received": 20, "stored": 19, "failed": 1}]
    assert "Messages in the dead-letter queue: 1." in told
    assert "poison is not stored. It may be in one of the queues." in told
    # Once the reason is mended it goes its way.
    assert "Moved back: 1." in operate(capsys, "redrive", expected=0)
    assert eventually(lambda: count(rows) == 20, STORED_WITHIN_S)
    assert "msg:poison (message) is stored" in operate(capsys, "report", "--id", "poison", expected=0)


def test_unparsed_events_can_be_replayed(
    webhooks: Webhooks, account: str, rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    webhooks.post(body(event(1)))
    assert eventually(lambda: count(rows) == 1, STORED_WITHIN_S)
    rows("delete from instagram_dm_messages")
    unread = json.dumps({"unparsed_text": json.dumps(body(event(1), event(2)))})
    rows(
        "insert into webhook_events (event_key, field, kind, payload) values ('raw:1', 'unparsed', 'unparsed', %s)",
        unread,
    )

    told = operate(capsys, "replay", "--kind", "unparsed", expected=0)

    assert "Parsed again: 1. New events among them, published within minutes: 1." in told
    assert {row["event_key"] for row in rows("select event_key from webhook_events")} == {"msg:m-1", "msg:m-2"}
    assert "Parsed again: 2." in operate(capsys, "replay", "--account", ACCOUNT, expected=0)
    assert len(rows("select 1 from instagram_dm_messages")) == 2
    assert len(rows("select 1 from outgoing_events")) == 1


def test_webhook_logs_contain_no_message_text(
    webhooks: Webhooks, account: str, rows: Rows, aws: dict[str, Any], stack: dict[str, str]
) -> None:
    webhooks.post(body(event(1, message={"mid": "private-mid", "text": "a very private sentence"})))
    webhooks.raw(b"{}", {"X-Hub-Signature-256": "sha256=" + "1" * 64})
    assert eventually(lambda: count(rows) == 1, STORED_WITHIN_S)

    everything = "\n".join(function_logs(aws))

    assert "Kept a webhook" in everything
    assert "EventsStored" in everything
    for secret in ("a very private sentence", stack["instagram_app_secret"], stack["webhook_verify_token"], "1" * 64):
        assert secret not in everything
        assert base64.b64encode(secret.encode()).decode()[:20] not in everything
