"""The people, Pages and Instagram accounts of the simulated Meta.

Nothing here knows about apps, permissions or tokens. Every id is text: Meta has ids beyond 2^53, which JavaScript and
other clients that parse numbers as doubles cannot represent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

ALL_TASKS = ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE")


class AccountType(StrEnum):
    """The type of an Instagram account, in Meta's words. All but PERSONAL are professional."""

    BUSINESS = "Business"
    CREATOR = "Media_Creator"
    PERSONAL = "PERSONAL"


@dataclass(frozen=True)
class InstagramAccount:
    """An Instagram account. `id` is its professional account id (1784…), the same for every app."""

    id: str
    username: str
    name: str = ""
    biography: str = ""
    website: str = ""
    followers_count: int = 0
    follows_count: int = 0
    media_count: int = 0
    account_type: AccountType = AccountType.BUSINESS

    @property
    def is_professional(self) -> bool:
        """Whether the API supports this account."""
        return self.account_type is not AccountType.PERSONAL


@dataclass(frozen=True)
class Page:
    """A Facebook Page, with the Instagram account linked to it, if any."""

    id: str
    name: str
    category: str = "Local business"
    instagram: InstagramAccount | None = None
    owned_by_portfolio: bool = False


@dataclass(frozen=True)
class PageRole:
    """The tasks that one person may perform on one Page."""

    page_id: str
    tasks: tuple[str, ...] = ALL_TASKS


@dataclass(frozen=True)
class Person:
    """Someone who can log in. The order of `roles` is the order of /me/accounts."""

    id: str
    name: str
    email: str
    roles: tuple[PageRole, ...] = ()


def _ids_of(pages: Iterable[Page]) -> list[str]:
    return [each.id for page in pages for each in (page, page.instagram) if each is not None]


class DuplicateIdError(ValueError):
    """The id, e-mail address or username is already taken."""


class World:
    """The people, Pages and Instagram accounts that exist, by id."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._people: dict[str, Person] = {}
        self._page_of_account: dict[str, Page] = {}
        self._accounts: dict[str, InstagramAccount] = {}

    @property
    def people(self) -> tuple[Person, ...]:
        """All people, in the order they were added."""
        return tuple(self._people.values())

    def add(self, person: Person, new_pages: Iterable[Page] = ()) -> None:
        """Add a person together with new Pages, all or nothing.

        Raises DuplicateIdError if an id, the e-mail address or a username is taken.
        """
        pages = tuple(new_pages)
        accounts = [page.instagram for page in pages if page.instagram]
        self._require_free((person.id, *_ids_of(pages)), [account.username for account in accounts])
        if any(person.email.lower() == known.email.lower() for known in self.people):
            raise DuplicateIdError(f"The e-mail address {person.email} is taken.")
        self._people[person.id] = person
        self._pages |= {page.id: page for page in pages}
        self._page_of_account |= {page.instagram.id: page for page in pages if page.instagram}
        self._accounts |= {account.id: account for account in accounts}

    def add_instagram_account(self, account: InstagramAccount) -> None:
        """Add an account that no Page is linked to. Raises DuplicateIdError for a taken id or username."""
        self._require_free((account.id,), [account.username])
        self._accounts[account.id] = account

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
        """Return the person with this id, e-mail address (in any case) or exact name, or None."""
        key = reference.strip()
        for person in self.people:
            if key in (person.id, person.name) or key.lower() == person.email.lower():
                return person
        return None

    def pages_of(self, person: Person) -> list[tuple[Page, PageRole]]:
        """Return the Pages on which the person has a role, in the order of the roles."""
        return [(self._pages[role.page_id], role) for role in person.roles]

    @property
    def instagram_accounts(self) -> tuple[InstagramAccount, ...]:
        """All Instagram accounts, in the order they were added."""
        return tuple(self._accounts.values())

    def instagram_account(self, instagram_id: str) -> InstagramAccount | None:
        """Return the Instagram account with this id, or None."""
        return self._accounts.get(instagram_id)

    def find_instagram_account(self, reference: str) -> InstagramAccount | None:
        """Return the account with this id or username (in any case, with or without @), or None."""
        key = reference.strip().removeprefix("@").lower()
        return next(
            (account for account in self._accounts.values() if key in (account.id, account.username.lower())), None
        )

    def instagram_accounts_of(self, person: Person) -> list[InstagramAccount]:
        """Return the accounts linked to the Pages that the person manages."""
        return [page.instagram for page, role in self.pages_of(person) if page.instagram and "MANAGE" in role.tasks]

    def remove_role(self, person_id: str, page_id: str) -> None:
        """Remove the person's role on a Page, if there is one."""
        person = self._people[person_id]
        kept = tuple(role for role in person.roles if role.page_id != page_id)
        self._people[person_id] = replace(person, roles=kept)

    def _require_free(self, new_ids: Iterable[str], new_usernames: Iterable[str]) -> None:
        taken = {*self._people, *self._pages, *self._accounts}
        for new_id in new_ids:
            if new_id in taken:
                raise DuplicateIdError(f"The id {new_id} is taken.")
            taken.add(new_id)
        taken_names = {account.username.lower() for account in self._accounts.values()}
        for username in new_usernames:
            if username.lower() in taken_names:
                raise DuplicateIdError(f"The username {username} is taken.")
            taken_names.add(username.lower())
