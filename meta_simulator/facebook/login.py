"""The end of a login: what was ticked is remembered, a code is made, the browser is sent back.

The dialog and the control API share it, so that a scripted login is the same as a clicked one.
"""

from collections.abc import Iterable

from meta_simulator.authorization_codes import AuthorizationCode
from meta_simulator.dialog.pages import redirect_url
from meta_simulator.grants import LoginAnswer
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from meta_simulator.world import Person

FACEBOOK_FRAGMENT = "#_=_"


def login_answer(
    simulator: Simulator,
    person: Person,
    *,
    asked: Iterable[str],
    granted: Iterable[str],
    page_ids: Iterable[str] | None,
    instagram_ids: Iterable[str] | None,
) -> LoginAnswer:
    """Build an answer out of what was asked and ticked; anything else that was sent is ignored.

    None for the Pages means all of the person's, None for the Instagram accounts all that are
    linked to the chosen Pages.
    """
    own_pages = [page for page, _ in simulator.world.pages_of(person)]
    chosen = own_pages if page_ids is None else [page for page in own_pages if page.id in set(page_ids)]
    # An account is ticked for itself: its Page may be left out, but it has to be theirs.
    offered = {page.instagram.id for page in own_pages if page.instagram}
    linked = {page.instagram.id for page in chosen if page.instagram}
    asked_set = frozenset(asked)
    granted_set = asked_set & frozenset(granted)
    return LoginAnswer(
        granted=granted_set,
        declined=asked_set - granted_set,
        page_ids=frozenset(page.id for page in chosen),
        instagram_ids=frozenset(linked if instagram_ids is None else offered & set(instagram_ids)),
    )


def finish_login(
    simulator: Simulator, app: MetaApp, person: Person, answer: LoginAnswer, redirect_uri: str
) -> AuthorizationCode:
    """Remember the answer and return a fresh code for it."""
    now = simulator.clock.now()
    simulator.grants.record(app.id, person.id, answer, now)
    return simulator.codes.issue(app.id, person.id, redirect_uri, now)


def success_url(simulator: Simulator, code: AuthorizationCode, state: str | None) -> str:
    """Return where the browser goes after "Continue"."""
    return _back_to(simulator, code.redirect_uri, {"code": code.value}, state)


def cancel_url(simulator: Simulator, redirect_uri: str, state: str | None) -> str:
    """Return where the browser goes after "Cancel" (Meta, "Canceled Login")."""
    refusal = {
        "error": "access_denied",
        "error_code": "200",
        "error_description": "Permissions error",
        "error_reason": "user_denied",
    }
    return _back_to(simulator, redirect_uri, refusal, state)


def _back_to(simulator: Simulator, redirect_uri: str, query: dict[str, str], state: str | None) -> str:
    fragment = FACEBOOK_FRAGMENT if simulator.settings.append_fragment else ""
    return redirect_url(redirect_uri, query, state, fragment)
