"""Proof that denying works here and now: a real guard, a real denied call, and a count of how often the body ran."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from jackline.bundle import load_bundle
from jackline.errors import Denied
from jackline.guard import Guard
from jackline.journal import verify

_BUNDLE = """\
jackline: 1
policies:
  - name: self-check
    use: rule
    on: tool.call
    when: tool.name == 'denied_call'
    effect: deny
    reason: this call is denied to show that denying works
"""


class Outcome(NamedTuple):
    """What the two calls of a self-check did."""

    denied_ran: int
    """How often the denied call's body ran; 0 is right."""
    allowed_ran: int
    """How often the allowed call's body ran; 1 is right."""
    raised: bool
    """Whether the denied call raised Denied."""
    recorded: bool
    """Whether the journal of it is sound and has both decisions."""

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        return self == Outcome(denied_ran=0, allowed_ran=1, raised=True, recorded=True)


def self_check() -> Outcome:
    """Make a guard in a home that is thrown away, call a denied and an allowed function, and look at the record."""
    ran: dict[str, int] = {"denied_call": 0, "allowed_call": 0}
    raised = False
    with tempfile.TemporaryDirectory(prefix="jackline-self-check-") as home:
        with Guard(load_bundle(_BUNDLE), home=home, application="self-check") as guard:

            def denied_call() -> None:
                ran["denied_call"] += 1

            def allowed_call() -> None:
                ran["allowed_call"] += 1

            tools: list[Any] = [guard.tool(denied_call), guard.tool(allowed_call)]
            with guard.session():
                for tool in tools:
                    try:
                        tool()
                    except Denied:
                        raised = raised or tool is tools[0]
        recorded = _recorded(Path(home) / "journals")
    return Outcome(ran["denied_call"], ran["allowed_call"], raised, recorded)


def _recorded(journals: Path) -> bool:
    from jackline.journal import read  # noqa: PLC0415 - beside `verify`, which proves the chain

    decided = [
        (line.event.resource, line.event.effect)  # type: ignore[union-attr]
        for path in journals.glob("*.jsonl")
        for line in read(path)
        if line.kind == "decided"
    ]
    sound = all(report.ok for report in verify(journals))
    return sound and decided == [("denied_call", "deny"), ("allowed_call", "allow")]
