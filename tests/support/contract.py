"""Checks every response of the deployed functions against the published contract, docs/openapi.json."""

import json
import re

import httpx
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tools import openapi

_DOCUMENT = json.loads(openapi.PATH.read_text())


def check(answer: httpx.Response) -> None:
    """Raise AssertionError unless the contract allows this response of its route."""
    path = re.sub(r"^.*(?=/api/)", "", answer.request.url.path)
    template = re.sub(r"(?<=/instagram/accounts/).+", "{id}", path)
    responses = _DOCUMENT["paths"][template][answer.request.method.lower()]["responses"]
    status = str(answer.status_code)
    assert status in responses, f"{answer.request.method} {template} answered {status}: {answer.text}"
    body = answer.json()
    if not answer.is_success:
        assert f"`{body['code']}`" in responses[status]["description"]
    schema = {**responses[status]["content"]["application/json"]["schema"], "components": _DOCUMENT["components"]}
    error = best_match(Draft202012Validator(schema).iter_errors(body))
    assert error is None, f"{answer.request.method} {template} {status}: {error}"
