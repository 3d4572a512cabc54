"""www.facebook.com/{version}/dialog/oauth: the pages on which a person logs in and ticks boxes.

Step 1 says who, step 2 says what; the answer redirects to the app.
"""

from pathlib import Path

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.dialog.pages import DialogPages, DialogRefusedError, chosen_in, redirect, text_of, texts_of
from meta_simulator.facebook.dialog_request import DialogRequest, read_dialog_request
from meta_simulator.facebook.login import cancel_url, finish_login, login_answer, success_url
from meta_simulator.graph.call import OLDEST_VERSION, served_version
from meta_simulator.permissions import ALWAYS_GRANTED, INSTAGRAM_PERMISSIONS, KNOWN_PERMISSIONS
from meta_simulator.simulator import Simulator
from meta_simulator.world import Person

HOST = "www.facebook.com"
_PAGES = DialogPages(Path(__file__).parent / "templates", "Facebook Login", "facebook")
_UNKNOWN_ADDRESS = "The e-mail address you entered isn't connected to an account."
_NO_PASSWORD = "Enter a password. Any password will do."


def mount_facebook_dialog(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    dialog = _Dialog(simulator)
    steps = [
        Route("/dialog/oauth", dialog.start),
        Route("/dialog/oauth/login", dialog.log_in, methods=["POST"]),
        Route("/dialog/oauth/answer", dialog.answer, methods=["POST"]),
    ]
    return Mount(f"/{HOST}", routes=[*steps, Mount("/{version}", routes=steps)])


class _Dialog:
    """The three requests of a login."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def start(self, request: Request) -> Response:
        """Show step 1."""
        try:
            asked = read_dialog_request(self._simulator, request.query_params)
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        return self._login_page(request, asked)

    async def log_in(self, request: Request) -> Response:
        """Show step 2 to the chosen person, or step 1 again with what was wrong."""
        form = await request.form()
        try:
            asked = read_dialog_request(self._simulator, texts_of(form))
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        person = self._simulator.world.find_person(text_of(form, "person") or text_of(form, "email"))
        if person is None:
            return self._login_page(request, asked, problem=_UNKNOWN_ADDRESS, email=text_of(form, "email"))
        if "person" not in form and not text_of(form, "password"):
            return self._login_page(request, asked, problem=_NO_PASSWORD, email=person.email)
        return self._choice_page(request, asked, person)

    async def answer(self, request: Request) -> Response:
        """Send the browser back to the app, with a code or with the refusal."""
        form = await request.form()
        try:
            asked = read_dialog_request(self._simulator, texts_of(form))
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        if text_of(form, "answer") != "continue":
            return redirect(cancel_url(self._simulator, asked.redirect_uri, asked.state))
        person = self._simulator.world.person(text_of(form, "person"))
        if person is None:
            return self._login_page(request, asked, problem=_UNKNOWN_ADDRESS)
        return redirect(self._finish(asked, person, form))

    def _finish(self, asked: DialogRequest, person: Person, form: FormData) -> str:
        names = asked.asked_of(self._simulator.grants.of(asked.app.id, person.id))
        answer = login_answer(
            self._simulator,
            person,
            asked=names,
            # A saved configuration is granted as a whole or not at all.
            granted=names if asked.is_configured else chosen_in(form, "permission"),
            page_ids=chosen_in(form, "page"),
            instagram_ids=chosen_in(form, "instagram_account"),
        )
        code = finish_login(self._simulator, asked.app, person, answer, asked.redirect_uri)
        return success_url(self._simulator, code, asked.state)

    def _login_page(self, request: Request, asked: DialogRequest, *, problem: str = "", email: str = "") -> Response:
        return _PAGES.page(
            "login.html",
            asked=asked,
            status=400 if problem else 200,
            dialog_path=_dialog_path(request),
            people=self._simulator.world.people,
            problem=problem,
            email=email,
        )

    def _choice_page(self, request: Request, asked: DialogRequest, person: Person) -> Response:
        names = asked.asked_of(self._simulator.grants.of(asked.app.id, person.id))
        return _PAGES.page(
            "choose.html",
            asked=asked,
            dialog_path=_dialog_path(request),
            person=person,
            pages=[page for page, _ in self._simulator.world.pages_of(person)],
            # Without such a permission the choice of assets means nothing to anybody.
            shows_pages=any(name.startswith(("pages_", "instagram_")) for name in asked.requested),
            shows_instagram=any(name in INSTAGRAM_PERMISSIONS for name in asked.requested),
            permissions=[(name, KNOWN_PERMISSIONS[name]) for name in names],
            declined_before=[name for name in asked.requested if name not in names],
            always_granted=KNOWN_PERMISSIONS[ALWAYS_GRANTED],
        )


def _dialog_path(request: Request) -> str:
    version = served_version(str(request.path_params.get("version", ""))) or OLDEST_VERSION
    return f"/{HOST}/{version}/dialog/oauth"
