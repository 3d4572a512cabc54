"""Ending tokens on request, with both login products."""

from meta_simulator.control.bodies import Revocation
from meta_simulator.control.people import require_person
from meta_simulator.control.refusals import ControlRefusedError
from meta_simulator.errors import SessionEnd
from meta_simulator.revocation import (
    end_instagram_sessions,
    end_sessions,
    remove_app,
    remove_app_from_instagram,
    remove_page_role,
)
from meta_simulator.simulator import Simulator
from meta_simulator.world import InstagramAccount, Person


def revoke(simulator: Simulator, wanted: Revocation) -> int:
    """End one token, or all of a person or Instagram account; return how many ended.

    A person loses what they hold at Facebook and what their Instagram accounts hold, unless the
    request names a product. Raises ControlRefusedError (404).
    """
    if wanted.token is not None:
        return _revoke_token(simulator, wanted.token, wanted.reason)
    reference = wanted.person or ""
    if wanted.page is not None:
        return remove_page_role(simulator, require_person(simulator.world, reference), wanted.page)
    person, accounts = holders(simulator, reference, wanted.product)
    revoked = _revoke_facebook(simulator, person, wanted) if person is not None else 0
    return revoked + sum(_revoke_instagram(simulator, account, wanted) for account in accounts)


def _revoke_token(simulator: Simulator, token: str, end: SessionEnd) -> int:
    if not simulator.tokens.revoke(token, end) and not simulator.instagram_tokens.revoke(token, end):
        raise ControlRefusedError("There is no such token.", status=404)
    return 1


def holders(simulator: Simulator, reference: str, product: str | None) -> tuple[Person | None, list[InstagramAccount]]:
    """Return whose tokens a reference means: the person, unless another product is named, and Instagram accounts.

    Raises ControlRefusedError (404).
    """
    world = simulator.world
    account = world.find_instagram_account(reference)
    person = world.find_person(reference)
    if person is None and (account is None or product == "facebook"):
        raise ControlRefusedError("There is no such person.", status=404)
    accounts = [account] if account is not None else []
    if person is not None:
        accounts = accounts or world.instagram_accounts_of(person)
    return person if product != "instagram" else None, accounts if product != "facebook" else []


def _revoke_facebook(simulator: Simulator, person: Person, wanted: Revocation) -> int:
    if wanted.reason is SessionEnd.APP_REMOVED:
        return remove_app(simulator, person, wanted.app_id)
    return end_sessions(simulator, person, wanted.reason, wanted.app_id)


def _revoke_instagram(simulator: Simulator, account: InstagramAccount, wanted: Revocation) -> int:
    if wanted.reason is SessionEnd.APP_REMOVED:
        return remove_app_from_instagram(simulator, account, wanted.app_id)
    return end_instagram_sessions(simulator, account, wanted.reason, wanted.app_id)
