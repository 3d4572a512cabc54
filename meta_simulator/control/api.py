"""The control API under /_simulator: what tests set up, break and inspect.

It speaks JSON only and has no counterpart at Meta.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from meta_simulator.control.authorizations import authorize
from meta_simulator.control.bodies import (
    Authorization,
    ClockMove,
    NewApp,
    NewPerson,
    NewUnlinkedAccount,
    Revocation,
    SubscriptionDrop,
)
from meta_simulator.control.callback_bodies import PrivacyCallback, WebhookDeliveries, WebhookVerification
from meta_simulator.control.callbacks import change_callbacks
from meta_simulator.control.errors import ControlError
from meta_simulator.control.people import account_view, add_person, add_unlinked_account, person_view
from meta_simulator.control.privacy import deauthorize, remove_app_and_notify, request_deletion
from meta_simulator.control.references import token_owner_ids
from meta_simulator.control.requests import read_body, read_changes, read_json
from meta_simulator.control.revocations import revoke
from meta_simulator.control.subscriptions import drop_subscriptions, subscription_views
from meta_simulator.control.webhooks import deliver_webhooks, verify_webhook
from meta_simulator.faults import Fault
from meta_simulator.meta_apps import MetaApp, Product
from meta_simulator.public_urls import public_urls
from meta_simulator.settings import CALL_LIMITS, Settings
from meta_simulator.simulator import Simulator
from meta_simulator.webhooks.delivery import send_due

PREFIX = "/_simulator"
View = dict[str, object] | list[dict[str, object]]
DONE: dict[str, object] = {"status": "ok"}


class _Control:
    """The endpoints. Each returns the JSON content of its response."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def health(self, request: Request) -> View:
        return {
            "status": "ok",
            "app_id": self._simulator.main_app.id,
            "instagram_app_id": self._simulator.instagram_app.id,
            **public_urls(f"{request.url.scheme}://{request.url.netloc}"),
        }

    async def reset(self, _: Request) -> View:
        self._simulator.reset()
        return DONE

    async def read_clock(self, _: Request) -> View:
        return {"now": self._simulator.clock.now().isoformat()}

    async def move_clock(self, request: Request) -> View:
        move = await read_body(request, ClockMove)
        if move.now is not None:
            self._simulator.clock.move_to(move.now)
        else:
            self._simulator.clock.advance(timedelta(seconds=move.advance_seconds or 0))
        await send_due(self._simulator)
        return await self.read_clock(request)

    async def read_settings(self, _: Request) -> View:
        return self._simulator.settings.model_dump()

    async def change_settings(self, request: Request) -> View:
        changes = await read_changes(request)
        merged = {**self._simulator.settings.model_dump(), **changes}
        self._simulator.settings = Settings.model_validate(merged)
        if CALL_LIMITS & changes.keys():  # a new limit starts at zero
            self._simulator.recent_calls.clear()
        return self._simulator.settings.model_dump()

    async def list_people(self, _: Request) -> View:
        return [person_view(self._simulator.world, person) for person in self._simulator.world.people]

    async def add_person(self, request: Request) -> View:
        world, content = self._simulator.world, await read_json(request)
        if isinstance(content, dict) and "instagram" in content:
            account = add_unlinked_account(world, NewUnlinkedAccount.model_validate(content))
            return {"instagram": account_view(world, account)}
        return person_view(world, add_person(world, NewPerson.model_validate(content)))

    async def list_instagram_accounts(self, _: Request) -> View:
        world = self._simulator.world
        return [account_view(world, account) for account in world.instagram_accounts]

    async def list_apps(self, _: Request) -> View:
        return [
            *(_app_view(app, "facebook") for app in self._simulator.apps.values()),
            *(_app_view(app, "instagram") for app in self._simulator.instagram_apps.values()),
        ]

    async def put_app(self, request: Request) -> View:
        new = await read_body(request, NewApp)
        apps = self._simulator.instagram_apps if new.product == "instagram" else self._simulator.apps
        apps[new.id] = MetaApp(new.id, new.secret, new.name, tuple(new.redirect_uris))
        return _app_view(apps[new.id], new.product)

    async def authorize(self, request: Request) -> View:
        return authorize(self._simulator, await read_body(request, Authorization))

    async def revoke(self, request: Request) -> View:
        command = await read_body(request, Revocation)
        if command.send_deauthorize:
            return await remove_app_and_notify(self._simulator, command)
        return {"revoked": revoke(self._simulator, command)}

    async def list_subscriptions(self, _: Request) -> View:
        return subscription_views(self._simulator)

    async def drop_subscriptions(self, request: Request) -> View:
        drop = await read_body(request, SubscriptionDrop)
        return {"dropped": drop_subscriptions(self._simulator, drop.account)}

    async def read_callbacks(self, _: Request) -> View:
        return self._simulator.callbacks.view()

    async def change_callbacks(self, request: Request) -> View:
        return change_callbacks(self._simulator, await read_changes(request))

    async def verify_webhook(self, request: Request) -> View:
        return await verify_webhook(self._simulator, await read_body(request, WebhookVerification))

    async def deliver_webhooks(self, request: Request) -> View:
        return await deliver_webhooks(self._simulator, await read_body(request, WebhookDeliveries))

    async def list_deliveries(self, _: Request) -> View:
        return self._simulator.outbox.view()

    async def clear_deliveries(self, _: Request) -> View:
        self._simulator.outbox.clear()
        return DONE

    async def deauthorize(self, request: Request) -> View:
        return await deauthorize(self._simulator, await read_body(request, PrivacyCallback))

    async def request_deletion(self, request: Request) -> View:
        return await request_deletion(self._simulator, await read_body(request, PrivacyCallback))

    async def list_faults(self, _: Request) -> View:
        return self._simulator.faults.views()

    async def add_fault(self, request: Request) -> View:
        fault = await read_body(request, Fault)
        owners = frozenset[str]() if fault.account is None else token_owner_ids(self._simulator.world, fault.account)
        return self._simulator.faults.add(fault, owners)

    async def clear_faults(self, _: Request) -> View:
        self._simulator.faults.clear()
        return DONE

    async def remove_fault(self, request: Request) -> View:
        if not self._simulator.faults.remove(request.path_params["fault_id"]):
            raise ControlError("No fault has this id.", status=404)
        return DONE

    async def list_calls(self, request: Request) -> View:
        operation = request.query_params.get("operation")
        return [entry.view() for entry in self._simulator.calls.entries(operation)]

    async def clear_calls(self, _: Request) -> View:
        self._simulator.calls.clear()
        return DONE


