"""The policy inside a guard: tools, streams, reloads, what the journal holds."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

import jackline
from jackline.bundle import load_bundle
from jackline.detector import Match
from jackline.plugins import load_plugins
from jackline.policy import State
from jackline.testing.policies import request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MAIL, CARD = "anna.schmidt@example.org", "4111 1111 1111 1111"
BUNDLE = """\
jackline: 1
policies:
  - name: no-pii
    use: pii
    with: {entities: [EMAIL, CREDIT_CARD], action: %s}
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Any]:
    """Make a guard with this action."""
    opened: list[jackline.Guard] = []

    def make(action: str) -> jackline.Guard:
        bundle = tmp_path / "jackline.yaml"
        bundle.write_text(BUNDLE % action, encoding="utf-8")
        opened.append(jackline.Guard.load(bundle, home=tmp_path / "home"))
        return opened[-1]

    yield make
    for guard in opened:
        guard.close()


def test_payloads_in_full_hold_what_policies_left_of_a_result(tmp_path: Path) -> None:
    bundle, home = tmp_path / "jackline.yaml", tmp_path / "home"
    bundle.write_text(BUNDLE % "redact" + "capture: full\n", encoding="utf-8")
    guard = jackline.Guard.load(bundle, home=home)

    @guard.tool
    def look_up(customer: str) -> str:
        return f"card {CARD} of customer {customer}" if customer == "7" else "a customer without a card"

    with guard.session(id="s"):
        assert look_up("7") == "card [CREDIT_CARD] of customer 7"
        assert look_up("8") == "a customer without a card"
    guard.close()
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file()).decode(errors="replace")
    assert CARD not in kept
    assert "card [CREDIT_CARD] of customer 7" in kept
    assert "a customer without a card" in kept


def test_what_goes_in_and_what_comes_out_is_redacted(guarded: Any, tmp_path: Path) -> None:
    guard = guarded("redact")
    received: list[str] = []

    @guard.tool
    def send(to: str) -> str:
        received.append(to)
        return f"card {CARD} of {to}"

    with guard.session(id="s"):
        assert send(MAIL) == "card [CREDIT_CARD] of [EMAIL]"
    assert received == ["[EMAIL]"]
    guard.close()
    written = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert b"no-pii" in written
    assert MAIL.encode() not in written
    assert CARD.encode() not in written


def test_a_value_in_pieces_of_a_stream_is_judged_whole(guarded: Any) -> None:
    """Streams are held back where a policy judges the return."""
    guard = guarded("redact")

    @guard.tool
    def told() -> Iterator[str]:
        yield from ("card 4111 ", "1111 11", "11 1111 ok")

    with guard.session(id="s"):
        assert "".join(told()) == "card [CREDIT_CARD] ok"


async def test_an_async_stream_is_judged_whole_before_anyone_sees_it(guarded: Any) -> None:
    guard = guarded("deny")
    seen: list[str] = []

    @guard.tool
    async def told() -> AsyncIterator[str]:
        for piece in ("anna.sch", "midt@exa", "mple.org"):
            yield piece

    async def read() -> None:
        async for piece in told():
            seen.append(piece)  # noqa: PERF401 - what was seen before the refusal counts

    with guard.session(id="s"), pytest.raises(jackline.Denied) as denied:
        await read()
    assert seen == []
    assert denied.value.decision.reason == "found 1 EMAIL"


class Badges:
    """A detector that another distribution brings."""

    def find(self, text: str) -> list[Match]:
        at = text.find("B-")
        return [] if at < 0 else [Match(at, at + 8, 0.9)]


class Brings:
    """Its plugin."""

    def jackline_register_detectors(self, register: Any) -> None:
        register("badge", "jackline_test_badges:Badges")


def test_a_detector_of_another_distribution_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("jackline_test_badges")
    module.Badges = Badges  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jackline_test_badges", module)
    plugins = load_plugins([("brings", Brings())])
    policy = load_bundle(BUNDLE.replace("EMAIL", "BADGE") % "redact", plugins).entries[0].policy
    verdict = policy.evaluate(request("tool.call", args={"x": f"badge B-123456 of {MAIL}"}), State())
    assert verdict is not None
    assert verdict.args == {"x": f"badge [BADGE] of {MAIL}"}


def test_a_bundle_that_names_no_entity_says_where(tmp_path: Path) -> None:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(BUNDLE.replace("EMAIL", "EMIAL") % "redact", encoding="utf-8")
    with pytest.raises(jackline.BundleError) as raised:
        jackline.Guard.load(bundle, home=tmp_path / "home")
    assert "5:23: nothing finds EMIAL: unknown detector 'emial'; did you mean 'EMAIL'?" in str(raised.value)
