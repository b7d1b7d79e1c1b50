"""Ways in which a value could slip through, or a replacement could break what it stands in."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

import jackline
from jackline.plain import plain
from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_pii import Pii
from jackline_pii.decoding import clipped, form_decoded, unescaped
from jackline_pii.folding import fold
from jackline_pii.options import PiiOptions
from jackline_pii.scanning import Scanner

if TYPE_CHECKING:
    from pathlib import Path

MAIL, CARD = "anna.schmidt@example.org", "4111 1111 1111 1111"


def made(**options: Any) -> Pii:
    return Pii.build("no-pii", PiiOptions.model_validate(options), Context())  # type: ignore[arg-type]


def asked(policy: Pii, args: dict[str, Any], action: Any = "tool.call") -> Any:
    return policy.evaluate(request(action, args=args), State())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"t": f"card:\n{CARD}\n"}, {"t": "card:\n[CREDIT_CARD]\n"}),
        ({"t": f"to:\n{MAIL}"}, {"t": "to:\n[EMAIL]"}),
        ({"t": "tel\t+1 650-253-0000\tok"}, {"t": "tel\t[PHONE]\tok"}),
        ({"t": "４１１１ １１１１ １１１１ １１１１"}, {"t": "[CREDIT_CARD]"}),
        ({"t": "\U0001d7dc111 1111 1111 1111"}, {"t": "[CREDIT_CARD]"}),
        ({"t": 'say "password": "hunter2Xyz!9q" twice'}, {"t": 'say "password": "[SECRET]" twice'}),
        ({"card": 4111111111111111, "n": [1, 2.5]}, {"card": "[CREDIT_CARD]", "n": [1, 2.5]}),
        ({"gps": [48.8584, 2.2945]}, {"gps": ["[GEO_COORDINATES]"]}),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_json_in_a_text_is_read_and_stays_json(said: Any, expected: Any, times: int) -> None:
    """Escapes hide nothing, and no replacement takes a part of one with it."""
    text = json.dumps(said)
    if times > 1 and any(not isinstance(value, str) for value in said.values()):
        expected = None  # a number in JSON in JSON is replaced, and becomes text of the inner one
    for _ in range(times - 1):
        text = json.dumps(text)
    got = asked(made(), {"body": text}).args["body"]
    for _ in range(times):
        got = json.loads(got) if expected is not None or got.startswith('"') else got
    assert expected is None or got == expected


def test_an_escape_is_not_parted() -> None:
    assert clipped("a\\nb@c", 2, 6) == (3, 6)
    assert clipped("x=abc\\", 2, 6) == (2, 6), "nothing follows the backslash"
    assert clipped('x=abc\\"', 2, 6) == (2, 5)
    assert clipped("plain", 1, 3) == (1, 3)
    decoded = unescaped(fold("é\\u0041\\\\tb"))
    assert decoded is not None
    assert decoded.text == "eA\tb"
    assert (decoded.span(1, 2), decoded.span(2, 4)) == ((1, 7), (7, 11))
    assert unescaped(fold("C:\\Users")) is None
    assert form_decoded(fold("a + b")) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("card=4111+1111+1111+1111&x=1", "card=[CREDIT_CARD]&x=1"),
        ("ssn=460+89+9847", "ssn=[US_SSN]"),
        ("tel=%2B1+650+253+0000&y", "tel=[PHONE]&y"),
        (urllib.parse.urlencode({"to": MAIL, "m": "a b"}), "to=[EMAIL]&m=a+b"),
        ("to=anna%2Bx%40example.org", "to=[EMAIL]"),
    ],
)
def test_a_form_in_which_plus_is_a_space_is_read(body: str, expected: str) -> None:
    assert asked(made(), {"body": body}, "http.request").args == {"body": expected}


def test_base64_is_found_behind_other_signs_and_over_lines() -> None:
    hidden = base64.b64encode(MAIL.encode()).decode().rstrip("=")
    assert asked(made(), {"x": f"data_{hidden} ok"}).args == {"x": "data_[EMAIL] ok"}
    long = base64.encodebytes(f"{'lorem ipsum ' * 4}{MAIL}{' dolor sit' * 9}".encode()).decode()
    assert long.count("\n") == 3
    assert asked(made(), {"x": f"see:\n{long}end"}).args == {"x": "see:\n[EMAIL]\nend"}
    assert asked(made(), {"x": json.dumps({"x": f"see:\n{hidden}"})}).args == {"x": '{"x": "see:\\n[EMAIL]"}'}


@pytest.mark.parametrize("number", [4111111111111111, 4111111111111111.0, -4111111111111111])
def test_a_card_is_found_among_numbers(number: float) -> None:
    assert "[CREDIT_CARD]" in asked(made(), {"n": number}).args["n"]


def test_a_whole_number_that_was_written_as_a_fraction_is_found() -> None:
    """As tables write numbers of a column that has gaps."""
    assert asked(made(), {"x": "4111111111111111.0,5"}).args == {"x": "[CREDIT_CARD].0,5"}
    assert asked(made(), {"x": "4111111111111111.5"}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,name,card\n1,4111111111111111,ann", "id,name,card\n1,[CREDIT_CARD],ann"),
        ("4111111111111111,4242424242424242", "[CREDIT_CARD],[CREDIT_CARD]"),
        ("7,460-89-9847,x", "7,[US_SSN],x"),
        ("phone,age\n6502530000,12", "phone,age\n[PHONE],12"),
        ("12,+1 650-253-0000,44", "12,[PHONE],44"),
        ("4111111111111111/12/29", "[CREDIT_CARD]/12/29"),
        ("4111-1111-1111-1111-123", "[CREDIT_CARD]-123"),
        ("4111  1111  1111  1111", "[CREDIT_CARD]"),
        ("so 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ok", "so [CREDIT_CARD] ok"),
        ("my ssn is 4-6-0-8-9-9-8-4-7", "my ssn is [US_SSN]"),
        ("password: 'Tr0ub4dor!'", "password: '[SECRET]'"),
        ("https://a.b/?api_key=9f8a7b6c5d4e3f2a1b0c&to=example", "https://a.b/?api_key=[SECRET]&to=example"),
        ("password=Tr0ub4dor&3", "password=[SECRET]"),
        ("my password: Tr0ub4dor!", "my password: [SECRET]!"),
    ],
)
def test_tables_dates_and_spelling_hide_nothing(text: str, expected: str) -> None:
    assert asked(made(), {"x": text}).args == {"x": expected}


@pytest.mark.parametrize(
    "text",
    [
        "1,234,567 phone calls",
        "a phone bill of 1,234,567.00",
        "4111111111111112/12/29",
        "4111-1111-1111-1112-123",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2",
        "460-89-9847-1",
        "4 1-1 1 1-1 1 1 1 1 1 1 1 1 1 1",
    ],
)
def test_lists_and_sums_are_no_ones(text: str) -> None:
    assert asked(made(), {"x": text}) is None


def test_the_key_of_another_number_tells_nothing_about_a_number() -> None:
    assert asked(made(), {"contact": "bob", "quantity": 1234567, "created": 1700000000}) is None
    assert asked(made(), {"phone": None, "order": [7654321]}) is None
    given = {"phone": 6502530000, "mobile": {"number": 6502530001}, "phones": [6502530002]}
    assert asked(made(), given).args == {"phone": "[PHONE]", "mobile": {"number": "[PHONE]"}, "phones": ["[PHONE]"]}


@pytest.mark.parametrize("action", ["hash", "tokenise"])
def test_what_was_replaced_is_not_replaced_again(action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn's messages come back with the next turn: a token of a token would never be undone."""
    monkeypatch.setenv("K", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    file = {"vault": {"key_env": "K", "file": str(tmp_path / "v.db")}} if action == "tokenise" else {"key_env": "K"}
    policy = made(action=action, **file)
    for number in range(20):
        for text in (
            f"password: hunter{number}Xyz!9q",
            f"https://ann:hunter{number}x@h.example/x",
            f'{{"api_key": "sk_live_qWe7Zt31bNv85kLm04{number}"}}',
            f"card {CARD} of u{number}@example.org",
        ):
            once = asked(policy, {"x": text})
            assert once.effect == "modify", text
            assert asked(policy, once.args) is None, once.args


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^[0-9]{6}$", "123456", "[BADGE]"),
        ("^[0-9]{6}$", "1234567", None),
        ("(X|Y)-(dev|prod)-[0-9]+", "use X-prod-12 now", "use [BADGE] now"),
        ("(?i)zone-[a-f]", "in Zone-C", "in [BADGE]"),
    ],
)
def test_a_custom_pattern_is_matched_in_each_text_and_replaced_whole(pattern: str, text: str, expected: Any) -> None:
    policy = made(custom=[{"name": "BADGE", "pattern": pattern}])
    verdict = asked(policy, {"a": "other", "x": text, "b": "other"})
    assert (verdict and verdict.args["x"]) == expected


