"""From changed plain data back to native values, and what has no way back."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, RootModel, computed_field

from jackline.plain import plain
from jackline.rewriting import UnchangeableError, fields, rewrite


class Pair(NamedTuple):
    text: str
    other: Any


class Handle:
    """A value that only its own program understands."""


@dataclasses.dataclass
class Letter:
    text: str
    to: Any = None
    size: int = dataclasses.field(init=False)

    def __post_init__(self):
        if self.text == "refused":
            raise RuntimeError("no such letter")
        self.size = len(self.text)


class Parcel(msgspec.Struct):
    text: str
    to: Any = None


class Order(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")

    text: str = ""
    letter: Letter | None = None
    handle: Handle | None = None


def swap(value: Any) -> Any:
    """A policy's change of plain data: it takes one word out."""
    if isinstance(value, str):
        return value.replace("secret", "[gone]")
    if isinstance(value, dict):
        return {key: swap(item) for key, item in value.items()}
    return [swap(item) for item in value] if isinstance(value, list) else value


def swapped(native: Any) -> Any:
    before = plain(native)
    return rewrite(native, before, swap(before))


def test_what_did_not_change_is_the_same_object():
    handle = Handle()
    assert rewrite(handle, {"$opaque": "x"}, {"$opaque": "x"}) is handle
    native = [Handle()]
    before = plain(native)
    assert rewrite(native, before, before) is native


@pytest.mark.parametrize("before", ["a secret", 3, 2.5, True, None, ["secret"], {"a": {"b": ["secret"]}}])
@pytest.mark.parametrize("after", ["other", 4, None, [], {"more": [1]}])
def test_plain_data_becomes_whatever_the_policy_says(before, after):
    assert rewrite(before, plain(before), after) == after


def test_a_long_text_is_changed_as_a_short_one_is():
    native = "a secret " * 20_000
    assert swapped(native) == "a [gone] " * 20_000


def test_items_of_a_long_list_can_be_taken_away():
    native = list(range(5000))
    assert rewrite(native, plain(native), native[1:]) == native[1:]


def test_containers_keep_their_kind_and_what_the_policy_left_alone():
    handle = Handle()
    native = {"list": ["secret", handle], "tuple": ("secret", handle), "pair": Pair("secret", handle), "same": handle}
    found = swapped(native)
    assert found == {
        "list": ["[gone]", handle],
        "tuple": ("[gone]", handle),
        "pair": ("[gone]", handle),
        "same": handle,
    }
    assert [type(item) for item in found.values()] == [list, tuple, Pair, Handle]
    assert native["list"][0] == "secret"


def test_a_dict_can_gain_and_lose_entries():
    handle = Handle()
    native = {"handle": handle, "text": "secret"}
    before = plain(native)
    kept = before["handle"]
    assert rewrite(native, before, {"handle": kept, "more": 1}) == {"handle": handle, "more": 1}
    assert rewrite(native, before, {"text": "x"}) == {"text": "x"}


def test_entries_that_policies_do_not_see_stay():
    handle = Handle()
    found = rewrite({"handle": handle, "text": "secret"}, {"text": "secret"}, {"text": "x"})
    assert found == {"handle": handle, "text": "x"}


@pytest.mark.parametrize("native", [{1: "secret"}, {"$opaque": "secret"}, OrderedDict({("a", 1): "secret"})])
def test_a_dict_whose_keys_look_otherwise_as_plain_data_is_refused(native):
    """Its plain form is `{"$items": ...}` or has other keys: that is nothing that a body could be given."""
    with pytest.raises(UnchangeableError, match="with such keys cannot be given other content"):
        swapped(native)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ([], "1 items became 0; items can be changed, not added or removed"),
        ([{"$opaque": "x"}, 1], "1 items became 2; items can be changed, not added or removed"),
        ("text", "a list cannot be given other content"),
        ([{"$opaque": "other"}], "a Handle cannot be given other content"),
    ],
)
def test_a_list_of_what_is_not_plain_keeps_its_items(after, message):
    with pytest.raises(UnchangeableError, match=message):
        rewrite([Handle()], [{"$opaque": "x"}], after)


@pytest.mark.parametrize("native", [b"secret", {"secret"}, Letter, 2**70])
def test_what_has_no_way_back_is_refused(native):
    with pytest.raises(UnchangeableError, match=rf"a {type(native).__name__} cannot be given other content"):
        rewrite(native, plain(native), "x")


