"""Payloads: stored once, capped, redacted unless asked for in full, erasable; and never in an agent's way."""

from __future__ import annotations

import json
import os
import stat
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest

from jackline.journal import Payloads, erase_payload, find_payloads, payloads, verify
from jackline.journal.payloads import Payload, redact

if TYPE_CHECKING:
    from pathlib import Path


class Digester:
    def digest(self, data: bytes) -> str:
        return blake2b(data, digest_size=16, key=b"k").hexdigest()


@pytest.fixture
def store(tmp_path: Path):
    return tmp_path / "payloads"


def put(target: Payloads, value: Any) -> str:
    return target.put(value, json.dumps(value).encode())


def files(store: Path) -> list[Path]:
    return sorted(store.iterdir()) if store.exists() else []


def test_the_default_keeps_structure_and_no_text(store):
    target = Payloads(store, Digester())
    value = {"to": ["ann@example.org", "bob"], "amount": 12.5, "urgent": True, "note": None, "n": 3}
    digest = put(target, value)
    found = target.get(digest)
    kept = {"to": ["[15 chars]", "[3 chars]"], "amount": 12.5, "urgent": True, "note": None, "n": 3}
    assert found == Payload(digest=digest, size=len(json.dumps(value)), capture="redacted", value=kept)
    assert b"example" not in files(store)[0].read_bytes()
    assert stat.S_IMODE(files(store)[0].stat().st_mode) == 0o600


def test_in_full_it_is_what_was_digested(store):
    target = Payloads(store, Digester(), capture="full")
    digest = put(target, {"a": "\u00fc"})
    found = target.get(digest)
    assert found is not None
    assert (found.value, found.capture, found.cut) == ({"a": "\u00fc"}, "full", False)


def test_none_keeps_nothing_and_digests_all_the_same(store):
    target = Payloads(store, Digester(), capture="none")
    assert put(target, {"a": 1}) == Digester().digest(b'{"a": 1}')
    assert files(store) == []
    assert target.get(Digester().digest(b'{"a": 1}')) is None


def test_what_is_kept_can_change_and_the_fuller_copy_is_found(store):
    target = Payloads(store, Digester())
    digest = put(target, "a secret")
    size = files(store)[0].stat().st_size
    target.keep("redacted")
    put(target, "a secret")
    assert files(store)[0].stat().st_size == size
    target.keep("full")
    put(target, "a secret")
    found = target.get(digest)
    assert found is not None
    assert (found.value, len(files(store))) == ("a secret", 1)


def test_a_payload_that_repeats_is_stored_once(store):
    """P66: the whole prompt was stored twice for every call."""
    target = Payloads(store, Digester(), capture="full")
    prompt = {"messages": ["x" * 2000]}
    for _ in range(50):
        put(target, prompt)
    assert files(store)[0].stat().st_size < 2500


def test_memory_is_bounded_and_the_oldest_is_forgotten_first(store, monkeypatch):
    """P46: a record in memory that grows with every call."""
    monkeypatch.setattr(payloads, "_KNOWN", 3)
    target = Payloads(store, Digester(), capture="full")
    for value in (1, 2, 3, 1, 4):
        put(target, value)
    assert len(target._known) == 3
    size = files(store)[0].stat().st_size
    put(target, 1)
    assert files(store)[0].stat().st_size == size
    put(target, 2)
    assert files(store)[0].stat().st_size > size


@pytest.mark.parametrize("capture", ["full", "redacted"])
def test_what_is_too_long_is_cut(store, capture):
    target = Payloads(store, Digester(), capture=capture, cap=50)
    digest = put(target, ["\u00fc" * 10] * 500)
    found = target.get(digest)
    assert found is not None
    assert (found.cut, found.size) == (True, len(json.dumps(["\u00fc" * 10] * 500)))
    assert len(found.value.encode()) <= 50
    assert files(store)[0].stat().st_size < 300


