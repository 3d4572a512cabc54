"""Facebook Login's Graph API calls about people and their tokens, one method each, and the app that makes them.

Sources: Meta's "Long-Lived Access Tokens", "Debug-Token", "User permissions" and "Secure Graph API Calls".
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from instagram_connect.errors import MetaAppMisconfiguredError, PermissionMissingError, ReconnectRequiredError
from instagram_connect.meta.facebook_pages import PAGE_FIELDS, next_cursor
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.graph_errors import APP_SECRET_INVALID, names_its_cause
from instagram_connect.meta.json_values import to_object, to_objects, to_text, to_token
from instagram_connect.models import UserToken
from instagram_connect.runtime.deadline import Deadline
from instagram_connect.runtime.observability import logger

PAGE_LIMIT = 100  # Meta's maximum
MAX_RESULT_PAGES = 100  # cursors could form a loop


@dataclass(frozen=True)
class FacebookApp:
    """The Meta app that people log in to. The URLs have no version and no trailing slash.

    `scopes` is comma-separated. With `login_config_id` (Facebook Login for Business) the configuration decides instead.
    """

    app_id: str
    app_secret: str = field(repr=False)
    graph_url: str
    dialog_url: str
    graph_version: str
    scopes: str
    login_config_id: str | None

    def secret_proof(self, token: str) -> str:
        """The `appsecret_proof` of a call with `token`; an app can require it of every call."""
        return hmac.new(self.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


class FacebookCalls:
    """Calls made for one app. Safe to share between threads."""

    def __init__(self, app: FacebookApp, graph: GraphClient, now: Callable[[], datetime]) -> None:
        self._app = app
        self._graph = graph
        self._now = now
        self.base_url = f"{app.graph_url}/{app.graph_version}"

    def extend(self, token: UserToken, deadline: Deadline) -> UserToken:
        """Exchange a valid token for a long-lived one, which keeps the login's `issued_at`. Raises MetaError."""
        params = {
            "grant_type": "fb_exchange_token",
            "client_id": self._app.app_id,
            "client_secret": self._app.app_secret,
            "fb_exchange_token": token.value,
        }
        requested_at = self._now()
        answer = self._graph.call(
            "extend_token", "GET", f"{self.base_url}/oauth/access_token", params=params, deadline=deadline
        )
        # The login counts from its first token: anything its user did since, such as disconnecting, is newer.
        return replace(to_token(answer, requested_at), issued_at=token.issued_at)

    def pages(self, token: UserToken, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """The person's Pages that the login may see. Raises MetaError."""
        params = {"fields": PAGE_FIELDS, "limit": str(PAGE_LIMIT), **self.signed(token.value)}
        for _ in range(MAX_RESULT_PAGES):
            answer = self._graph.call(
                "list_pages", "GET", f"{self.base_url}/me/accounts", params=params, deadline=deadline
            )
            yield from to_objects(answer.get("data"))
            after = next_cursor(to_object(answer.get("paging")))
            if after is None or after == params.get("after"):
                return
            params = {**params, "after": after}
        logger.warning("Stopped listing Pages", result_pages=MAX_RESULT_PAGES)

    def permissions(self, token: str, deadline: Deadline) -> dict[str, Any]:
        """Each permission's status, `granted` or `declined`. Raises MetaError."""
        answer = self._graph.call(
            "permissions",
            "GET",
            f"{self.base_url}/me/permissions",
            params=self.signed(token),
            deadline=deadline,
        )
        entries = to_objects(answer.get("data"))
        return {to_text(entry.get("permission")) or "": str(entry.get("status")) for entry in entries}

    def inspect(self, token: str, deadline: Deadline) -> dict[str, Any]:
        """What debug_token returns for a token, valid or not. Raises MetaError."""
        params = {"input_token": token, "access_token": f"{self._app.app_id}|{self._app.app_secret}"}
        try:
            answer = self._graph.call(
                "debug_token", "GET", f"{self.base_url}/debug_token", params=params, deadline=deadline
            )
        except ReconnectRequiredError as error:
            if names_its_cause(error):  # about the inspected token
                raise
            # About the app access token, which is made of app id and secret.
            raise MetaAppMisconfiguredError(reason=APP_SECRET_INVALID, log_context=error.log_context) from error
        except PermissionMissingError as error:  # the app lacks it, not a person
            raise MetaAppMisconfiguredError(reason="APP_CAPABILITY_MISSING", log_context=error.log_context) from error
        return to_object(answer.get("data"))

    def signed(self, token: str) -> dict[str, str]:
        """The parameters of a call made with a token."""
        return {"access_token": token, "appsecret_proof": self._app.secret_proof(token)}
