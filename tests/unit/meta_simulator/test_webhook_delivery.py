"""Which webhooks are sent, in which order and batches, and the summary that the control API returns."""

import json
from collections import Counter

import pytest

from meta_simulator.seed import ANA_CAFE, ANA_STUDIO
from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import URL, AppEndpoint
from tests.support.instagram_client import CAFE, InstagramClient
from tests.support.meta_client import MetaClient
from tests.support.webhook_sender import WebhookSender, message

STUDIO = "17841400000000002"


def mids(endpoint: AppEndpoint) -> list[str]:
    return [
        item["message"]["mid"] for body in endpoint.bodies for entry in body["entry"] for item in entry["messaging"]
    ]


def test_response_summarises_the_deliveries(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    endpoint.respond_with(200, 503, 200)

    response = webhooks.send(message(count=5), updates_per_post=2)

    times = [result.pop("milliseconds") for result in response["results"]]
    assert response.pop("milliseconds") == {"median": sorted(times)[1], "longest": max(times)}
    assert all(time > 0 for time in times)
    assert response == {
        "updates": 5,
        "deliveries": 3,
        "attempts": 4,
        "delivered": 3,
        "pending": 0,
        "dropped": 0,
        "answers": {"200": 3},
        "results": [
            {"id": 1, "updates": 2, "attempts": 1, "status": 200, "problem": None},
            {"id": 2, "updates": 2, "attempts": 2, "status": 200, "problem": None},
            {"id": 3, "updates": 1, "attempts": 1, "status": 200, "problem": None},
        ],
        "not_subscribed": {},
    }


def test_only_subscribed_accounts_get_webhooks(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    both = [message(), {"type": "message", "account": "estudio_ana", "count": 2}]

    response = webhooks.send(*both, updates_per_post=3)
    sent_anyway = webhooks.send(*both, updates_per_post=3, even_if_not_subscribed=True)

    assert (response["updates"], response["not_subscribed"]) == (1, {STUDIO: 2})
    assert (sent_anyway["updates"], sent_anyway["not_subscribed"]) == (3, {})
    assert [[entry["id"] for entry in body["entry"]] for body in endpoint.bodies] == [[CAFE], [CAFE, STUDIO]]


def test_subscription_made_through_the_graph_api_counts(
    meta: MetaClient, instagram: InstagramClient, endpoint: AppEndpoint
) -> None:
    meta.control("POST", "/callbacks", {"webhook_url": URL})
    edge, token = "/v25.0/me/subscribed_apps", instagram.long_token()
    request = {"events": [message(), {"type": "comment", "account": CAFE}]}
    before = meta.control("POST", "/webhooks/deliveries", request)
    instagram.call("POST", edge, access_token=token, subscribed_fields="comments")

    after = meta.control("POST", "/webhooks/deliveries", request)

    # A subscription to one field covers all of them.
    assert (before["delivered"], after["delivered"]) == (0, 2)


@pytest.mark.parametrize(("account", "delivered"), [(CAFE, 1), (ANA_CAFE.id, 1), (STUDIO, 0), (ANA_STUDIO.id, 0)])
def test_facebook_subscriptions_belong_to_pages(
    meta: MetaClient, simulator: Simulator, account: str, delivered: int
) -> None:
    meta.control("POST", "/callbacks", {"webhook_url": URL})
    simulator.subscriptions.subscribe(ANA_CAFE.id, "1111", ("messages",), "somebody")
    event = {"type": "message", "account": account}

    response = meta.control("POST", "/webhooks/deliveries", {"product": "facebook", "events": [event]})
    with_instagram = meta.control("POST", "/webhooks/deliveries", {"events": [event]})

    assert (response["delivered"], with_instagram["delivered"]) == (delivered, 0)


def test_subscription_of_another_app_does_not_count(
    webhooks: WebhookSender, simulator: Simulator, endpoint: AppEndpoint
) -> None:
    simulator.instagram_subscriptions.subscribe(STUDIO, "8888", ("messages",), STUDIO)

    assert webhooks.send({"type": "message", "account": STUDIO})["not_subscribed"] == {STUDIO: 1}


def test_thousand_updates_fit_into_one_post(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.subscribe(STUDIO)

    response = webhooks.send(
        message(count=600), {"type": "message", "account": STUDIO, "count": 400}, updates_per_post=1000
    )

    entries = endpoint.bodies[0]["entry"]
    assert (response["deliveries"], response["updates"]) == (1, 1000)
    assert [(entry["id"], len(entry["messaging"])) for entry in entries] == [(CAFE, 600), (STUDIO, 400)]


def test_messages_and_changes_are_in_separate_entries(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(), {"type": "comment", "account": CAFE, "count": 2}, message(), updates_per_post=4)

    (body,) = endpoint.bodies
    assert [sorted(entry) for entry in body["entry"]] == [["id", "messaging", "time"], ["changes", "id", "time"]]
    assert [len(entry.get("messaging") or entry["changes"]) for entry in body["entry"]] == [2, 2]


def test_order_is_kept_with_duplicates_adjacent_without_a_seed(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(id="m", count=3), repeat=2)

    assert mids(endpoint) == ["m1", "m1", "m2", "m2", "m3", "m3"]
    first, second = endpoint.received[:2]
    assert (first.body, first.headers) == (second.body, second.headers)


def test_seed_makes_the_shuffle_reproducible(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    orders = []
    for seed in (7, 7, 8):
        webhooks.send(message(id="m", count=20), repeat=2, shuffle=seed)
        orders.append(mids(endpoint))
        endpoint.received.clear()

    assert orders[0] == orders[1] != orders[2]
    assert Counter(orders[0]) == {f"m{number}": 2 for number in range(1, 21)}
    assert orders[0] != sorted(orders[0])
    firsts = list(dict.fromkeys(orders[0]))
    assert orders[0] != [mid for mid in firsts for _ in range(2)]  # duplicates are not adjacent
    assert firsts != [f"m{number}" for number in range(1, 21)]


def test_shuffle_mixes_batches_and_keeps_timestamps(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(id="m", count=20), updates_per_post=10, shuffle=1)

    items = [item for body in endpoint.bodies for item in body["entry"][0]["messaging"]]
    ordered = sorted(items, key=lambda item: int(item["timestamp"]))
    halves = [{f"m{number}" for number in numbers} for numbers in (range(1, 11), range(11, 21))]
    assert {item["message"]["mid"] for item in items[:10]} not in halves
    assert [item["message"]["mid"] for item in ordered] == [f"m{number}" for number in range(1, 21)]


@pytest.mark.parametrize("at_once", [1, 5])
def test_at_once_sets_the_concurrency(webhooks: WebhookSender, endpoint: AppEndpoint, at_once: int) -> None:
    response = webhooks.send(message(count=30), at_once=at_once)

    assert (response["delivered"], endpoint.max_concurrency) == (30, at_once)


def test_response_to_a_large_request_is_limited_and_has_no_bodies(
    webhooks: WebhookSender, endpoint: AppEndpoint
) -> None:
    response = webhooks.send(message(count=1200, text="needle"), at_once=10)

    assert (response["deliveries"], len(response["results"])) == (1200, 1000)
    assert "needle" not in json.dumps(response)


def test_request_can_override_the_url(webhooks: WebhookSender, endpoint: AppEndpoint) -> None:
    webhooks.send(message(), url="http://localhost:9999/other?x=1")

    assert endpoint.received[0].url == "http://localhost:9999/other?x=1"
