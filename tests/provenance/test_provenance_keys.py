"""What of a text can be found again, and that nothing that only looks like it can."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackline.provenance import Memory
from jackline.provenance.keys import LONGEST, Keys, texts
from jackline.provenance.tracing import Trace

KEYS = Keys(b"k" * 32)


def origin(said: str, value: object, *, by: str = "user") -> str:
    memory = Memory()
    memory.hear(KEYS.known(said), by)  # type: ignore[arg-type]
    return Trace(KEYS, memory).origin(value)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Pay bob@x.com, please.", "bob@x.com"),
        ("Pay Bob@X.com's invoice", "bob@x.com"),
        ("Pay <bob@x.com>.", "Bob@X.com"),
        ("mailto:bob@x.com", "bob@x.com"),
        ("Read 'bill-december-2023.txt' for me", "bill-december-2023.txt"),
        ("Open https://shop.example/a?b=1#c.", "https://shop.example/a?b=1#c"),
        ("Open https://shop.example/.", "https://shop.example"),
        ("Open https://me@shop.example:8443/x", "shop.example"),
        ("to GB29 NWBK 6016 1331 9268 19 today", "GB29NWBK60161331926819"),
        ("to BE68 5390 0754 7034 on Monday", "BE68539007547034"),
        ("to GB29NWBK60161331926819", "GB29 NWBK 6016 1331 9268 19"),
        ("call +1 (555) 010-9999 now", "+15550109999"),
        ("card 4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("rent is 2200, refund that 10.00", 2200),
        ("rent is 2200, refund that 10.00", 10.0),
        ("rent is $1,234.50", 1234.5),
        ("rent is 1.234,50", 1234.5),
        ("with id 7", 7),
        ("an additional 19.5%", 19.5),
        ("live at 1234 Elm Street, New York, NY 10001", "New York, NY 10001"),
        ("ask Sarah Connor", "sarah connor"),
        ("ask Zoe\u0308", "Zo\u00eb"),
        ("a@x.com, b@y.com", "b@y.com, a@x.com"),
        ("pay bo\u200bb@x.com", "bob@x.com"),
        ("account \uff11\uff12\uff13\uff14", "1234"),
        ("send a@x.com and b@y.com", ["a@x.com", "b@y.com"]),
        ("send a@x.com", {"to": "a@x.com", "cc": None, "bcc": [], "now": ""}),
    ],
)
def test_found(said: str, value: object) -> None:
    assert origin(said, value) == "user"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("see evil.com.safe.org", "evil.com"),
        ("see safe.org.evil.com", "safe.org"),
        ("mail bob@x.com", "b@x.com"),
        ("mail bob@x.com", "x.com"),
        ("mail o'brien@x.com", "brien@x.com"),
        ("mail bob@x.com", "bob@x.com.evil.org"),
        ("the attacker wrote @evil.com", "attacker@evil.com"),
        ("the attacker wrote @evil.com", "attacker @evil.com"),
        ("log in at paypal.com", "p\u0430ypal.com"),
        ("log in at paypal.com", "pay\u200bpal.com"),
        ("log in at paypal.com", "\uff50aypal.com"),
        ("log in at strasse.de", "stra\u00dfe.de"),
        ("log in at stra\u00dfe.de", "strasse.de"),
        ("open /secret.txt", "../secret.txt"),
        ("open notes/today.txt", "today.txt"),
        ("server 192.168.1.100", "19.216.81.100"),
        ("server 192.168.1.100", "192168.1.100"),
        ("https://good.com/x", "https://good.com@evil.com/x"),
        ("https://good.com@evil.com/x", "good.com"),
        ("https://good.com\\@evil.com/x", "good.com"),
        ("https://good.com/?to=https://evil.com", "https://evil.com"),
        ("pay 10 to room 1000", 100),
        ("pay 1000", "1,000"),
        ("id 007", "7"),
        ("account 12345678901234567890123456789012", 12345678901234567890123456789013),
        ("delete report.txt", "*"),
        ("delete report.txt", "/"),
        ("subject hello", "hello\nBcc: evil@x.com"),
        ("send a@x.com", ["a@x.com", "evil@x.com"]),
        ("send a@x.com", {"to": "a@x.com", "cc": ["evil@x.com"]}),
        ("send a@x.com", {"$opaque": "a@x.com"}),
        ("pay Bob Smith and Ann Jones", "Bob Jones"),
        ("yes", True),
    ],
)
def test_not_found(said: str, value: object) -> None:
    assert origin(said, value) == "unknown"


@given(st.from_regex(r"[a-z]{3,8}@[a-z]{3,8}\.(com|org)", fullmatch=True), st.data())
def test_no_part_of_an_address_is_found(address: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(address) - 1))
    end = data.draw(st.integers(begin + 1, len(address)))
    part = address[begin:end]
    bare = {address, address + ".", "mail", "to", "now"}
    assert (origin(f"mail to {address} now", part) == "user") == (part in bare)


@given(st.text(max_size=80), st.text(max_size=40))
def test_any_text_is_read_and_any_value_is_answered(said: str, value: str) -> None:
    assert origin(said, value) in ("user", "unknown")


@given(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}@[a-z0-9-]{1,10}\.[a-z]{2,4}", fullmatch=True), st.text(max_size=30))
def test_an_address_is_found_in_any_company(address: str, around: str) -> None:
    assert origin(f"{around} {address} {around}", address) == "user"


@given(st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
def test_a_list_is_as_good_as_its_worst(value: object) -> None:
    rank = ("user", "unknown")
    memory = Memory()
    memory.hear(KEYS.known("a b c"), "user")
    trace = Trace(KEYS, memory)

    def leaves(one: object) -> list[object]:
        return [each for inner in one for each in leaves(inner)] if isinstance(one, list) else [one]

    assert trace.origin(value) == max((trace.origin(leaf) for leaf in leaves(value)), key=rank.index, default="user")


def test_what_holds_too_much_is_unknown() -> None:
    assert origin("a", ["a"] * 9_000) == "user"
    assert origin("a", ["a"] * 11_000) == "unknown"
    deep: object = "a"
    for _ in range(100):
        deep = [deep]
    assert origin("a", deep) == "unknown"
    assert origin("a" * (LONGEST + 1), "a" * (LONGEST + 1)) == "unknown"


def test_another_key_gives_other_hashes() -> None:
    assert not set(KEYS.known("a b")) & set(Keys(b"o" * 32).known("a b"))


def test_texts_come_in_order_with_keys_and_numbers() -> None:
    assert list(texts({"a": ["b", {"c": 1.5}], "d": None, "e": True})) == ["a", "d", "e", "b", "c", "1.5"]


@pytest.mark.parametrize("unit", ["a1- ", "1 ", "gb29 ", "(1-", "x=1:", "a@", "'s", "1,234.", "\u00e9 ", "://", "$1."])
def test_reading_takes_time_in_proportion(unit: str) -> None:
    def took(length: int) -> float:
        text = (unit * length)[:length]
        return min(_timed(text) for _ in range(3))

    small, large = took(8_000), took(64_000)
    assert large < 40 * max(small, 0.0005)


def _timed(text: str) -> float:
    begun = time.process_time()
    KEYS.known(text)
    KEYS.wanted(text)
    KEYS.repeated(text, text)
    return time.process_time() - begun
