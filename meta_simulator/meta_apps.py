"""The apps registered with the simulated Meta: id, secret, redirect URIs."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_APP_ID = "1029384756102938"
DEFAULT_APP_SECRET = "simulated-facebook-app-secret"
# An app has a separate id and secret for Instagram Login.
DEFAULT_INSTAGRAM_APP_ID = "2938475610293847"
DEFAULT_INSTAGRAM_APP_SECRET = "simulated-instagram-app-secret"
DEFAULT_REDIRECT_URI = "http://localhost:5173/instagram/callback"

Product = Literal["facebook", "instagram"]


@dataclass(frozen=True)
class MetaApp:
    """One app. `redirect_uris` are compared exactly, as in Meta's strict mode."""

    id: str
    secret: str = field(repr=False)
    name: str = "Instagram Connect"
    redirect_uris: tuple[str, ...] = ()

    def has_secret(self, candidate: str) -> bool:
        """Return whether this is the app's secret."""
        return hmac.compare_digest(self.secret.encode(), candidate.encode())

    def appsecret_proof(self, access_token: str) -> str:
        """Return the appsecret_proof of a token: hex HMAC-SHA256, keyed with the app secret.

        Source: Meta, "Securing Graph API Requests".
        """
        return hmac.digest(self.secret.encode(), access_token.encode(), "sha256").hex()


def app_from_environment(environment: Mapping[str, str]) -> MetaApp:
    """Return the main app from FACEBOOK_APP_ID, FACEBOOK_APP_SECRET and FACEBOOK_REDIRECT_URIS.

    The URIs are separated by commas. An unset or empty variable means its default.
    """
    return _from_variables(environment, "FACEBOOK", DEFAULT_APP_ID, DEFAULT_APP_SECRET)


def instagram_app_from_environment(environment: Mapping[str, str]) -> MetaApp:
    """Return the app's Instagram registration from INSTAGRAM_APP_ID, _SECRET and _REDIRECT_URIS."""
    return _from_variables(environment, "INSTAGRAM", DEFAULT_INSTAGRAM_APP_ID, DEFAULT_INSTAGRAM_APP_SECRET)


def _from_variables(environment: Mapping[str, str], product: str, default_id: str, default_secret: str) -> MetaApp:
    uris = environment.get(f"{product}_REDIRECT_URIS") or DEFAULT_REDIRECT_URI
    return MetaApp(
        id=environment.get(f"{product}_APP_ID") or default_id,
        secret=environment.get(f"{product}_APP_SECRET") or default_secret,
        redirect_uris=tuple(uri.strip() for uri in uris.split(",") if uri.strip()),
    )
