"""The app's callback URLs in the control API: changing them, and choosing the one for a request."""

from meta_simulator.callbacks import Callbacks
from meta_simulator.control.errors import ControlError
from meta_simulator.simulator import Simulator


def change_callbacks(simulator: Simulator, changes: dict[str, object]) -> dict[str, object]:
    """Change the named URLs, keep the others, and return all. Raises pydantic's ValidationError."""
    simulator.callbacks = Callbacks.model_validate({**simulator.callbacks.model_dump(), **changes})
    return simulator.callbacks.view()


def required_url(requested: str | None, configured: str | None, name: str) -> str:
    """Return the URL of the request, else the configured one. Raises ControlError 409 if there is neither."""
    url = requested or configured
    if url is None:
        raise ControlError(f"No {name} is set: post it to /callbacks, or send url.", status=409)
    return url
