"""Reading the JSON bodies of the control API."""

import json
from json import JSONDecodeError
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from meta_simulator.control.errors import ControlError

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request) -> object:
    """Return the parsed body. Raises ControlError 400 if it is not JSON."""
    try:
        return json.loads(await request.body())
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise ControlError("The body must be JSON.") from error


async def read_changes(request: Request) -> dict[str, object]:
    """Return the body as a dict. Raises ControlError 400 if it is not a JSON object."""
    changes = await read_json(request)
    if not isinstance(changes, dict):
        raise ControlError("The body must be a JSON object.")
    return changes


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Return the validated body. Raises ControlError 400 or pydantic's ValidationError."""
    return kind.model_validate(await read_json(request))
