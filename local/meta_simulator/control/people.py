"""People in the control API: how they are shown, found and added."""

from dataclasses import asdict

from local.meta_simulator.control.bodies import NewInstagramAccount, NewPage, NewPerson
from local.meta_simulator.control.refusals import ControlRefusedError
from local.meta_simulator.world import DuplicateIdError, InstagramAccount, Page, PageRole, Person, World


def require_person(world: World, reference: str) -> Person:
    """Return the person with this id, e-mail address or name; raises ControlRefusedError (404)."""
    person = world.find_person(reference)
    if person is None:
        raise ControlRefusedError("There is no such person.", status=404)
    return person


def person_view(world: World, person: Person) -> dict[str, object]:
    """Return {id, name, email, pages: [{id, name, category, owned_by_portfolio, tasks, instagram}]}."""
    pages = [{**asdict(page), "tasks": list(role.tasks)} for page, role in world.pages_of(person)]
    return {"id": person.id, "name": person.name, "email": person.email, "pages": pages}


def add_person(world: World, new: NewPerson) -> Person:
    """Add a person with their Pages.

    Raises ControlRefusedError: an id or address is taken (409), or a shared Page does not exist (404).
    """
    new_pages = [page for page in new.pages if isinstance(page, NewPage)]
    new_ids = {page.id for page in new_pages}
    for page in new.pages:
        if page.id not in new_ids and world.page(page.id) is None:
            raise ControlRefusedError(f"There is no Page {page.id}; give a name to create it.", status=404)
    roles = tuple(PageRole(page.id, tuple(page.tasks)) for page in new.pages)
    person = Person(new.id, new.name, new.email, roles)
    try:
        world.add(person, [_page(page) for page in new_pages])
    except DuplicateIdError as error:
        raise ControlRefusedError(str(error), status=409) from error
    return person


def _page(new: NewPage) -> Page:
    account = _account(new.instagram) if new.instagram is not None else None
    return Page(new.id, new.name, new.category, account, new.owned_by_portfolio)


def _account(new: NewInstagramAccount) -> InstagramAccount:
    return InstagramAccount(**new.model_dump())
