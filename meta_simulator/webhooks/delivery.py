"""Sending webhooks, and retrying them on Meta's schedule until the app returns 200 in time.

A retry counts as made at the time it was due, even if the clock jumped past that time: advancing it by 36 hours at
once makes every retry of that period.
"""

import asyncio
from collections.abc import Callable, Iterable

import httpx

from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import send_request
from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.outbox import Delivery, Outbox

POLL_SECONDS = 0.5
RETRIES_AT_ONCE = 10
OK = 200


async def deliver(
    simulator: Simulator,
    deliveries: Iterable[Delivery],
    *,
    at_once: int,
    done: Callable[[Delivery], None] = lambda _: None,
) -> None:
    """Send all deliveries, each with its immediate retry; later retries are scheduled.

    `done` is called for each one. Deliveries are taken from the iterable only when they are sent.
    """
    outbox, waiting = simulator.outbox, iter(deliveries)

    async def work() -> None:
        # One client per worker: in a shared pool some requests wait seconds for a connection.
        async with simulator.open_client() as client:
            for delivery in waiting:
                await _send(simulator, outbox, client, delivery)
                done(delivery)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


async def send_due(simulator: Simulator) -> None:
    """Send what is due on the simulated clock until nothing is left."""
    while due := simulator.outbox.take_due(simulator.clock.now()):
        await deliver(simulator, due, at_once=min(RETRIES_AT_ONCE, len(due)))


def schedule_retries(simulator: Simulator, poll_seconds: float = POLL_SECONDS) -> None:
    """Start a task that sends pending deliveries as they come due, as long as there are any."""
    outbox = simulator.outbox

    async def retry() -> None:
        while simulator.outbox is outbox and outbox.pending:
            await asyncio.sleep(poll_seconds)
            await send_due(simulator)

    if outbox.retrying is None or outbox.retrying.done():
        outbox.retrying = asyncio.create_task(retry())


def is_subscribed(simulator: Simulator, product: Product, account_id: str) -> bool:
    """Return whether the product's app is subscribed to an account, or at Facebook to its Page."""
    subscriptions = simulator.subscriptions_of(product)
    return subscriptions.has(_subscribed_object(simulator, product, account_id), simulator.app_of(product).id)


async def _send(simulator: Simulator, outbox: Outbox, client: httpx.AsyncClient, delivery: Delivery) -> None:
    while (at := delivery.due_at) is not None:
        if delivery.needs_subscription and not any(
            is_subscribed(simulator, delivery.product, account) for account in delivery.accounts
        ):
            outbox.drop(delivery, "unsubscribed")
            return
        request = client.build_request("POST", delivery.url, content=delivery.body, headers=delivery.headers)
        delivery.response = await send_request(client, request, simulator.settings.webhook_timeout_seconds)
        delivery.attempts += 1
        outbox.count_attempt()
        if delivery.response.status == OK:
            outbox.record_success(delivery)
            return
        if not delivery.is_retried:
            outbox.drop(delivery, "not_retried")
            return
        for account in outbox.record_failure(delivery, at):
            _unsubscribe(simulator, outbox, delivery.product, account)
        if delivery.due_at is not None and delivery.due_at > at:
            outbox.keep(delivery)
            schedule_retries(simulator)
            return
    outbox.drop(delivery, "gave_up")


def _unsubscribe(simulator: Simulator, outbox: Outbox, product: Product, account_id: str) -> None:
    if is_subscribed(simulator, product, account_id):
        subscribed = _subscribed_object(simulator, product, account_id)
        simulator.subscriptions_of(product).unsubscribe(subscribed, simulator.app_of(product).id)
        outbox.record_unsubscribed(product, account_id)


def _subscribed_object(simulator: Simulator, product: Product, account_id: str) -> str:
    page = simulator.world.page_of_instagram_account(account_id) if product == "facebook" else None
    return account_id if page is None else page.id
