"""Builds the web page from `web/`, and serves it with the addresses and public keys that it needs."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from local.errors import LocalSystemError
from local.install import NO_TELEMETRY, WEB, Part, node
from local.progress import say
from local.settings import HOST, ROOT

_API_TYPES = "src/instagram-connect/api-types.ts"

# Not from the machine's own list: with a wrong type, browsers refuse to run scripts.
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def sources() -> list[Path]:
    """Return the source files of the page."""
    return sorted(path for path in [*WEB.iterdir(), *(WEB / "src").rglob("*")] if path.is_file())


def built(home: Path, runtime: Path) -> Path:
    """Build the page into a folder of this home unless it is up to date, and return the folder. `runtime` is Node."""
    folder = home / "web"
    files = folder / "files"
    Part("Building the web page", folder, sources(), lambda: build(files, runtime)).ensure()
    return files


def build(files: Path, runtime: Path, mode: str = "production") -> None:
    """Build the page into a folder. In the mode "development", React mounts components twice."""
    arguments = ["build", "--mode", mode, "--emptyOutDir", "--outDir", str(files)]
    _run(runtime, ["node_modules/vite/bin/vite.js", *arguments], {"NODE_ENV": mode})


def check(runtime: Path) -> None:
    """Check the page's types, and that its API types match docs/openapi.json."""
    _run(runtime, ["node_modules/typescript/bin/tsc", "--noEmit"])
    _run(runtime, [*_api_types(), "--check"])


def generate_types(runtime: Path) -> None:
    """Generate the page's API types from docs/openapi.json."""
    _run(runtime, _api_types())


class Site:
    """The routes of the page."""

    def __init__(self, configuration: dict[str, Any], files: Path) -> None:
        self._stack_file = Path(configuration.pop("stackFile"))
        self._configuration = configuration
        self._files = files.resolve()

    async def configuration(self, _: Request) -> Response:
        """Return the page's configuration; `apiUrl` is null until the functions are deployed."""
        # Read on each request: a deployment can change the address.
        stack = json.loads(self._stack_file.read_text()) if self._stack_file.exists() else {}
        return JSONResponse(
            {**self._configuration, "apiUrl": stack.get("api_url")}, headers={"Cache-Control": "no-store"}
        )

    async def file(self, request: Request) -> Response:
        """Return a file, or the page for a path without an extension, which the page routes itself."""
        path = request.path_params["path"]
        found = self._find(path)
        if found is not None:
            # The name of an asset holds a hash of its content.
            is_asset = found.is_relative_to(self._files / "assets")
            return _response(found, "public, max-age=31536000, immutable" if is_asset else "no-cache")
        index = self._find("index.html")
        if Path(path).suffix or index is None:
            raise HTTPException(404)
        return _response(index, "no-cache")

    def _find(self, path: str) -> Path | None:
        try:
            wanted = (self._files / path).resolve()
            return wanted if wanted.is_relative_to(self._files) and wanted.is_file() else None
        except (OSError, ValueError):  # not a valid file name
            return None


def application(configuration: dict[str, Any], files: Path) -> Starlette:
    """Return the page as an ASGI application."""
    site = Site(configuration, files)
    return Starlette(routes=[Route("/config.json", site.configuration), Route("/{path:path}", site.file)])


def _response(file: Path, caching: str) -> Response:
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return FileResponse(file, headers=headers, media_type=_MEDIA_TYPES.get(file.suffix))


def _api_types() -> list[str]:
    description = str(ROOT / "docs" / "openapi.json")
    return ["node_modules/openapi-typescript/bin/cli.js", description, "--output", _API_TYPES]


def _run(runtime: Path, arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(runtime), *arguments],
        cwd=WEB,
        env={**os.environ, **NO_TELEMETRY, **(settings or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise LocalSystemError(f"`{' '.join(arguments)}` failed:\n{done.stdout.decode(errors='replace')}")


def _installed_node() -> Path:
    found = node()
    if found is None:
        raise LocalSystemError("Node is not installed: run `make install`.")
    return found


def main() -> int:
    """Serve or check the page, or generate its types; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.web", description=__doc__)
    parser.add_argument("verb", choices=["serve", "check", "types"])
    parser.add_argument("--home", type=Path, help="with serve: the folder for the built page")
    parser.add_argument("--node", type=Path, help="the Node to build with (default: the one that `make install` found)")
    parser.add_argument("--port", type=int, help="with serve: the port to listen on")
    arguments = parser.parse_args()
    try:
        runtime = arguments.node or _installed_node()
        if arguments.verb == "check":
            check(runtime)
        elif arguments.verb == "types":
            generate_types(runtime)
        else:
            page = application(json.loads(os.environ["PAGE_CONFIGURATION"]), built(arguments.home, runtime))
            uvicorn.run(page, host=HOST, port=arguments.port, log_level="warning")
    except LocalSystemError as error:
        say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
