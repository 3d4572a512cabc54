from meta_simulator.seed import AGENCY_PAGE_COUNT, seeded_world
from meta_simulator.world import Page, World


def _pages_of(world: World, name: str) -> list[Page]:
    person = world.find_person(name)
    assert person is not None
    return [page for page, _ in world.pages_of(person)]


def test_seeded_world_matches_the_readme() -> None:
    world = seeded_world()

    ana, ben = _pages_of(world, "Ana Souza"), _pages_of(world, "Ben Carter")
    agency, emeka = _pages_of(world, "Dmitri Agency"), _pages_of(world, "Emeka Business")
    assert [page.instagram is not None for page in ana] == [True, True]
    assert [page.instagram for page in ben] == [None]
    assert _pages_of(world, "Chloé Dubois") == []
    assert len(agency) == AGENCY_PAGE_COUNT
    assert sum(page.instagram is not None for page in agency) == 108
    assert [page.owned_by_portfolio for page in emeka] == [True]


def test_seeded_ids_are_unique() -> None:
    world = seeded_world()
    pages = {page.id: page for person in world.people for page, _ in world.pages_of(person)}.values()
    ids = [person.id for person in world.people] + [page.id for page in pages]
    ids += [account.id for account in world.instagram_accounts]

    assert len(ids) == len(set(ids))
    assert all(each.isdecimal() for each in ids)
