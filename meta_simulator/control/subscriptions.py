"""Webhook subscriptions as a test sees them, and their silent end."""

from meta_simulator.control.references import account_ids
from meta_simulator.simulator import Simulator


def subscription_views(simulator: Simulator) -> list[dict[str, object]]:
    """Return [{product, account, app_id, fields}]; `account` is a Page's id at Facebook."""
    return [
        {"product": product, "account": object_id, "app_id": app_id, "fields": list(fields)}
        for product, subscriptions in (
            ("facebook", simulator.subscriptions),
            ("instagram", simulator.instagram_subscriptions),
        )
        for object_id, app_id, fields in subscriptions.all()
    ]


def drop_subscriptions(simulator: Simulator, reference: str) -> int:
    """Forget the subscriptions of an account and its Page, or of a Page, for every app; return how many.

    Nobody is told, and no token or grant changes. Raises ControlRefusedError (404).
    """
    ids = account_ids(simulator.world, reference)
    return simulator.subscriptions.drop(ids) + simulator.instagram_subscriptions.drop(ids)
