"""What one journal line costs its caller: a 600-byte event, its parts, and the floor that the system sets."""

from __future__ import annotations

import os
import tempfile
import timeit
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jackline.decision import Verdict
from jackline.events import Decided
from jackline.journal import Journal, verify
from jackline.journal.line import GENESIS, build, encode

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, CALLS = 100, 1000
EVENT = Decided(
    at=1_800_000_000.123456,
    session="a" * 32,
    run="b" * 32,
    span="c" * 16,
    parent="e" * 16,
    agent="support@1",
    action="tool.call",
    resource="crm.get",
    effect="allow",
    args="d" * 32,
    size=200,
    revision="f" * 64,
    verdicts=(Verdict(effect="allow", policy="crm-read-only", rule="crm.*", reason="listed"),),
    evaluated=("crm-read-only", "session-ceiling", "no-pii-out", "loops"),
    policy="crm-read-only",
    rule="crm.*",
    reason="listed",
)


def microseconds(call: Callable[[], object]) -> float:
    """The best round: on a shared machine the others measure the neighbours."""
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    body = encode(EVENT)
    line, _ = build(1, GENESIS, body)
    with tempfile.TemporaryDirectory() as folder:
        fd = os.open(Path(folder, "floor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        floor = microseconds(lambda: os.write(fd, line))
        os.close(fd)
        journal = Journal.open(Path(folder, "journals"))
        append = microseconds(lambda: journal.append(EVENT))
        journal.close()
        (report,) = verify(Path(folder, "journals"))
    chain = microseconds(lambda: build(1, GENESIS, body))
    print(f"event {len(body)} bytes, line {len(line)} bytes; best of {ROUNDS} rounds of {CALLS:,} calls")
    print(f"encode              {microseconds(lambda: encode(EVENT)):5.2f} us")
    print(f"chain (two SHA-256) {chain:5.2f} us, one of them {microseconds(lambda: sha256(line)):.2f} us")
    print(f"os.write alone      {floor:5.2f} us")
    print(f"append              {append:5.2f} us (goal <= 4): {append - floor:.2f} us over the write alone")
    print(f"{report.lines:,} lines verified: {'good' if report.ok else report.problem}")


if __name__ == "__main__":
    main()
