"""Ending sessions from outside: what a person, a Page admin or Meta does to living tokens.

Source: Meta, "Access Token Debugging and Error Handling" (subcodes of 190).
"""

from meta_simulator.errors import SessionEnd
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken, TokenKind
from meta_simulator.world import InstagramAccount, Person


def remove_app(simulator: Simulator, person: Person, app_id: str | None = None) -> int:
    """Remove one app (or all) from a person's account; return how many tokens died of it.

    Grants go too, so the next login asks for everything again, and so do the webhook subscriptions
    of Pages that were made with the person's tokens.
    """
    app_ids = tuple(simulator.apps) if app_id is None else (app_id,)
    simulator.grants.forget(app_ids, person.id)
    simulator.subscriptions.end_of(app_ids, person.id)
    return end_sessions(simulator, person, SessionEnd.APP_REMOVED, app_id)


def remove_page_role(simulator: Simulator, person: Person, page_id: str) -> int:
    """Take a Page from a person; only their tokens of that Page die (190/492)."""
    simulator.world.remove_role(person.id, page_id)

    def is_meant(token: AccessToken) -> bool:
        return token.kind is TokenKind.PAGE and (token.holder_id, token.page_id) == (person.id, page_id)

    return simulator.tokens.revoke_where(is_meant, SessionEnd.LOST_PAGE_ROLE)


def end_sessions(simulator: Simulator, person: Person, end: SessionEnd, app_id: str | None = None) -> int:
    """Kill the tokens that a person holds, at one app or at all; later logins work again."""

    def is_meant(token: AccessToken) -> bool:
        return token.holder_id == person.id and app_id in (None, token.app_id)

    return simulator.tokens.revoke_where(is_meant, end)


def remove_app_from_instagram(simulator: Simulator, account: InstagramAccount, app_id: str | None = None) -> int:
    """Remove one app (or all) from an Instagram account; return how many tokens died of it."""
    app_ids = tuple(simulator.instagram_apps) if app_id is None else (app_id,)
    simulator.instagram_grants.forget(app_ids, account.id)
    simulator.instagram_subscriptions.end_of(app_ids, account.id)
    return end_instagram_sessions(simulator, account, SessionEnd.APP_REMOVED, app_id)


def end_instagram_sessions(
    simulator: Simulator, account: InstagramAccount, end: SessionEnd, app_id: str | None = None
) -> int:
    """Kill the tokens of an Instagram account, at one app or at all; later logins work again."""

    def is_meant(token: AccessToken) -> bool:
        return token.holder_id == account.id and app_id in (None, token.app_id)

    return simulator.instagram_tokens.revoke_where(is_meant, end)
