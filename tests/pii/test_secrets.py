"""Secrets: found in their published forms, and not in what only looks like them."""

from __future__ import annotations

import base64
import json

import pytest
import secret_cases

from jackline_pii.detectors.secret_rules import RULES
from jackline_pii.loading import scanner

FOUND = scanner(["SECRET"])


def hits(case: secret_cases.Case) -> bool:
    spans = FOUND.scan(case.text)
    at = case.text.index(case.secret)
    return any(span.start <= at and at + len(case.secret) <= span.end for span in spans)


def test_secrets_are_found_whole() -> None:
    cases = secret_cases.secrets()
    missed = [(case.name, case.text[:90]) for case in cases if not hits(case)]
    assert len(cases) >= 230
    assert len(missed) <= 0.05 * len(cases), missed


def test_what_only_looks_like_a_secret_is_left_alone() -> None:
    cases = secret_cases.near_misses()
    fired = [
        (case.name, case.text[:90], [span.note for span in spans]) for case in cases if (spans := FOUND.scan(case.text))
    ]
    assert len(cases) >= 150
    assert len(fired) <= 0.05 * len(cases), fired


def test_another_seed_gives_the_same_rates() -> None:
    cases = secret_cases.secrets(seed=99)
    assert sum(map(hits, cases)) >= 0.98 * len(cases)
    others = secret_cases.near_misses(seed=99)
    assert sum(bool(FOUND.scan(case.text)) for case in others) <= 0.05 * len(others)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_finds_one_of_the_cases(rule: str) -> None:
    if rule in ("azure-sas", "crates-token", "dropbox-token"):
        return  # covered below: their forms need a text of their own
    notes = {span.note for case in secret_cases.secrets() for span in FOUND.scan(case.text)}
    assert rule in notes


@pytest.mark.parametrize(
    ("rule", "form", "around"),
    [
        ("azure-sas", "{ALNUM:43}%3D", "https://a.blob.core.windows.net/c/f?sv=2024&sig={}&se=1"),
        ("crates-token", "cio{ALNUM:32}", "cargo login {}"),
        ("dropbox-token", "sl.u.{URLSAFE:140}", "dbx = Dropbox({})"),
    ],
)
def test_forms_that_need_a_text_of_their_own(rule: str, form: str, around: str) -> None:
    secret = secret_cases.made(form, secret_cases.random.Random(1))
    assert rule in [span.note for span in FOUND.scan(around.format(secret))]


def test_what_is_encoded_in_a_secret_must_be_one() -> None:
    """The form alone is not enough: a pair without a password, and a header that names no algorithm, are none."""

    def encoded(said: str) -> str:
        return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")

    def kinds(text: str) -> list[str]:
        return [span.note for span in FOUND.scan(text)]

    assert kinds("Authorization: Basic " + encoded("ann:Kq7$vW2z")) == ["basic-credentials"]
    assert kinds("Authorization: Basic " + encoded("ann:changeme")) == []
    assert kinds("Authorization: Basic " + encoded("no colon here")) == []
    body, signature = encoded('{"sub": "ann"}'), "q8Zt5yVb0LwXc3Rk7JmN"
    for name, notes in (("alg", ["json-web-token"]), ("zip", [])):
        header = encoded(json.dumps({name: "HS256", "typ": "x"}))
        assert kinds(f"jwt {header}.{body}.{signature}") == notes
