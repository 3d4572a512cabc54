import pytest
from hypothesis import given
from hypothesis import strategies as st

from meta_simulator.errors import GraphError
from meta_simulator.graph.fields import FieldRequest, parse_fields


def test_nested_braces_become_nested_requests() -> None:
    parsed = parse_fields("id, a{b,c{d}} ,e")

    assert parsed == (
        FieldRequest("id"),
        FieldRequest("a", (FieldRequest("b"), FieldRequest("c", (FieldRequest("d"),)))),
        FieldRequest("e"),
    )


@pytest.mark.parametrize("text", ["", ",", "a,", "a{", "a{}", "a}", "a{b", "{a}", "a b", "a.limit(5)", "a{" * 50])
def test_syntax_error_is_code_2500(text: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse_fields(text)

    assert caught.value.code == 2500


@given(st.text(alphabet="ab{}, é", max_size=40))
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    try:
        parsed = parse_fields(text)
    except GraphError:
        return

    assert parsed
