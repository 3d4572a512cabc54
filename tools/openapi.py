"""Generate docs/openapi.json, the machine-readable HTTP contract: paths from here, everything else from the code.

Bodies come from `instagram_connect.api.schemas`, error codes from `instagram_connect.errors`. Tests compare the paths
with the functions' routes and template.yaml, and the committed file with the output of this module.
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

# Any route can fail with a bug, a missing setting or API Gateway's throttle.
COMMON_ERRORS = (errors.InternalError, errors.ConfigurationError, errors.TooManyRequestsError)
IDENTITY_ERRORS = (errors.UnauthenticatedError, errors.IdentityUnavailableError)
META_ERRORS = tuple(errors.MetaError.__subclasses__())
LOGIN_ERRORS = (
    *errors.LoginError.__subclasses__(),
    *errors.NoAccountError.__subclasses__(),
    *META_ERRORS,
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
    """One method of a path."""

    path: str
    method: str
    name: str
    summary: str
    response: type[BaseModel]
    errors: Sequence[type[errors.InstagramConnectError]]
    body: Sequence[type[BaseModel]] = ()
    deferred_response: type[BaseModel] | None = None
    is_public: bool = False


OPERATIONS = (
    Operation(
        "/api/instagram/authorize",
        "post",
        "authorize",
        "Start a login: returns the URL of Meta's dialog, and a state to send back with the code.",
        schemas.Authorization,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError),
        body=(schemas.AuthorizeRequest,),
    ),
    Operation(
        "/api/instagram/exchange-token",
        "post",
        "exchangeToken",
        "Finish a login and store its Instagram accounts. Repeating the same code returns the first result.",
        schemas.Connection,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError, *LOGIN_ERRORS),
        body=(schemas.CodeLogin, schemas.TokenLogin),
        deferred_response=schemas.DeferredConnection,
    ),
    Operation(
        "/api/instagram/accounts",
        "get",
        "listAccounts",
        "List all accounts of the user, including disconnected and pending ones.",
        schemas.Accounts,
        (errors.StorageError,),
    ),
    Operation(
        "/api/instagram/accounts/{id}",
        "delete",
        "disconnectAccount",
        "Disconnect an account. Its tokens are erased even if Meta does not respond. Safe to repeat.",
        schemas.Disconnection,
        # The router does not match ids that contain a control character or a quotation mark.
        (errors.AccountNotFoundError, errors.RouteNotFoundError, errors.StorageError),
    ),
    Operation(
        "/api/instagram/refresh-token",
        "post",
        "refreshToken",
        "Extend the token of one account now. Simultaneous requests share one call to Meta and its result.",
        schemas.RefreshedAccount,
        (
            errors.InvalidRequestError,
            errors.AccountNotFoundError,
            errors.AccountDisconnectedError,
            errors.TokenTooYoungError,
            errors.RefreshInProgressError,
            *META_ERRORS,
            errors.StorageError,
            errors.TokenEncryptionError,
        ),
        body=(schemas.RefreshTokenRequest,),
    ),
    Operation(
        "/api/health",
        "get",
        "health",
        "Check whether connections can be stored right now.",
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
    """An operation called by Meta, or by a person sent by Meta: success responses have Meta's format, errors ours."""

    path: str
    method: str
    name: str
    summary: str
    responses: Mapping[str, Mapping[str, Any]]
    errors: Sequence[type[errors.InstagramConnectError]]
    request: Mapping[str, Any]


META_OPERATIONS = (
    MetaOperation(
        "/api/instagram/webhook",
        "get",
        "verifyWebhook",
        "Meta's handshake: returns the challenge unchanged.",
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
        "Receives Meta's signed events. 200 means that they are stored in the queue, 503 that Meta must resend them.",
        {"200": {"description": "The events are kept.", "content": _TEXT}},
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
        "A person removed the app: erases their tokens. Safe to repeat; an unknown person is not an error.",
        {"200": {"description": "No token of this person is left.", "content": _TEXT}},
        (errors.InvalidRequestError, errors.SignatureInvalidError, errors.CallbackNotKeptError),
        {"requestBody": _SIGNED_REQUEST},
    ),
    MetaOperation(
        "/api/instagram/data-deletion",
        "post",
        "requestDataDeletion",
        "A person wants their data deleted: done within minutes. Safe to repeat; an unknown person is not an error.",
        {
            "200": {
                "description": "Where the person can see the status.",
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
        "A web page with the status of a deletion.",
        {
            "200": {"description": "The page.", "content": _PAGE},
            "404": {"description": "A page saying that the code is unknown.", "content": _PAGE},
            "503": {"description": "A page asking the person to check again later.", "content": _PAGE},
        },
        (errors.InvalidRequestError,),
        {"parameters": [_parameter("code", "query")]},
    ),
)


def document() -> dict[str, Any]:
    """Build the OpenAPI 3.1 document."""
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
            "description": "Connects Instagram business accounts. `errors.md` explains each error code.",
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
    responses: list[type[BaseModel]] = [schemas.Problem, *(operation.response for operation in OPERATIONS)]
    responses += [operation.deferred_response for operation in OPERATIONS if operation.deferred_response]
    _, requests = models_json_schema(
        [(model, "validation") for model in bodies], ref_template=REF_TEMPLATE, schema_generator=_Schemas
    )
    # In "serialization" mode, fields with a default are required, as responses always contain them.
    _, results = models_json_schema(
        [(model, "serialization") for model in responses],
        ref_template=REF_TEMPLATE,
        schema_generator=_Schemas,
    )
    components: dict[str, Any] = {**requests["$defs"], **results["$defs"]}
    problem = components["Problem"]
    problem["properties"]["code"]["enum"] = sorted(kind.code for kind in _kinds(errors.InstagramConnectError))
    for optional in ("reason", "retryAfterSeconds"):  # omitted instead of null
        problem["required"] = [name for name in problem["required"] if name != optional]
        (problem["properties"][optional]["type"],) = [
            choice["type"] for choice in problem["properties"][optional].pop("anyOf") if choice["type"] != "null"
        ]
        problem["properties"][optional].pop("default", None)
    return dict(sorted(components.items()))


class _Schemas(GenerateJsonSchema):
    """Omits titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Return False."""
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
    responses = {"200": _success(operation.response)}
    if operation.deferred_response:
        mark = {"pending": {"const": True}, "code": {"const": DEFERRED_CODE}}
        responses["202"] = _success(operation.deferred_response, mark)
    described["responses"] = {**responses, **_failures(operation)}
    return described


def _meta_operation(operation: MetaOperation) -> dict[str, Any]:
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [],
        **operation.request,
        "responses": {**_failures_of((*operation.errors, *COMMON_ERRORS)), **operation.responses},
    }


def _success(response: type[BaseModel], mark: Mapping[str, Any] | None = None) -> dict[str, Any]:
    mark = mark or {}
    schema = {
        "type": "object",
        "required": ["success", *mark, "data", "requestId"],
        "properties": {
            "success": {"const": True},
            **mark,
            "data": {"$ref": REF_TEMPLATE.format(model=response.__name__)},
            "requestId": {"type": "string"},
        },
    }
    return {"description": (response.__doc__ or "").strip(), "content": {"application/json": {"schema": schema}}}


def _failures(operation: Operation) -> dict[str, Any]:
    return _failures_of((*operation.errors, *COMMON_ERRORS, *(() if operation.is_public else IDENTITY_ERRORS)))


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
    """Return the file's content."""
    return json.dumps(document(), indent=2) + "\n"


def main() -> int:
    """Write the file."""
    PATH.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
