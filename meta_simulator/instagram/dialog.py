"""www.instagram.com/oauth/authorize: the pages on which an account logs in and allows an app.

Step 1 says which account, step 2 says what; the answer redirects to the app.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from meta_simulator.dialog.pages import DialogPages, DialogRefusedError, chosen_in, redirect, text_of, texts_of
from meta_simulator.instagram.dialog_request import InstagramDialogRequest, read_instagram_dialog_request
from meta_simulator.instagram.login import (
    finish_instagram_login,
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
_NO_PASSWORD = "Enter a password. Any password will do."


def mount_instagram_dialog(simulator: Simulator) -> Mount:
    """Return the routes of the host."""
    dialog = _Dialog(simulator)
    steps = [
        Route(_PATH, dialog.start),
        Route(f"{_PATH}/login", dialog.log_in, methods=["POST"]),
        Route(f"{_PATH}/answer", dialog.answer, methods=["POST"]),
    ]
    return Mount(f"/{HOST}", routes=steps)


class _Dialog:
    """The three requests of a login."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def start(self, request: Request) -> Response:
        """Show step 1."""
        try:
            asked = read_instagram_dialog_request(self._simulator, request.query_params)
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        return self._login_page(asked)

    async def log_in(self, request: Request) -> Response:
        """Show step 2 to the chosen account, or step 1 again with what was wrong."""
        form = await request.form()
        try:
            asked = read_instagram_dialog_request(self._simulator, texts_of(form))
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        username = text_of(form, "username")
        account = self._simulator.world.find_instagram_account(text_of(form, "account") or username)
        if account is None:
            return self._login_page(asked, problem=_UNKNOWN_USERNAME, username=username)
        if "account" not in form and not text_of(form, "password"):
            return self._login_page(asked, problem=_NO_PASSWORD, username=username)
        return self._choice_page(asked, account)

    async def answer(self, request: Request) -> Response:
        """Send the browser back to the app, with a code or with the refusal."""
        form = await request.form()
        try:
            asked = read_instagram_dialog_request(self._simulator, texts_of(form))
        except DialogRefusedError as refusal:
            return _PAGES.refused(refusal)
        if text_of(form, "answer") != "allow":
            return redirect(instagram_cancel_url(asked.redirect_uri, asked.state))
        account = self._simulator.world.instagram_account(text_of(form, "account"))
        if account is None:
            return self._login_page(asked, problem=_UNKNOWN_USERNAME)
        if not may_log_in(self._simulator, account):
            return _not_professional_page(asked, account)
        code = finish_instagram_login(
            self._simulator,
            asked.app,
            account,
            asked=asked.requested,
            granted=chosen_in(form, "permission"),
            redirect_uri=asked.redirect_uri,
        )
        return redirect(instagram_success_url(code, asked.state))

    def _login_page(self, asked: InstagramDialogRequest, *, problem: str = "", username: str = "") -> Response:
        return _PAGES.page(
            "login.html",
            status=400 if problem else 200,
            asked=asked,
            dialog_path=f"/{HOST}{_PATH}",
            accounts=self._simulator.world.instagram_accounts,
            problem=problem,
            username=username,
        )

    def _choice_page(self, asked: InstagramDialogRequest, account: InstagramAccount) -> Response:
        if not may_log_in(self._simulator, account):
            return _not_professional_page(asked, account)
        return _PAGES.page(
            "choose.html",
            asked=asked,
            dialog_path=f"/{HOST}{_PATH}",
            account=account,
            permissions=[(name, INSTAGRAM_LOGIN_PERMISSIONS[name]) for name in asked.requested],
        )


def _not_professional_page(asked: InstagramDialogRequest, account: InstagramAccount) -> Response:
    return _PAGES.page("not_professional.html", status=400, asked=asked, dialog_path=f"/{HOST}{_PATH}", account=account)
