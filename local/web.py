"""Serves the web page: the files of `web/`, and the addresses and public keys that the page needs."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from local.settings import HOST, ROOT

_PAGES = ROOT / "web"


class Site:
    """The routes of the page."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self._stack_file = Path(configuration.pop("stackFile"))
        self._configuration = configuration

    async def configuration(self, _: Request) -> Response:
        """What the page is configured with; `apiUrl` is null until the functions are deployed."""
        # Read each time: a deployment changes the address while the page is being served.
        stack = json.loads(self._stack_file.read_text()) if self._stack_file.exists() else {}
        return JSONResponse(
            {**self._configuration, "apiUrl": stack.get("api_url")}, headers={"Cache-Control": "no-store"}
        )

    async def file(self, request: Request) -> Response:
        """A file, or the page itself for a path without an extension, which it routes in the browser."""
        wanted = (_PAGES / request.path_params["path"]).resolve()
        if wanted.is_relative_to(_PAGES) and wanted.is_file():
            return FileResponse(wanted, headers={"Cache-Control": "no-cache"})
        index = _PAGES / "index.html"
        if wanted.suffix or not index.is_file():
            raise HTTPException(404)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})


def application(configuration: dict[str, Any]) -> Starlette:
    """The page as an ASGI application."""
    site = Site(configuration)
    return Starlette(routes=[Route("/config.json", site.configuration), Route("/{path:path}", site.file)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        application(json.loads(os.environ["PAGE_CONFIGURATION"])),
        host=HOST,
        port=parser.parse_args().port,
        log_level="warning",
    )
