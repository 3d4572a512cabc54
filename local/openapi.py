"""Writes docs/openapi.json, the HTTP contract for machines: paths from here, everything else from the code.

Bodies come from `instagram_connect.contract`, error codes from the taxonomy. A test compares the paths with the
functions' routes and with template.yaml, and the file with what this module makes of the code today.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from instagram_connect import contract, errors
from instagram_connect.api_gateway import DEFERRED_CODE
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
        contract.Authorization,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError),
        body=(contract.AuthorizeRequest,),
    ),
    Operation(
        "/api/instagram/exchange-token",
        "post",
        "exchangeToken",
        "Finish a login: its Instagram accounts are stored. The same code again gives the first outcome.",
        contract.Connection,
        (errors.InvalidRequestError, errors.RedirectUriNotAllowedError, *ALL_OF_A_LOGIN),
        body=(contract.CodeLogin, contract.TokenLogin),
        deferred_answer=contract.DeferredConnection,
    ),
    Operation(
        "/api/instagram/accounts",
        "get",
        "listAccounts",
        "All accounts of the caller, also disconnected and pending ones.",
        contract.Accounts,
        (errors.StorageError,),
    ),
    Operation(
        "/api/instagram/accounts/{id}",
        "delete",
        "disconnectAccount",
        "Disconnect an account: its tokens are erased, whatever Meta answers. Safe to repeat.",
        contract.Disconnection,
        (errors.AccountNotFoundError, errors.StorageError),
    ),
    Operation(
        "/api/instagram/refresh-token",
        "post",
        "refreshToken",
        "Extend the token of one account now. Requests at once make one call to Meta and give one answer.",
        contract.RefreshedAccount,
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
        body=(contract.RefreshTokenRequest,),
    ),
    Operation(
        "/api/health",
        "get",
        "health",
        "Whether connections can be stored right now.",
        contract.Health,
        (errors.StorageError,),
        is_public=True,
    ),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method] = _operation(operation)
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
    answers: list[type[BaseModel]] = [contract.Problem, *(operation.answer for operation in OPERATIONS)]
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
    schemas: dict[str, Any] = {**taken["$defs"], **given["$defs"]}
    problem = schemas["Problem"]
    problem["properties"]["code"]["enum"] = sorted(kind.code for kind in _kinds(errors.InstagramConnectError))
    for optional in ("reason", "retryAfterSeconds"):  # left out instead of null
        problem["required"] = [name for name in problem["required"] if name != optional]
        (problem["properties"][optional]["type"],) = [
            choice["type"] for choice in problem["properties"][optional].pop("anyOf") if choice["type"] != "null"
        ]
        problem["properties"][optional].pop("default", None)
    return dict(sorted(schemas.items()))


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
    kinds = [*operation.errors, *ANYWHERE, *(() if operation.is_public else SIGNED_IN)]
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
