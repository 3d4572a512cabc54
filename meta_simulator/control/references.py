"""Resolution of `account` in control requests to ids."""

from meta_simulator.control.errors import ControlError
from meta_simulator.world import World


def account_ids(world: World, reference: str) -> frozenset[str]:
    """Return the ids of an Instagram account and of the Page linked to it, or the id of a Page.

    Raises ControlError 404.
    """
    ids = _account_ids(world, reference)
    if not ids:
        raise ControlError("Unknown Instagram account or Page.", status=404)
    return ids


def token_owner_ids(world: World, reference: str) -> frozenset[str]:
    """Return the ids of the token owners meant: an account with its Page, a Page, or a person.

    A person includes their Instagram accounts. Raises ControlError 404.
    """
    ids = _account_ids(world, reference)
    person = world.find_person(reference)
    if not ids and person is None:
        raise ControlError("Unknown Instagram account, Page or person.", status=404)
    if ids or person is None:
        return ids
    return frozenset({person.id, *(account.id for account in world.instagram_accounts_of(person))})


def _account_ids(world: World, reference: str) -> frozenset[str]:
    account = world.find_instagram_account(reference)
    page = world.page_of_instagram_account(account.id) if account is not None else world.page(reference)
    return frozenset(each.id for each in (account, page) if each is not None)
