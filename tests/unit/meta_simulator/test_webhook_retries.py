"""Failed webhooks: retries on the simulated clock, and the loss of the subscription."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.responses import Response

from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.delivery import schedule_retries, send_due
from meta_simulator.webhooks.outbox import Delivery, Outbox
from tests.support.app_endpoint import URL, AppEndpoint, Received, hang, refuse_connection
from tests.support.instagram_client import CAFE
from tests.support.meta_client import NOON, MetaClient
from tests.support.webhook_sender import WebhookSender, message

MINUTE = 60
HOUR = 3600
COMMENT: dict[str, object] = {"type": "comment", "account": CAFE}
DUE_MINUTES = [1, 5, 15, 30, 60, 120, 240, 480, 960, 1440, 2160]


def test_failed_attempt_is_retried_immediately(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500, 200)

    response = webhooks.send(message())

    assert (response["attempts"], response["delivered"], response["pending"]) == (2, 1, 0)
    first, second = endpoint.received
    assert (first.body, first.headers) == (second.body, second.headers)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (lambda _: Response(status_code=204), "204"),
        (lambda _: Response(status_code=302, headers={"Location": "/elsewhere"}), "302"),
        (lambda _: Response(status_code=401), "401"),
        (hang, "timeout"),
        (refuse_connection, "no_answer"),
    ],
)
def test_only_200_in_time_counts_as_success(
    meta: MetaClient,
    webhooks: WebhookSender,
    endpoint: AppEndpoint,
    response: Callable[[Received], Response],
    outcome: str,
) -> None:
    meta.control("POST", "/settings", {"webhook_timeout_seconds": 0.01})
    endpoint.respond = response

    sent = webhooks.send(message())

    assert (sent["pending"], sent["attempts"], sent["answers"]) == (1, 2, {outcome: 1})
    assert sent["milliseconds"]["longest"] < 2000  # not the default of five seconds
    assert webhooks.outbox["pending"][0]["last_answer"] == outcome
    assert {received.url for received in endpoint.received} == {URL}


def test_retries_slow_down_and_stop_after_36_hours(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond_with(500)
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


def test_advancing_the_clock_makes_every_retry_that_was_due(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond_with(500)
    webhooks.send(COMMENT)

    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2 + len(DUE_MINUTES)
    assert webhooks.outbox["counts"]["dropped"] == 1


def test_successful_retry_is_the_last(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())
    pending = webhooks.outbox["pending"]
    endpoint.respond_with(200)

    meta.advance(36 * HOUR)

    assert [(each["accounts"], each["attempts"], each["next_attempt_at"]) for each in pending] == [
        ([CAFE], 2, "2026-11-22T12:16:00+00:00")
    ]
    assert len(endpoint.received) == 3
    assert webhooks.outbox["counts"] == {"attempts": 3, "delivered": 1, "dropped": 0, "unsubscribed": 0, "pending": 0}


def test_subscription_ends_after_direct_messages_fail_for_an_hour(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())

    meta.advance(HOUR - 1)
    before = meta.control("GET", "/subscriptions")
    meta.advance(1)

    assert [each["account"] for each in before] == [CAFE]
    assert meta.control("GET", "/subscriptions") == []
    assert webhooks.outbox["counts"]["unsubscribed"] == 1

    meta.advance(HOUR)

    assert [each["drop_reason"] for each in webhooks.outbox["dropped"]] == ["unsubscribed"]
    assert len(endpoint.received) == 7  # none after the retry at one hour
    assert webhooks.send(message())["not_subscribed"] == {CAFE: 1}


def test_new_subscription_gets_another_hour(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())
    meta.advance(HOUR)

    webhooks.subscribe(CAFE)
    webhooks.send(message())

    assert len(meta.control("GET", "/subscriptions")) == 1


def test_subscription_of_another_app_survives(
    meta: MetaClient, webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    simulator.instagram_subscriptions.subscribe(CAFE, "8888", ("messages",), CAFE)
    endpoint.respond_with(500)
    webhooks.send(message())

    meta.advance(HOUR)

    assert [each["app_id"] for each in meta.control("GET", "/subscriptions")] == ["8888"]


def test_facebook_page_loses_its_subscription(
    meta: MetaClient, webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    simulator.subscriptions.subscribe("104857600000001", "1111", ("messages",), "somebody")
    endpoint.respond_with(500)
    webhooks.send(message(), product="facebook")

    meta.advance(HOUR)

    assert [each["product"] for each in meta.control("GET", "/subscriptions")] == ["instagram"]


def test_failing_comments_do_not_end_the_subscription(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond_with(500)
    webhooks.send(COMMENT)

    meta.advance(36 * HOUR)

    assert [each["account"] for each in meta.control("GET", "/subscriptions")] == [CAFE]
    assert [each["drop_reason"] for each in webhooks.outbox["dropped"]] == ["gave_up"]


def test_success_in_between_restarts_the_hour(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    def fail_poison(received: Received) -> Response:
        return Response(status_code=500 if b"poison" in received.body else 200)

    endpoint.respond = fail_poison
    webhooks.send(message(id="poison"))
    meta.advance(31 * MINUTE)
    webhooks.send(message(id="good"))

    meta.advance(2 * HOUR - 31 * MINUTE - 1)
    still_there = meta.control("GET", "/subscriptions")
    meta.advance(1)
    at_two_hours = meta.control("GET", "/subscriptions")
    meta.advance(2 * HOUR)

    # Failing since the retry at one hour, so the one at two hours ends the subscription.
    assert len(still_there) == 1
    assert at_two_hours == []


def test_failing_delivery_is_retried_without_the_others(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    endpoint.respond = lambda got: Response(status_code=500 if b'"m2"' in got.body else 200)

    response = webhooks.send(message(id="m", count=3))
    endpoint.respond_with(200)
    meta.advance(MINUTE)

    assert (response["delivered"], response["pending"], response["answers"]) == (2, 1, {"200": 2, "500": 1})
    assert [b'"m2"' in received.body for received in endpoint.received] == [False, True, True, False, True]


@pytest.mark.parametrize("options", [{"retry": False}, {"signature": "wrong_secret"}, {"signature": "absent"}])
def test_delivery_that_meta_would_not_retry_is_dropped(
    meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint, options: dict[str, object]
) -> None:
    endpoint.respond_with(401)

    response = webhooks.send(message(), **options)
    meta.advance(36 * HOUR)

    assert (response["attempts"], response["dropped"], len(endpoint.received)) == (1, 1, 1)
    assert webhooks.outbox["dropped"][0]["drop_reason"] == "not_retried"
    assert len(meta.control("GET", "/subscriptions")) == 1


def test_deliveries_can_be_cleared(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())

    meta.control("DELETE", "/webhooks/deliveries")
    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2
    assert webhooks.outbox == {
        "counts": {"attempts": 0, "delivered": 0, "dropped": 0, "unsubscribed": 0, "pending": 0},
        "pending": [],
        "dropped": [],
    }


def test_reset_clears_deliveries(meta: MetaClient, webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())

    meta.control("POST", "/reset")
    meta.advance(36 * HOUR)

    assert len(endpoint.received) == 2
    assert webhooks.outbox["counts"]["attempts"] == 0


def test_memory_for_pending_deliveries_is_bounded() -> None:
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


def test_retries_are_sent_as_time_passes(webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())
    started = simulator.outbox.retrying
    endpoint.respond_with(200)

    async def live() -> None:
        schedule_retries(simulator, poll_seconds=0)
        simulator.clock.advance(timedelta(minutes=1))
        assert simulator.outbox.retrying is not None
        await simulator.outbox.retrying

    asyncio.run(live())

    assert started is not None
    assert len(endpoint.received) == 3
    assert webhooks.outbox["counts"]["delivered"] == 1


def test_retry_in_progress_is_not_sent_twice(
    webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    endpoint.respond_with(500)
    webhooks.send(message())
    endpoint.respond_with(200)
    simulator.clock.advance(timedelta(minutes=1))

    async def twice() -> None:
        await asyncio.gather(send_due(simulator), send_due(simulator))

    asyncio.run(twice())

    assert len(endpoint.received) == 3
