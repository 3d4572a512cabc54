"""The control API under /_simulator/: what a test sets up, breaks and looks at.

It speaks JSON only and is no part of Meta.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from json import JSONDecodeError
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from local.meta_simulator.control.bodies import Authorization, ClockMove, NewApp, NewPerson, Revocation
from local.meta_simulator.control.people import add_person, person_view, require_person
from local.meta_simulator.control.refusals import ControlRefusedError
from local.meta_simulator.errors import SessionEnd
from local.meta_simulator.facebook import dialog, graph
from local.meta_simulator.facebook.login import finish_login, login_answer, success_url
from local.meta_simulator.faults import Fault
from local.meta_simulator.meta_apps import MetaApp
from local.meta_simulator.permissions import KNOWN_PERMISSIONS, split_permissions
from local.meta_simulator.revocation import end_sessions, remove_app, remove_page_role
from local.meta_simulator.settings import Settings
from local.meta_simulator.simulator import Simulator

PREFIX = "/_simulator"
Body = TypeVar("Body", bound=BaseModel)
View = dict[str, object] | list[dict[str, object]]
DONE: dict[str, object] = {"status": "ok"}


class _Control:
    """The endpoints; each returns what is sent as JSON."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def health(self, request: Request) -> View:
        origin = f"{request.url.scheme}://{request.url.netloc}"
        return {
            "status": "ok",
            "app_id": self._simulator.main_app.id,
            "facebook_graph_url": f"{origin}/{graph.HOST}",
            "facebook_dialog_url": f"{origin}/{dialog.HOST}",
        }

    async def reset(self, _: Request) -> View:
        self._simulator.reset()
        return DONE

    async def read_clock(self, _: Request) -> View:
        return {"now": self._simulator.clock.now().isoformat()}

    async def move_clock(self, request: Request) -> View:
        move = await _body(request, ClockMove)
        if move.now is not None:
            self._simulator.clock.move_to(move.now)
        else:
            self._simulator.clock.advance(timedelta(seconds=move.advance_seconds or 0))
        return await self.read_clock(request)

    async def read_settings(self, _: Request) -> View:
        return self._simulator.settings.model_dump()

    async def change_settings(self, request: Request) -> View:
        changes = await _json(request)
        if not isinstance(changes, dict):
            raise ControlRefusedError("The body has to be a JSON object.")
        merged = {**self._simulator.settings.model_dump(), **changes}
        self._simulator.settings = Settings.model_validate(merged)
        return self._simulator.settings.model_dump()

    async def list_people(self, _: Request) -> View:
        return [person_view(self._simulator.world, person) for person in self._simulator.world.people]

    async def add_person(self, request: Request) -> View:
        person = add_person(self._simulator.world, await _body(request, NewPerson))
        return person_view(self._simulator.world, person)

    async def list_apps(self, _: Request) -> View:
        apps = self._simulator.apps.values()
        return [{"id": app.id, "name": app.name, "redirect_uris": list(app.redirect_uris)} for app in apps]

    async def put_app(self, request: Request) -> View:
        new = await _body(request, NewApp)
        self._simulator.apps[new.id] = MetaApp(new.id, new.secret, new.name, tuple(new.redirect_uris))
        return {"id": new.id, "name": new.name, "redirect_uris": list(new.redirect_uris)}

    async def authorize(self, request: Request) -> View:
        wanted = await _body(request, Authorization)
        person = require_person(self._simulator.world, wanted.person)
        app = self._require_app(wanted.app_id)
        if wanted.redirect_uri not in app.redirect_uris:
            raise ControlRefusedError("URL Blocked: the redirect_uri is not registered for the app.")
        declined = _permissions(wanted.declined_scopes)
        asked = (*_permissions(wanted.scopes), *declined)
        answer = login_answer(
            self._simulator,
            person,
            asked=asked,
            granted=set(asked) - set(declined),
            page_ids=wanted.pages,
            instagram_ids=wanted.instagram_accounts,
        )
        code = finish_login(self._simulator, app, person, answer, wanted.redirect_uri)
        return {"code": code.value, "redirect_url": success_url(self._simulator, code, wanted.state)}

    async def revoke(self, request: Request) -> View:
        return {"revoked": self._revoke(await _body(request, Revocation))}

    async def list_faults(self, _: Request) -> View:
        return self._simulator.faults.views()

    async def add_fault(self, request: Request) -> View:
        return self._simulator.faults.add(await _body(request, Fault))

    async def clear_faults(self, _: Request) -> View:
        self._simulator.faults.clear()
        return DONE

    async def remove_fault(self, request: Request) -> View:
        if not self._simulator.faults.remove(request.path_params["fault_id"]):
            raise ControlRefusedError("There is no such fault.", status=404)
        return DONE

    async def list_calls(self, request: Request) -> View:
        operation = request.query_params.get("operation")
        return [entry.view() for entry in self._simulator.calls.entries(operation)]

    async def clear_calls(self, _: Request) -> View:
        self._simulator.calls.clear()
        return DONE

    def _require_app(self, app_id: str | None) -> MetaApp:
        app = self._simulator.apps.get(app_id or self._simulator.main_app.id)
        if app is None:
            raise ControlRefusedError("There is no such app.", status=404)
        return app

    def _revoke(self, wanted: Revocation) -> int:
        simulator = self._simulator
        if wanted.token is not None:
            if not simulator.tokens.revoke(wanted.token, wanted.reason):
                raise ControlRefusedError("There is no such token.", status=404)
            return 1
        person = require_person(simulator.world, wanted.person or "")
        if wanted.page is not None:
            return remove_page_role(simulator, person, wanted.page)
        if wanted.reason is SessionEnd.APP_REMOVED:
            return remove_app(simulator, person, wanted.app_id)
        return end_sessions(simulator, person, wanted.reason, wanted.app_id)


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
        ("GET", "/apps", control.list_apps),
        ("POST", "/apps", control.put_app),
        ("POST", "/authorize", control.authorize),
        ("POST", "/tokens/revoke", control.revoke),
        ("GET", "/faults", control.list_faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.clear_faults),
        ("DELETE", "/faults/{fault_id:int}", control.remove_fault),
        ("GET", "/calls", control.list_calls),
        ("DELETE", "/calls", control.clear_calls),
    ]
    return Mount(PREFIX, routes=[Route(path, _endpoint(act), methods=[verb]) for verb, path, act in table])


def _endpoint(act: Callable[[Request], Awaitable[View]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await act(request))
        except ControlRefusedError as refusal:
            return JSONResponse({"error": str(refusal)}, status_code=refusal.status)
        except ValidationError as error:
            # Without the input, which may hold a token or secret.
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            return JSONResponse({"error": "The body is not valid.", "problems": problems}, status_code=422)

    return endpoint


async def _json(request: Request) -> object:
    try:
        return json.loads(await request.body())
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise ControlRefusedError("The body has to be JSON.") from error


async def _body(request: Request, kind: type[Body]) -> Body:
    return kind.model_validate(await _json(request))


def _permissions(scopes: list[str] | str) -> tuple[str, ...]:
    names = split_permissions(scopes) if isinstance(scopes, str) else tuple(scopes)
    unknown = [name for name in names if name not in KNOWN_PERMISSIONS]
    if unknown:
        raise ControlRefusedError(f"Invalid Scopes: {', '.join(unknown)}")
    return names
