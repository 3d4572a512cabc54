"""The access token response that the token endpoints of both login products share."""

from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken


def token_response(simulator: Simulator, token: AccessToken) -> dict[str, object]:
    """Return {access_token, token_type, expires_in?}. `expires_in` is in seconds from now."""
    response: dict[str, object] = {"access_token": token.value, "token_type": "bearer"}
    has_expires_in = not (token.is_long_lived and simulator.settings.omit_expires_in)
    if has_expires_in and token.expires_at is not None:
        response["expires_in"] = round((token.expires_at - simulator.clock.now()).total_seconds())
    return response
