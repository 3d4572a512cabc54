"""Reads the Pages of `/me/accounts` with their Instagram accounts. Sources: "IG User" and "Paginated Results"."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from instagram_connect.meta.json_values import to_count, to_id, to_object, to_text, to_texts
from instagram_connect.models import DiscoveredAccount, UserToken

PROFILE_FIELDS = "id,username,name,biography,website,profile_picture_url,followers_count,follows_count,media_count"
PAGE_FIELDS = f"id,name,access_token,tasks,instagram_business_account{{{PROFILE_FIELDS}}}"


def accounts_of(pages: Iterable[Mapping[str, Any]], token: UserToken) -> tuple[DiscoveredAccount, ...]:
    """The Instagram accounts of Pages, without duplicates. `token` is the person's."""
    accounts: dict[str, DiscoveredAccount] = {}
    for page in pages:
        profile = to_object(page.get("instagram_business_account"))
        instagram_business_id = to_id(profile.get("id"))
        if instagram_business_id is None:
            continue
        accounts.setdefault(
            instagram_business_id,
            DiscoveredAccount(
                instagram_business_id=instagram_business_id,
                # A Page on which the person has no task has no token; the person's can still read the account.
                access_token=str(page.get("access_token") or token.value),
                username=to_text(profile.get("username")),
                name=to_text(profile.get("name")),
                biography=to_text(profile.get("biography")),
                website=to_text(profile.get("website")),
                profile_picture_url=to_text(profile.get("profile_picture_url")),
                followers_count=to_count(profile.get("followers_count")),
                follows_count=to_count(profile.get("follows_count")),
                media_count=to_count(profile.get("media_count")),
                page_id=to_id(page.get("id")),
                page_name=to_text(page.get("name")),
                page_tasks=to_texts(page.get("tasks")),
            ),
        )
    return tuple(accounts.values())


def next_cursor(paging: Mapping[str, Any]) -> str | None:
    """The cursor of the next page of results; None after the last one."""
    # Only the last page lacks `next`; others may be empty or lack `cursors`. The address itself is not followed: it
    # holds the token, and its host is not ours to trust.
    if not paging.get("next"):
        return None
    in_address = parse_qs(urlsplit(str(paging["next"])).query).get("after", [None])[0]
    return to_text(to_object(paging.get("cursors")).get("after")) or in_address
