"""www.facebook.com/{version}/dialog/oauth: the pages of Facebook's login dialog.

On the first page a person logs in, on the second they choose what to grant. Submitting that page redirects to the app.
"""

from pathlib import Path

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.dialog.pages import DialogError, DialogPages, checked_values, form_value, form_values, redirect
from meta_simulator.facebook.dialog_request import DialogRequest, read_dialog_request
from meta_simulator.facebook.login import build_consent, cancel_url, complete_login, success_url
from meta_simulator.graph.call import OLDEST_VERSION, served_version
from meta_simulator.permissions import ALWAYS_GRANTED, INSTAGRAM_PERMISSIONS, KNOWN_PERMISSIONS
from meta_simulator.simulator import Simulator
from meta_simulator.world import Person

HOST = "www.facebook.com"
_PAGES = DialogPages(Path(__file__).parent / "templates", "Facebook Login", "facebook")
_UNKNOWN_ADDRESS = "The e-mail address you entered isn't connected to an account."
_NO_PASSWORD = "Enter a password. Any password works."


def mount_facebook_dialog(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    dialog = _Dialog(simulator)
    steps = [
        Route("/dialog/oauth", dialog.start),
        Route("/dialog/oauth/login", dialog.log_in, methods=["POST"]),
        Route("/dialog/oauth/answer", dialog.submit, methods=["POST"]),
    ]
    return Mount(f"/{HOST}", routes=[*steps, Mount("/{version}", routes=steps)])


class _Dialog:
    """The three requests of a login."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def start(self, request: Request) -> Response:
        """Show the login page."""
        try:
            dialog_request = read_dialog_request(self._simulator, request.query_params)
        except DialogError as error:
            return _PAGES.error_page(error)
        return self._login_page(request, dialog_request)

    async def log_in(self, request: Request) -> Response:
        """Show the consent page, or the login page again with an error."""
        form = await request.form()
        try:
            dialog_request = read_dialog_request(self._simulator, form_values(form))
        except DialogError as error:
            return _PAGES.error_page(error)
        person = self._simulator.world.find_person(form_value(form, "person") or form_value(form, "email"))
        if person is None:
            return self._login_page(request, dialog_request, problem=_UNKNOWN_ADDRESS, email=form_value(form, "email"))
        if "person" not in form and not form_value(form, "password"):
            return self._login_page(request, dialog_request, problem=_NO_PASSWORD, email=person.email)
        return self._choice_page(request, dialog_request, person)

    async def submit(self, request: Request) -> Response:
        """Redirect to the app, with a code or an error."""
        form = await request.form()
        try:
            dialog_request = read_dialog_request(self._simulator, form_values(form))
        except DialogError as error:
            return _PAGES.error_page(error)
        if form_value(form, "answer") != "continue":
            return redirect(cancel_url(self._simulator, dialog_request.redirect_uri, dialog_request.state))
        person = self._simulator.world.person(form_value(form, "person"))
        if person is None:
            return self._login_page(request, dialog_request, problem=_UNKNOWN_ADDRESS)
        return redirect(self._finish(dialog_request, person, form))

    def _finish(self, dialog_request: DialogRequest, person: Person, form: FormData) -> str:
        names = dialog_request.permissions_to_request(self._simulator.grants.of(dialog_request.app.id, person.id))
        consent = build_consent(
            self._simulator,
            person,
            requested=names,
            # A configuration is granted as a whole.
            granted=names if dialog_request.is_configured else checked_values(form, "permission"),
            page_ids=checked_values(form, "page"),
            instagram_ids=checked_values(form, "instagram_account"),
        )
        code = complete_login(self._simulator, dialog_request.app, person, consent, dialog_request.redirect_uri)
        return success_url(self._simulator, code, dialog_request.state)

    def _login_page(
        self, request: Request, dialog_request: DialogRequest, *, problem: str = "", email: str = ""
    ) -> Response:
        return _PAGES.page(
            "login.html",
            dialog_request=dialog_request,
            status=400 if problem else 200,
            dialog_path=_dialog_path(request),
            people=self._simulator.world.people,
            problem=problem,
            email=email,
        )

    def _choice_page(self, request: Request, dialog_request: DialogRequest, person: Person) -> Response:
        names = dialog_request.permissions_to_request(self._simulator.grants.of(dialog_request.app.id, person.id))
        return _PAGES.page(
            "choose.html",
            dialog_request=dialog_request,
            dialog_path=_dialog_path(request),
            person=person,
            pages=[page for page, _ in self._simulator.world.pages_of(person)],
            # Selecting assets is only meaningful with a permission that applies to them.
            shows_pages=any(name.startswith(("pages_", "instagram_")) for name in dialog_request.requested),
            shows_instagram=any(name in INSTAGRAM_PERMISSIONS for name in dialog_request.requested),
            permissions=[(name, KNOWN_PERMISSIONS[name]) for name in names],
            declined_before=[name for name in dialog_request.requested if name not in names],
            always_granted=KNOWN_PERMISSIONS[ALWAYS_GRANTED],
        )


def _dialog_path(request: Request) -> str:
    version = served_version(str(request.path_params.get("version", ""))) or OLDEST_VERSION
    return f"/{HOST}/{version}/dialog/oauth"
