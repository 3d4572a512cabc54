"""Webhook subscriptions in the control API: listing them, and dropping them silently."""

from meta_simulator.control.references import account_ids
from meta_simulator.simulator import Simulator


def subscription_views(simulator: Simulator) -> list[dict[str, object]]:
    """Return [{product, account, app_id, fields}]. `account` is a Page id for Facebook."""
    return [
        {"product": product, "account": object_id, "app_id": app_id, "fields": list(fields)}
        for product, subscriptions in (
            ("facebook", simulator.subscriptions),
            ("instagram", simulator.instagram_subscriptions),
        )
        for object_id, app_id, fields in subscriptions.all()
    ]


def drop_subscriptions(simulator: Simulator, reference: str) -> int:
    """Drop every app's subscriptions to an account and its Page, or to a Page, and return their number.

    The app is not notified, and tokens and grants stay. Raises ControlError 404.
    """
    ids = account_ids(simulator.world, reference)
    return simulator.subscriptions.drop(ids) + simulator.instagram_subscriptions.drop(ids)
