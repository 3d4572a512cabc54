"""Which app is subscribed to which webhook fields of which Page or Instagram account."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class _Subscription:
    fields: tuple[str, ...]
    subscriber_id: str


class WebhookSubscriptions:
    """The subscribed_apps edges of all Pages, or of all Instagram accounts."""

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[str, str], _Subscription] = {}

    def subscribe(self, object_id: str, app_id: str, fields: tuple[str, ...], subscriber_id: str) -> None:
        """Subscribe the app to exactly these fields, replacing earlier ones.

        `subscriber_id` is the person or account whose token was used.
        """
        self._subscriptions[(object_id, app_id)] = _Subscription(fields, subscriber_id)

    def unsubscribe(self, object_id: str, app_id: str) -> None:
        """Remove the app's subscription, if there is one."""
        self._subscriptions.pop((object_id, app_id), None)

    def fields_by_app(self, object_id: str) -> dict[str, tuple[str, ...]]:
        """Return the subscribed fields by app id."""
        return {app: kept.fields for (known, app), kept in self._subscriptions.items() if known == object_id}

    def has(self, object_id: str, app_id: str) -> bool:
        """Return whether the app is subscribed to the object."""
        return (object_id, app_id) in self._subscriptions

    def all(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return (object id, app id, fields) of every subscription."""
        return [(object_id, app_id, kept.fields) for (object_id, app_id), kept in self._subscriptions.items()]

    def drop(self, object_ids: Collection[str]) -> int:
        """Remove every app's subscription to these objects and return their number."""
        dropped = [key for key in self._subscriptions if key[0] in object_ids]
        for key in dropped:
            del self._subscriptions[key]
        return len(dropped)

    def unsubscribe_all(self, app_ids: tuple[str, ...], subscriber_id: str) -> None:
        """Remove the subscriptions that these apps made with one subscriber's tokens."""
        for (object_id, app_id), kept in tuple(self._subscriptions.items()):
            if app_id in app_ids and kept.subscriber_id == subscriber_id:
                self.unsubscribe(object_id, app_id)