def test_it_is_named_like_its_journal(store, journal):
    target = Payloads(store, Digester(), journal=journal)
    put(target, 1)
    assert [path.name for path in files(store)] == [f"{journal.id}.jsonl"]
    target.close()
    put(target, 2)
    again = Payloads(store, Digester(), journal=journal)
    put(again, 3)
    assert len(files(store)) == 1
    assert len(find_payloads(store, [Digester().digest(str(n).encode()) for n in (1, 2, 3)])) == 3


def test_erasing_leaves_the_chain_and_the_writer_alone(store, journal, event):
    target = Payloads(store, Digester(), capture="full", journal=journal)
    secret = put(target, "my word is plum")
    other = put(target, "harmless")
    journal.append(event(1, text=secret))
    size = files(store)[0].stat().st_size
    assert target.erase(secret) == 1
    assert files(store)[0].stat().st_size == size
    assert b"plum" not in files(store)[0].read_bytes()
    assert target.get(secret) == Payload(digest=secret, erased=True)
    third = put(target, "later")
    found = find_payloads(store, [secret, other, third])
    assert [found[digest].value for digest in (secret, other, third)] == [None, "harmless", "later"]
    assert verify(journal.path.parent)[0].ok


def test_erasing_reaches_every_copy(store):
    one, two = (Payloads(store, Digester(), capture="full") for _ in range(2))
    digest = put(one, "secret")
    assert put(two, "secret") == digest
    assert erase_payload(store, digest) == 2
    assert erase_payload(store, "0" * 32) == 0
    assert b"secret" not in b"".join(path.read_bytes() for path in files(store))


def test_a_copy_that_is_stored_after_an_erasure_is_found(store):
    one, two = (Payloads(store, Digester(), capture="full") for _ in range(2))
    digest = put(one, "again")
    one.erase(digest)
    put(two, "again")
    found = two.get(digest)
    assert found is not None
    assert found.value == "again"


def test_a_disk_that_is_full_costs_the_payload_and_nothing_else(store, monkeypatch):
    target = Payloads(store, Digester(), capture="full")
    first = put(target, "one")
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:20]))
    lost = put(target, "two")
    assert lost == Digester().digest(b'"two"')
    assert target.lost == 1
    monkeypatch.undo()
    assert target.get(lost) is None
    put(target, "three")
    assert put(target, "two") == lost
    found = find_payloads(store, [first, lost])
    assert [payload.value for payload in found.values()] == ["one", "two"]


def test_a_folder_that_cannot_be_made_costs_payloads_only(tmp_path):
    (tmp_path / "file").write_text("")
    target = Payloads(tmp_path / "file" / "payloads", Digester())
    put(target, 1)
    assert target.lost == 1


def test_lines_that_are_no_payload_are_passed_over(store):
    store.mkdir()
    digest = "a" * 32
    lines = [
        b'{"digest":"%b","size":"x"}\n' % digest.encode(),
        b"junk\n",
        b'{"digest":"%b","value":' % digest.encode() + b"[" * 9000 + b"}\n",
    ]
    (store / "x.jsonl").write_bytes(b"".join(lines) + b'{"digest":"%b","value":7}\n' % digest.encode())
    assert [payload.value for payload in find_payloads(store, [digest]).values()] == [7]
    assert find_payloads(store / "nowhere", [digest]) == {}


def test_redaction_is_bounded_and_knows_every_type():
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert "[too deep]" in str(redact(deep))
    assert redact({1: ("a", object(), 2.5)}) == {"1": ["[1 chars]", "[object]", 2.5]}


def test_redaction_hides_what_identifies_though_it_is_no_text():
    card, far = 4111_1111_1111_1111, 10**5000
    kept = redact({"card": card, "amount": -999_999, "at": 1.7e9, "far": [far, -far, float("nan")], "ok": True})
    assert kept == {
        "card": "[large number]", "amount": -999_999, "at": "[large number]", "far": ["[large number]"] * 3, "ok": True,
    }  # fmt: skip
    assert redact({"anna@example.org": 1, "bert@example.org": 2, "4111111111111111": {"x-api-key": None}}) == {
        "[16 chars]": 1, "[16 chars] #1": 2, "[16 chars] #2": {"x-api-key": None},
    }  # fmt: skip
