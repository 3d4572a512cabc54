"""How the demo reads the forms of a login dialog."""

from local.dialog_forms import forms

PAGE = """
<form action="/login"><input type="hidden" name="state" value="a&amp;b">
  <button name="person" value="7"><b>Ana</b>\n Souza</button></form>
<form action="/answer">
  <input type="checkbox" name="page" value="1" checked><input type="checkbox" name="page" value="2">
  <input type="checkbox" name="fixed" value="3" checked disabled><input type="text" name="email">
  <button name="answer" value="continue">Continue</button><button form="other" name="answer" value="no">No</button>
</form>
"""


def test_only_fields_that_a_browser_would_send_are_read() -> None:
    login, answer = forms(PAGE)

    assert login.fields == [("state", "a&b")]
    assert answer.fields == [("page", "1"), ("email", "")]


def test_button_is_found_by_its_label() -> None:
    login, answer = forms(PAGE)

    assert login.button("person", "Ana Souza") == "7"
    assert login.button("person", "Ben") is None
    assert answer.button("answer", "No") is None
