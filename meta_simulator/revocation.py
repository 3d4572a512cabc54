"""Revoking tokens from outside: what a person, a Page admin or Meta does to valid tokens.

Source: Meta, "Access Token Debugging and Error Handling" (subcodes of 190).
"""

from meta_simulator.errors import RevocationReason
from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken, TokenKind
from meta_simulator.world import InstagramAccount, Person


def remove_app(simulator: Simulator, person: Person, app_id: str | None = None) -> int:
    """Remove one app, or all, from a person's account and return the number of tokens revoked.

    The grants are removed too, so the next login requests everything again, and so are the webhook subscriptions of
    Pages that were made with the person's tokens.
    """
    app_ids = tuple(simulator.apps) if app_id is None else (app_id,)
    simulator.grants.forget(app_ids, person.id)
    simulator.subscriptions.unsubscribe_all(app_ids, person.id)
    return end_sessions(simulator, person, RevocationReason.APP_REMOVED, app_id)


def remove_page_role(simulator: Simulator, person: Person, page_id: str) -> int:
    """Remove a person's role on a Page. Revokes only their tokens for that Page (190/492)."""
    simulator.world.remove_role(person.id, page_id)

    def matches(token: AccessToken) -> bool:
        return token.kind is TokenKind.PAGE and (token.owner_id, token.page_id) == (person.id, page_id)

    return simulator.tokens.revoke_where(matches, RevocationReason.LOST_PAGE_ROLE)


def end_sessions(simulator: Simulator, person: Person, reason: RevocationReason, app_id: str | None = None) -> int:
    """Revoke a person's tokens, for one app or all. They can log in again afterwards."""

    def matches(token: AccessToken) -> bool:
        return token.owner_id == person.id and app_id in (None, token.app_id)

    return simulator.tokens.revoke_where(matches, reason)


def remove_app_from_instagram(simulator: Simulator, account: InstagramAccount, app_id: str | None = None) -> int:
    """Remove one app, or all, from an Instagram account and return the number of tokens revoked."""
    app_ids = tuple(simulator.instagram_apps) if app_id is None else (app_id,)
    simulator.instagram_grants.forget(app_ids, account.id)
    simulator.instagram_subscriptions.unsubscribe_all(app_ids, account.id)
    return end_instagram_sessions(simulator, account, RevocationReason.APP_REMOVED, app_id)


def end_instagram_sessions(
    simulator: Simulator, account: InstagramAccount, reason: RevocationReason, app_id: str | None = None
) -> int:
    """Revoke an Instagram account's tokens, for one app or all. It can log in again afterwards."""

    def matches(token: AccessToken) -> bool:
        return token.owner_id == account.id and app_id in (None, token.app_id)

    return simulator.instagram_tokens.revoke_where(matches, reason)
