"""Events from `changes`: comments, mentions, story insights and every other subscribed field.

Source: Meta, "Instagram Platform Webhook Notification Examples". A comment's id is in `id` or `comment_id`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from instagram_connect.meta.json_values import digest, to_id, to_object, to_text
from instagram_connect.webhooks.events import EventKind, WebhookEvent
from instagram_connect.webhooks.parts import Parts


def other_change(parts: Parts, field: str, change: Mapping[str, Any]) -> WebhookEvent:
    """Make an event of a change in an unknown field."""
    return parts.event(EventKind.OTHER, field, f"{field}:{digest(change)}", data={"value": change.get("value")})


def _comment(kind: EventKind) -> Callable[[Parts, str, Mapping[str, Any]], WebhookEvent]:
    def comment(parts: Parts, field: str, value: Mapping[str, Any]) -> WebhookEvent:
        comment_id = to_id(value.get("id")) or to_id(value.get("comment_id"))
        author, media = to_object(value.get("from")), to_object(value.get("media"))
        author_id = to_id(author.get("id"))
        return parts.event(
            kind,
            field,
            f"cmt:{comment_id}" if comment_id else f"{kind}:{digest(value)}",
            is_from_us=author_id is not None and author_id == parts.entry_id,
            data={
                "commentId": comment_id,
                "parentId": to_id(value.get("parent_id")),
                "text": to_text(value.get("text")),
                "authorId": author_id,
                "authorUsername": to_text(author.get("username")),
                "mediaId": to_id(media.get("id")),
                "mediaProductType": to_text(media.get("media_product_type")),
                "adId": to_id(media.get("ad_id")),
            },
        )

    return comment


def _mention(parts: Parts, field: str, value: Mapping[str, Any]) -> WebhookEvent:
    media_id, comment_id = to_id(value.get("media_id")), to_id(value.get("comment_id"))
    named = comment_id or media_id
    key = f"men:{named}" if named else f"{EventKind.MENTION}:{digest(value)}"
    return parts.event(EventKind.MENTION, field, key, data={"mediaId": media_id, "commentId": comment_id})


def _story_insights(parts: Parts, field: str, value: Mapping[str, Any]) -> WebhookEvent:
    media_id = to_id(value.get("media_id"))
    key = f"si:{media_id}" if media_id else f"{EventKind.STORY_INSIGHTS}:{digest(value)}"
    metrics = {name: number for name, number in value.items() if name != "media_id"}
    return parts.event(EventKind.STORY_INSIGHTS, field, key, data={"mediaId": media_id, "metrics": metrics})


CHANGES: Mapping[str, Callable[[Parts, str, Mapping[str, Any]], WebhookEvent]] = {
    "comments": _comment(EventKind.COMMENT),
    "live_comments": _comment(EventKind.LIVE_COMMENT),
    "mentions": _mention,
    "story_insights": _story_insights,
}
