"""Webhooks that the app does not take: retries by the simulated clock, and the end of the subscription."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.responses import Response

from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.delivery import schedule_retries, send_due
from meta_simulator.webhooks.outbox import Delivery, Outbox
from tests.support.app_endpoint import URL, AppEndpoint, Received, never, refuse
from tests.support.instagram_client import CAFE
from tests.support.meta_client import NOON, MetaClient
from tests.support.webhook_sender import WebhookSender, message

MINUTE = 60
HOUR = 3600
COMMENT: dict[str, object] = {"type": "comment", "account": CAFE}
DUE_MINUTES = [1, 5, 15, 30, 60, 120, 240, 480, 960, 1440, 2160]


def test_a_failure_is_followed_by_another_attempt_at_once(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answers(500, 200)

    answer = webhooks.send(message())

    assert (answer["attempts"], answer["delivered"], answer["pending"]) == (2, 1, 0)
    first, again = endpoint.received
    assert (first.body, first.headers) == (again.body, again.headers)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda _: Response(status_code=204), "204"),
        (lambda _: Response(status_code=302, headers={"Location": "/elsewhere"}), "302"),
        (lambda _: Response(status_code=401), "401"),
        (never, "timeout"),
        (refuse, "no_answer"),
    ],
)
def test_only_200_in_time_is_taken_for_an_answer(
    meta: MetaClient,
    webhooks: WebhookSender,
    endpoint: AppEndpoint,
    answer: Callable[[Received], Response],
    outcome: str,
) -> None:
    meta.control("POST", "/settings", {"webhook_timeout_seconds": 0.01})
    endpoint.answer = answer

    sent = webhooks.send(message())

    assert (sent["pending"], sent["attempts"], sent["answers"]) == (1, 2, {outcome: 1})
    assert sent["milliseconds"]["longest"] < 2000  # not the five seconds of the default
    assert webhooks.outbox["pending"][0]["last_answer"] == outcome
    assert {received.url for received in endpoint.received} == {URL}


def test_retries_slow_down_over_36_hours_and_end(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(COMMENT)
    elapsed, attempts = 0, []

    for due in DUE_MINUTES:
        for moment in (due * MINUTE - 1, due * MINUTE):
            meta.advance(moment - elapsed)
            elapsed = moment
            attempts.append(len(endpoint.received))
    meta.advance(36 * HOUR)

    assert attempts == [made for retry in range(len(DUE_MINUTES)) for made in (2 + retry, 3 + retry)]
    outbox = webhooks.outbox
    assert outbox["pending"] == []
    assert [(each["attempts"], each["drop_reason"]) for each in outbox["dropped"]] == [(13, "gave_up")]
    assert outbox["counts"] == {"attempts": 13, "delivered": 0, "dropped": 1, "unsubscribed": 0, "pending": 0}


def test_a_jump_of_the_clock_makes_every_retry_that_was_due(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(COMMENT)

    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2 + len(DUE_MINUTES)
    assert webhooks.outbox["counts"]["dropped"] == 1


def test_a_retry_that_is_taken_is_the_last(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answers(500)
    webhooks.send(message())
    pending = webhooks.outbox["pending"]
    endpoint.answers(200)

    meta.advance(36 * HOUR)

    assert [(each["accounts"], each["attempts"], each["next_attempt_at"]) for each in pending] == [
        ([CAFE], 2, "2026-11-22T12:16:00+00:00")
    ]
    assert len(endpoint.received) == 3
    assert webhooks.outbox["counts"] == {"attempts": 3, "delivered": 1, "dropped": 0, "unsubscribed": 0, "pending": 0}


def test_direct_messages_that_fail_for_an_hour_end_the_subscription(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(message())

    meta.advance(HOUR - 1)
    before = meta.control("GET", "/subscriptions")
    meta.advance(1)

    assert [each["account"] for each in before] == [CAFE]
    assert meta.control("GET", "/subscriptions") == []
    assert webhooks.outbox["counts"]["unsubscribed"] == 1

    meta.advance(HOUR)

    assert [each["drop_reason"] for each in webhooks.outbox["dropped"]] == ["unsubscribed"]
    assert len(endpoint.received) == 7  # none after the one of the full hour
    assert webhooks.send(message())["not_subscribed"] == {CAFE: 1}


def test_whoever_subscribes_again_gets_another_hour(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(message())
    meta.advance(HOUR)

    webhooks.subscribe(CAFE)
    webhooks.send(message())

    assert len(meta.control("GET", "/subscriptions")) == 1


def test_another_apps_subscription_survives(
    meta: MetaClient, webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    simulator.instagram_subscriptions.subscribe(CAFE, "8888", ("messages",), CAFE)
    endpoint.answers(500)
    webhooks.send(message())

    meta.advance(HOUR)

    assert [each["app_id"] for each in meta.control("GET", "/subscriptions")] == ["8888"]


def test_at_facebook_the_page_loses_its_subscription(
    meta: MetaClient, webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    simulator.subscriptions.subscribe("104857600000001", "1111", ("messages",), "somebody")
    endpoint.answers(500)
    webhooks.send(message(), product="facebook")

    meta.advance(HOUR)

    assert [each["product"] for each in meta.control("GET", "/subscriptions")] == ["instagram"]


def test_comments_may_fail_for_as_long_as_they_are_retried(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(COMMENT)

    meta.advance(36 * HOUR)

    assert [each["account"] for each in meta.control("GET", "/subscriptions")] == [CAFE]
    assert [each["drop_reason"] for each in webhooks.outbox["dropped"]] == ["gave_up"]


def test_an_answer_in_between_gives_another_hour(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    def fail_poison(received: Received) -> Response:
        return Response(status_code=500 if b"poison" in received.body else 200)

    endpoint.answer = fail_poison
    webhooks.send(message(id="poison"))
    meta.advance(31 * MINUTE)
    webhooks.send(message(id="good"))

    meta.advance(2 * HOUR - 31 * MINUTE - 1)
    still_there = meta.control("GET", "/subscriptions")
    meta.advance(1)
    at_two_hours = meta.control("GET", "/subscriptions")
    meta.advance(2 * HOUR)

    # Failing again since the retry after an hour: the one after two hours ends it.
    assert len(still_there) == 1
    assert at_two_hours == []


def test_what_fails_in_company_is_retried_alone(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.answer = lambda got: Response(status_code=500 if b'"m2"' in got.body else 200)

    answer = webhooks.send(message(id="m", count=3))
    endpoint.answers(200)
    meta.advance(MINUTE)

    assert (answer["delivered"], answer["pending"], answer["answers"]) == (2, 1, {"200": 2, "500": 1})
    assert [b'"m2"' in received.body for received in endpoint.received] == [False, True, True, False, True]


@pytest.mark.parametrize("how", [{"retry": False}, {"signature": "wrong_secret"}, {"signature": "absent"}])
def test_what_meta_would_not_retry_is_dropped(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, how: dict[str, object]
) -> None:
    endpoint.answers(401)

    answer = webhooks.send(message(), **how)
    meta.advance(36 * HOUR)

    assert (answer["attempts"], answer["dropped"], len(endpoint.received)) == (1, 1, 1)
    assert webhooks.outbox["dropped"][0]["drop_reason"] == "not_retried"
    assert len(meta.control("GET", "/subscriptions")) == 1


def test_deliveries_can_be_forgotten(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answers(500)
    webhooks.send(message())

    meta.control("DELETE", "/webhooks/deliveries")
    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2
    assert webhooks.outbox == {
        "counts": {"attempts": 0, "delivered": 0, "dropped": 0, "unsubscribed": 0, "pending": 0},
        "pending": [],
        "dropped": [],
    }


def test_a_reset_forgets_them_too(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.answers(500)
    webhooks.send(message())

    meta.control("POST", "/reset")
    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2
    assert webhooks.outbox["counts"]["attempts"] == 0


def test_the_memory_of_pending_deliveries_is_bounded() -> None:
    outbox = Outbox()
    first, second, third = (_failed_delivery(outbox, updates=60_000) for _ in range(3))

    outbox.keep(first)
    outbox.keep(second)
    outbox.take_due(NOON)
    outbox.keep(third)

    assert [each.state for each in (first, second, third)] == ["pending", "dropped", "pending"]
    assert (second.drop_reason, second.body) == ("too_many_pending", b"")


def _failed_delivery(outbox: Outbox, updates: int) -> Delivery:
    return Delivery(
        id=outbox.next_id(),
        product="instagram",
        url=URL,
        body=b"{}",
        headers=[],
        updates=updates,
        accounts=frozenset(),
        message_accounts=frozenset(),
        is_retried=True,
        needs_subscription=False,
        first_attempt_at=NOON,
        attempts=1,
    )


def test_retries_go_out_by_themselves_as_time_passes(
    webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(message())
    started = simulator.outbox.retrying
    endpoint.answers(200)

    async def live() -> None:
        schedule_retries(simulator, poll_seconds=0)
        simulator.clock.advance(timedelta(minutes=1))
        assert simulator.outbox.retrying is not None
        await simulator.outbox.retrying

    asyncio.run(live())

    assert started is not None
    assert len(endpoint.received) == 3
    assert webhooks.outbox["counts"]["delivered"] == 1


def test_a_retry_under_way_is_not_sent_twice(
    webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    endpoint.answers(500)
    webhooks.send(message())
    endpoint.answers(200)
    simulator.clock.advance(timedelta(minutes=1))

    async def twice() -> None:
        await asyncio.gather(send_due(simulator), send_due(simulator))

    asyncio.run(twice())

    assert len(endpoint.received) == 3
