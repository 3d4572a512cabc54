"""Reading the JSON bodies of the control API."""

import json
from json import JSONDecodeError
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from meta_simulator.control.refusals import ControlRefusedError

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request) -> object:
    """Return what the body says; raises ControlRefusedError (400) when it is not JSON."""
    try:
        return json.loads(await request.body())
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise ControlRefusedError("The body has to be JSON.") from error


async def read_changes(request: Request) -> dict[str, object]:
    """Return a body that names what to change; raises ControlRefusedError (400) when it is no object."""
    changes = await read_json(request)
    if not isinstance(changes, dict):
        raise ControlRefusedError("The body has to be a JSON object.")
    return changes


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Return the body as what it has to be; raises ControlRefusedError (400) or pydantic's ValidationError."""
    return kind.model_validate(await read_json(request))
