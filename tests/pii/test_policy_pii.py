"""The policy `pii`: what it replaces, what it says, and what a bundle may say."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_pii import Pii
from jackline_pii.catalogue import TARGETS
from jackline_pii.options import PiiOptions

MAIL, CARD, SSN = "anna.schmidt@example.org", "4111 1111 1111 1111", "460-89-9847"


def made(**options: Any) -> Pii:
    return Pii.build("no-pii", PiiOptions.model_validate(options), Context())  # type: ignore[arg-type]


def asked(policy: Pii, args: dict[str, Any], action: Any = "tool.call") -> Any:
    return policy.evaluate(request(action, args=args), State())


@pytest.mark.parametrize(
    ("action", "args"),
    [
        ("tool.call", {"to": MAIL, "amount": 5}),
        ("model.call", {"messages": [{"role": "user", "content": f"I am {MAIL}"}]}),
        ("tool.return", {"result": {"rows": [[MAIL]]}}),
        ("model.return", {"result": f"write to {MAIL}."}),
        ("http.request", {"url": f"https://a.internal/?to={MAIL}", "body": json.dumps({"to": MAIL})}),
        ("output", {"result": MAIL}),
        ("agent.spawn", {"input": MAIL}),
        ("retrieval", {"query": MAIL}),
        ("embedding", {"texts": [MAIL, "x"]}),
    ],
)
def test_every_action_is_redacted_and_the_original_left_alone(action: Any, args: dict[str, Any]) -> None:
    before = json.dumps(args)
    verdict = asked(made(), args, action)
    assert verdict.effect == "modify"
    assert json.dumps(verdict.args) == before.replace(MAIL, "[EMAIL]")
    assert json.dumps(args) == before
    assert MAIL not in repr(verdict.findings) + verdict.reason + verdict.rule
    assert asked(made(), verdict.args, action) is None, "what was replaced is found again"


def test_findings_say_kind_place_and_confidence_and_never_the_value() -> None:
    verdict = asked(made(), {"who": {MAIL: ["x", f"card {CARD}"]}})
    assert [(f.kind, f.place) for f in verdict.findings] == [
        ("EMAIL", "args.who.<key>"),
        ("CREDIT_CARD", "args.who.<key>[1]"),
    ]
    assert all(0.5 <= finding.confidence <= 1 for finding in verdict.findings)
    assert verdict.reason == "redacted 1 CREDIT_CARD, 1 EMAIL"
    assert verdict.args == {"who": {"[EMAIL]": ["x", "card [CREDIT_CARD]"]}}


def test_keys_that_become_the_same_stay_apart() -> None:
    assert asked(made(), {"a@example.org": 1, "b@example.org": 2}).args == {"[EMAIL]": 1, "[EMAIL] 2": 2}


def test_a_key_tells_what_its_value_is() -> None:
    """P19: a bare social security number counts next to its name."""
    assert asked(made(), {"customer_ssn": "123456789"}).args == {"customer_ssn": "[US_SSN]"}
    assert asked(made(), {"parts": "123456789"}) is None
    assert asked(made(), {"phoneNumber": 6502530000}).args == {"phoneNumber": "[PHONE]"}
    assert asked(made(), {"card": 4111111111111111}).args == {"card": "[CREDIT_CARD]"}


@pytest.mark.parametrize(
    "parts",
    [
        ["4111 1111", " 1111 1111"],
        ["pay 4111", " 11", "11 1111 1111 x"],
        list("4111111111111111"),
        ["me: anna.sch", "midt@example.org"],
    ],
)
def test_text_in_pieces_is_found(parts: list[str]) -> None:
    """A value that is split over adjacent parts or messages is one value."""
    content = [{"type": "text", "text": part} for part in parts]
    verdict = asked(made(), {"messages": [{"role": "user", "content": content}]}, "model.call")
    left = "".join(part["text"] for part in verdict.args["messages"][0]["content"])
    assert left in ("[CREDIT_CARD]", "pay [CREDIT_CARD] x", "me: [EMAIL]")
    if "midt@example.org" in parts:
        return  # the second message holds a whole address of its own
    messages = [{"role": "user", "content": part} for part in parts]
    verdict = asked(made(), {"messages": messages}, "model.call")
    assert "".join(message["content"] for message in verdict.args["messages"]) == left
    assert len(verdict.findings) == 1


@pytest.mark.parametrize(
    ("action", "effect", "phase"),
    [
        ("deny", "deny", "judge"),
        ("escalate", "escalate", "judge"),
        ("record", "allow", "judge"),
        ("redact", "modify", "modify"),
    ],
)
def test_the_action_decides_the_effect(action: str, effect: str, phase: str) -> None:
    policy = made(action=action)
    verdict = asked(policy, {"to": f"{MAIL}, {SSN}"})
    assert (policy.phase, verdict.effect) == (phase, effect)
    assert verdict.rule == "EMAIL US_SSN"
    assert verdict.reason.endswith("1 EMAIL, 1 US_SSN")
    assert (verdict.args is None) == (phase == "judge")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (CARD, "**** **** **** 1111"),
        (MAIL, "***@example.org"),
        (SSN, "***-**-9847"),
        ("https://bob:Tr0ub4dor@db.internal", "*" * 33),
        ("8.8.8.8", "*.*.*.*"),
    ],
)
def test_a_mask_leaves_what_people_need_to_recognise(text: str, masked: str) -> None:
    assert asked(made(action="mask"), {"x": text}).args == {"x": masked}


def test_a_keyed_hash_is_the_same_for_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PII_KEY", "one")
    first = asked(
        made(action="hash", key_env="PII_KEY"), {"a": CARD, "b": CARD.replace(" ", "-"), "c": "4242424242424242"}
    ).args
    assert first["a"] == first["b"] != first["c"]
    assert first["a"].startswith("[CREDIT_CARD:")
    monkeypatch.setenv("PII_KEY", "another")
    assert asked(made(action="hash", key_env="PII_KEY"), {"a": CARD}).args != {"a": first["a"]}


def test_exactly_the_listed_types_and_patterns_are_applied() -> None:
    """P18: a listed type scrubs nothing else, and a custom pattern is applied."""
    text = f"{SSN} {MAIL} 8.8.8.8 +1 650-253-0000 B-123456"
    assert asked(made(entities=["US_SSN"]), {"x": text}).args == {"x": text.replace(SSN, "[US_SSN]")}
    custom = [{"name": "BADGE", "pattern": "B-[0-9]{6}"}]
    assert asked(made(custom=custom), {"x": text}).args == {"x": text.replace("B-123456", "[BADGE]")}
    both = asked(made(entities=["EMAIL"], custom=custom), {"x": text}).args
    assert both == {"x": text.replace("B-123456", "[BADGE]").replace(MAIL, "[EMAIL]")}


def test_a_custom_pattern_may_need_a_word() -> None:
    policy = made(custom=[{"name": "BADGE", "pattern": "B-[0-9]{6}", "words": ["badge"]}])
    assert asked(policy, {"x": "B-123456"}) is None
    assert asked(policy, {"x": "badge B-123456"}).args == {"x": "badge [BADGE]"}


def test_a_custom_pattern_may_be_of_letters_alone() -> None:
    policy = made(custom=[{"name": "PROJECT", "pattern": "(?i)project [a-z]{4,9}"}])
    assert asked(policy, {"x": "about Project Falcon"}).args == {"x": "about [PROJECT]"}


def test_what_is_allowed_passes() -> None:
    policy = made(allow=["support@example.org", "*@partner.example", "4111 1111 1111 1111"])
    text = f"Support@Example.org, x.y@partner.example, {CARD}"
    assert asked(policy, {"x": text}) is None
    assert asked(policy, {"x": f"{text}, {MAIL}"}).args == {"x": f"{text}, [EMAIL]"}


def test_private_addresses_count_only_where_they_are_asked_for() -> None:
    assert asked(made(), {"x": "10.1.2.3"}) is None
    assert asked(made(entities=["IP_ADDRESS"], addresses="all"), {"x": "10.1.2.3"}).args == {"x": "[IP_ADDRESS]"}


def test_a_request_keeps_its_credentials_where_they_belong() -> None:
    args = {"headers": {"Authorization": "Bearer sk-ant-api03-" + "aB3dE5fG7h" * 6, "X-Note": MAIL}}
    assert asked(made(), args, "http.request").args == {"headers": {**args["headers"], "X-Note": "[EMAIL]"}}


def test_a_place_in_two_numbers_is_found() -> None:
    verdict = asked(made(), {"lat": 48.8584, "lng": 2.2945, "latitude": 98.12345, "size": 2.29451})
    assert verdict.args == {
        "lat": "[GEO_COORDINATES]",
        "lng": "[GEO_COORDINATES]",
        "latitude": 98.12345,
        "size": 2.29451,
    }


@pytest.mark.parametrize(
    "text",
    ["version 8.8.4.4", "release 12.34.56.78 is out", "see RFC 4291", "x = a[1::2]", "f(a@b)", "4111-2024-01-15"],
)
def test_what_is_something_else_is_left_alone(text: str) -> None:
    assert asked(made(), {"text": text}) is None


def test_an_address_that_is_written_around_is_found() -> None:
    """P19: also with the sign itself in brackets."""
    for value in ("jane [@] example.org", "jane [at] example [dot] org", "jane{at}example.org"):
        assert asked(made(), {"text": f"write to {value} now"}).args == {"text": "write to [EMAIL] now"}, value


def test_many_findings_are_counted() -> None:
    verdict = asked(made(), {"x": [f"u{number}@example.org" for number in range(150)]})
    assert len(verdict.findings) == 101
    assert (verdict.findings[-1].kind, verdict.findings[-1].note) == ("more", "50 further places")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entities": ["EMIAL"]}, "entities.0: nothing finds EMIAL: unknown detector 'emial'; did you mean 'EMAIL'?"),
        (
            {"action": "hash"},
            "action: `hash` needs a key, or anyone could try all numbers; name an environment variable that holds a secret: key_env: PII_KEY",
        ),
        (
            {"action": "hash", "key_env": "NO_SUCH_KEY"},
            "k.e.y._.e.n.v: the environment variable 'NO_SUCH_KEY' is empty; set it to a secret before Jackline starts",
        ),
        ({"key_env": "X"}, "key_env: `redact` uses no key; leave it out, or write `action: hash`"),
        (
            {"entities": ["EMAIL"], "addresses": "all"},
            "addresses: IP_ADDRESS is not looked for; leave it out, or name IP_ADDRESS under entities",
        ),
        ({"allow": ["**"]}, "allow.0: '**' lets everything pass; write the values that may pass"),
        (
            {"entities": ["EMAIL"], "custom": [{"name": "EMAIL", "pattern": "x"}]},
            "custom.0.name: the name 'EMAIL' is used twice; call it something else",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        made(**options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=x)", "'(?=x)' is no pattern: invalid perl operator: (?="),
        ("a*", "'a*' also matches nothing at all"),
    ],
)
def test_a_pattern_that_is_not_linear_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        PiiOptions.model_validate({"custom": [{"name": "X", "pattern": pattern}]})
    assert message in str(raised.value)


def test_phones_need_their_numbering_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError) as raised:
        made(entities=["PHONE"])
    assert str(raised.value) == (
        "entities.0: PHONE needs the numbering plans of phonenumbers; "
        "pip install phonenumbers, or list the entities without PHONE"
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"entities": ["EMAIL", "IBAN"]}, {"entities": ["EMAIL"]}, ("entities: IBAN is not looked for any more",)),
        ({"action": "deny"}, {"action": "redact"}, ("action: was deny, is redact",)),
        ({"action": "redact"}, {"action": "deny"}, ()),
        (
            {"action": "tokenise", "vault": {"key_env": "K"}},
            {"action": "tokenise", "vault": {"key_env": "K", "tools": ["x"], "output": True}},
            ("vault: tool x is given originals", "vault: the final answer has the originals"),
        ),
        ({}, {"allow": ["a@b.com"]}, ("allow: 1 further value may pass",)),
        ({}, {"confidence": 0.8}, ("confidence: raised from 0.5 to 0.8",)),
        (
            {},
            {"regions": ["US"]},
            tuple(f"regions: {each} was taken away" for each in ("GB", "DE", "FR", "IT", "ES", "AU", "IN")),
        ),
        ({"addresses": "all"}, {}, ("addresses: private ones may pass",)),
        (
            {"custom": [{"name": "A", "pattern": "a"}, {"name": "B", "pattern": "b"}]},
            {"custom": [{"name": "A", "pattern": "c"}]},
            ("custom: A was changed", "custom: B was taken away"),
        ),
    ],
)
def test_a_reload_that_lets_more_pass_says_how(
    old: dict[str, Any], new: dict[str, Any], told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    assert made(**new).widens(made(**old)) == told


def test_the_page_lists_the_options_and_entities_that_there_are() -> None:
    """P37: what is documented is what there is."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "packs" / "pii.md").read_text("utf-8")
    section = page.partition("## Options")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(PiiOptions.model_fields)
    section = page.partition("## What is found")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z_]{3,})`", section.partition("\nWords count")[0]))
    assert listed == {name.upper() for name in TARGETS}


SHAPES: dict[str, Any] = {
    "a list of addresses": lambda n: {"x": [f"a{i}@b.org" for i in range(n)]},
    "addresses as keys": lambda n: {f"a{i}@b.org": i for i in range(n)},
    "signs one by one": lambda n: {"x": list("4111111111111111 " * (n // 17))},
    "numbers": lambda n: {"x": [4111111111111111] * n},
    "messages": lambda n: {"messages": [{"role": "user", "content": "call +1 650-253-0000 or 4111 1111"}] * n},
    "accents": lambda n: {"x": "é a@b.org " * n},
    "base64": lambda n: {"x": "YW5uYS5zY2htaWR0QGV4YW1wbGUub3Jn " * n},
    "URL encoding": lambda n: {"x": "a%40b.org " * n},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_policy_takes_linear_time(shape: str) -> None:
    """P20: also where thousands of things are found, in whatever the arguments are made of."""
    policy = made()

    def best(size: int) -> float:
        asking = request("tool.call", args=SHAPES[shape](size))
        times = []
        for _ in range(3):
            started = time.thread_time()
            policy.evaluate(asking, State())
            times.append(time.thread_time() - started)
        return min(times)

    small, large = best(500), best(4000)
    assert large < 2.5 * 8 * small + 0.02, f"{small:.4f} s, then {large:.4f} s for 8 times as much"
