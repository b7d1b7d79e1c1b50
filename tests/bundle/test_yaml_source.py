"""YAML with places: the core schema, refused constructs, and where every character stands."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jackline import yaml_source
from jackline.errors import BundleError, Problem
from jackline.yaml_scalars import NumberError, resolve
from jackline.yaml_source import parse


def read(text, kind="bundle"):
    return parse(text.encode() if isinstance(text, str) else text, "b.yaml", kind)


def refusal(text, kind="bundle"):
    with pytest.raises(BundleError) as caught:
        read(text, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12", 12),
        ("-7", -7),
        ("014", 14),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1,000", "1,000"),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("2026-01-05", "2026-01-05"),
        ("0.50 USD", "0.50 USD"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".nan", ".nan is not a finite number"),
        ("-.inf", "-.inf is not a finite number"),
        ("1e999", "1e999 is not a finite number"),
        ("9223372036854775808", "9223372036854775808 does not fit into 64 bits"),
        ("9" * 5000, "99999999999999999999... (5000 digits) does not fit into 64 bits"),
    ],
)
def test_numbers_that_cannot_be_kept_are_refused_and_may_be_quoted(text, message):
    with pytest.raises(NumberError) as caught:
        resolve(text)
    assert str(caught.value) == message
    document = read(f"a: 1\nb: {text}\n")
    assert document.problems == [Problem("b.yaml", 2, 4, message, "quote it if it is text")]
    assert document.data == {"a": 1, "b": None}
    assert read(f"b: '{text}'").data == {"b": text}


def test_keys_are_text_whatever_they_look_like():
    assert read("on: 1\nyes: 2\n12: 3\ntrue: 4\nnull: 5\n").data == {"on": 1, "yes": 2, "12": 3, "true": 4, "null": 5}


def test_every_value_and_key_has_its_place():
    document = read("# c\na: 1\nb:\n  - x: [1, {y: 2}]\n    z: |\n      t\n")
    assert document.data == {"a": 1, "b": [{"x": [1, {"y": 2}], "z": "t\n"}]}
    assert document.place(()) == (2, 1)
    assert document.place(("a",)) == (2, 4)
    assert document.place(("b", 0, "x", 1, "y")) == (4, 16)
    assert document.key_place(("b", 0, "x", 1, "y")) == (4, 13)
    assert document.key_place(()) == (2, 1)
    assert document.place(("b", 0, "missing", "deeper")) == (4, 5), "the nearest value around it"
    assert document.key_place(("b", 0, "missing")) == (4, 5)
    assert document.place_within(("a",), 3) == (2, 4), "no text, so its start"
    assert document.has(("b", 0, "x"))
    assert not document.has(("b", 1))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a: 1\na: 2\n", "b.yaml:2:1: `a` is given twice; the first is on line 1; leave one of the two out"),
        ("a: &x 1\n", "b.yaml:1:4: the anchor &x is not used here; leave it out; a value that starts with & is quoted"),
        (
            "a: *x\n",
            "b.yaml:1:4: the alias *x is not used here; write the value out; a value that starts with * is quoted: '*x'",
        ),
        ("a: !!str 1\n", "b.yaml:1:4: the tag !!str is not used here; a value that starts with ! is quoted as a whole"),
        (
            "a: !has(args.x)\n",
            "b.yaml:1:4: the tag !has(args.x) is not used here; a value that starts with ! is quoted as a whole",
        ),
        (
            "a: !!python/object/apply:os.system [x]\n",
            "b.yaml:1:4: the tag !!python/object/apply:os.system is not used here; a value that starts with ! is quoted as a whole",
        ),
        ("a: {{ LIMIT }}\n", "b.yaml:1:5: a key is text; a value that starts with { or [ is quoted"),
        ("? [x]\n: 1\n", "b.yaml:1:3: a key is text; a value that starts with { or [ is quoted"),
    ],
)
def test_what_a_bundle_does_not_use_is_a_problem_with_its_place(text, rendered):
    assert [str(problem) for problem in read(text).problems] == [rendered]


def test_of_a_key_given_twice_the_first_counts():
    assert read("a: 1\nb: 2\na: [3]\n").data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", "b.yaml:1:1: the file is empty; a bundle starts with `jackline: 1`"),
        ("# only a comment\n---\n", "b.yaml:1:1: the file is empty; a bundle starts with `jackline: 1`"),
        ("a: 1\n---\nb: 2\n", "b.yaml:2:1: a second document starts here; a bundle is one document"),
        ("a:\n\t- b\n", "b.yaml:2:1: a tab indents this line; YAML indents with spaces"),
        ("a: @x\n", "b.yaml:1:4: a value cannot start with @; quote the value"),
        ("a: b: c\n", "b.yaml:1:5: a key cannot stand here; indent it as its neighbours; quote a value that has ': '"),
        ("a: [*]\n", "b.yaml:1:6: a value that starts with * or & is no text; quote it: '*'"),
        ("a: 'x\n", "b.yaml:1:4: the quote that opens here is not closed; add the closing quote"),
        ("a: [1, 2\nb: 3\n", "b.yaml:2:2: the list that opens on line 1 is not closed; add ] or a comma"),
        ("a: {x: 1\nb: 3\n", "b.yaml:2:2: the map that opens on line 1 is not closed; add } or a comma"),
        ("a: [x,", "b.yaml:1:7: the file ends inside a list or a map; add the closing ] or }"),
        ("a: 1\nb\n", "b.yaml:2:1: this line has no `key: value`; add the colon, or indent the line under its key"),
        ("a: !<x\n", "b.yaml:1:7: a value that starts with ! is no text; quote the whole value"),
        ("a: - b\n", "b.yaml:1:4: this is not YAML: sequence entries are not allowed here"),
        (
            "agents: 'x' in agent.labels\n",
            "b.yaml:1:13: this does not go on with the block that starts on line 1; check the indentation; a value that starts with a quote is quoted as a whole: \"'a' in agent.labels\"",
        ),
        ("[" * 33 + "]" * 33, "b.yaml:1:33: nested deeper than 32 levels"),
        ("[" * 900_000, "b.yaml:1:33: nested deeper than 32 levels"),
        (
            "a: \x00\n",
            'b.yaml:1:4: the control character U+0000 is not text; delete it, or write it as "\\u...." in quotes',
        ),
        (
            "a: x\u2028y\n",
            'b.yaml:1:5: the control character U+2028 is not text; delete it, or write it as "\\u...." in quotes',
        ),
        (
            "a: 1\rb: 2\r",
            'b.yaml:1:5: the control character U+000D is not text; delete it, or write it as "\\u...." in quotes',
        ),
        (b"a: 1\nb: \xff\n", "b.yaml:2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "b.yaml:1:1: the file is UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_sound_yaml_is_one_clear_error(text, rendered):
    assert refusal(text) == rendered


def test_a_file_of_cases_is_told_how_it_starts():
    assert refusal("", "file of cases") == "b.yaml:1:1: the file is empty; a file of cases starts with `cases:`"


def test_a_byte_order_mark_is_no_character():
    document = read("\ufeffa: 1\n")
    assert document.place(("a",)) == (1, 4)


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(yaml_source, "MAX_NODES", 4)
    assert read("[1, 2, 3]").data == [1, 2, 3]
    assert refusal("[1, 2, 3,\n 4]") == "b.yaml:2:2: more than 4 values; a bundle is a page or two"


def test_billion_laughs_do_not_grow():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    document = read("\n".join(lines))
    assert document.data["i"] == [None] * 10
    assert len(document.problems) == 9 + 80


def test_half_a_surrogate_pair_is_refused_by_the_pure_parser_too(monkeypatch):
    monkeypatch.setattr(yaml_source, "_FAST", yaml.SafeLoader)
    problem = read('a: "\\ud800"\n').problems[0]
    assert str(problem) == 'b.yaml:1:4: half of a surrogate pair is not text; write the whole character: "\\U0001F600"'


def test_the_place_of_an_error_without_a_mark_is_the_start(monkeypatch):
    def fail(*_, **__):
        raise yaml.YAMLError("odd")
        yield

    monkeypatch.setattr(yaml_source.yaml, "parse", fail)
    assert refusal("a: 1") == "b.yaml:1:1: this is not YAML: odd"


def test_where_only_the_fast_parser_objects_its_words_are_used(monkeypatch):
    genuine = yaml.parse

    def picky(text, Loader):  # noqa: N803 - the real one's name
        if Loader is yaml.SafeLoader:
            return iter(())
        return genuine("a: [", Loader)

    monkeypatch.setattr(yaml_source, "_FAST", yaml.CSafeLoader)
    monkeypatch.setattr(yaml_source.yaml, "parse", picky)
    assert refusal("a: 1").startswith("b.yaml:2:1: this is not YAML: while parsing a flow node")


STYLES = {
    "plain": "key: one two three\n",
    "plain over lines": "key: one\n  two\n\n  three\n",
    "single": "key: 'it''s one ''two'' three'\n",
    "single over lines": "key: 'one\n   two\n\n   three'\n",
    "double": 'key: "one \\"two\\" \\\\ three"\n',
    "double over lines": 'key: "one \\\n  two\n  three"\n',
    "literal": "key: |\n  one\n    two\n  three\n",
    "literal with header": "key: |2- # said\n   one\n  two\n",
    "folded": "key: >-\n\n  one\n  two\n\n   three\n  four\n",
    "windows": "key: >-\r\n  one\r\n  two\r\n",
    "not ascii": "key: 'größer é 𝄞 ende'\n",
    "deep": "a:\n  - key: >\n      x &&\n      y\n",
}


@pytest.mark.parametrize("loader", ["SafeLoader", "CSafeLoader"])
@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_every_visible_character_of_a_text_is_found_in_the_file(text, loader, monkeypatch):
    monkeypatch.setattr(yaml_source, "_FAST", getattr(yaml, loader))
    document = read(text)
    path = ("a", 0, "key") if "a" in document.data else ("key",)
    value = document.data["a"][0]["key"] if "a" in document.data else document.data["key"]
    lines = text.split("\n")
    places = []
    for offset, character in enumerate(value):
        line, column = document.place_within(path, offset)
        if not character.isspace():
            assert lines[line - 1][column - 1] == character, (offset, character)
            places.append((line, column))
    assert places == sorted(set(places)), "in order, each its own"
    assert document.place_within(path, len(value)) >= places[-1]


def test_numeric_escapes_answer_the_start_of_the_text():
    document = read('key: "\\x41bc \\u0042"\n')
    assert document.data == {"key": "Abc B"}
    assert document.place_within(("key",), 2) == (1, 6)


def test_an_empty_text_has_a_place():
    document = read("a: ''\nb: |\n\nc: 1\n")
    assert document.place_within(("a",), 0) == (1, 5)
    assert document.place_within(("b",), 0)[0] in (2, 3)


LINES = st.lists(st.text(st.sampled_from(list("ab:-#&*!|>'\"%@`{}[],? \\\t0.~é\u2028")), max_size=12), max_size=6).map(
    "\n".join
)


def attempt(data):
    """The data and problems, or the error."""
    try:
        document = read(data)
    except BundleError as error:
        return error
    return document.data, document.problems


@given(LINES)
@settings(deadline=None)
@example("a: |\n - b")
@example("'\\u0041': \"\\ud800\"")
def test_any_text_is_data_or_a_bundle_error_and_both_parsers_agree(text):
    found = []
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_source, "_FAST", loader)
            found.append(attempt(text))
    for error in found:
        if isinstance(error, BundleError):
            assert error.problems
            assert all(problem.line >= 1 <= problem.column for problem in error.problems)
    if not any(isinstance(each, BundleError) for each in found):
        assert found[0] == found[1]


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_data_or_a_bundle_error(data):
    found = attempt(data)
    assert not isinstance(found, BundleError) or str(found).startswith("b.yaml:")
