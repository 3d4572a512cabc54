"""docs/openapi.json matches the routes in the code, the template, and the error classes."""

import re

import pytest
from jsonschema import Draft202012Validator

from functions.accounts import app as accounts
from functions.authorize import app as authorize
from functions.exchange_token import app as exchange_token
from functions.health import app as health
from functions.refresh_token import app as refresh_token
from local.template import section
from tests.support.error_classes import public_errors
from tools import openapi

APIS = (
    accounts.build_api(("*",), accounts.dependencies),
    authorize.build_api(("*",), authorize.dependencies),
    exchange_token.build_api(("*",), exchange_token.dependencies),
    health.build_api(("*",), health.StorageCheck(health.repository)),
    refresh_token.build_api(("*",), refresh_token.dependencies),
)
DESCRIBED = {(operation.method, operation.path) for operation in openapi.OPERATIONS}


def without_names(path: str) -> str:
    return re.sub(r"[<{]\w+[>}]", "{}", path)


def test_published_file_is_current() -> None:
    assert openapi.PATH.read_text() == openapi.text(), "run: make openapi"


def test_described_routes_are_those_of_the_functions() -> None:
    routes = {
        (route.method.lower(), without_names(route.path))
        for api in APIS
        for route in [*api._static_routes, *api._dynamic_routes]
    }

    assert routes == {(method, without_names(path)) for method, path in DESCRIBED}


def test_described_routes_are_in_the_template_with_preflight_for_frontends() -> None:
    meta_routes = {(operation.method, operation.path) for operation in openapi.META_OPERATIONS}
    events = [
        (event["Properties"]["Method"].lower(), event["Properties"]["Path"])
        for resource in section("Resources").values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Api"
    ]

    assert {event for event in events if event[0] != "options"} == DESCRIBED | meta_routes
    assert {path for method, path in events if method == "options"} == {path for _, path in DESCRIBED}


def test_error_schema_lists_every_public_code() -> None:
    schemas = openapi.document()["components"]["schemas"]

    assert schemas["Problem"]["properties"]["code"]["enum"] == sorted(error.code for error in public_errors())


@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda operation: operation.name)
def test_operation_has_a_response_for_each_of_its_errors(operation: openapi.Operation) -> None:
    responses = openapi.document()["paths"][operation.path][operation.method]["responses"]

    assert responses.keys() - {"200"} >= {str(error.status.value) for error in operation.errors}


def test_error_without_optional_fields_is_valid() -> None:
    document = openapi.document()
    problem = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    valid = {
        "success": False,
        "error": "e",
        "details": "d",
        "code": "INTERNAL_ERROR",
        "actor": "operator",
        "recoverable": False,
        "hint": "h",
        "requestId": "r",
    }

    assert Draft202012Validator(problem).is_valid(valid)
    assert not Draft202012Validator(problem).is_valid({**valid, "code": "SOMETHING_ELSE"})
    assert not Draft202012Validator(problem).is_valid({**valid, "reason": None})
