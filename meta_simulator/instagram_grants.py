"""What Instagram accounts granted apps with Instagram Login, per app and account."""

from collections.abc import Iterable


class InstagramGrants:
    """The permissions granted and declined with Instagram Login. The latest login wins."""

    def __init__(self) -> None:
        self._decisions: dict[tuple[str, str], dict[str, bool]] = {}

    def record(self, app_id: str, account_id: str, requested: Iterable[str], granted: Iterable[str]) -> None:
        """Record which of the requested permissions were ticked. Others are ignored."""
        ticked = frozenset(granted)
        decisions = self._decisions.setdefault((app_id, account_id), {})
        decisions.update({name: name in ticked for name in requested})

    def has(self, app_id: str, account_id: str) -> bool:
        """Return whether the account has connected the app."""
        return (app_id, account_id) in self._decisions

    def of(self, app_id: str, account_id: str) -> tuple[str, ...]:
        """Return the granted permissions, in the order in which they were first requested."""
        decisions = self._decisions.get((app_id, account_id), {})
        return tuple(name for name, is_granted in decisions.items() if is_granted)

    def forget(self, app_ids: Iterable[str], account_id: str) -> None:
        """Remove apps from an account, as in its Instagram settings."""
        for app_id in app_ids:
            self._decisions.pop((app_id, account_id), None)
