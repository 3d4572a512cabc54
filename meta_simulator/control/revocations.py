"""Revoking tokens on request, with either login product."""

from meta_simulator.control.bodies import Revocation
from meta_simulator.control.errors import ControlError
from meta_simulator.control.people import require_person
from meta_simulator.errors import RevocationReason
from meta_simulator.revocation import (
    end_instagram_sessions,
    end_sessions,
    remove_app,
    remove_app_from_instagram,
    remove_page_role,
)
from meta_simulator.simulator import Simulator
from meta_simulator.world import InstagramAccount, Person


def revoke(simulator: Simulator, command: Revocation) -> int:
    """Revoke one token, or all of a person or Instagram account, and return the number revoked.

    For a person this covers their Facebook tokens and those of their Instagram accounts, unless the request names a
    product. Raises ControlError 404.
    """
    if command.token is not None:
        return _revoke_token(simulator, command.token, command.reason)
    reference = command.person or ""
    if command.page is not None:
        return remove_page_role(simulator, require_person(simulator.world, reference), command.page)
    person, accounts = find_token_owners(simulator, reference, command.product)
    revoked = _revoke_facebook(simulator, person, command) if person is not None else 0
    return revoked + sum(_revoke_instagram(simulator, account, command) for account in accounts)


def _revoke_token(simulator: Simulator, token: str, reason: RevocationReason) -> int:
    if not simulator.tokens.revoke(token, reason) and not simulator.instagram_tokens.revoke(token, reason):
        raise ControlError("Unknown token.", status=404)
    return 1


def find_token_owners(
    simulator: Simulator, reference: str, product: str | None
) -> tuple[Person | None, list[InstagramAccount]]:
    """Return the person and the Instagram accounts that a reference stands for.

    A product limits them to its own token owners: the person with Facebook, the accounts with Instagram. Raises
    ControlError 404.
    """
    world = simulator.world
    account = world.find_instagram_account(reference)
    person = world.find_person(reference)
    if person is None and (account is None or product == "facebook"):
        raise ControlError("Unknown person.", status=404)
    accounts = [account] if account is not None else []
    if person is not None:
        accounts = accounts or world.instagram_accounts_of(person)
    return person if product != "instagram" else None, accounts if product != "facebook" else []


def _revoke_facebook(simulator: Simulator, person: Person, command: Revocation) -> int:
    if command.reason is RevocationReason.APP_REMOVED:
        return remove_app(simulator, person, command.app_id)
    return end_sessions(simulator, person, command.reason, command.app_id)


def _revoke_instagram(simulator: Simulator, account: InstagramAccount, command: Revocation) -> int:
    if command.reason is RevocationReason.APP_REMOVED:
        return remove_app_from_instagram(simulator, account, command.app_id)
    return end_instagram_sessions(simulator, account, command.reason, command.app_id)
