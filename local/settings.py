"""The local system's settings, from the environment, and the secrets of a home folder.

A variable that is not set has its default value, even if an earlier command set it. Only the generated secrets are
kept; two home folders never accept each other's keys.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import LocalSystemError

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
REGION = "us-east-1"
STACK_NAME = "instagram-connect-local"
SECRET_PREFIX = "instagram-connect/local"

DEFAULT_PORT_BASE = 8400
_FACEBOOK_APP_ID = "1180000000000001"
_INSTAGRAM_APP_ID = "2290000000000002"


@dataclass(frozen=True)
class Ports:
    """The port of each service, counted from one base so that moving a system takes one number."""

    base: int

    @property
    def web(self) -> int:
        """The web page."""
        return self.base

    @property
    def supabase(self) -> int:
        """The Supabase gateway."""
        return self.base + 1

    @property
    def postgres(self) -> int:
        """The database."""
        return self.base + 2

    @property
    def aws(self) -> int:
        """MiniStack."""
        return self.base + 3

    @property
    def meta(self) -> int:
        """The Meta simulator."""
        return self.base + 4

    @property
    def postgrest(self) -> int:
        """PostgREST, behind the gateway."""
        return self.base + 5

    @property
    def postgrest_admin(self) -> int:
        """PostgREST's health checks."""
        return self.base + 6


@dataclass(frozen=True)
class Keys:
    """The secrets of one home folder, generated once."""

    supabase_publishable_key: str = field(repr=False)
    supabase_secret_key: str = field(repr=False)
    supabase_jwt_secret: str = field(repr=False)
    facebook_app_secret: str = field(repr=False)
    instagram_app_secret: str = field(repr=False)
    webhook_verify_token: str = field(repr=False)
    state_signing_key: str = field(repr=False)

    @classmethod
    def generate(cls) -> "Keys":
        """Generate a new set."""
        return cls(
            supabase_publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
            supabase_secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
            supabase_jwt_secret=secrets.token_urlsafe(48),
            facebook_app_secret=secrets.token_hex(16),
            instagram_app_secret=secrets.token_hex(16),
            webhook_verify_token=secrets.token_urlsafe(24),
            state_signing_key=secrets.token_urlsafe(48),
        )

    @classmethod
    def of_home(cls, home: Path) -> "Keys":
        """Read the keys of a home folder; generate missing ones and save them, readable by their owner only."""
        path = home / "keys.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        # A home folder made by an earlier version lacks keys that were added since.
        keys = {**vars(cls.generate()), **kept}
        if keys != kept:
            home.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(keys, file, indent=2)
            draft.replace(path)
        return cls(**keys)


@dataclass(frozen=True)
class MetaUrls:
    """The addresses of Meta's five hosts, as the deployed system uses them."""

    facebook_graph: str
    facebook_dialog: str
    instagram_graph: str
    instagram_api: str
    instagram_dialog: str


@dataclass(frozen=True)
class Settings:
    """All settings of one `make up`."""

    home: Path
    ports: Ports
    data_api: str
    keys: Keys
    facebook_app_id: str
    facebook_app_secret: str = field(repr=False)
    instagram_app_id: str
    instagram_app_secret: str = field(repr=False)
    webhook_verify_token: str = field(repr=False)
    oauth_redirect_uris: str
    meta: MetaUrls

    @classmethod
    def load(cls, home: Path, environment: Mapping[str, str]) -> "Settings":
        """Read the settings from the environment; an empty variable counts as not set."""
        given = {name: value for name, value in environment.items() if value}
        home = home.resolve()
        ports = Ports(_port_base(given.get("LOCAL_PORT_BASE")))
        data_api = given.get("DATA_API", "lite")
        if data_api not in ("lite", "postgrest"):
            raise LocalSystemError(f"DATA_API is {data_api!r}: it must be lite or postgrest.")
        keys = Keys.of_home(home)
        simulator = f"http://{HOST}:{ports.meta}"
        return cls(
            home=home,
            ports=ports,
            data_api=data_api,
            keys=keys,
            facebook_app_id=given.get("FACEBOOK_APP_ID", _FACEBOOK_APP_ID),
            facebook_app_secret=given.get("FACEBOOK_APP_SECRET", keys.facebook_app_secret),
            instagram_app_id=given.get("INSTAGRAM_APP_ID", _INSTAGRAM_APP_ID),
            instagram_app_secret=given.get("INSTAGRAM_APP_SECRET", keys.instagram_app_secret),
            webhook_verify_token=given.get("WEBHOOK_VERIFY_TOKEN", keys.webhook_verify_token),
            oauth_redirect_uris=given.get("OAUTH_REDIRECT_URIS", f"http://{HOST}:{ports.web}/callback"),
            meta=MetaUrls(
                facebook_graph=given.get("FACEBOOK_GRAPH_URL", f"{simulator}/graph.facebook.com"),
                facebook_dialog=given.get("FACEBOOK_DIALOG_URL", f"{simulator}/www.facebook.com"),
                instagram_graph=given.get("INSTAGRAM_GRAPH_URL", f"{simulator}/graph.instagram.com"),
                instagram_api=given.get("INSTAGRAM_API_URL", f"{simulator}/api.instagram.com"),
                instagram_dialog=given.get("INSTAGRAM_DIALOG_URL", f"{simulator}/www.instagram.com"),
            ),
        )

    @property
    def web_url(self) -> str:
        """The web page's address, which is also its origin."""
        return f"http://{HOST}:{self.ports.web}"

    @property
    def supabase_url(self) -> str:
        """The address of the Supabase project."""
        return f"http://{HOST}:{self.ports.supabase}"

    @property
    def aws_url(self) -> str:
        """The endpoint of every AWS service."""
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def meta_url(self) -> str:
        """The Meta simulator, which runs even if the deployed system uses another Meta."""
        return f"http://{HOST}:{self.ports.meta}"

    @property
    def database_url(self) -> str:
        """The database, with its owner's role."""
        return f"postgresql://postgres@{HOST}:{self.ports.postgres}/postgres"


def _port_base(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT_BASE
    if not text.isdecimal() or not 1024 <= int(text) <= 65000:
        raise LocalSystemError(f"LOCAL_PORT_BASE is {text!r}: it must be a number from 1024 to 65000.")
    return int(text)
