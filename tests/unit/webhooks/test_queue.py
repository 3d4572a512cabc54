"""Queueing a webhook: every byte or every event of it, in messages that SQS accepts."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.sqs import MAX_MESSAGE_BYTES, QueueError
from instagram_connect.security.token_vault import TokenVault
from instagram_connect.webhooks.events import WebhookEvent
from instagram_connect.webhooks.parser import parse
from instagram_connect.webhooks.queue import BASE64, ENCODING, PART, REASON, WebhookQueue, body_of
from tests.support.arbitrary import bodies, mutated, raw
from tests.support.budget import examples
from tests.support.deliveries import ACCOUNT, CUSTOMER, MID, SENT_MS, Json, body, change, item, keys, message, talk
from tests.support.fake_sqs import FakeSqs, Sent, refusal

Received = Callable[[], list[Sent]]


@pytest.fixture
def queue(vault: TokenVault) -> Iterator[WebhookQueue]:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="webhooks")["QueueUrl"]
    yield WebhookQueue(url)
    with suppress(sqs.exceptions.QueueDoesNotExist):
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def received(queue: WebhookQueue) -> Received:
    """The messages that a worker gets, with their attributes."""

    def receive() -> list[Sent]:
        found: list[Sent] = []
        sqs = boto3.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=queue.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for one in messages:
                attributes = {name: value["StringValue"] for name, value in one.get("MessageAttributes", {}).items()}
                found.append((one["Body"], attributes))
        return found

    return receive


def keep(received_body: bytes) -> list[Sent]:
    sqs = FakeSqs()
    assert sqs.queue().keep(received_body, Deadline(5)) == len(sqs.sent)
    return sqs.sent


def joined(sent: list[Sent]) -> bytes:
    return b"".join(body_of(text, attributes.get(ENCODING)) for text, attributes in sent)


def bodies_of(sent: list[Sent]) -> list[bytes]:
    """The bodies in the messages, with numbered pieces joined."""
    found: list[bytes] = []
    for text, attributes in sent:
        is_continued = PART in attributes and not attributes[PART].startswith("1/")
        found.append((found.pop() if is_continued else b"") + body_of(text, attributes.get(ENCODING)))
    return found


def events_of(sent: list[Sent]) -> list[WebhookEvent]:
    return [event for whole in bodies_of(sent) for event in parse(whole)]


def assert_divided(sent: list[Sent], received_body: bytes) -> None:
    """Checks that the messages' bodies have the same events as the original."""
    assert len(sent) > 1
    assert [attributes for _, attributes in sent] == [{}] * len(sent)
    assert max(len(text.encode()) for text, _ in sent) <= MAX_MESSAGE_BYTES
    assert events_of(sent) == parse(received_body)


@pytest.mark.parametrize(
    "received_body",
    [
        body(talk(message())),
        json.dumps(json.loads(body(talk(message(text="café 😀")))), indent=2, ensure_ascii=False).encode(),
        rb'{"object":"instagram","entry":[{"changes":[{"field":"a","value":"https:\/\/x\u0000\ud800"}]}]}',
        b"no json",
        b"{",
        b"\t\r\n",
        "\ufeff\x7f\u0085\ud7ff\ue000\ufffd\U0010ffff".encode(),
        b'{"a":1,"a":2}',
        b"x" * MAX_MESSAGE_BYTES,
    ],
    ids=lambda value: str(value)[:30],
)
def test_fitting_text_body_is_sent_unchanged(queue: WebhookQueue, received: Received, received_body: bytes) -> None:
    assert queue.keep(received_body, Deadline(5)) == 1

    ((text, attributes),) = received()
    assert attributes == {}
    assert body_of(text, None) == received_body


WITH_REFUSED_TEXT = body(talk(message(text="TEXT")))


