"""Parsing Meta's usage headers, valid or not, and who observes them."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instagram_connect.errors import MetaRateLimitedError
from instagram_connect.meta import usage
from instagram_connect.meta.graph import GraphClient
from instagram_connect.meta.usage import Usage, read_usage
from instagram_connect.runtime.deadline import Deadline

URL = "https://graph.facebook.com/v25.0/x"
APP_HEADER = "X-App-Usage"
PAGE_HEADER = "X-Page-Usage"
BUSINESS_HEADER = "X-Business-Use-Case-Usage"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(1e308)
entries = st.fixed_dictionaries(
    {},
    optional={
        "type": json_values,
        "call_count": numbers,
        "total_time": numbers,
        "total_cputime": numbers,
        "estimated_time_to_regain_access": numbers,
    },
)


def header(name: str, value: object) -> httpx.Headers:
    return httpx.Headers({name: json.dumps(value)})


def client(*answers: httpx.Response) -> GraphClient:
    left = list(answers)
    return GraphClient(httpx.Client(transport=httpx.MockTransport(lambda _: left.pop(0))), sleep=lambda _: None)


def answer(percent: int, status: int = 200, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body, headers={APP_HEADER: json.dumps({"call_count": percent})})


def call(graph: GraphClient) -> None:
    graph.call("x", "GET", URL, params={}, deadline=Deadline(20))


@pytest.mark.parametrize(
    ("told", "percent"),
    [
        ({"call_count": 28, "total_time": 25, "total_cputime": 24}, 28),
        ({"call_count": 1, "total_time": 77, "total_cputime": 2}, 77),
        ({"call_count": 1, "total_time": 2, "total_cputime": 91}, 91),
        ({"call_count": 28}, 28),
        ({"total_cputime": "17"}, 17),
        ({"call_count": 99.9}, 99),
        ({"call_count": 1300}, 1300),
        ({"call_count": -5}, 0),
        ({"call_count": None, "total_time": [], "total_cputime": 3}, 3),
        ({"something_new": 50}, 0),
    ],
)
@pytest.mark.parametrize(("name", "usage_type"), [(APP_HEADER, "app"), (PAGE_HEADER, "page")])
def test_highest_of_three_percentages_counts(name: str, usage_type: str, told: dict[str, object], percent: int) -> None:
    assert read_usage(header(name, told)) == (Usage(usage_type, percent, 0),)


@pytest.mark.parametrize("name", ["X-App-Usage", "x-app-usage", "X-APP-USAGE"])
def test_header_names_are_case_insensitive(name: str) -> None:
    assert read_usage(header(name, {"call_count": 5})) == (Usage("app", 5),)


@pytest.mark.parametrize(("minutes", "seconds"), [(0, 0), (1, 60), (19, 1140), ("7", 420), (0.5, 30), (-3, 0)])
def test_minutes_become_seconds(minutes: object, seconds: int) -> None:
    entry = {"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": minutes}

    assert read_usage(header(BUSINESS_HEADER, {"1784": [entry]})) == (Usage("instagram", 100, seconds),)


def test_worst_values_of_one_limit_count() -> None:
    told = {
        "1": [{"type": "instagram", "call_count": 95, "estimated_time_to_regain_access": 0}],
        "2": [
            {"type": "pages", "total_time": 3, "estimated_time_to_regain_access": 2},
            {"type": "instagram", "call_count": 12, "estimated_time_to_regain_access": 4},
        ],
        "3": [{"type": "instagram", "call_count": 1, "estimated_time_to_regain_access": 1}],
    }

    assert read_usage(header(BUSINESS_HEADER, told)) == (Usage("instagram", 95, 240), Usage("pages", 3, 120))


def test_all_headers_of_a_response_are_read() -> None:
    headers = httpx.Headers(
        {
            APP_HEADER: '{"call_count":1}',
            PAGE_HEADER: '{"call_count":2}',
            BUSINESS_HEADER: '{"1":[{"type":"messenger","call_count":3}]}',
            "X-Ad-Account-Usage": '{"acc_id_util_pct":99}',
        }
    )

    assert read_usage(headers) == (Usage("app", 1), Usage("page", 2), Usage("messenger", 3))


@pytest.mark.parametrize("name", [APP_HEADER, PAGE_HEADER, BUSINESS_HEADER])
@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", "[]", "1", '"text"', "not json", "{", '{"a": 1', "[" * 100_000, '{"a":' * 100_000, "1" * 5000],
)
def test_malformed_values_count_as_absent(name: str, text: str) -> None:
    assert read_usage(httpx.Headers({name: text})) == ()


@pytest.mark.parametrize("told", [{"1": None}, {"1": {}}, {"1": [1, None, "x", []]}, {"1": []}, {"1": "text"}])
def test_objects_without_entries_are_ignored(told: object) -> None:
    assert read_usage(header(BUSINESS_HEADER, told)) == ()


def test_malformed_entry_does_not_hide_its_neighbours() -> None:
    told = {"1": "nonsense", "2": [None, {"type": "instagram", "call_count": 40}]}

    assert read_usage(header(BUSINESS_HEADER, told)) == (Usage("instagram", 40),)


@pytest.mark.parametrize(
    ("told", "usage_type"),
    [({}, "unknown"), ({"type": None}, "unknown"), ({"type": ""}, "unknown"), ({"type": "x" * 99}, "x" * 64)],
)
def test_limit_without_a_usable_name_gets_a_default_name(told: dict[str, object], usage_type: str) -> None:
    assert read_usage(header(BUSINESS_HEADER, {"1": [told]})) == (Usage(usage_type, 0),)


def test_limit_names_are_made_storable_for_postgres() -> None:
    (found,) = read_usage(httpx.Headers({BUSINESS_HEADER: r'{"1":[{"type":"insta\u0000gram\ud800"}]}'}))

    assert found.usage_type == "instagram?"


@pytest.mark.parametrize("number", ["1e308", "1e999", "NaN", "-Infinity", "9" * 400, '"1e308"'])
def test_huge_numbers_are_capped(number: str) -> None:
    text = f'{{"1":[{{"type":"instagram","call_count":{number},"estimated_time_to_regain_access":{number}}}]}}'

    (found,) = read_usage(httpx.Headers({BUSINESS_HEADER: text}))

    assert 0 <= found.used_percent <= 32_767
    assert timedelta(0) <= timedelta(seconds=found.regain_access_s) <= timedelta(days=7)


@given(st.text(), st.text(), st.text())
def test_arbitrary_text_never_raises(app: str, page: str, business: str) -> None:
    headers = {"x-app-usage": app, "x-page-usage": page, "x-business-use-case-usage": business}

    assert isinstance(read_usage(headers), tuple)


@given(json_values | entries, json_values | st.dictionaries(st.text(), st.lists(entries | json_values)))
def test_arbitrary_json_never_raises_and_stays_storable(app: object, business: object) -> None:
    headers = {"x-app-usage": json.dumps(app), "x-business-use-case-usage": json.dumps(business)}

    for found in read_usage(headers):
        assert isinstance(found.used_percent, int)
        assert isinstance(found.regain_access_s, int)
        assert 0 <= found.used_percent <= 32_767
        assert 0 <= found.regain_access_s <= 7 * 86_400
        assert 0 < len(found.usage_type.encode().decode()) <= 64


def test_all_responses_in_a_block_are_observed_in_order() -> None:
    graph = client(answer(10), answer(20))

    with usage.observed() as seen:
        call(graph)
        call(graph)

    assert seen == [Usage("app", 10), Usage("app", 20)]


def test_rejections_and_retries_are_observed() -> None:
    transient = answer(98, 500, error={"code": 2, "message": "x", "is_transient": True})
    graph = client(transient, answer(100, 400, error={"code": 4, "message": "x"}))

    with usage.observed() as seen, pytest.raises(MetaRateLimitedError):
        call(graph)

    assert seen == [Usage("app", 98), Usage("app", 100)]


def test_nothing_is_observed_outside_a_block() -> None:
    graph = client(answer(10), answer(20), answer(30))

    call(graph)
    with usage.observed() as seen:
        call(graph)
    call(graph)

    assert seen == [Usage("app", 20)]


def test_nested_blocks_observe_separately() -> None:
    graph = client(answer(10), answer(20), answer(30))

    with usage.observed() as outer:
        call(graph)
        with usage.observed() as inner:
            call(graph)
        call(graph)

    assert (outer, inner) == ([Usage("app", 10), Usage("app", 30)], [Usage("app", 20)])


def test_exception_ends_the_block() -> None:
    def observe_and_fail() -> None:
        with usage.observed():
            raise LookupError

    with usage.observed() as seen:
        with pytest.raises(LookupError):
            observe_and_fail()
        usage.note(header(APP_HEADER, {"call_count": 5}))

    assert seen == [Usage("app", 5)]


def test_threads_sharing_a_client_observe_only_their_own_responses() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        percent = int(request.url.params["percent"])
        return httpx.Response(200, json={}, headers={APP_HEADER: json.dumps({"call_count": percent})})

    graph = GraphClient(httpx.Client(transport=httpx.MockTransport(echo)))

    def observe(percent: int) -> list[Usage]:
        with usage.observed() as seen:
            for _ in range(3):
                graph.call("x", "GET", URL, params={"percent": str(percent)}, deadline=Deadline(20))
        return seen

    with usage.observed() as own, ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(observe, range(1, 41)))

    assert seen == [[Usage("app", percent)] * 3 for percent in range(1, 41)]
    assert own == []
