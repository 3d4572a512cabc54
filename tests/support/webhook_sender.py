"""Asks the simulator for webhooks."""

from typing import Any

from meta_simulator.simulator import Simulator
from tests.support.app_endpoint import URL
from tests.support.instagram_client import CAFE
from tests.support.meta_client import MetaClient


class WebhookSender:
    """Sends to the app's endpoint; the account that it sends for has subscribed with Instagram Login."""

    def __init__(self, meta: MetaClient, simulator: Simulator) -> None:
        self._meta = meta
        self._simulator = simulator
        meta.control("POST", "/callbacks", {"webhook_url": URL, "webhook_verify_token": "the-verify-token"})
        self.subscribe(CAFE)

    def subscribe(self, account_id: str) -> None:
        app_id = self._simulator.instagram_app.id
        self._simulator.instagram_subscriptions.subscribe(account_id, app_id, ("messages",), account_id)

    def send(self, *events: dict[str, object], **how: object) -> Any:
        return self._meta.control("POST", "/webhooks/deliveries", {"events": list(events), **how})

    def send_raw(self, **how: object) -> Any:
        return self._meta.control("POST", "/webhooks/deliveries", how)

    @property
    def outbox(self) -> Any:
        return self._meta.control("GET", "/webhooks/deliveries")


def message(**more: object) -> dict[str, object]:
    """Describe a message to the café."""
    return {"type": "message", "account": CAFE, **more}
