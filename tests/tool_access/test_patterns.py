from __future__ import annotations

import pytest

from jackline_tool_access.lookalike import disguised, skeleton
from jackline_tool_access.patterns import Names, Pattern, objection

LOOKALIKES = {
    "Cyrillic e": "r\u0435fund",
    "Greek omicron": "g\u03bf_home",
    "Armenian": "\u057dpdate",
    "upper-case Cyrillic": "\u0412ackup",
    "full width": "\uff52efund",
    "mathematical bold": "\U0001d42b\U0001d41e\U0001d41fund",
    "ligature": "\ufb01nd",
    "zero width space": "ref\u200bund",
    "zero width joiner": "ref\u200dund",
    "word joiner": "ref\u2060und",
    "byte order mark": "\ufeffrefund",
    "right-to-left override": "\u202erefund",
    "isolate": "refund\u2069",
    "soft hyphen": "ref\u00adund",
    "variation selector": "refund\ufe0f",
    "combining grapheme joiner": "ref\u034fund",
    "Hangul filler": "refund\u3164",
    "no-break space": "refund\u00a0",
    "control character": "refund\x07",
    "non-breaking hyphen": "re\u2011fund",
    "decomposed accent": "e\u0301tat",
}
PLAIN = {
    "Cyrillic e": "refund",
    "Greek omicron": "go_home",
    "Armenian": "update",
    "upper-case Cyrillic": "backup",
    "ligature": "find",
    "non-breaking hyphen": "re-fund",
    "decomposed accent": "état",
}


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_a_disguise_is_seen_through(kind: str) -> None:
    """F10: homoglyphs, NFKC, zero-width and bidirectional variants."""
    name, plain = LOOKALIKES[kind], PLAIN.get(kind, "refund")
    assert skeleton(name) == skeleton(plain)
    assert disguised(name)
    assert not disguised(plain)
    assert not Pattern(plain).matches(name)
    assert Pattern(plain).resembles(name)


@pytest.mark.parametrize(
    "name",
    ["refund", "CRM.get_customer", "a b", "поиск", "поиск_заказа", "検索", "数据.查询", "état", "naïve-tool", "λ"],
)
def test_an_ordinary_name_is_no_disguise(name: str) -> None:
    assert not disguised(name)
    assert Pattern(name).matches(name)


def test_ascii_characters_that_resemble_each_other_differ() -> None:
    assert not Pattern("tool1").resembles("tooll")
    assert not Pattern("o").resembles("0")


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("crm.*", "crm.get", True),
        ("crm.*", "crm.", True),
        ("crm.*", "crm", False),
        ("crm.*", "CRM.get", False),
        ("crm.*", "xcrm.get", False),
        ("crm.*", "crm.get\nmore", True),
        ("crm.ge?", "crm.get", True),
        ("crm.ge?", "crm.ge", False),
        ("crm.[gs]et", "crm.set", True),
        ("crm.[!gs]et", "crm.set", False),
        ("crm.[a-c]", "crm.b", True),
        ("[[]x]", "[x]", True),
        ("*", "", True),
        ("[A-Z]*", "Get", True),
        ("[A-Z]*", "get", False),
    ],
)
def test_globs_are_exact_about_case_and_place(glob: str, name: str, matches: bool) -> None:
    assert Pattern(glob).matches(name) is matches
    assert not Pattern(glob).exact


def test_what_a_glob_matches_it_also_resembles() -> None:
    assert Pattern("[!a-z]*").resembles("X")


def test_many_stars_stay_fast() -> None:
    """A glob is written by people, the name by whoever: no pattern may take exponential time."""
    assert not Pattern("*a" * 12 + "b").matches("a" * 3000)


@pytest.mark.parametrize("text", ["search", "crm.*", "a[]b]c", "a[!]]c", "[{]x[}]", "名前"])
def test_what_is_a_pattern(text: str) -> None:
    assert objection(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a name: it is empty, or has space around it"),
        (" x", "' x' is not a name: it is empty, or has space around it"),
        ("crm.[ab", "'crm.[ab' opens a character class and does not close it"),
        ("crm.{a,b}", "'crm.{a,b}' has braces, which globs here do not know"),
        ("x[z-a]", "'x[z-a]' can never match"),
    ],
)
def test_what_is_none(text: str, message: str) -> None:
    problem = objection(text)
    assert problem is not None
    assert problem[0] == message
    assert problem[1]


def test_names_are_listed_by_their_first_entry() -> None:
    names = Names("models", ["gpt-5", "gpt-*"])
    assert names.rule("gpt-5") == "models[0]: gpt-5"
    assert names.rule("gpt-4") == "models[1]: gpt-*"
    assert names.rule("o3") is None
    assert names.rule("o3") is None


def test_a_disguised_name_is_listed_only_by_itself_or_by_a_star() -> None:
    assert Names("models", ["gpt-*"]).rule("gpt-\u200b5") is None
    assert Names("models", ["gpt-\u200b5"]).rule("gpt-\u200b5") == "models[0]: gpt-\u200b5"
    assert Names("spawn", ["*"]).rule("gpt-\u200b5") == "spawn[0]: *"


def test_invented_names_do_not_fill_the_memory() -> None:
    names = Names("models", ["a"])
    for number in range(3000):
        assert names.rule(f"model-{number}") is None
    assert 0 < len(names._known) <= 1024
    assert names.rule("a" * 10_000) is None
    assert max(map(len, names._known)) < 200
