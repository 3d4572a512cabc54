"""The benchmarks' evaluation of recorded calls."""

import pytest

from bench.connecting import critical_path_s
from bench.costs import Work, _bill
from bench.figures import Figure
from bench.recording import Call, in_a_row


def call(operation: str, started: float, ended: float) -> Call:
    return Call("meta", operation, started, ended)


CONNECTION = [
    call("exchange", 0.0, 1.0),
    call("keep", 1.0, 1.5),  # concurrent with the next
    call("extend", 1.1, 2.1),
    call("subscribe", 2.2, 3.2),
    call("subscribe", 2.2, 4.2),  # waits for the processor
    call("store", 4.3, 4.5),
]


def test_sequential_calls_are_those_that_waited_for_each_other() -> None:
    assert [made.operation for made in in_a_row(CONNECTION)] == ["exchange", "keep", "subscribe", "store"]


def test_concurrent_calls_count_as_one_sequential_call() -> None:
    assert len(in_a_row([call("subscribe", 0.0, 1.0), call("subscribe", 0.9, 1.9), call("subscribe", 0.5, 1.5)])) == 1


def test_critical_path_is_the_longest_chain_with_the_fastest_call_of_each_kind() -> None:
    assert critical_path_s(CONNECTION) == pytest.approx(1.0 + 1.0 + 1.0 + 0.2)


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (102, "2 % above"),
        (98, "2 % below"),
        (100.4, "equal to"),
        (2356, "23.6 times"),
        (46, "54 % below"),
        (0.1, "99.9 % below"),
    ],
)
def test_ratio_is_put_into_words(measured: float, text: str) -> None:
    assert Figure.against("name", measured, 100, "ms", baseline_is="another").comparison == text


def test_bill_has_each_cost_once_by_service_and_once_by_category() -> None:
    prices = {"kms": 0.5, "sqs": 2.0, "kms_keys": 1.0}

    figures = {
        figure.name: figure.measured
        for figure in _bill([Work("looking", 10, {"kms": 2}), Work("storing", 3, {"kms": 1, "sqs": 1})], prices, 5000)
    }

    assert (figures["costs: KMS"], figures["costs: SQS"], figures["costs: Lambda"]) == (12.5, 6.0, 0.0)
    assert (figures["costs: part for looking"], figures["costs: part for storing"]) == (10.0, 7.5)
    assert figures["costs: total for 5,000 accounts"] == 18.5
