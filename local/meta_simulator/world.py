"""Who exists at the simulated Meta: people, the Pages they have a role on, Instagram accounts.

Nothing here knows of apps, permissions or tokens; `grants` and `tokens` do.
Every id is text: Meta has ids beyond 2^53, which a JSON number cannot carry.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

ALL_TASKS = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")


@dataclass(frozen=True)
class InstagramAccount:
    """An Instagram professional account; ids look like 1784…, as at Meta."""

    id: str
    username: str
    name: str = ""
    biography: str = ""
    website: str = ""
    followers_count: int = 0
    follows_count: int = 0
    media_count: int = 0


@dataclass(frozen=True)
class Page:
    """A Facebook Page, with the professional account linked to it, if any."""

    id: str
    name: str
    category: str = "Local business"
    instagram: InstagramAccount | None = None
    owned_by_portfolio: bool = False


@dataclass(frozen=True)
class PageRole:
    """What one person may do on one Page."""

    page_id: str
    tasks: tuple[str, ...] = ALL_TASKS


@dataclass(frozen=True)
class Person:
    """Somebody who can log in; the order of `roles` is the order of /me/accounts."""

    id: str
    name: str
    email: str
    roles: tuple[PageRole, ...] = ()


def _ids_of(pages: Iterable[Page]) -> list[str]:
    return [each.id for page in pages for each in (page, page.instagram) if each is not None]


class DuplicateIdError(ValueError):
    """The id, e-mail address or Page is already taken; choose another one."""


class World:
    """The people and Pages that exist, found by id."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._people: dict[str, Person] = {}
        self._page_of_account: dict[str, Page] = {}

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody, in the order they were added."""
        return tuple(self._people.values())

    def add(self, person: Person, new_pages: Iterable[Page] = ()) -> None:
        """Add a person together with Pages that do not exist yet, all or nothing.

        Raises DuplicateIdError when an id or the e-mail address is taken.
        """
        pages = tuple(new_pages)
        taken = {*self._people, *self._pages, *self._page_of_account}
        for new_id in (person.id, *_ids_of(pages)):
            if new_id in taken:
                raise DuplicateIdError(f"The id {new_id} is taken.")
            taken.add(new_id)
        if any(person.email.lower() == known.email.lower() for known in self.people):
            raise DuplicateIdError(f"The address {person.email} is taken.")
        self._people[person.id] = person
        self._pages |= {page.id: page for page in pages}
        self._page_of_account |= {page.instagram.id: page for page in pages if page.instagram}

    def page(self, page_id: str) -> Page | None:
        """Return the Page with this id, or None."""
        return self._pages.get(page_id)

    def page_of_instagram_account(self, instagram_id: str) -> Page | None:
        """Return the Page that an Instagram account is linked to, or None."""
        return self._page_of_account.get(instagram_id)

    def person(self, person_id: str) -> Person | None:
        """Return the person with this id, or None."""
        return self._people.get(person_id)

    def find_person(self, reference: str) -> Person | None:
        """Return the person with this id, e-mail address (any case) or exact name, or None."""
        wanted = reference.strip()
        for person in self.people:
            if wanted in (person.id, person.name) or wanted.lower() == person.email.lower():
                return person
        return None

    def pages_of(self, person: Person) -> list[tuple[Page, PageRole]]:
        """Return the Pages on which the person has a role, in their order."""
        return [(self._pages[role.page_id], role) for role in person.roles]

    def remove_role(self, person_id: str, page_id: str) -> None:
        """Take the person's role on a Page away; nothing happens when there is none."""
        person = self._people[person_id]
        kept = tuple(role for role in person.roles if role.page_id != page_id)
        self._people[person_id] = replace(person, roles=kept)