def test_a_custom_word_is_found_however_it_is_written() -> None:
    policy = made(custom=[{"name": "BADGE", "pattern": "F[0-9]{4}", "words": ["Führerschein"]}])
    assert asked(policy, {"x": "Führerschein F1234"}).args == {"x": "Führerschein [BADGE]"}
    assert asked(policy, {"x": "Fahrkarte F1234"}) is None


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("Müller-[0-9]+", "texts are read with ASCII letters alone: write 'Muller-[0-9]+'"),
        ("身份证[0-9]{18}", "texts are read with ASCII letters alone: write . for each sign that has none"),
    ],
)
def test_a_custom_pattern_that_could_never_match_is_refused(pattern: str, hint: str) -> None:
    with pytest.raises(ValidationError) as raised:
        PiiOptions.model_validate({"custom": [{"name": "X", "pattern": pattern}]})
    error = raised.value.errors()[0]
    assert error["msg"] == f"{pattern!r} can never match"
    assert error["ctx"]["hint"] == hint


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("x " * 4_300_000 + MAIL, "args.x"),
        ([0] * 100_001 + [MAIL], "args.x[99998]"),
    ],
)
@pytest.mark.parametrize(
    ("action", "effect"), [("redact", "deny"), ("deny", "deny"), ("escalate", "escalate"), ("record", "allow")]
)
def test_what_is_too_much_to_be_looked_at_does_not_pass(value: Any, place: str, action: str, effect: str) -> None:
    """P10: a value behind eight million characters is as dangerous as one in front of them."""
    verdict = asked(made(action=action), plain({"x": value}))
    assert (verdict.effect, verdict.rule, verdict.args) == (effect, "unread", None)
    assert verdict.reason == "there is more than can be looked at: send less at once"
    assert [finding.place for finding in verdict.findings] == [place]
    assert MAIL not in repr(verdict)


