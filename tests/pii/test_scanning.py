"""The engine: what hides a value does not help, and time stays linear."""

from __future__ import annotations

import base64
import time
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline_pii.catalogue import DEFAULT
from jackline_pii.decoding import percent_decoded
from jackline_pii.detectors.devices import IpAddress
from jackline_pii.folding import fold
from jackline_pii.loading import detectors, scanner
from jackline_pii.scanning import Scanner, Span, resolved

FOUND = scanner(DEFAULT)
MAIL = "anna.schmidt@example.org"
CARD = "4111 1111 1111 1111"


def kinds(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in FOUND.scan(text)]


@pytest.mark.parametrize(
    ("hidden", "kind"),
    [
        ("anna\u200b.sch\u2060midt@exam\u00adple.org", "EMAIL"),
        ("anna.schmidt＠example．org", "EMAIL"),
        ("аnnа.schmidt@еxаmple.org", "EMAIL"),
        ("４１１１ １１１１ １１１１ １１１１", "CREDIT_CARD"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "CREDIT_CARD"),
        ("4111\u00a01111\u20111111\u00a01111".replace("\u2011", "\u00a0"), "CREDIT_CARD"),
        ("4\u200b1\u200b1\u200b1 1111 1111 1111", "CREDIT_CARD"),
        (urllib.parse.quote(MAIL, safe=""), "EMAIL"),
        ("4111%201111%201111%201111", "CREDIT_CARD"),
    ],
)
def test_what_hides_a_value_does_not_help(hidden: str, kind: str) -> None:
    """P19: full-width signs, invisible ones, letters that look alike, URL encoding; places are the original's."""
    assert kinds(f"please é take {hidden} ok") == [(kind, hidden)]


@pytest.mark.parametrize("value", [MAIL, f"card {CARD}", "SSN 460-89-9847 of mine"])
def test_base64_does_not_hide(value: str) -> None:
    """P19: one level of base64, in both alphabets."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        hidden = encode(value.encode()).decode()
        spans = FOUND.scan(f"data: {hidden} end")
        assert len(spans) == 1
        assert spans[0].note == "base64"
        assert hidden.rstrip("=") in f"data: {hidden} end"[spans[0].start : spans[0].end]


def test_images_and_hashes_in_base64_are_left_alone() -> None:
    raw = bytes(range(256)) * 8
    assert kinds("data:image/png;base64," + base64.b64encode(raw).decode()) == []


def test_places_lead_back() -> None:
    text = "é\u200bx"
    folded = fold(text)
    assert folded.text == "ex"
    assert folded.span(1, 2) == (2, 3)
    assert fold("plain") == ("plain", None)
    assert percent_decoded(fold("plain % sign")) is None
    decoded = percent_decoded(fold("a%C3%A9%20%FFz"))
    assert decoded is not None
    assert decoded.text == "ae \x1az"
    assert decoded.span(1, 2) == (1, 7)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("bank code DEUTDEFF please", "BIC", "DEUTDEFF"),
        ("at dead:beef:cafe::babe:feed now", "IP_ADDRESS", "dead:beef:cafe::babe:feed"),
        ("password: Kor!rekt#Horse now", "SECRET", "Kor!rekt#Horse"),
        ("m[at]example.org", "EMAIL", "m[at]example.org"),
    ],
)
def test_the_quick_look_misses_nothing_in_letters(text: str, kind: str, value: str) -> None:
    found = Scanner(detectors([kind]) if kind != "IP_ADDRESS" else {"IP_ADDRESS": IpAddress(everything=True)})
    assert [(span.kind, text[span.start : span.end]) for span in found.scan(text)] == [(kind, value)]


def test_of_what_overlaps_the_surer_one_stays_and_covers_both() -> None:
    spans = [Span(0, 5, "A", 0.6), Span(3, 9, "B", 0.9), Span(9, 10, "C", 0.5)]
    assert resolved(spans) == [Span(0, 9, "B", 0.9), Span(9, 10, "C", 0.5)]


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_scanned_and_a_value_in_it_is_found(around: str) -> None:
    text = f"{around} {MAIL} {around}"
    spans = FOUND.scan(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    at = len(around) + 1
    assert all(any(s.start <= place < s.end for s in spans) for place in range(at, at + len(MAIL)))


UNITS = [
    "a1-",
    "a.b-",
    "a@",
    "1 ",
    "1-",
    "+1",
    "(1)",
    "%41",
    "::1",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "password=",
    "http://a:",
    "é1",
    "4111 ",
    "[at]",
    "a@b.c",
    "GB82 ",
    "1.1.",
    "born ",
    "curl -u ",
    "curl x --user a",
    "basic ",
    "authorization: ",
    "aws_secret_key ",
    "lat=1.",
    "\\",
    "\\n",
    "\\u0041",
    "1+1",
    "%2B1+",
    "A" * 76 + "\n",
    "YW5uYUBleGFtcGxlLm9yZw ",
    "phone 1234567 ",
    "DE89370400440532",
    "-----BEGIN PRIVATE KEY-----a ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear_on_adversarial_input(unit: str) -> None:
    """P20: twice the text takes about twice the time, and 32 kB of any of these are done in moments."""

    def best(size: int) -> float:
        text = "1@" + (unit * (size // len(unit) + 1))[:size]
        times = []
        for _ in range(3):
            started = time.thread_time()
            FOUND.scan(text)
            times.append(time.thread_time() - started)
        return min(times)

    small, large = best(16_384), best(131_072)
    assert large < 2.5 * 8 * small + 0.02, f"{unit!r}: {small:.4f} s, then {large:.4f} s for 8 times as much"
    assert large < 3


def test_only_what_is_sure_enough_counts() -> None:
    class Unsure:
        def find(self, text: str) -> list[tuple[int, int, float, str]]:
            return [(0, 1, 0.4, ""), (2, 3, 0.6, "")]

    assert Scanner({"X": Unsure()}).scan("abcdef") == [Span(2, 3, "X", 0.6)]
