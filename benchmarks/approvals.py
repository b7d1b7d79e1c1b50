"""What asking people costs the agent: `python benchmarks/approvals.py`. Wall time, with the disk's part beside it.

A question, an answer and an end are each synced to disk before anything goes on; a look at what waits reads files. The
same act with nothing to ask is the bare row. Nothing of this is on the path of acts that are not escalated.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jackline import ApprovalPending, Guard
from jackline.answers import Answer, public_text, sign

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 60
BUNDLE = """\
jackline: 1
approvers: {{ana: {{key: '{key}'}}}}
policies:
  - {{name: refunds, use: rule, on: tool.call, when: args.amount > 500, effect: escalate, with: {{to: ana}}}}
"""


def refund(order: str, amount: int) -> str:
    """The tool: what is measured is not its work."""
    return "done"


def took(call: Callable[[], object]) -> float:
    """Microseconds of one call; one that waits for people is expected to."""
    started = time.perf_counter_ns()
    with contextlib.suppress(ApprovalPending):
        call()
    return (time.perf_counter_ns() - started) / 1_000


def measured(place: Path) -> dict[str, list[float]]:
    """The four ways of one call, a fresh order in each round."""
    key = Ed25519PrivateKey.generate()
    (place / "jackline.yaml").write_text(BUNDLE.format(key=public_text(key)))
    rows: dict[str, list[float]] = {}
    with Guard.load(place / "jackline.yaml", home=place / "home") as guard, guard.session(id="bench"):
        tool = guard.tool(refund)
        for number in range(ROUNDS):
            order = f"A-{number}"
            calls = {"bare": (order, 5), "asked": (order, 900), "looked at again": (order, 900)}
            for what, args in calls.items():
                rows.setdefault(what, []).append(took(partial(tool, *args)))
            (asked,) = [one for one in guard.approvals.all() if one.ended() is None]
            approval, question = asked.question.id, asked.fingerprint
            answer = sign(Answer(approval=approval, question=question, say="approve", who="ana", at=time.time()), key)
            rows.setdefault("an answer is kept", []).append(took(partial(asked.answer, answer, "approve", time.time())))
            rows.setdefault("approved, used up, done", []).append(took(partial(tool, order, 900)))
    return rows


def main() -> None:
    """Measure as it is, and with a disk that syncs for nothing."""
    synced = os.fsync
    found = []
    for sync in (synced, lambda descriptor: None):
        os.fsync = sync
        with tempfile.TemporaryDirectory() as folder:
            found.append(measured(Path(folder)))
    os.fsync = synced
    print(f"{'a call that is ...':28} {'median us':>10} {'p10':>8} {'without sync':>13}")
    for what, times in found[0].items():
        median, low = statistics.median(times), sorted(times)[len(times) // 10]
        print(f"{what:28} {median:10.0f} {low:8.0f} {statistics.median(found[1][what]):13.0f}")


if __name__ == "__main__":
    main()
