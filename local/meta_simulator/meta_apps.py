"""The apps that are registered at the simulated Meta: id, secret, redirect URIs.

The environment is read by `app_from_environment` only, when the process starts.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_APP_ID = "1029384756102938"
DEFAULT_APP_SECRET = "simulated-facebook-app-secret"
DEFAULT_REDIRECT_URI = "http://localhost:5173/instagram/callback"


@dataclass(frozen=True)
class MetaApp:
    """One app as its dashboard shows it; `redirect_uris` are compared exactly, as in strict mode."""

    id: str
    secret: str = field(repr=False)
    name: str = "Instagram Connect"
    redirect_uris: tuple[str, ...] = ()

    def has_secret(self, candidate: str) -> bool:
        """Tell whether this is the app's secret."""
        return hmac.compare_digest(self.secret.encode(), candidate.encode())

    def proof_of(self, access_token: str) -> str:
        """Return the appsecret_proof of a token: hex HMAC-SHA256, keyed with the secret.

        Source: Meta, "Securing Graph API Requests".
        """
        return hmac.digest(self.secret.encode(), access_token.encode(), "sha256").hex()


def app_from_environment(environment: Mapping[str, str]) -> MetaApp:
    """Build the main app from FACEBOOK_APP_ID, FACEBOOK_APP_SECRET and FACEBOOK_REDIRECT_URIS.

    The URIs are separated by commas; an unset or empty variable means its default.
    """
    uris = environment.get("FACEBOOK_REDIRECT_URIS") or DEFAULT_REDIRECT_URI
    return MetaApp(
        id=environment.get("FACEBOOK_APP_ID") or DEFAULT_APP_ID,
        secret=environment.get("FACEBOOK_APP_SECRET") or DEFAULT_APP_SECRET,
        redirect_uris=tuple(uri.strip() for uri in uris.split(",") if uri.strip()),
    )
