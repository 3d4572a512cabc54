"""One call to an API host: version, path, parameters and token, wherever the client put them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Literal

from starlette.requests import Request

from meta_simulator.errors import GraphError

ApiHost = Literal["graph.facebook.com", "graph.instagram.com", "api.instagram.com"]

# Source: Meta, "Graph API Changelog". A call with an older version, or without one, is served as the oldest usable
# version; only the facebook-api-version header shows it.
USABLE_VERSIONS = ("v22.0", "v23.0", "v24.0", "v25.0", "v26.0")
OLDEST_VERSION = USABLE_VERSIONS[0]
_VERSION = re.compile(r"v(\d+)\.\d+")
_FIRST_UNRELEASED = int(USABLE_VERSIONS[-1][1:].split(".")[0]) + 1


@dataclass(frozen=True)
class GraphCall:
    """A parsed call. `segments` is the path after the version; `form` holds form fields only."""

    host: ApiHost
    origin: str
    method: str
    path: str
    version: str
    segments: tuple[str, ...]
    params: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)

    @property
    def base_url(self) -> str:
        """The URL of this host: the simulator's origin with the host as path prefix."""
        return f"{self.origin}/{self.host}"

    @property
    def access_token(self) -> str | None:
        """The call's access token, or None."""
        return self.params.get("access_token") or None

    def required(self, name: str, code: int) -> str:
        """Return a parameter. Raises GraphError with this code if it is missing or empty."""
        value = self.params.get(name)
        if not value:
            raise GraphError(f"Missing {name} parameter.", code)
        return value


def served_version(asked: str) -> str | None:
    """Return the version that serves a call, or None if this is not a released version."""
    match = _VERSION.fullmatch(asked)
    if match is None or int(match[1]) >= _FIRST_UNRELEASED:
        return None
    return asked if asked in USABLE_VERSIONS else OLDEST_VERSION


async def read_call(request: Request, host: ApiHost) -> GraphCall:
    """Parse a request. Parameters may be in the query, a form or JSON body, or the Authorization header."""
    path = "/" + str(request.path_params["path"]).strip("/")
    segments = tuple(segment for segment in path.split("/") if segment)
    version = served_version(segments[0]) if segments else None
    form = await _read_form(request)
    return GraphCall(
        host=host,
        origin=f"{request.url.scheme}://{request.url.netloc}",
        method=request.method,
        path=path,
        version=version or OLDEST_VERSION,
        segments=segments[1:] if version else segments,
        params=_header_token(request) | await _read_json(request) | form | dict(request.query_params),
        form=form,
    )


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


async def _read_form(request: Request) -> dict[str, str]:
    if request.method == "GET" or _is_json(request):
        return {}
    async with request.form() as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


async def _read_json(request: Request) -> dict[str, str]:
    return _json_params(await request.body()) if _is_json(request) else {}


def _header_token(request: Request) -> dict[str, str]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return {"access_token": token.strip()} if scheme.lower() in {"bearer", "oauth"} and token else {}


def _json_params(body: bytes) -> dict[str, str]:
    try:
        content = json.loads(body or b"{}")
    except (JSONDecodeError, UnicodeDecodeError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in content.items()}
