"""The end of a Facebook login: record the consent, issue a code, build the redirect.

Shared by the dialog and the control API, so that scripted and clicked logins behave the same.
"""

from collections.abc import Iterable

from meta_simulator.authorization_codes import AuthorizationCode
from meta_simulator.dialog.pages import redirect_url
from meta_simulator.grants import Consent
from meta_simulator.meta_apps import MetaApp
from meta_simulator.simulator import Simulator
from meta_simulator.world import Person

FACEBOOK_FRAGMENT = "#_=_"


def build_consent(
    simulator: Simulator,
    person: Person,
    *,
    requested: Iterable[str],
    granted: Iterable[str],
    page_ids: Iterable[str] | None,
    instagram_ids: Iterable[str] | None,
) -> Consent:
    """Return the consent for what was requested and ticked. Anything that was not offered is ignored.

    `page_ids` None means all of the person's Pages; `instagram_ids` None means all accounts linked to the selected
    Pages.
    """
    own_pages = [page for page, _ in simulator.world.pages_of(person)]
    chosen = own_pages if page_ids is None else [page for page in own_pages if page.id in set(page_ids)]
    # An account can be selected without its Page, but it has to be linked to one of the person's Pages.
    offered = {page.instagram.id for page in own_pages if page.instagram}
    linked = {page.instagram.id for page in chosen if page.instagram}
    requested_set = frozenset(requested)
    granted_set = requested_set & frozenset(granted)
    return Consent(
        granted=granted_set,
        declined=requested_set - granted_set,
        page_ids=frozenset(page.id for page in chosen),
        instagram_ids=frozenset(linked if instagram_ids is None else offered & set(instagram_ids)),
    )


def complete_login(
    simulator: Simulator, app: MetaApp, person: Person, consent: Consent, redirect_uri: str
) -> AuthorizationCode:
    """Record the consent and return a new authorization code."""
    now = simulator.clock.now()
    simulator.grants.record(app.id, person.id, consent, now)
    return simulator.codes.issue(app.id, person.id, redirect_uri, now)


def success_url(simulator: Simulator, code: AuthorizationCode, state: str | None) -> str:
    """Return the redirect after "Continue"."""
    return _back_to(simulator, code.redirect_uri, {"code": code.value}, state)


def cancel_url(simulator: Simulator, redirect_uri: str, state: str | None) -> str:
    """Return the redirect after "Cancel". Source: Meta, "Canceled Login"."""
    error = {
        "error": "access_denied",
        "error_code": "200",
        "error_description": "Permissions error",
        "error_reason": "user_denied",
    }
    return _back_to(simulator, redirect_uri, error, state)


def _back_to(simulator: Simulator, redirect_uri: str, query: dict[str, str], state: str | None) -> str:
    fragment = FACEBOOK_FRAGMENT if simulator.settings.append_fragment else ""
    return redirect_url(redirect_uri, query, state, fragment)
