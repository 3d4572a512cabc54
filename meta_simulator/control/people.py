"""People and Instagram accounts in the control API: how they are shown, found and added."""

from dataclasses import asdict

from meta_simulator.control.bodies import NewInstagramAccount, NewPage, NewPerson, NewUnlinkedAccount
from meta_simulator.control.errors import ControlError
from meta_simulator.world import DuplicateIdError, InstagramAccount, Page, PageRole, Person, World


def require_person(world: World, reference: str) -> Person:
    """Return the person with this id, e-mail address or name. Raises ControlError 404."""
    person = world.find_person(reference)
    if person is None:
        raise ControlError("Unknown person.", status=404)
    return person


def require_instagram_account(world: World, reference: str) -> InstagramAccount:
    """Return the account with this username or id, or the first one of a person.

    Raises ControlError 404.
    """
    account = world.find_instagram_account(reference)
    if account is not None:
        return account
    person = world.find_person(reference)
    accounts = world.instagram_accounts_of(person) if person is not None else []
    if not accounts:
        raise ControlError("Unknown Instagram account.", status=404)
    return accounts[0]


def account_view(world: World, account: InstagramAccount) -> dict[str, object]:
    """Return the account with `page`, the id of the Page it is linked to, or null."""
    page = world.page_of_instagram_account(account.id)
    return {**asdict(account), "page": page.id if page is not None else None}


def person_view(world: World, person: Person) -> dict[str, object]:
    """Return {id, name, email, pages: [{id, name, category, owned_by_portfolio, tasks, instagram}]}."""
    pages = [{**asdict(page), "tasks": list(role.tasks)} for page, role in world.pages_of(person)]
    return {"id": person.id, "name": person.name, "email": person.email, "pages": pages}


def add_person(world: World, new: NewPerson) -> Person:
    """Add a person with their Pages.

    Raises ControlError: 409 if an id, address or username is taken, 404 if a shared Page does not exist.
    """
    new_pages = [page for page in new.pages if isinstance(page, NewPage)]
    new_ids = {page.id for page in new_pages}
    for page in new.pages:
        if page.id not in new_ids and world.page(page.id) is None:
            raise ControlError(f"Unknown Page {page.id}; send a name to create it.", status=404)
    roles = tuple(PageRole(page.id, tuple(page.tasks)) for page in new.pages)
    person = Person(new.id, new.name, new.email, roles)
    try:
        world.add(person, [_page(page) for page in new_pages])
    except DuplicateIdError as error:
        raise ControlError(str(error), status=409) from error
    return person


def add_unlinked_account(world: World, new: NewUnlinkedAccount) -> InstagramAccount:
    """Add an Instagram account without a Page. Raises ControlError 409 for a taken id or username."""
    account = _account(new.instagram)
    try:
        world.add_instagram_account(account)
    except DuplicateIdError as error:
        raise ControlError(str(error), status=409) from error
    return account


def _page(new: NewPage) -> Page:
    account = _account(new.instagram) if new.instagram is not None else None
    return Page(new.id, new.name, new.category, account, new.owned_by_portfolio)


def _account(new: NewInstagramAccount) -> InstagramAccount:
    return InstagramAccount(**new.model_dump())
