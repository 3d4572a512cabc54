"""Webhooks on request: the handshake, and deliveries by the thousand."""

import random
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median

import httpx

from meta_simulator.control.callback_bodies import Handshake, WebhookDeliveries
from meta_simulator.control.callbacks import required_url
from meta_simulator.control.refusals import ControlRefusedError
from meta_simulator.outgoing import USER_AGENT, Headers, exchange
from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.batches import DASHBOARD_ENTRY, BatchWriter, Update, batches_of, updates_of
from meta_simulator.webhooks.delivery import OK, deliver, is_subscribed
from meta_simulator.webhooks.events import WebhookEvent
from meta_simulator.webhooks.outbox import Delivery
from meta_simulator.webhooks.payloads import is_direct_message
from meta_simulator.webhooks.signatures import Signature, signature_headers
from meta_simulator.world import World

MAX_RESULTS = 1000
HANDSHAKE_SECONDS = 30
_HEADERS: Headers = [(b"Content-Type", b"application/json"), (b"User-Agent", USER_AGENT.encode())]


async def shake_hands(simulator: Simulator, wanted: Handshake) -> dict[str, object]:
    """Ask the endpoint as Meta does when a webhook is configured, and tell whether it answered exactly as it must.

    Raises ControlRefusedError (409) without a URL.
    """
    url = required_url(wanted.url, simulator.callbacks.webhook_url, "webhook_url")
    token = wanted.verify_token if wanted.verify_token is not None else simulator.callbacks.webhook_verify_token
    challenge = wanted.challenge or str(secrets.randbelow(10**10))
    query = {"hub.mode": wanted.mode, "hub.verify_token": token or "", "hub.challenge": challenge}
    async with simulator.open_client() as client:
        asked = httpx.URL(url).copy_merge_params(query)
        request = client.build_request("GET", asked, headers={"User-Agent": USER_AGENT})
        answer = await exchange(client, request, HANDSHAKE_SECONDS)
    is_plain_text = answer.content_type.partition(";")[0].strip().lower() == "text/plain"
    return {
        "verified": answer.status == OK and is_plain_text and answer.body == challenge.encode(),
        "challenge": challenge,
        **answer.view(),
        "content_type": answer.content_type,
        "body": answer.body.decode(errors="replace"),
    }


async def deliver_webhooks(simulator: Simulator, wanted: WebhookDeliveries) -> dict[str, object]:
    """Send what was asked for and return a summary when every first attempt is over.

    Raises ControlRefusedError: no URL (409), an account that does not exist (404).
    """
    url = required_url(wanted.url, simulator.callbacks.webhook_url, "webhook_url")
    entry_ids = _entry_ids(simulator.world, wanted.events)
    now_ms = int(simulator.clock.now().timestamp() * 1000)
    updates: Iterable[Update] = updates_of(wanted.events, entry_ids, now_ms)
    missing: Counter[str] = Counter()
    if _asks_for_subscriptions(wanted):
        updates = _subscribed(simulator, wanted, updates, missing)
    posts = _posts(simulator, wanted, updates, now_ms)
    tally = _Tally()
    await deliver(simulator, _deliveries(simulator, wanted, url, posts), at_once=wanted.at_once, done=tally.add)
    return {**tally.view(), "not_subscribed": dict(missing)}


def _entry_ids(world: World, events: Iterable[WebhookEvent]) -> dict[str, str]:
    """Return the id behind every `account`: an Instagram account's, a Page's, or a number that is nobody's."""
    return {name: _entry_id(world, name) for name in {event.account for event in events} if name is not None}


def _entry_id(world: World, reference: str) -> str:
    if reference.isdecimal():
        return reference
    account = world.find_instagram_account(reference)
    if account is None:
        raise ControlRefusedError(f"There is no Instagram account {reference}.", status=404)
    return account.id


def _asks_for_subscriptions(wanted: WebhookDeliveries) -> bool:
    """Whoever forges webhooks asks nobody; Meta does."""
    return wanted.signature is Signature.VALID and not wanted.even_if_not_subscribed


def _subscribed(
    simulator: Simulator, wanted: WebhookDeliveries, updates: Iterable[Update], missing: Counter[str]
) -> Iterator[Update]:
    """Leave out, and count, what is about accounts without a subscription."""
    known = {DASHBOARD_ENTRY: True}
    for update in updates:
        entry_id = update.entry_id
        if entry_id not in known:
            known[entry_id] = is_subscribed(simulator, wanted.product, entry_id)
        if known[entry_id]:
            yield update
        else:
            missing[entry_id] += 1


def _posts(
    simulator: Simulator, wanted: WebhookDeliveries, updates: Iterable[Update], now_ms: int
) -> Iterator[tuple[bytes, list[Update]]]:
    """Return the bodies in the order of sending, written when they are asked for."""
    raw = wanted.raw_body()
    if raw is not None:
        yield from ((raw, []) for _ in range(wanted.repeat))
        return
    given = list(updates)
    order = random.Random(wanted.shuffle)
    if wanted.shuffle is not None:
        order.shuffle(given)
    posts = [batch for batch in batches_of(given, wanted.updates_per_post) for _ in range(wanted.repeat)]
    if wanted.shuffle is not None:  # once more, or duplicates would stay together
        order.shuffle(posts)
    writer = BatchWriter(wanted.product, simulator.app_of(wanted.product), now_ms, wanted.top_level)
    yield from ((writer.body(batch), batch) for batch in posts)


def _deliveries(
    simulator: Simulator, wanted: WebhookDeliveries, url: str, posts: Iterable[tuple[bytes, list[Update]]]
) -> Iterator[Delivery]:
    secret = simulator.app_of(wanted.signed_by or wanted.product).secret
    for body, updates in posts:
        real = [update for update in updates if not update.event.type.is_from_dashboard]
        accounts = frozenset(update.entry_id for update in real)
        yield Delivery(
            id=simulator.outbox.next_id(),
            product=wanted.product,
            url=url,
            body=body,
            headers=[*_HEADERS, *signature_headers(body, secret, wanted.signature)],
            updates=len(updates) or 1,
            accounts=accounts,
            message_accounts=frozenset(update.entry_id for update in real if is_direct_message(update.event.type)),
            is_retried=wanted.retry and wanted.signature is Signature.VALID,
            needs_subscription=_asks_for_subscriptions(wanted) and bool(accounts),
            first_attempt_at=simulator.clock.now(),
        )


class _Tally:
    """Numbers of a whole request, and the first of its deliveries in detail."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._updates = 0
        self._attempts = 0
        self._milliseconds: list[float] = []
        self._results: list[dict[str, object]] = []

    def add(self, delivery: Delivery) -> None:
        """Count a delivery whose first attempt is over."""
        answer = delivery.answer
        self._states[delivery.state] += 1
        self._updates += delivery.updates
        self._attempts += delivery.attempts
        if answer is not None:  # none if its account was unsubscribed in the meantime
            self._answers[answer.outcome] += 1
            self._milliseconds.append(answer.milliseconds)
        if len(self._results) < MAX_RESULTS:
            counts = {"id": delivery.id, "updates": delivery.updates, "attempts": delivery.attempts}
            self._results.append({**counts, **(answer.view() if answer else {})})

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