@pytest.mark.parametrize(
    "received_body",
    [
        b"\x00",
        b"\x01{}",
        b"\x1b[0m",
        b"\xff\xfe{\x00}\x00",
        "{é".encode("latin-1"),
        "\ufffe".encode(),
        "{\uffff".encode(),
        b"\xed\xa0\x80",
        WITH_REFUSED_TEXT.replace(b"TEXT", "\uffff".encode()),
        WITH_REFUSED_TEXT.replace(b"TEXT", b"\xed\xa0\x80"),
        WITH_REFUSED_TEXT.replace(b"TEXT", b"\xff"),
        WITH_REFUSED_TEXT.decode().encode("utf-16"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_body_that_sqs_rejects_as_text_round_trips_as_base64(
    queue: WebhookQueue, received: Received, received_body: bytes
) -> None:
    assert queue.keep(received_body, Deadline(5)) == 1

    ((text, attributes),) = received()
    assert attributes == {ENCODING: BASE64}
    assert body_of(text, attributes[ENCODING]) == received_body


def test_empty_body_sends_nothing(queue: WebhookQueue, received: Received) -> None:
    assert queue.keep(b"", Deadline(5)) == 0

    assert received() == []


def test_large_batch_is_split_into_bodies_with_the_same_events(queue: WebhookQueue, received: Received) -> None:
    """Meta puts up to a thousand updates into one POST."""
    sent_by_meta = body(
        *({**talk(*(message(n * 50 + one, text="t" * 700) for one in range(50))), "id": str(n)} for n in range(20))
    )
    assert len(sent_by_meta) > 4 * MAX_MESSAGE_BYTES

    messages = queue.keep(sent_by_meta, Deadline(60))

    sent = received()
    assert messages == len(sent) < 8
    assert_divided(sent, sent_by_meta)
    assert len(events_of(sent)) == 1000


@pytest.mark.parametrize("place", ["messaging", "standby", "changes"])
def test_oversized_entry_is_split_at_its_events(place: str) -> None:
    values: list[Any] = [item(message={"mid": f"m{n}", "text": "é" * 150}) for n in range(600)]
    if place == "changes":
        values = [{"field": "comments", "value": {"id": f"c{n}", "text": "é" * 150}} for n in range(600)]
    large = body(talk(message(1)), {"id": ACCOUNT, "more": [1], "time": SENT_MS, place: values}, talk(message(2)))

    sent = keep(large)

    assert_divided(sent, large)


def test_entry_with_several_lists_is_split_at_the_events_of_each() -> None:
    texts = [message(n, text="t" * 900) for n in range(300)]
    comments = [{"field": "comments", "value": {"id": f"c{n}", "text": "t" * 900}} for n in range(300)]
    large = body({**talk(*texts[:150]), "standby": texts[150:], "changes": comments})

    sent = keep(large)

    assert_divided(sent, large)


@pytest.mark.parametrize("nested", [False, True])
def test_top_level_list_is_split(nested: bool) -> None:
    several = [json.loads(body(*(talk(message(n * 10 + one, text="t" * 900)) for one in range(10)))) for n in range(50)]
    large = json.dumps([several[:20], *several[20:]] if nested else several).encode()

    sent = keep(large)

    assert_divided(sent, large)


def test_each_part_keeps_the_members_around_its_events() -> None:
    large = json.dumps(
        {"object": "page", "more": {"a": 1}, "entry": [talk(message(n, text="t" * 900)) for n in range(400)]}
    ).encode()

    sent = keep(large)

    assert_divided(sent, large)
    assert {(json.loads(text)["object"], json.loads(text)["more"]["a"]) for text, _ in sent} == {("page", 1)}


def test_splitting_keeps_entries_without_events() -> None:
    large = body(
        *(talk(message(n, text="t" * 900)) for n in range(200)),
        {"id": "1"},
        None,
        [],
        "text",
        {"id": "2", "messaging": []},
        {"id": "3", "messaging": [None, 7]},
        *(talk(message(n, text="t" * 900)) for n in range(200, 400)),
    )

    sent = keep(large)

    assert_divided(sent, large)


@pytest.mark.parametrize("strange", [None, True, "text", {"a": 1}])
def test_splitting_keeps_the_events_of_an_entry_with_a_malformed_part(strange: Any) -> None:
    large = body({**talk(*(message(n, text="t" * 900) for n in range(400))), "changes": strange})

    sent = keep(large)

    assert set(keys(events_of(sent))) == set(keys(parse(large)))


def test_splitting_keeps_the_events_of_an_entry_that_is_itself_one() -> None:
    texts = talk(*(message(n, text="t" * 900) for n in range(400)))
    large = body({**texts, "field": "comments", "value": {"id": "c1", "text": "hi"}})

    sent = keep(large)

    assert_divided(sent, large)


GIANT = "t" * 400_000
# One event, or none, too large for any message.
GIANTS: dict[str, Json] = {
    "a message": talk(message(text=GIANT)),
    "a comment": change("comments", {"id": "c1", "text": GIANT}),
    "a comment that is the entry": {"id": ACCOUNT, "field": "comments", "value": {"id": "c1", "text": GIANT}},
    "an entry with more in it than its event": {**talk(message()), "more": GIANT},
    "an entry without events": {"id": ACCOUNT, "more": GIANT},
    "an entry with an empty list of events": {"id": ACCOUNT, "messaging": [], "more": GIANT},
    "an entry with a strange part": {"id": ACCOUNT, "messaging": {"more": GIANT}},
}


@pytest.mark.parametrize("entry", GIANTS.values(), ids=GIANTS.keys())
def test_oversized_event_is_sent_in_numbered_pieces(entry: Json) -> None:
    large = body(entry)

    sent = keep(large)

    assert events_of(sent) == parse(large)
    assert len(bodies_of(sent)) == 1
    assert [attributes for _, attributes in sent] == [
        {ENCODING: BASE64, PART: f"{number}/{len(sent)}"} for number in range(1, len(sent) + 1)
    ]
    assert max(len(text) for text, _ in sent) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("entry", GIANTS.values(), ids=GIANTS.keys())
def test_events_beside_an_oversized_one_are_kept(entry: Json) -> None:
    large = body(talk(message(1)), entry, talk(message(2)))

    sent = keep(large)

    assert events_of(sent) == parse(large)
    assert len([text for text, attributes in sent if not attributes]) == 2


@pytest.mark.parametrize(
    "large",
    [
        b"x" * 500_000,
        b"\xff" * 180_000,
        b"\xff" * 500_000,
        b"[" * 500_000,
        b'{"entry":[' + b"9" * 500_000 + b"]}",
        json.dumps({"id": ACCOUNT, "field": "comments", "value": {"id": "c1", "text": GIANT}}).encode(),
        json.dumps(talk(message(text=GIANT))).encode(),
        json.dumps({"object": "instagram", "entry": talk(message(text=GIANT))}).encode(),
        json.dumps({"object": "instagram", "entry": [], "more": GIANT}).encode(),
    ],
    ids=lambda value: str(value)[:20],
)
def test_unsplittable_body_is_sent_in_pieces(queue: WebhookQueue, received: Received, large: bytes) -> None:
    messages = queue.keep(large, Deadline(5))

    sent = received()
    assert messages == len(sent) > 1
    assert joined(sent) == large
    assert [attributes[PART] for _, attributes in sent] == [f"{n}/{messages}" for n in range(1, messages + 1)]


def test_thousand_bodies_fit_a_few_messages() -> None:
    """One message per body would take longer than Meta waits."""
    large = json.dumps([json.loads(body(talk(message(number)))) for number in range(1000)]).encode()

    sent = keep(large)

    assert len(sent) < 5
    assert_divided(sent, large)


def test_only_oversized_bodies_of_a_list_are_sent_in_pieces() -> None:
    large = json.dumps([json.loads(body(talk(message()))), {"more": GIANT}, [], 1]).encode()

    sent = keep(large)

    assert events_of(sent) == parse(large)
    assert [attributes.get(PART) for _, attributes in sent] == [None, "1/3", "2/3", "3/3", None]


@pytest.mark.parametrize("spare", [*range(-3, 4), *range(100, 400, 25)])
def test_near_the_limit_no_event_is_lost_and_no_message_too_large(spare: int) -> None:
    """Around the size at which one event just fits alone."""
    large = body(talk(message(1)), talk(message(2, text="t" * (MAX_MESSAGE_BYTES - spare))), talk(message(3)))

    sent = keep(large)

    assert max(len(text) for text, _ in sent) <= MAX_MESSAGE_BYTES
    assert events_of(sent) == parse(large)


@pytest.mark.parametrize("spare", range(16))
def test_parts_are_filled_up_to_the_limit(spare: int) -> None:
    large = body(*(talk(message(n, text="t" * (30_000 + spare))) for n in range(10, 40)))

    sent = keep(large)

    assert_divided(sent, large)


@st.composite
def large_bodies(draw: st.DrawFn) -> bytes:
    """Valid bodies larger than a message, without an event that is too large for one."""
    value = draw(bodies)
    fill = draw(st.sampled_from(["t", "é", "😀", '"', "\\", "\x00", "\ud83d"]))
    sizes = draw(st.lists(st.integers(0, 4000), min_size=1, max_size=4))
    fills = [fill * (size // len(json.dumps(fill))) for size in sizes]
    for batch in value if isinstance(value, list) else [value]:
        batch["entry"] = [filled(entry, fills) for entry in batch["entry"] * draw(st.sampled_from([1, 8]))]
    large = json.dumps(value, ensure_ascii=fill == "\ud83d" or draw(st.booleans())).encode("utf-8", "surrogatepass")
    return large + b" " * max(0, MAX_MESSAGE_BYTES + 1 - len(large))


def filled(entry: Json, fills: list[str]) -> Json:
    """The entry with each event repeated and enlarged."""
    lists: Json = {
        name: [{**one, "fill": fills[place % len(fills)]} for place, one in enumerate(entry[name] * 4)]
        for name in ("messaging", "standby", "changes")
        if name in entry
    }
    return {**entry, **lists}


@settings(max_examples=examples(25))
@given(large_bodies())
def test_splitting_keeps_events_and_their_order(large: bytes) -> None:
    sent = keep(large)

    assert {tuple(attributes) for _, attributes in sent} == {()}
    assert max(len(text.encode()) for text, _ in sent) <= MAX_MESSAGE_BYTES
    assert events_of(sent) == parse(large)


@settings(max_examples=examples(30))
@given(mutated())
def test_almost_valid_large_body_keeps_its_events_or_its_bytes(value: Any) -> None:
    large = raw(value) + b" " * MAX_MESSAGE_BYTES

    sent = keep(large)

    assert joined(sent) == large or events_of(sent) == parse(large)


@given(st.binary() | st.text().map(str.encode))
def test_small_body_round_trips_byte_for_byte(small: bytes) -> None:
    sent = keep(small)

    assert joined(sent) == small
    assert len(sent) == (1 if small else 0)


@pytest.mark.parametrize(
    "error",
    [
        refusal("ServiceUnavailable"),
        EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com"),
    ],
)
def test_sqs_failure_does_not_quote_the_body(error: Exception) -> None:
    sqs = FakeSqs()
    sqs.error = error

    with pytest.raises(QueueError) as failed:
        sqs.queue().keep(body(talk(message())), Deadline(5))

    assert str(failed.value) == type(error).__name__
    assert (failed.value.__cause__, sqs.sent) == (error, [])


def test_sqs_error_response_is_raised(queue: WebhookQueue) -> None:
    sqs = boto3.client("sqs")
    queue._queue.__dict__["_client"] = sqs

    with Stubber(sqs) as stub:
        stub.add_client_error("send_message", "KmsAccessDenied")
        with pytest.raises(QueueError):
            queue.keep(body(talk(message())), Deadline(5))


def test_missing_queue_is_raised(queue: WebhookQueue) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=queue.url)

    with pytest.raises(QueueError):
        queue.keep(body(talk(message())), Deadline(5))


def test_sending_stops_at_the_first_failed_part_and_can_be_repeated() -> None:
    large = body(*(talk(message(n, text="t" * 900)) for n in range(1000)))
    sqs = FakeSqs()
    sqs.error, sqs.fails_at = refusal("ServiceUnavailable"), 2
    queue = sqs.queue()
    with pytest.raises(QueueError):
        queue.keep(large, Deadline(5))
    sent_before_it = len(sqs.sent)
    sqs.error = None

    queue.keep(large, Deadline(5))

    again = sqs.sent[sent_before_it:]
    assert sent_before_it == 2
    assert again[:2] == sqs.sent[:2]
    assert events_of(again) == parse(large)


def test_nothing_is_sent_after_the_deadline() -> None:
    sqs = FakeSqs()

    with pytest.raises(QueueError) as failed:
        sqs.queue().keep(body(talk(message())), Deadline(0))

    assert str(failed.value) == "DeadlineExceeded"
    assert sqs.sent == []


def test_deadline_between_two_parts_stops_the_rest() -> None:
    large = body(*(talk(message(n, text="t" * 900)) for n in range(1000)))
    sqs = FakeSqs()

    with pytest.raises(QueueError):
        sqs.queue().keep(large, sqs.deadline(3))

    assert len(sqs.sent) == 3 < len(keep(large))


def test_dead_letter_has_the_body_and_its_reason(queue: WebhookQueue, received: Received) -> None:
    event = body(talk(message()))

    queue.send_to_dead_letters(event, "DATA_REJECTED 22P02")

    assert received() == [(event.decode(), {REASON: "DATA_REJECTED 22P02"})]


def test_oversized_dead_letter_is_split_with_the_reason_on_each_piece(queue: WebhookQueue, received: Received) -> None:
    event = body(talk(message(text=GIANT)))

    queue.send_to_dead_letters(event, "DATA_REJECTED")

    sent = received()
    assert events_of(sent) == parse(event)
    assert [attributes[REASON] for _, attributes in sent] == ["DATA_REJECTED"] * len(sent)


def test_failed_dead_lettering_is_raised() -> None:
    sqs = FakeSqs()
    sqs.error = refusal("ServiceUnavailable")

    with pytest.raises(QueueError):
        sqs.queue().send_to_dead_letters(b"{}", "DATA_REJECTED")


@pytest.mark.parametrize("text", ["é", "YQ", "YQ=", "Y Q==", "Y\nQ==", "YQ==YQ==", "!!!!"])
def test_invalid_base64_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        body_of(text, BASE64)


def test_message_without_an_encoding_is_the_body() -> None:
    assert body_of('{"text":"é"}', None) == '{"text":"é"}'.encode()
    assert body_of(f"{MID} {CUSTOMER}", "another") == f"{MID} {CUSTOMER}".encode()
