"""What Instagram accounts have allowed apps to do, by app and account."""

from collections.abc import Iterable


class InstagramGrants:
    """The permissions that logins with Instagram gave and refused; the last answer wins for each."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], dict[str, bool]] = {}

    def record(self, app_id: str, account_id: str, asked: Iterable[str], granted: Iterable[str]) -> None:
        """Remember what was ticked of what was asked; anything else that was ticked is ignored."""
        ticked = frozenset(granted)
        answers = self._answers.setdefault((app_id, account_id), {})
        answers.update({name: name in ticked for name in asked})

    def has(self, app_id: str, account_id: str) -> bool:
        """Tell whether the app is on the account."""
        return (app_id, account_id) in self._answers

    def of(self, app_id: str, account_id: str) -> tuple[str, ...]:
        """Return the granted permissions, in the order in which they were first asked for."""
        answers = self._answers.get((app_id, account_id), {})
        return tuple(name for name, is_granted in answers.items() if is_granted)

    def forget(self, app_ids: Iterable[str], account_id: str) -> None:
        """Remove apps from an account, as in its settings at Instagram."""
        for app_id in app_ids:
            self._answers.pop((app_id, account_id), None)
