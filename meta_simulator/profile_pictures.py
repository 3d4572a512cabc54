"""Generated profile pictures, so that a page showing them loads nothing from the internet."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

HOST = "scontent.cdninstagram.com"
_FULL_CIRCLE = 360  # hues of a colour wheel


def picture_url(origin: str, instagram_id: str) -> str:
    """Return the URL of an Instagram account's picture."""
    return f"{origin}/{HOST}/{instagram_id}.svg"


async def _draw(request: Request) -> Response:
    name = str(request.path_params["name"])
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) % _FULL_CIRCLE
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80" width="80" height="80">'
        f'<rect width="80" height="80" fill="hsl({hue} 55% 45%)"/>'
        '<circle cx="40" cy="32" r="14" fill="#fff"/><path d="M12 80a28 28 0 0 1 56 0z" fill="#fff"/></svg>'
    )
    return Response(svg, media_type="image/svg+xml", headers={"Access-Control-Allow-Origin": "*"})


def picture_routes() -> Mount:
    """Return the routes of the picture host."""
    return Mount(f"/{HOST}", routes=[Route("/{name}.svg", _draw)])
