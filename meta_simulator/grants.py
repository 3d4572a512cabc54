"""What people granted apps with Facebook Login, per app and person."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meta_simulator.permissions import ALWAYS_GRANTED

# Source: Meta, "Authentication Versus Data Access". The simulator counts from the last login.
DATA_ACCESS_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class Consent:
    """What a person ticked in one dialog. A permission in neither set was not requested."""

    granted: frozenset[str]
    declined: frozenset[str]
    page_ids: frozenset[str]
    instagram_ids: frozenset[str]


@dataclass
class Grant:
    """What one person grants one app, accumulated over all logins."""

    permissions: dict[str, bool] = field(default_factory=lambda: {ALWAYS_GRANTED: True})
    page_ids: frozenset[str] = frozenset()
    instagram_ids: frozenset[str] = frozenset()
    data_access_expires_at: datetime | None = None

    def allows(self, permission: str) -> bool:
        """Return whether the permission is currently granted."""
        return self.permissions.get(permission, False)

    @property
    def granted(self) -> list[str]:
        """The granted permissions, in the order in which they were first requested."""
        return [name for name, is_granted in self.permissions.items() if is_granted]

    @property
    def declined(self) -> frozenset[str]:
        """The permissions that were requested and declined."""
        return frozenset(self.permissions) - frozenset(self.granted)

    def record(self, consent: Consent, now: datetime) -> None:
        """Merge the consent of one login; where it differs from an earlier one, the latest wins.

        The selected Pages and Instagram accounts replace the earlier selection, because the dialog always shows all
        of them.
        """
        for name in sorted(consent.granted | consent.declined):
            self.permissions[name] = name in consent.granted or name == ALWAYS_GRANTED
        self.page_ids = consent.page_ids
        self.instagram_ids = consent.instagram_ids
        self.data_access_expires_at = now + DATA_ACCESS_LIFETIME

    def decline(self, permission: str) -> None:
        """Revoke one permission. `public_profile` always stays granted."""
        self.permissions[permission] = permission == ALWAYS_GRANTED


class Grants:
    """All grants, by app and person."""

    def __init__(self) -> None:
        self._grants: dict[tuple[str, str], Grant] = {}

    def of(self, app_id: str, person_id: str) -> Grant:
        """Return the grant, or an empty one if the person never logged in to the app."""
        return self._grants.get((app_id, person_id), Grant())

    def has(self, app_id: str, person_id: str) -> bool:
        """Return whether the person has connected the app."""
        return (app_id, person_id) in self._grants

    def record(self, app_id: str, person_id: str, consent: Consent, now: datetime) -> None:
        """Merge the consent of one login into the grant."""
        self._grants.setdefault((app_id, person_id), Grant()).record(consent, now)

    def forget(self, app_ids: Iterable[str], person_id: str) -> None:
        """Remove apps from a person's account, as in their Facebook settings."""
        for app_id in app_ids:
            self._grants.pop((app_id, person_id), None)
