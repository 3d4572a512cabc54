"""Which app wants which webhook fields of which Page."""

# The names that the Page edge takes. Instagram field names are refused there.
PAGE_FIELDS = (
    "feed",
    "mention",
    "messages",
    "message_deliveries",
    "message_echoes",
    "message_reactions",
    "message_reads",
    "messaging_handovers",
    "messaging_optins",
    "messaging_postbacks",
    "messaging_referrals",
    "standby",
)


class PageSubscriptions:
    """The subscribed_apps edges of all Pages."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], tuple[str, ...]] = {}

    def subscribe(self, page_id: str, app_id: str, fields: tuple[str, ...]) -> None:
        """Subscribe the app to exactly these fields, replacing what was there."""
        self._fields[(page_id, app_id)] = fields

    def unsubscribe(self, page_id: str, app_id: str) -> None:
        """End the app's subscription, if there is one."""
        self._fields.pop((page_id, app_id), None)

    def of_page(self, page_id: str) -> dict[str, tuple[str, ...]]:
        """Return the subscribed fields by app id."""
        return {app: fields for (page, app), fields in self._fields.items() if page == page_id}
