"""www.instagram.com/oauth/authorize: the pages of Instagram's login dialog.

On the first page an account logs in, on the second it chooses what to grant. Submitting that page redirects to the app.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.dialog.pages import DialogError, DialogPages, checked_values, form_value, form_values, redirect
from meta_simulator.instagram.dialog_request import InstagramDialogRequest, read_instagram_dialog_request
from meta_simulator.instagram.login import (
    complete_instagram_login,
    instagram_cancel_url,
    instagram_success_url,
    may_log_in,
)
from meta_simulator.permissions import INSTAGRAM_LOGIN_PERMISSIONS
from meta_simulator.simulator import Simulator
from meta_simulator.world import InstagramAccount

HOST = "www.instagram.com"
_PATH = "/oauth/authorize"
_PAGES = DialogPages(Path(__file__).parent / "templates", "Instagram Login", "instagram")
_UNKNOWN_USERNAME = "The username you entered doesn't belong to an account."
_NO_PASSWORD = "Enter a password. Any password works."


def mount_instagram_dialog(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    dialog = _Dialog(simulator)
    steps = [
        Route(_PATH, dialog.start),
        Route(f"{_PATH}/login", dialog.log_in, methods=["POST"]),
        Route(f"{_PATH}/answer", dialog.submit, methods=["POST"]),
    ]
    return Mount(f"/{HOST}", routes=steps)


class _Dialog:
    """The three requests of a login."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def start(self, request: Request) -> Response:
        """Show the login page."""
        try:
            dialog_request = read_instagram_dialog_request(self._simulator, request.query_params)
        except DialogError as error:
            return _PAGES.error_page(error)
        return self._login_page(dialog_request)

    async def log_in(self, request: Request) -> Response:
        """Show the consent page, or the login page again with an error."""
        form = await request.form()
        try:
            dialog_request = read_instagram_dialog_request(self._simulator, form_values(form))
        except DialogError as error:
            return _PAGES.error_page(error)
        username = form_value(form, "username")
        account = self._simulator.world.find_instagram_account(form_value(form, "account") or username)
        if account is None:
            return self._login_page(dialog_request, problem=_UNKNOWN_USERNAME, username=username)
        if "account" not in form and not form_value(form, "password"):
            return self._login_page(dialog_request, problem=_NO_PASSWORD, username=username)
        return self._choice_page(dialog_request, account)

    async def submit(self, request: Request) -> Response:
        """Redirect to the app, with a code or an error."""
        form = await request.form()
        try:
            dialog_request = read_instagram_dialog_request(self._simulator, form_values(form))
        except DialogError as error:
            return _PAGES.error_page(error)
        if form_value(form, "answer") != "allow":
            return redirect(instagram_cancel_url(dialog_request.redirect_uri, dialog_request.state))
        account = self._simulator.world.instagram_account(form_value(form, "account"))
        if account is None:
            return self._login_page(dialog_request, problem=_UNKNOWN_USERNAME)
        if not may_log_in(self._simulator, account):
            return _not_professional_page(dialog_request, account)
        code = complete_instagram_login(
            self._simulator,
            dialog_request.app,
            account,
            requested=dialog_request.requested,
            granted=checked_values(form, "permission"),
            redirect_uri=dialog_request.redirect_uri,
        )
        return redirect(instagram_success_url(code, dialog_request.state))

    def _login_page(self, dialog_request: InstagramDialogRequest, *, problem: str = "", username: str = "") -> Response:
        return _PAGES.page(
            "login.html",
            status=400 if problem else 200,
            dialog_request=dialog_request,
            dialog_path=f"/{HOST}{_PATH}",
            accounts=self._simulator.world.instagram_accounts,
            problem=problem,
            username=username,
        )

    def _choice_page(self, dialog_request: InstagramDialogRequest, account: InstagramAccount) -> Response:
        if not may_log_in(self._simulator, account):
            return _not_professional_page(dialog_request, account)
        return _PAGES.page(
            "choose.html",
            dialog_request=dialog_request,
            dialog_path=f"/{HOST}{_PATH}",
            account=account,
            permissions=[(name, INSTAGRAM_LOGIN_PERMISSIONS[name]) for name in dialog_request.requested],
        )


def _not_professional_page(dialog_request: InstagramDialogRequest, account: InstagramAccount) -> Response:
    return _PAGES.page(
        "not_professional.html",
        status=400,
        dialog_request=dialog_request,
        dialog_path=f"/{HOST}{_PATH}",
        account=account,
    )
