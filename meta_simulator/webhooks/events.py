"""The webhook events that the control API can send."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_UPDATES = 100_000
DEFAULT_CUSTOMER = "900100"


class EventType(StrEnum):
    """The types of events. Each has its own payload."""

    MESSAGE = "message"
    ECHO = "echo"
    UNSEND = "unsend"
    ATTACHMENT = "attachment"
    IG_POST = "ig_post"
    STORY_REPLY = "story_reply"
    MESSAGE_REPLY = "message_reply"
    QUICK_REPLY = "quick_reply"
    AD_REFERRAL = "ad_referral"
    UNSUPPORTED = "unsupported"
    MESSAGE_EDIT = "message_edit"
    REACTION = "reaction"
    UNREACT = "unreact"
    READ = "read"
    POSTBACK = "postback"
    REFERRAL = "referral"
    OPTIN = "optin"
    STANDBY = "standby"
    COMMENT = "comment"
    FLAT_COMMENT = "flat_comment"
    LIVE_COMMENT = "live_comment"
    MENTION = "mention"
    STORY_INSIGHTS = "story_insights"
    DASHBOARD_MESSAGE = "dashboard_message"
    DASHBOARD_REACTION = "dashboard_reaction"

    @property
    def is_from_dashboard(self) -> bool:
        """Whether the dashboard's "Test" button sends it: without an account or a subscription."""
        return self in (EventType.DASHBOARD_MESSAGE, EventType.DASHBOARD_REACTION)


class WebhookEvent(BaseModel):
    """One event, or `count` of them with different ids and times.

    `id` is the mid, comment id or media id; if `count` is above 1, each id gets its number appended. `overrides` are
    merged into the inner object (`message`, `reaction`, `value`, …); null removes a key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: EventType
    account: Annotated[str, Field(min_length=1)] | None = None
    customer: str = DEFAULT_CUSTOMER
    count: Annotated[int, Field(ge=1, le=MAX_UPDATES)] = 1
    id: str | None = None
    text: str = "Café open? ☕"
    timestamp: int | None = None
    overrides: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check(self) -> "WebhookEvent":
        if self.type.is_from_dashboard != (self.account is None):
            raise ValueError("account is required, except for the dashboard's events, which have none")
        return self
