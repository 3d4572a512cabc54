"""The two callbacks about people: that they removed the app, and that they want their data deleted.

Source: Meta, "Data Deletion Request Callback". That Instagram signs with its own secret and names the app-scoped id is
by analogy; nobody documents it.
"""

import json
from collections.abc import Mapping

import httpx

from meta_simulator.instagram.app_scoped_ids import app_scoped_id
from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import USER_AGENT, Answer, exchange
from meta_simulator.signed_requests import Forgery, signed_request
from meta_simulator.simulator import Simulator

TIMEOUT_SECONDS = 30  # Meta tells of no limit


def user_id_of(simulator: Simulator, product: Product, holder_id: str) -> str:
    """Return the id by which the product's app knows a person or an Instagram account."""
    return app_scoped_id(simulator.app_of(product).id, holder_id) if product == "instagram" else holder_id


async def post_signed_request(
    simulator: Simulator,
    url: str,
    claims: Mapping[str, object],
    *,
    signed_by: Product,
    forgery: Forgery | None = None,
) -> Answer:
    """Post a signed request with these claims, issued now, and return what came back."""
    payload = {"issued_at": int(simulator.clock.now().timestamp()), **claims}
    text = signed_request(payload, simulator.app_of(signed_by).secret, forgery)
    async with simulator.open_client() as client:
        headers = {"User-Agent": USER_AGENT}
        request = client.build_request("POST", url, data={"signed_request": text}, headers=headers)
        return await exchange(client, request, TIMEOUT_SECONDS)


def json_of(answer: Answer) -> object:
    """Return what the body says as JSON, None if it is none that can be passed on."""
    try:
        content: object = json.loads(answer.body)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return content


def deletion_problems(answer: Answer) -> list[str]:
    """Return what is wrong with the answer to a data deletion request, nothing if Meta would take it."""
    content = json_of(answer)
    if answer.status != httpx.codes.OK:
        return [f"the answer is {answer.outcome}, not 200"]
    if not isinstance(content, dict):
        return ["the body is no JSON object"]
    problems = []
    if not _is_web_address(content.get("url")):
        problems.append("url is no web address")
    code = content.get("confirmation_code")
    if not (isinstance(code, str) and code.isascii() and code.isalnum()):
        problems.append("confirmation_code is not alphanumeric text")
    return problems


def _is_web_address(value: object) -> bool:
    try:
        url = httpx.URL(value) if isinstance(value, str) else None
    except httpx.InvalidURL:
        return False
    return url is not None and url.scheme in ("http", "https") and bool(url.host)
