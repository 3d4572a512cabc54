"""The answer with which the token endpoints of both login products hand out a token."""

from meta_simulator.simulator import Simulator
from meta_simulator.tokens import AccessToken


def token_answer(simulator: Simulator, token: AccessToken) -> dict[str, object]:
    """Return {access_token, token_type, expires_in?}; `expires_in` is in seconds from now."""
    answer: dict[str, object] = {"access_token": token.value, "token_type": "bearer"}
    is_told = not (token.is_long_lived and simulator.settings.omit_expires_in)
    if is_told and token.expires_at is not None:
        answer["expires_in"] = round((token.expires_at - simulator.clock.now()).total_seconds())
    return answer
