"""The event that the parser makes and all later steps use."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """Kinds of events. Only those of direct messages change conversations."""

    MESSAGE = "message"
    MESSAGE_ECHO = "message_echo"
    MESSAGE_EDITED = "message_edited"
    MESSAGE_UNSENT = "message_unsent"
    REACTION = "reaction"
    READ = "read"
    POSTBACK = "postback"
    REFERRAL = "referral"
    OPTIN = "optin"
    COMMENT = "comment"
    LIVE_COMMENT = "live_comment"
    MENTION = "mention"
    STORY_INSIGHTS = "story_insights"
    # A kind that we do not know: stored and passed on unchanged.
    OTHER = "other"
    # From the "Test" button of Meta's App Dashboard: stored only.
    TEST = "test"
    # Signed by Meta, but of unknown structure.
    UNPARSED = "unparsed"


@dataclass(frozen=True)
class WebhookEvent:
    """One event.

    `entry_id` is Meta's id of the account, or "" if missing. `key` identifies the event across redeliveries, however it
    is batched. `participant_id` is the person in conversation with the account and `other_end_id` the account's id in
    that conversation; if the entry names a Page, only the stored account shows which of the two is which. `data` is
    what consumers get, with our own names. `payload` is a webhook body with only this event, so it can be parsed again.
    """

    entry_id: str
    key: str
    field: str
    kind: EventKind
    payload: dict[str, Any] = dataclasses.field(repr=False)
    occurred_at: datetime | None = None
    message_id: str | None = None
    participant_id: str | None = None
    other_end_id: str | None = None
    is_from_us: bool = False
    data: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
