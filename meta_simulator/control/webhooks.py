"""Webhooks on request: verification, and deliveries by the thousand."""

import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median

import httpx

from meta_simulator.control.callback_bodies import WebhookDeliveries, WebhookVerification
from meta_simulator.control.callbacks import required_url
from meta_simulator.control.errors import ControlError
from meta_simulator.outgoing import USER_AGENT, Headers, send_request
from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.batches import DASHBOARD_ENTRY, BatchWriter, Update, expand_events, split_into_batches
from meta_simulator.webhooks.delivery import OK, deliver, is_subscribed
from meta_simulator.webhooks.events import WebhookEvent
from meta_simulator.webhooks.outbox import Delivery
from meta_simulator.webhooks.payloads import is_direct_message
from meta_simulator.webhooks.signatures import Signature, signature_headers
from meta_simulator.world import World

MAX_RESULTS = 1000
VERIFICATION_TIMEOUT_SECONDS = 30
_HEADERS: Headers = [(b"Content-Type", b"application/json"), (b"User-Agent", USER_AGENT.encode())]


async def verify_webhook(simulator: Simulator, command: WebhookVerification) -> dict[str, object]:
    """Send the verification request of Meta's webhook setup and check the app's response.

    Raises ControlError 409 without a URL.
    """
    url = required_url(command.url, simulator.callbacks.webhook_url, "webhook_url")
    token = command.verify_token if command.verify_token is not None else simulator.callbacks.webhook_verify_token
    challenge = command.challenge or str(secrets.randbelow(10**10))
    query = {"hub.mode": command.mode, "hub.verify_token": token or "", "hub.challenge": challenge}
    async with simulator.open_client() as client:
        verification_url = httpx.URL(url).copy_merge_params(query)
        request = client.build_request("GET", verification_url, headers={"User-Agent": USER_AGENT})
        response = await send_request(client, request, VERIFICATION_TIMEOUT_SECONDS)
    is_plain_text = response.content_type.partition(";")[0].strip().lower() == "text/plain"
    return {
        "verified": response.status == OK and is_plain_text and response.body == challenge.encode(),
        "challenge": challenge,
        **response.view(),
        "content_type": response.content_type,
        "body": response.body.decode(errors="replace"),
    }


async def deliver_webhooks(simulator: Simulator, command: WebhookDeliveries) -> dict[str, object]:
    """Send the requested webhooks and return a summary once every first attempt has finished.

    Raises ControlError: 409 without a URL, 404 for an unknown account.
    """
    url = required_url(command.url, simulator.callbacks.webhook_url, "webhook_url")
    entry_ids = _entry_ids(simulator.world, command.events)
    now_ms = int(simulator.clock.now().timestamp() * 1000)
    updates: Iterable[Update] = expand_events(command.events, entry_ids, now_ms)
    missing: Counter[str] = Counter()
    if _needs_subscription(command):
        updates = _subscribed(simulator, command, updates, missing)
    posts = _posts(simulator, command, updates, now_ms)
    tally = _Tally()
    await deliver(simulator, _deliveries(simulator, command, url, posts), at_once=command.at_once, done=tally.add)
    return {**tally.view(), "not_subscribed": dict(missing)}


def _entry_ids(world: World, events: Iterable[WebhookEvent]) -> dict[str, str]:
    """Return the entry id of every `account`. A number is used unchanged, even if no account has it."""
    return {name: _entry_id(world, name) for name in {event.account for event in events} if name is not None}


def _entry_id(world: World, reference: str) -> str:
    if reference.isdecimal():
        return reference
    account = world.find_instagram_account(reference)
    if account is None:
        raise ControlError(f"Unknown Instagram account {reference}.", status=404)
    return account.id


def _needs_subscription(command: WebhookDeliveries) -> bool:
    """Return whether deliveries need a subscription. Forged ones do not."""
    return command.signature is Signature.VALID and not command.even_if_not_subscribed


def _subscribed(
    simulator: Simulator, command: WebhookDeliveries, updates: Iterable[Update], missing: Counter[str]
) -> Iterator[Update]:
    """Yield the updates of subscribed accounts, and count the others in `missing`."""
    known = {DASHBOARD_ENTRY: True}
    for update in updates:
        entry_id = update.entry_id
        if entry_id not in known:
            known[entry_id] = is_subscribed(simulator, command.product, entry_id)
        if known[entry_id]:
            yield update
        else:
            missing[entry_id] += 1


def _posts(
    simulator: Simulator, command: WebhookDeliveries, updates: Iterable[Update], now_ms: int
) -> Iterator[tuple[bytes, list[Update]]]:
    """Yield each body with its updates, in sending order. Bodies are built lazily."""
    raw = command.raw_body()
    if raw is not None:
        yield from ((raw, []) for _ in range(command.repeat))
        return
    given = list(updates)
    order = random.Random(command.shuffle)
    if command.shuffle is not None:
        order.shuffle(given)
    posts = [batch for batch in split_into_batches(given, command.updates_per_post) for _ in range(command.repeat)]
    if command.shuffle is not None:  # again, to separate repeated deliveries
        order.shuffle(posts)
    writer = BatchWriter(command.product, simulator.app_of(command.product), now_ms, command.top_level)
    yield from ((writer.body(batch), batch) for batch in posts)


def _deliveries(
    simulator: Simulator, command: WebhookDeliveries, url: str, posts: Iterable[tuple[bytes, list[Update]]]
) -> Iterator[Delivery]:
    secret = simulator.app_of(command.signed_by or command.product).secret
    for body, updates in posts:
        real = [update for update in updates if not update.event.type.is_from_dashboard]
        accounts = frozenset(update.entry_id for update in real)
        yield Delivery(
            id=simulator.outbox.next_id(),
            product=command.product,
            url=url,
            body=body,
            headers=[*_HEADERS, *signature_headers(body, secret, command.signature)],
            updates=len(updates) or 1,
            accounts=accounts,
            message_accounts=frozenset(update.entry_id for update in real if is_direct_message(update.event.type)),
            is_retried=command.retry and command.signature is Signature.VALID,
            needs_subscription=_needs_subscription(command) and bool(accounts),
            first_attempt_at=simulator.clock.now(),
        )


class _Tally:
    """The totals of one control request, and its first deliveries in detail."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._updates = 0
        self._attempts = 0
        self._milliseconds: list[float] = []
        self._results: list[dict[str, object]] = []

    def add(self, delivery: Delivery) -> None:
        """Count a delivery whose first attempt has finished."""
        response = delivery.response
        self._states[delivery.state] += 1
        self._updates += delivery.updates
        self._attempts += delivery.attempts
        if response is not None:  # None if the account was unsubscribed before the first attempt
            self._answers[response.outcome] += 1
            self._milliseconds.append(response.milliseconds)
        if len(self._results) < MAX_RESULTS:
            counts = {"id": delivery.id, "updates": delivery.updates, "attempts": delivery.attempts}
            self._results.append({**counts, **(response.view() if response else {})})

    def view(self) -> dict[str, object]:
        """Return the summary."""
        times = self._milliseconds or [0.0]
        return {
            "updates": self._updates,
            "deliveries": self._states.total(),
            "attempts": self._attempts,
            **{state: self._states[state] for state in ("delivered", "pending", "dropped")},
            "answers": dict(self._answers),
            "milliseconds": {"median": median(times), "longest": max(times)},
            "results": self._results,
        }
