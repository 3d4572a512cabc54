"""Writes docs/openapi.json, the HTTP contract for machines: paths from here, everything else from the code.

Bodies come from `instagram_connect.api.schemas`, error codes from the taxonomy. A test compares the paths with the
functions' routes and with template.yaml, and the file with what this module makes of the code today.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from instagram_connect import errors
from instagram_connect.api import schemas
from instagram_connect.api.routing import DEFERRED_CODE
from local.settings import ROOT

PATH = ROOT / "docs" / "openapi.json"
REF_TEMPLATE = "#/components/schemas/{model}"

# Whatever a function does, it may not be set up, be at fault or be refused by API Gateway.
ANYWHERE = (errors.InternalError, errors.ConfigurationError, errors.TooManyRequestsError)
SIGNED_IN = (errors.UnauthenticatedError, errors.IdentityUnavailableError)
AT_META = tuple(errors.MetaError.__subclasses__())
ALL_OF_A_LOGIN = (
    *errors.LoginError.__subclasses__(),
    *errors.NoAccountError.__subclasses__(),
    *AT_META,
    errors.OAuthStateError,
    errors.LoginInProgressError,
    errors.AccountDisconnectedError,
    errors.AccountNotFoundError,
    errors.StorageError,
    errors.TokenEncryptionError,
    errors.LoginRecordsUnavailableError,
    errors.LateStartError,
)


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    path: str
    method: str
    name: str
    summary: str
    answer: type[BaseModel]
    errors: Sequence[type[errors.InstagramConnectError]]
    body: Sequence[type[BaseModel]] = ()
    deferred_answer: type[BaseModel] | None = None
    is_public: bool = False


OPERATIONS = (
    Operation(
        "/api/instagram/authorize",
        "post",
        "authorize",
        "Start a login: where to send the browser, and a state for the way back.",
        schemas.Authorization,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError),
        body=(schemas.AuthorizeRequest,),
    ),
    Operation(
        "/api/instagram/exchange-token",
        "post",
        "exchangeToken",
        "Finish a login: its Instagram accounts are stored. The same code again gives the first outcome.",
        schemas.Connection,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError, *ALL_OF_A_LOGIN),
        body=(schemas.CodeLogin, schemas.TokenLogin),
        deferred_answer=schemas.DeferredConnection,
    ),
    Operation(
        "/api/instagram/accounts",
        "get",
        "listAccounts",
        "All accounts of the caller, also disconnected and pending ones.",
        schemas.Accounts,
        (errors.StorageError,),
    ),
    Operation(
        "/api/instagram/accounts/{id}",
        "delete",
        "disconnectAccount",
        "Disconnect an account: its tokens are erased, whatever Meta answers. Safe to repeat.",
        schemas.Disconnection,
        # The router takes no address with a control character or a quotation mark in it for this route's.
        (errors.AccountNotFoundError, errors.RouteNotFoundError, errors.StorageError),
    ),
    Operation(
        "/api/instagram/refresh-token",
        "post",
        "refreshToken",
        "Extend the token of one account now. Requests at once make one call to Meta and give one answer.",
        schemas.RefreshedAccount,
        (
            errors.InvalidRequestError,
            errors.AccountNotFoundError,
            errors.AccountDisconnectedError,
            errors.TokenTooYoungError,
            errors.RefreshInProgressError,
            *AT_META,
            errors.StorageError,
            errors.TokenEncryptionError,
        ),
        body=(schemas.RefreshTokenRequest,),
    ),
    Operation(
        "/api/health",
        "get",
        "health",
        "Whether connections can be stored right now.",
        schemas.Health,
        (errors.StorageError,),
        is_public=True,
    ),
)


_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_PAGE = {"text/html": {"schema": {"type": "string"}}}
_SIGNED_REQUEST = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["signed_request"],
                "properties": {"signed_request": {"type": "string"}},
            }
        }
    },
}


def _parameter(name: str, place: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "schema": schema or {"type": "string"}}


@dataclass(frozen=True)
class MetaOperation:
    """One that Meta calls, or a person whom Meta sends: its answers are not of our shape, its errors are."""

    path: str
    method: str
    name: str
    summary: str
    answers: Mapping[str, Mapping[str, Any]]
    errors: Sequence[type[errors.InstagramConnectError]]
    asked: Mapping[str, Any]


META_OPERATIONS = (
    MetaOperation(
        "/api/instagram/webhook",
        "get",
        "verifyWebhook",
        "Meta's handshake: the challenge comes back exactly as it was sent.",
        {"200": {"description": "The challenge.", "content": _TEXT}},
        (errors.InvalidRequestError, errors.VerifyTokenInvalidError),
        {
            "parameters": [
                _parameter("hub.mode", "query", {"const": "subscribe"}),
                _parameter("hub.verify_token", "query"),
                _parameter("hub.challenge", "query", {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$"}),
            ]
        },
    ),
    MetaOperation(
        "/api/instagram/webhook",
        "post",
        "receiveWebhook",
        "Meta's events, signed. 200 means that every byte is kept; 503 that Meta has to send them again.",
        {"200": {"description": "All of it is kept.", "content": _TEXT}},
        (errors.InvalidRequestError, errors.SignatureInvalidError, errors.CallbackNotKeptError),
        {
            "parameters": [
                _parameter("X-Hub-Signature-256", "header", {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"})
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        },
    ),
    MetaOperation(
        "/api/instagram/deauthorize",
        "post",
        "deauthorize",
        "A person removed the app: their tokens are erased. Safe to repeat; an unknown person is no error.",
        {"200": {"description": "There is no token of this person any more.", "content": _TEXT}},
        (errors.InvalidRequestError, errors.SignatureInvalidError, errors.CallbackNotKeptError),
        {"requestBody": _SIGNED_REQUEST},
    ),
    MetaOperation(
        "/api/instagram/data-deletion",
        "post",
        "requestDataDeletion",
        "A person wants their data deleted: it is done within minutes. Safe to repeat; an unknown person is no error.",
        {
            "200": {
                "description": "Where the person sees how far it is.",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["url", "confirmation_code"],
                            "properties": {
                                "url": {"type": "string", "format": "uri"},
                                "confirmation_code": {"type": "string", "pattern": "^[0-9a-f]+$"},
                            },
                        }
                    }
                },
            }
        },
        (errors.InvalidRequestError, errors.SignatureInvalidError, errors.CallbackNotKeptError),
        {"requestBody": _SIGNED_REQUEST},
    ),
    MetaOperation(
        "/api/instagram/data-deletion",
        "get",
        "showDataDeletion",
        "A page for people: how far a deletion is.",
        {
            "200": {"description": "The page.", "content": _PAGE},
            "404": {"description": "A page that says that nobody was given this code.", "content": _PAGE},
            "503": {"description": "A page that asks to look again.", "content": _PAGE},
        },
        (errors.InvalidRequestError,),
        {"parameters": [_parameter("code", "query")]},
    ),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method] = _operation(operation)
    for called in META_OPERATIONS:
        paths[called.path][called.method] = _meta_operation(called)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Instagram Connect",
            "version": "1",
            "description": "Connects Instagram business accounts. `errors.md` says what each error code means.",
        },
        "security": [{"supabase": []}],
        "paths": dict(paths),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "supabase": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of a signed-in Supabase user.",
                }
            },
        },
    }


def _schemas() -> dict[str, Any]:
    bodies = [model for operation in OPERATIONS for model in operation.body]
    answers: list[type[BaseModel]] = [schemas.Problem, *(operation.answer for operation in OPERATIONS)]
    answers += [operation.deferred_answer for operation in OPERATIONS if operation.deferred_answer]
    _, taken = models_json_schema(
        [(model, "validation") for model in bodies], ref_template=REF_TEMPLATE, schema_generator=_Schemas
    )
    # What is answered is always there, also what has a default: "serialization" says so.
    _, given = models_json_schema(
        [(model, "serialization") for model in answers],
        ref_template=REF_TEMPLATE,
        schema_generator=_Schemas,
    )
    components: dict[str, Any] = {**taken["$defs"], **given["$defs"]}
    problem = components["Problem"]
    problem["properties"]["code"]["enum"] = sorted(kind.code for kind in _kinds(errors.InstagramConnectError))
    for optional in ("reason", "retryAfterSeconds"):  # left out instead of null
        problem["required"] = [name for name in problem["required"] if name != optional]
        (problem["properties"][optional]["type"],) = [
            choice["type"] for choice in problem["properties"][optional].pop("anyOf") if choice["type"] != "null"
        ]
        problem["properties"][optional].pop("default", None)
    return dict(sorted(components.items()))


class _Schemas(GenerateJsonSchema):
    """Without titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Never."""
        return False


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.is_public:
        described["security"] = []
    if "{id}" in operation.path:
        parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        described["parameters"] = [parameter]
    if operation.body:
        refs = [{"$ref": REF_TEMPLATE.format(model=model.__name__)} for model in operation.body]
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}},
        }
    responses = {"200": _success(operation.answer)}
    if operation.deferred_answer:
        mark = {"pending": {"const": True}, "code": {"const": DEFERRED_CODE}}
        responses["202"] = _success(operation.deferred_answer, mark)
    described["responses"] = {**responses, **_failures(operation)}
    return described


def _meta_operation(operation: MetaOperation) -> dict[str, Any]:
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [],
        **operation.asked,
        "responses": {**_failures_of((*operation.errors, *ANYWHERE)), **operation.answers},
    }


def _success(answer: type[BaseModel], mark: Mapping[str, Any] | None = None) -> dict[str, Any]:
    mark = mark or {}
    schema = {
        "type": "object",
        "required": ["success", *mark, "data", "requestId"],
        "properties": {
            "success": {"const": True},
            **mark,
            "data": {"$ref": REF_TEMPLATE.format(model=answer.__name__)},
            "requestId": {"type": "string"},
        },
    }
    return {"description": (answer.__doc__ or "").strip(), "content": {"application/json": {"schema": schema}}}


def _failures(operation: Operation) -> dict[str, Any]:
    return _failures_of((*operation.errors, *ANYWHERE, *(() if operation.is_public else SIGNED_IN)))


def _failures_of(kinds: Iterable[type[errors.InstagramConnectError]]) -> dict[str, Any]:
    codes: dict[HTTPStatus, list[str]] = defaultdict(list)
    for kind in kinds:
        codes[kind.status].append(kind.code)
    content = {"application/json": {"schema": {"$ref": REF_TEMPLATE.format(model="Problem")}}}
    return {
        str(status.value): {"description": ", ".join(f"`{code}`" for code in sorted(named)), "content": content}
        for status, named in sorted(codes.items())
    }


def _kinds(base: type[errors.InstagramConnectError]) -> Iterator[type[errors.InstagramConnectError]]:
    for kind in base.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from _kinds(kind)


def text() -> str:
    """The file's content."""
    return json.dumps(document(), indent=2) + "\n"


def main() -> int:
    """Write the file."""
    PATH.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
