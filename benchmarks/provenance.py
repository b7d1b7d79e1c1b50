"""What it costs to remember who said what, and to ask: alone with `python benchmarks/provenance.py`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bundles
from timing import Case, Local

from jackline import Guard
from jackline.provenance import Memory, Sources, Tracing
from jackline.provenance.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

BUNDLE = """jackline: 1
policies:
  - name: recipients
    use: rule
    on: tool.call
    when: tool.name == 'send' && !from_trusted(args.to)
    effect: deny
"""
ADDRESS = "ana.bauer@example.com"
SIZES = (1_000, 10_000, 100_000, 1_000_000)


def letter(size: int) -> str:
    """Prose with addresses and amounts, of which few words repeat."""
    line = "On day {0} the customer c{0}@example.com paid {0}.50 to DE{0:020d} for order-{0}, see /orders/{0}.pdf\n"
    return "".join(line.format(number) for number in range(size // 100 + 1))[:size]


def cases(stack: ExitStack) -> list[Case]:
    """A tool call whose recipient is looked up, a result that is read, and a prompt of which one message is new."""
    keys, text = Keys(b"k" * 32), letter(10_000)
    return [
        Case("engine.decide, 1 rule with from_trusted(args.to)", Local(decision(stack))),
        Case("provenance: a result of 10 kB is read", Local(lambda: Memory().hear(keys.known(text), "untrusted"))),
        Case("provenance: a prompt of 40 messages, 32 kB, known but for one", Local(prompt(stack))),
    ]


def decision(stack: ExitStack) -> Callable[[], object]:
    guard = _guard(stack)

    def send(to: str, text: str) -> None:
        """Send a letter."""

    tool = guard.tool(send).jackline_tool  # type: ignore[attr-defined]
    guard.heard(f"write to {ADDRESS}")
    request = guard.request("tool.call", "send", {"to": ADDRESS, "text": "dear Ana " * 20}, tool=tool)
    engine, states = guard._active.engine, guard.sessions.get(request.subject).states
    assert engine.decide(request, states).effect == "allow"
    return lambda: engine.decide(request, states)


def prompt(stack: ExitStack) -> Callable[[], object]:
    guard = _guard(stack)
    tracing = Tracing(b"k" * 32, Sources())
    text = letter(32_000)
    said = [text[place * 800 : (place + 1) * 800] for place in range(39)]
    old = [{"role": ("user", "assistant")[place % 2], "content": part} for place, part in enumerate(said)]
    request = guard.request("model.call", "m", {"messages": old})
    states = guard.sessions.get(request.subject).states
    tracing.begin(request, states)
    count = 0

    def turn() -> object:
        nonlocal count
        count += 1
        request.args = {"messages": [*old, {"role": "assistant", "content": f"{count} {text[-800:]}"}]}
        return tracing.begin(request, states)

    return turn


def _guard(stack: ExitStack) -> Guard:
    place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    guard = stack.enter_context(Guard.load(bundles.written(place, BUNDLE), home=place / "home", application="bench"))
    stack.enter_context(guard.session(id="bench"))
    return guard


def main() -> None:
    """Print how the time to read a text grows with it."""
    keys = Keys(b"k" * 32)
    print("bytes | ms | MB/s | hashes")
    for size in SIZES:
        texts = [letter(min(size, 250_000))] * max(1, size // 250_000)
        best = min(_read(keys, texts) for _ in range(5))
        kept = len({key for text in texts for key in keys.known(text)})
        print(f"{size:,} | {best * 1e3:.2f} | {size / best / 1e6:.1f} | {kept:,}")


def _read(keys: Keys, texts: list[str]) -> float:
    begun = time.perf_counter()
    memory = Memory()
    for text in texts:
        memory.hear(keys.known(text), "untrusted")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
