"""pydantic's errors in a bundle's words, for whatever models packs write."""

from __future__ import annotations

import pytest
from pydantic import Field, field_validator

from jackline.options import Options
from jackline.validation import validate
from jackline.yaml_source import parse


class Inner(Options):
    most: int = Field(default=1, ge=1)
    word: str = "x"

    @field_validator("word")
    @classmethod
    def _known(cls, value):
        if value == "bad":
            raise ValueError("'bad' is no word")
        return value


class Outer(Options):
    inner: Inner | None = None
    inners: dict[str, Inner] = Field(default={})
    listed: tuple[Inner, ...] = ()
    renamed: int = Field(default=0, alias="from")
    rate: float = 0.0
    plain: dict[str, int] = Field(default={})
    flags: frozenset[str] = frozenset()


def found(text):
    document = parse(text.encode(), "b")
    model, problems = validate(Outer, document.data, document)
    assert (model is None) == bool(problems)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inner: {most: 2}", []),
        ("from: 3", []),
        ("inner: {most: 0}", ["b:1:15: `inner.most` is 0: it should be greater than or equal to 1"]),
        ("inner: {word: bad}", ["b:1:15: `inner.word`: 'bad' is no word"]),
        ("inner: {mots: 2}", ["b:1:9: unknown key `mots`; did you mean 'most'?"]),
        ("inners: {a: {wrod: x}}", ["b:1:14: unknown key `wrod`; did you mean 'word'?"]),
        ("listed: [{}, {wrod: x}]", ["b:1:15: unknown key `wrod`; did you mean 'word'?"]),
        ("form: 3", ["b:1:1: unknown key `form`; did you mean 'from'?"]),
        ("rate: fast", ["b:1:7: `rate` is 'fast', expected a number"]),
        ("rate: '0.5'", ["b:1:7: `rate` is '0.5', expected a number; leave the quotes out: 0.5"]),
        ("rate: '1e999'", ["b:1:7: `rate` is '1e999', expected a number"]),
        ("flags: {a: 1}", ['b:1:8: `flags` is {"a": 1}, expected a list']),
        ("plain: {a: x}", ["b:1:12: `plain.a` is 'x', expected a whole number"]),
    ],
)
def test_wording(text, expected):
    assert found(text) == expected


def test_the_members_of_a_union_are_no_part_of_the_path():
    class Loose(Options):
        either: Inner | dict[str, int] = Field(default={})

    document = parse(b"either: {a: x}", "b")
    _, problems = validate(Loose, document.data, document)
    assert [str(problem) for problem in problems] == [
        "b:1:10: unknown key `a`; known: most, word",
        "b:1:13: `either.a` is 'x', expected a whole number",
    ]