def mount_control(simulator: Simulator) -> Mount:
    """Return the routes of the control API."""
    control = _Control(simulator)
    table: list[tuple[str, str, Callable[[Request], Awaitable[View]]]] = [
        ("GET", "/health", control.health),
        ("POST", "/reset", control.reset),
        ("GET", "/clock", control.read_clock),
        ("POST", "/clock", control.move_clock),
        ("GET", "/settings", control.read_settings),
        ("POST", "/settings", control.change_settings),
        ("GET", "/people", control.list_people),
        ("POST", "/people", control.add_person),
        ("GET", "/instagram_accounts", control.list_instagram_accounts),
        ("GET", "/apps", control.list_apps),
        ("POST", "/apps", control.put_app),
        ("POST", "/authorize", control.authorize),
        ("POST", "/tokens/revoke", control.revoke),
        ("GET", "/subscriptions", control.list_subscriptions),
        ("POST", "/subscriptions/drop", control.drop_subscriptions),
        ("GET", "/callbacks", control.read_callbacks),
        ("POST", "/callbacks", control.change_callbacks),
        ("POST", "/webhooks/handshake", control.verify_webhook),
        ("GET", "/webhooks/deliveries", control.list_deliveries),
        ("POST", "/webhooks/deliveries", control.deliver_webhooks),
        ("DELETE", "/webhooks/deliveries", control.clear_deliveries),
        ("POST", "/privacy/deauthorize", control.deauthorize),
        ("POST", "/privacy/data_deletion", control.request_deletion),
        ("GET", "/faults", control.list_faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.clear_faults),
        ("DELETE", "/faults/{fault_id:int}", control.remove_fault),
        ("GET", "/calls", control.list_calls),
        ("DELETE", "/calls", control.clear_calls),
    ]
    return Mount(PREFIX, routes=[Route(path, _endpoint(act), methods=[verb]) for verb, path, act in table])


def _app_view(app: MetaApp, product: Product) -> dict[str, object]:
    return {"id": app.id, "name": app.name, "product": product, "redirect_uris": list(app.redirect_uris)}


def _endpoint(act: Callable[[Request], Awaitable[View]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await act(request))
        except ControlError as error:
            return JSONResponse({"error": str(error)}, status_code=error.status)
        except ValidationError as error:
            # The input may contain a token or secret.
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            return JSONResponse({"error": "The body is invalid.", "problems": problems}, status_code=422)

    return endpoint