def test_a_dataclass_is_made_anew():
    handle = Handle()
    letter = Letter("a secret", handle)
    found = rewrite(letter, {"text": "a secret"}, {"text": "a [gone] thing"})
    assert (found.text, found.to, found.size) == ("a [gone] thing", handle, 14)
    assert letter.text == "a secret"


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"text": "refused", "size": 6}, "a Letter does not take the change: no such letter"),
        ({"text": "secret", "size": 7}, "a Letter does not take the change: field size is declared with init=False"),
        ({"text": "x"}, "a Letter cannot be given other fields"),
        ("x", "a Letter cannot be given other fields"),
    ],
)
def test_a_dataclass_that_cannot_be_made_so_is_refused(after, message):
    with pytest.raises(UnchangeableError, match=message):
        rewrite(Letter("secret"), {"text": "secret", "size": 6}, after)


def test_a_struct_is_made_anew():
    handle = Handle()
    parcel = Parcel("a secret", handle)
    assert swapped(parcel) == Parcel("a [gone]", handle)
    assert parcel.text == "a secret"


def test_a_model_is_copied_with_what_is_inside_and_beside_its_fields():
    handle = Handle()
    order = Order(text="a secret", letter=Letter("secret", "you"), handle=handle, note="secret")
    before = {"text": "a secret", "letter": {"text": "secret", "to": "you"}, "note": "secret"}
    found = rewrite(order, before, swap(before))
    assert (found.text, found.letter.text, found.letter.to, found.note) == ("a [gone]", "[gone]", "you", "[gone]")
    assert found.handle is handle
    assert (order.text, order.letter.text, order.note) == ("a secret", "secret", "secret")


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"text": "x"}, "a Order cannot be given other fields"),
        ({"text": "x", "absent": 2}, "a Order has no field 'absent' to be changed"),
        ("x", "a Order cannot be given other content"),
    ],
)
def test_a_model_takes_no_other_fields(after, message):
    with pytest.raises(UnchangeableError, match=message):
        rewrite(Order(text="secret"), {"text": "secret", "absent": 1}, after)


class Greeting(BaseModel):
    name: str

    @computed_field
    @property
    def text(self) -> str:
        if self.name == "nobody":
            raise LookupError(self.name)
        return f"hello {self.name}"


class Kept(Greeting):
    @computed_field
    @cached_property
    def again(self) -> str:
        return self.text


def test_what_a_model_computes_comes_out_right_or_is_refused():
    greeting = Greeting(name="secret")
    assert swapped(greeting).text == "hello [gone]"
    with pytest.raises(UnchangeableError, match="the 'text' of a Greeting is computed and cannot be changed"):
        rewrite(greeting, plain(greeting), {"name": "secret", "text": "hello"})
    with pytest.raises(UnchangeableError, match="a Greeting does not take the change: nobody"):
        rewrite(greeting, plain(greeting), {"name": "nobody", "text": "hello nobody"})
    with pytest.raises(UnchangeableError, match="the 'again' of a Kept is computed and cannot be changed"):
        swapped(Kept(name="secret"))  # pydantic copies what was cached


class Listed(RootModel[list[str]]):
    pass


def test_a_model_that_is_no_object_as_plain_data_is_refused():
    with pytest.raises(UnchangeableError, match="a Listed cannot be given other content"):
        swapped(Listed(["secret"]))


def test_fields_that_did_not_change_are_not_touched():
    assert fields(Order(text="secret"), {"text": "a", "gone": 1}, {"text": "b", "gone": 1}, rewrite) == {"text": "b"}


def test_an_adapter_says_how_its_own_values_are_changed():
    """`again` is asked for everything inside, at every level."""
    asked = []

    def again(native, before, after):
        asked.append(native)
        return f"mine: {after}" if native == "secret" else rewrite(native, before, after, again)

    native = {
        "a": [("secret", "b")],
        "letter": Letter("secret"),
        "order": Order(text="secret"),
        "parcel": Parcel("secret"),
    }
    before = {
        "a": [["secret", "b"]],
        "letter": {"text": "secret"},
        "order": {"text": "secret"},
        "parcel": {"text": "secret"},
    }
    found = rewrite(native, before, swap(before), again)
    assert found["a"] == [("mine: [gone]", "b")]
    assert [found[key].text for key in ("letter", "order", "parcel")] == ["mine: [gone]"] * 3
    assert "b" in asked


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc$", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=8,
)


@given(_values, st.randoms(use_true_random=False))
def test_what_comes_back_has_the_plain_form_that_the_policy_asked_for(native, random):
    def change(value):
        if isinstance(value, str) and random.random() < 0.5:
            return value + "!"
        if isinstance(value, dict):
            return {key: change(item) for key, item in value.items()}
        return [change(item) for item in value] if isinstance(value, list) else value

    before = plain(native)
    after = change(before)
    assert plain(rewrite(native, before, after)) == after
    assert plain(native) == before
