"""What people have allowed apps to do on Facebook: the answer to each login, per app and person."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meta_simulator.permissions import ALWAYS_GRANTED

# Meta, "Authentication Versus Data Access": access to data lapses 90 days after the last activity.
DATA_ACCESS_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class LoginAnswer:
    """What somebody ticked in the dialog; a permission in neither set was not asked for."""

    granted: frozenset[str]
    declined: frozenset[str]
    page_ids: frozenset[str]
    instagram_ids: frozenset[str]


@dataclass
class Grant:
    """The standing of one app with one person, over all their logins."""

    permissions: dict[str, bool] = field(default_factory=lambda: {ALWAYS_GRANTED: True})
    page_ids: frozenset[str] = frozenset()
    instagram_ids: frozenset[str] = frozenset()
    data_access_expires_at: datetime | None = None

    def allows(self, permission: str) -> bool:
        """Tell whether the permission is granted now."""
        return self.permissions.get(permission, False)

    @property
    def granted(self) -> list[str]:
        """The granted permissions, in the order in which they were first asked for."""
        return [name for name, is_granted in self.permissions.items() if is_granted]

    @property
    def declined(self) -> frozenset[str]:
        """The permissions that were asked for and refused."""
        return frozenset(self.permissions) - frozenset(self.granted)

    def record(self, answer: LoginAnswer, now: datetime) -> None:
        """Add a login: the union of all answers, the last one winning where they differ.

        The choice of Pages and Instagram accounts replaces the earlier one, because the dialog
        shows all of them each time.
        """
        for name in sorted(answer.granted | answer.declined):
            self.permissions[name] = name in answer.granted or name == ALWAYS_GRANTED
        self.page_ids = answer.page_ids
        self.instagram_ids = answer.instagram_ids
        self.data_access_expires_at = now + DATA_ACCESS_LIFETIME

    def decline(self, permission: str) -> None:
        """Take one permission back; `public_profile` cannot be refused."""
        self.permissions[permission] = permission == ALWAYS_GRANTED


class Grants:
    """All grants, by app and person."""

    def __init__(self) -> None:
        self._grants: dict[tuple[str, str], Grant] = {}

    def of(self, app_id: str, person_id: str) -> Grant:
        """Return the grant, an empty one if the person never logged in to the app."""
        return self._grants.get((app_id, person_id), Grant())

    def has(self, app_id: str, person_id: str) -> bool:
        """Tell whether the app is on the person's account."""
        return (app_id, person_id) in self._grants

    def record(self, app_id: str, person_id: str, answer: LoginAnswer, now: datetime) -> None:
        """Remember the answer to one login."""
        self._grants.setdefault((app_id, person_id), Grant()).record(answer, now)

    def forget(self, app_ids: Iterable[str], person_id: str) -> None:
        """Remove apps from a person's account, as in their Facebook settings."""
        for app_id in app_ids:
            self._grants.pop((app_id, person_id), None)
