"""The privacy callbacks on request, and the one that follows the removal of the app."""

from meta_simulator.control.bodies import Revocation
from meta_simulator.control.callback_bodies import PrivacyCallback
from meta_simulator.control.callbacks import required_url
from meta_simulator.control.people import require_instagram_account, require_person
from meta_simulator.control.revocations import holders, revoke
from meta_simulator.meta_apps import Product
from meta_simulator.outgoing import Answer
from meta_simulator.privacy_callbacks import deletion_problems, json_of, post_signed_request, user_id_of
from meta_simulator.simulator import Simulator


async def deauthorize(simulator: Simulator, wanted: PrivacyCallback) -> dict[str, object]:
    """Tell the app that somebody removed it; tokens and grants stay as they are.

    Raises ControlRefusedError: no URL (409), nobody of that name (404).
    """
    url = required_url(wanted.url, simulator.callbacks.deauthorize_url, "deauthorize_url")
    user_id = _user_id(simulator, wanted)
    return _view(user_id, await _post(simulator, wanted, url, user_id))


async def request_deletion(simulator: Simulator, wanted: PrivacyCallback) -> dict[str, object]:
    """Ask the app to delete somebody's data, and check its answer. Raises ControlRefusedError as `deauthorize`."""
    url = required_url(wanted.url, simulator.callbacks.data_deletion_url, "data_deletion_url")
    user_id = _user_id(simulator, wanted)
    answer = await _post(simulator, wanted, url, user_id)
    problems = deletion_problems(answer)
    return {**_view(user_id, answer), "is_valid": not problems, "problems": problems}


async def remove_app_and_tell(simulator: Simulator, wanted: Revocation) -> dict[str, object]:
    """End tokens as `revoke` does, then tell the app of everybody who had it.

    Raises ControlRefusedError: no URL (409), nobody of that name (404).
    """
    url = required_url(None, simulator.callbacks.deauthorize_url, "deauthorize_url")
    users = _users(simulator, wanted)
    revoked = revoke(simulator, wanted)
    told = []
    for product, user_id in users:
        answer = await post_signed_request(simulator, url, {"user_id": user_id}, signed_by=product)
        told.append({"product": product, **_view(user_id, answer)})
    return {"revoked": revoked, "deauthorized": told}


def _users(simulator: Simulator, wanted: Revocation) -> list[tuple[Product, str]]:
    """Return who had the main app, by the ids that it knows them by; other apps have no callback."""
    person, accounts = holders(simulator, wanted.person or "", wanted.product)
    facebook, instagram = simulator.app_of("facebook").id, simulator.app_of("instagram").id
    users: list[tuple[Product, str]] = []
    if person is not None and wanted.app_id in (None, facebook) and simulator.grants.has(facebook, person.id):
        users.append(("facebook", user_id_of(simulator, "facebook", person.id)))
    for account in accounts:
        if wanted.app_id in (None, instagram) and simulator.instagram_grants.has(instagram, account.id):
            users.append(("instagram", user_id_of(simulator, "instagram", account.id)))
    return users


def _user_id(simulator: Simulator, wanted: PrivacyCallback) -> str:
    if wanted.person is None:
        return wanted.user_id or ""
    if wanted.product == "facebook":
        return user_id_of(simulator, "facebook", require_person(simulator.world, wanted.person).id)
    account = require_instagram_account(simulator.world, wanted.person)
    return account.id if wanted.professional_id else user_id_of(simulator, "instagram", account.id)


async def _post(simulator: Simulator, wanted: PrivacyCallback, url: str, user_id: str) -> Answer:
    claims: dict[str, object] = {}
    if wanted.expires_in_seconds is not None:
        claims["expires"] = int(simulator.clock.now().timestamp()) + wanted.expires_in_seconds
    claims["user_id"] = int(user_id) if wanted.user_id_as_number else user_id
    signed_by = wanted.signed_by or wanted.product
    return await post_signed_request(simulator, url, claims, signed_by=signed_by, forgery=wanted.forgery)


def _view(user_id: str, answer: Answer) -> dict[str, object]:
    return {"user_id": user_id, **answer.view(), "content_type": answer.content_type, "json": json_of(answer)}
