"""Sending privacy callbacks on request, and the deauthorize callback after an app removal."""

from meta_simulator.control.bodies import Revocation
from meta_simulator.control.callback_bodies import PrivacyCallback
from meta_simulator.control.callbacks import required_url
from meta_simulator.control.people import require_instagram_account, require_person
from meta_simulator.control.revocations import find_token_owners, revoke
from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import AppResponse
from meta_simulator.privacy_callbacks import deletion_problems, parse_json, post_signed_request, user_id_of
from meta_simulator.simulator import Simulator


async def deauthorize(simulator: Simulator, command: PrivacyCallback) -> dict[str, object]:
    """Notify the app that a person removed it. Tokens and grants stay as they are.

    Raises ControlError: 409 without a URL, 404 for an unknown person or account.
    """
    url = required_url(command.url, simulator.callbacks.deauthorize_url, "deauthorize_url")
    user_id = _user_id(simulator, command)
    return _view(user_id, await _post(simulator, command, url, user_id))


async def request_deletion(simulator: Simulator, command: PrivacyCallback) -> dict[str, object]:
    """Ask the app to delete a person's data and check its response. Raises ControlError as `deauthorize`."""
    url = required_url(command.url, simulator.callbacks.data_deletion_url, "data_deletion_url")
    user_id = _user_id(simulator, command)
    response = await _post(simulator, command, url, user_id)
    problems = deletion_problems(response)
    return {**_view(user_id, response), "is_valid": not problems, "problems": problems}


async def remove_app_and_notify(simulator: Simulator, command: Revocation) -> dict[str, object]:
    """Revoke tokens as `revoke` does, then send a deauthorize callback for everyone who had the app.

    Raises ControlError: 409 without a URL, 404 for an unknown person or account.
    """
    url = required_url(None, simulator.callbacks.deauthorize_url, "deauthorize_url")
    users = _users(simulator, command)
    revoked = revoke(simulator, command)
    notified = []
    for product, user_id in users:
        response = await post_signed_request(simulator, url, {"user_id": user_id}, signed_by=product)
        notified.append({"product": product, **_view(user_id, response)})
    return {"revoked": revoked, "deauthorized": notified}


def _users(simulator: Simulator, command: Revocation) -> list[tuple[Product, str]]:
    """Return (product, user id) of everyone with the main app. Other apps have no callbacks."""
    person, accounts = find_token_owners(simulator, command.person or "", command.product)
    facebook, instagram = simulator.app_of("facebook").id, simulator.app_of("instagram").id
    users: list[tuple[Product, str]] = []
    if person is not None and command.app_id in (None, facebook) and simulator.grants.has(facebook, person.id):
        users.append(("facebook", user_id_of(simulator, "facebook", person.id)))
    for account in accounts:
        if command.app_id in (None, instagram) and simulator.instagram_grants.has(instagram, account.id):
            users.append(("instagram", user_id_of(simulator, "instagram", account.id)))
    return users


def _user_id(simulator: Simulator, command: PrivacyCallback) -> str:
    if command.person is None:
        return command.user_id or ""
    if command.product == "facebook":
        return user_id_of(simulator, "facebook", require_person(simulator.world, command.person).id)
    account = require_instagram_account(simulator.world, command.person)
    return account.id if command.professional_id else user_id_of(simulator, "instagram", account.id)


async def _post(simulator: Simulator, command: PrivacyCallback, url: str, user_id: str) -> AppResponse:
    claims: dict[str, object] = {}
    if command.expires_in_seconds is not None:
        claims["expires"] = int(simulator.clock.now().timestamp()) + command.expires_in_seconds
    claims["user_id"] = int(user_id) if command.user_id_as_number else user_id
    signed_by = command.signed_by or command.product
    return await post_signed_request(simulator, url, claims, signed_by=signed_by, forgery=command.forgery)


def _view(user_id: str, response: AppResponse) -> dict[str, object]:
    return {"user_id": user_id, **response.view(), "content_type": response.content_type, "json": parse_json(response)}
