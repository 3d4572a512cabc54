"""A Supabase project as a deployment knows it: address, key, and optionally the URL of its database.

On the hosted platform each of the three names its project, so a mix-up is visible without a request.
Sources: Supabase, "Understanding API keys" and "Connect to your database".
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from instagram_connect.storage.data_api import DataApi
from instagram_connect.storage.direct_connection import Database

BACKEND_ROLE = "service_role"
_ROLES_OF_PREFIXES = {"sb_publishable_": "anon", "sb_secret_": BACKEND_ROLE}
_API_SUFFIX = ".supabase.co"
_POOLER_SUFFIX = ".pooler.supabase.com"


@dataclass(frozen=True)
class Project:
    """The configuration. Nothing is requested until `data_api` or `database` is used."""

    supabase_url: str
    secret_key: str = field(repr=False)
    database_url: str | None = field(default=None, repr=False)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)

    @cached_property
    def data_api(self) -> DataApi:
        """The Data API with the configured key."""
        return DataApi(self.supabase_url, self.secret_key, self.transport)

    @cached_property
    def database(self) -> Database | None:
        """The direct connection, if there is a URL for one."""
        return Database(self.database_url) if self.database_url else None

    def close(self) -> None:
        """Close the connections to the Data API; the next use opens new ones."""
        if data_api := self.__dict__.pop("data_api", None):
            data_api.close()

    @property
    def is_addressable(self) -> bool:
        """Whether SUPABASE_URL can be the address of a Data API."""
        parts = _split(self.supabase_url)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.username
        ):
            return False
        if parts.path.rstrip("/").endswith("/rest/v1"):  # it is appended later
            return False
        try:
            return bool(self.data_api)
        except (ValueError, httpx.InvalidURL):  # an invalid port or host name
            return False

    @property
    def key_role(self) -> str | None:
        """The role that the key names; None if it names none."""
        for prefix, opaque_role in _ROLES_OF_PREFIXES.items():
            if self.secret_key.startswith(prefix):
                return opaque_role
        role = self._claims.get("role")
        return role if isinstance(role, str) else None

    @property
    def key_ref(self) -> str | None:
        """The project that a legacy key names; None for the opaque new keys."""
        ref = self._claims.get("ref")
        return ref if isinstance(ref, str) else None

    @property
    def url_ref(self) -> str | None:
        """The project that the Data API's address names; None for a custom domain."""
        parts = _split(self.supabase_url)
        host = (parts.hostname or "") if parts else ""
        return host.removesuffix(_API_SUFFIX) if host.endswith(_API_SUFFIX) else None

    @property
    def database_ref(self) -> str | None:
        """The project that the database URL names: by its host or, for the pooler, by its user."""
        parts = _split(self.database_url or "")
        host = (parts.hostname or "") if parts else ""
        if host.startswith("db.") and host.endswith(_API_SUFFIX):
            return host.removeprefix("db.").removesuffix(_API_SUFFIX)
        if parts and host.endswith(_POOLER_SUFFIX):
            return unquote(parts.username or "").partition(".")[2] or None
        return None

    @cached_property
    def _claims(self) -> dict[str, Any]:
        """The claims of a legacy key, which is a JWT; not verified, because they are only compared."""
        parts = self.secret_key.split(".")
        if len(parts) != 3:
            return {}
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (binascii.Error, ValueError):
            return {}
        return claims if isinstance(claims, dict) else {}


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # such as mismatched brackets
        return None
