"""One event of a webhook as everything after the parser knows it."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened. Only the kinds of direct messages change conversations."""

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
    # Meta sends more than anybody knows: kept and passed on as it came.
    OTHER = "other"
    # The "Test" button of Meta's App Dashboard: kept, and nothing else.
    TEST = "test"
    # Signed by Meta, and of no shape that we know.
    UNPARSED = "unparsed"


@dataclass(frozen=True)
class WebhookEvent:
    """What Meta said of one thing that happened.

    `entry_id` is Meta's id of the account it is about, "" where there was none. `key` is the same whenever and in
    whatever company the event comes again. `participant_id` is who talks with the account, `other_end_id` the account
    as the talk names it: where the entry names a Page, only who knows the account can tell which is which. `data` is
    what consumers get, in names of ours; `payload` is a webhook body with this event alone, so that it can be parsed
    again.
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
