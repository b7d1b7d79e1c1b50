"""What Jackline raises. Each message says what failed, the value, what was expected and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.decision import Decision

SHOWN = 10
"""Problems that one message shows: with wrapped lines they still fit on a screen of 24 lines."""


class JacklineError(Exception):
    """The root of everything that Jackline raises on its own account."""


class Problem(NamedTuple):
    """One thing that is wrong in a file that people write; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    """What would be right."""

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}"


def screen(problems: Sequence[Problem]) -> str:
    """Render problems a line each, no more than fit on one screen, and say how many are left out."""
    lines = [str(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN} more")
    return "\n".join(lines)


class Signal(JacklineError):
    """An act was not permitted; `.decision` says which policy and why."""

    def __init__(self, decision: Decision, message: str | None = None) -> None:
        self.decision = decision
        super().__init__(message if message is not None else describe(decision))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and sent to other processes as it is, whatever an adapter's own signals are made with."""
        return _remade, (type(self), self.args, self.__dict__)


def _remade(kind: type[Signal], args: tuple[Any, ...], state: dict[str, Any]) -> Signal:
    signal = kind.__new__(kind, *args)
    signal.__dict__.update(state)
    return signal


class Denied(Signal):
    """The act was not run; the agent may go on."""


class Halted(Signal):
    """The session has ended; no further act of it starts."""


class ApprovalPending(Signal):
    """The act waits for a human."""


class BundleError(JacklineError):
    """A bundle is missing or invalid; nothing of it was loaded.

    `.problems` has all that is wrong, in the file's order; the text shows as many as fit on one screen.
    """

    def __init__(self, message: str = "", problems: tuple[Problem, ...] = ()) -> None:
        self.problems = problems
        super().__init__(message or screen(problems))


class JournalError(JacklineError):
    """A journal cannot be written or read."""


class StoreError(JacklineError):
    """The store cannot be used; the journals hold everything and are untouched."""


class LedgerError(JacklineError):
    """The ledger cannot be used; what needs it is denied."""


class PluginError(JacklineError):
    """A plugin could not be loaded or registered wrongly."""


def describe(decision: Decision) -> str:
    """Say a decision in one sentence, for a person or a model."""
    what = {"halt": "Session ended", "escalate": "Approval needed"}.get(decision.effect, "Not permitted")
    if decision.rule == "respond" and decision.approvals:
        what = "Answered instead of done"
    by = f" by policy '{decision.policy}'" if decision.policy else ""
    unanswered = ""
    if decision.effect == "escalate":
        named = " and ".join(f"approval {each[:12]}" for each in decision.approvals)
        pending = f"{named} is pending" if named else "nobody can answer yet"
        unanswered = f" ({pending}; it was not done)"
    return f"{what}{by}: {decision.reason or 'no reason given'}{unanswered}"
