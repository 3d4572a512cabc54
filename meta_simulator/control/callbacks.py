"""The callback URLs of the app: setting them, and finding the one that a request means."""

from meta_simulator.callbacks import Callbacks
from meta_simulator.control.refusals import ControlRefusedError
from meta_simulator.simulator import Simulator


def change_callbacks(simulator: Simulator, changes: dict[str, object]) -> dict[str, object]:
    """Set what is named, leave the rest, and return the URLs; raises pydantic's ValidationError."""
    simulator.callbacks = Callbacks.model_validate({**simulator.callbacks.model_dump(), **changes})
    return simulator.callbacks.view()


def required_url(given: str | None, configured: str | None, name: str) -> str:
    """Return the URL of the request, else the configured one; raises ControlRefusedError (409) if there is none."""
    url = given or configured
    if url is None:
        raise ControlRefusedError(f"There is no {name}: set it with /callbacks or send url.", status=409)
    return url
