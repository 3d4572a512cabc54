"""What the benchmarks conclude from recorded calls."""

import pytest

from bench.connecting import critical_path_s
from bench.costs import Work, _bill
from bench.recording import Call, in_a_row


def call(operation: str, started: float, ended: float) -> Call:
    return Call("meta", operation, started, ended)


CONNECTION = [
    call("exchange", 0.0, 1.0),
    call("keep", 1.0, 1.5),  # beside the next two
    call("extend", 1.1, 2.1),
    call("subscribe", 2.2, 3.2),
    call("subscribe", 2.2, 4.2),  # waits for the processor
    call("store", 4.3, 4.5),
]


def test_calls_in_a_row_are_those_that_waited_for_each_other() -> None:
    assert [made.operation for made in in_a_row(CONNECTION)] == ["exchange", "keep", "subscribe", "store"]


def test_calls_beside_each_other_are_one_in_a_row() -> None:
    assert len(in_a_row([call("subscribe", 0.0, 1.0), call("subscribe", 0.9, 1.9), call("subscribe", 0.5, 1.5)])) == 1


def test_the_critical_path_is_the_longest_chain_in_time_and_forgives_no_crowding() -> None:
    assert critical_path_s(CONNECTION) == pytest.approx(1.0 + 1.0 + 1.0 + 0.2)


def test_a_bill_has_each_cost_once_by_service_and_once_by_kind() -> None:
    prices = {"kms": 0.5, "sqs": 2.0, "kms_keys": 1.0}

    figures = {
        figure.name: figure.measured
        for figure in _bill([Work("looking", 10, {"kms": 2}), Work("storing", 3, {"kms": 1, "sqs": 1})], prices, "USD")
    }

    assert (figures["costs: KMS"], figures["costs: SQS"], figures["costs: Lambda"]) == (12.5, 6.0, 0.0)
    assert (figures["costs: of all, looking"], figures["costs: of all, storing"]) == (10.0, 7.5)
    assert figures["costs: all"] == 18.5
