"""The whole contract is asked for without writing anything, and what is refused is named with its cause."""

import json

import httpx
import pytest

from instagram_connect.doctor.contract_check import Refusal, refusals, refused_reload
from instagram_connect.storage.schema_contract import FUNCTIONS, RELATIONS, RELOAD_FUNCTION
from tests.support.fakes import data_api, refusal

LIMIT_S = 5.0


class Contracted:
    """A Data API that takes the whole contract, but for what a test refuses; it keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.refused_relations: dict[str, httpx.Response] = {}
        self.refused_functions: dict[str, httpx.Response] = {}
        self.uncached_columns: set[str] = set()
        self.missing_columns: set[str] = set()
        self.unanswered_selections: set[str] = set()

    def check(self) -> tuple[Refusal, ...]:
        api = data_api(self._answer)
        return refusals(api, limit_s=LIMIT_S) + refused_reload(api, limit_s=LIMIT_S)

    def of(self, relation: str, method: str) -> httpx.Request:
        (request,) = [
            request
            for request in self.requests
            if request.url.path.endswith(f"/{relation}") and request.method == method
        ]
        return request

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        name = request.url.path.rsplit("/", 1)[-1]
        refused = self.refused_functions if "/rpc/" in request.url.path else self.refused_relations
        if name in refused:
            return httpx.Response(refused[name].status_code, content=refused[name].content)
        if request.method == "GET" and request.url.params["select"] in self.unanswered_selections:
            return httpx.Response(503)
        if request.method == "GET" and self.missing_columns & set(request.url.params["select"].split(",")):
            return refusal(400, "42703")
        if request.method == "POST" and "/rpc/" not in request.url.path:
            # A write only tells that the cache lacks a column, whether or not Postgres has it.
            columns = set(request.url.params["columns"].split(","))
            return refusal(400, "PGRST204") if columns & (self.uncached_columns | self.missing_columns) else created()
        return httpx.Response(200, json=[])


def created() -> httpx.Response:
    return httpx.Response(201)


def test_nothing_is_refused_where_everything_is_known_and_granted() -> None:
    assert Contracted().check() == ()


def test_the_whole_contract_is_asked_for() -> None:
    contracted = Contracted()

    contracted.check()

    for relation, columns in RELATIONS.items():
        assert contracted.of(relation, "POST").url.params["columns"].split(",") == list(columns)
        assert contracted.of(relation, "GET").url.params["select"].split(",") == list(columns)
    for function, arguments in FUNCTIONS.items():
        assert list(json.loads(contracted.of(f"rpc/{function}", "POST").content)) == list(arguments)
    assert len(contracted.requests) == 2 * len(RELATIONS) + len(FUNCTIONS)


def test_no_reload_is_asked_for_unless_it_is_wanted() -> None:
    contracted = Contracted()

    refusals(data_api(contracted._answer), limit_s=LIMIT_S)

    assert not [request for request in contracted.requests if request.url.path.endswith(RELOAD_FUNCTION)]


def test_nothing_is_written() -> None:
    contracted = Contracted()

    contracted.check()

    for relation in RELATIONS:
        assert contracted.of(relation, "POST").content == b"[]"
        assert contracted.of(relation, "GET").url.params["limit"] == "0"
    for function in FUNCTIONS:
        assert set(json.loads(contracted.of(f"rpc/{function}", "POST").content).values()) <= {None}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(404, "PGRST205"), "SCHEMA_CACHE_STALE (PGRST205)"),
        (httpx.Response(404, json={}), "SCHEMA_CACHE_STALE (HTTP 404)"),
        (httpx.Response(404), "SCHEMA_CACHE_STALE (HTTP 404)"),
        (refusal(404, "42P01"), "TABLE_MISSING (42P01)"),
        (refusal(403, "42501"), "PERMISSION_DENIED (42501)"),
        (httpx.Response(401, json={"message": "Invalid API key", "hint": "h"}), "KEY_REJECTED (HTTP 401)"),
        (httpx.Response(503, json={"message": "no healthy upstream"}), "DATA_API_UNREACHABLE (HTTP 503)"),
        (httpx.Response(503, html="<html>"), "DATA_API_UNREACHABLE (HTTP 503)"),
    ],
)
def test_what_is_refused_is_named_with_its_cause_and_nothing_else_is(answer: httpx.Response, said: str) -> None:
    contracted = Contracted()
    contracted.refused_relations = {"instagram_business_accounts": answer}
    contracted.refused_functions = {"instagram_connect_store_connection": answer}

    relation, function = contracted.check()

    assert str(relation) == f"instagram_business_accounts: {said}"
    assert str(function) == f"instagram_connect_store_connection(payload): {said}"


def test_a_data_api_that_refuses_everything_is_named_once_for_each_part_of_the_contract() -> None:
    contracted = Contracted()
    contracted.refused_relations = dict.fromkeys(RELATIONS, httpx.Response(401))
    contracted.refused_functions = dict.fromkeys(FUNCTIONS, httpx.Response(401))

    refused = contracted.check()

    assert sorted(refusal.name.split("(")[0] for refusal in refused) == sorted([*RELATIONS, *FUNCTIONS])
    assert {refusal.diagnosis.reason for refusal in refused} == {"KEY_REJECTED"}


def test_missing_columns_are_named_one_by_one() -> None:
    contracted = Contracted()
    contracted.missing_columns = {"page_name", "page_id"}

    (refused,) = contracted.check()

    assert refused.name == "instagram_business_accounts.page_id, instagram_business_accounts.page_name"
    assert (refused.diagnosis.reason, refused.error.code) == ("COLUMN_MISSING", "42703")


def test_columns_that_only_the_cache_lacks_are_no_missing_columns() -> None:
    contracted = Contracted()
    contracted.uncached_columns = {"page_name"}

    (refused,) = contracted.check()

    assert refused.name == "instagram_business_accounts"
    assert (refused.diagnosis.reason, refused.error.code) == ("SCHEMA_CACHE_STALE", "PGRST204")


def test_a_column_that_could_not_be_asked_for_is_not_called_missing() -> None:
    contracted = Contracted()
    contracted.missing_columns = {"page_id"}
    contracted.unanswered_selections = {"page_name"}

    (refused,) = contracted.check()

    assert refused.name == "instagram_business_accounts.page_id"


def test_a_relation_that_may_be_read_and_not_written_is_refused() -> None:
    contracted = Contracted()

    def answer(request: httpx.Request) -> httpx.Response:
        is_write = request.method == "POST" and request.url.path.endswith("/instagram_business_accounts")
        return refusal(403, "42501") if is_write else contracted._answer(request)

    (refused,) = refusals(data_api(answer), limit_s=LIMIT_S)

    assert str(refused) == "instagram_business_accounts: PERMISSION_DENIED (42501)"
