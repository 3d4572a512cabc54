"""The deauthorize and data deletion callbacks.

Source: Meta, "Data Deletion Request Callback". Meta does not document which secret and id Instagram uses; the
simulator assumes the Instagram app secret and the app-scoped id.
"""

import json
from collections.abc import Mapping

import httpx

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import USER_AGENT, AppResponse, send_request
from meta_simulator.signed_requests import Forgery, signed_request
from meta_simulator.simulator import Simulator

TIMEOUT_SECONDS = 30  # Meta documents no limit


def user_id_of(simulator: Simulator, product: Product, owner_id: str) -> str:
    """Return the id by which the product's app knows a person or an Instagram account."""
    return app_scoped_id(simulator.app_of(product).id, owner_id) if product == "instagram" else owner_id


async def post_signed_request(
    simulator: Simulator,
    url: str,
    claims: Mapping[str, object],
    *,
    signed_by: Product,
    forgery: Forgery | None = None,
) -> AppResponse:
    """Post a signed request with these claims, issued now, and return the app's response."""
    payload = {"issued_at": int(simulator.clock.now().timestamp()), **claims}
    text = signed_request(payload, simulator.app_of(signed_by).secret, forgery)
    async with simulator.open_client() as client:
        headers = {"User-Agent": USER_AGENT}
        request = client.build_request("POST", url, data={"signed_request": text}, headers=headers)
        return await send_request(client, request, TIMEOUT_SECONDS)


def parse_json(response: AppResponse) -> object:
    """Return the body parsed as JSON, or None if it is not JSON that can be passed on."""
    try:
        content: object = json.loads(response.body)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return content


def deletion_problems(response: AppResponse) -> list[str]:
    """Return why Meta would reject this response to a data deletion request; empty if it would not."""
    content = parse_json(response)
    if response.status != httpx.codes.OK:
        return [f"expected status 200, got {response.outcome}"]
    if not isinstance(content, dict):
        return ["the body is not a JSON object"]
    problems = []
    if not _is_web_address(content.get("url")):
        problems.append("url is not a web address")
    code = content.get("confirmation_code")
    if not (isinstance(code, str) and code.isascii() and code.isalnum()):
        problems.append("confirmation_code is not an alphanumeric string")
    return problems


def _is_web_address(value: object) -> bool:
    try:
        url = httpx.URL(value) if isinstance(value, str) else None
    except httpx.InvalidURL:
        return False
    return url is not None and url.scheme in ("http", "https") and bool(url.host)