def test_what_is_too_deep_does_not_pass_and_odd_texts_do() -> None:
    deep: Any = MAIL
    for _ in range(70):
        deep = [deep]
    assert asked(made(), plain({"x": deep})).effect == "deny"
    assert asked(made(), plain({"x": "lone \ud800 sign"})) is None
    assert "[EMAIL]" in str(asked(made(), plain({"x": f"lone \ud800 sign {MAIL}"})).args)


def test_a_detector_that_fails_denies_and_its_words_are_withheld() -> None:
    """What it says could hold what it looked at, and a reason is told to the model and written to the journal."""

    class Fails:
        def find(self, text: str) -> list[Any]:
            raise ValueError(f"what is {text}?")

    class Lies:
        def find(self, text: str) -> list[Any]:
            return [(3, 10_000, 0.9, "")]

    for detector, said in ((Fails(), "raised ValueError"), (Lies(), "gave a place that is outside the text")):
        with pytest.raises(RuntimeError) as raised:
            Scanner({"BADGE": detector}).scan("secret value")
        assert str(raised.value) == f"the detector of BADGE {said}"
        assert raised.value.__cause__ is None


def test_nothing_is_changed_where_a_policy_only_observes(tmp_path: Path) -> None:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text("jackline: 1\npolicies:\n  - {name: p, use: pii, mode: observe}\n", encoding="utf-8")
    guard = jackline.Guard.load(bundle, home=tmp_path / "home")
    received = []

    @guard.tool
    def send(to: dict[str, Any]) -> dict[str, Any]:
        received.append(to)
        return to

    given = {"to": MAIL, "n": 4111111111111111}
    with guard.session(id="s"):
        assert send(given) is given
    assert received == [given]
    guard.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert b"EMAIL" in written
    assert MAIL.encode() not in written
