"""What Jackline raises. Each message says what failed, the value, what was expected and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackline.decision import Decision


class JacklineError(Exception):
    """The root of everything that Jackline raises on its own account."""


class Signal(JacklineError):
    """An act was not permitted; `.decision` says which policy and why."""

    def __init__(self, decision: Decision, message: str | None = None) -> None:
        self.decision = decision
        super().__init__(message if message is not None else describe(decision))


class Denied(Signal):
    """The act was not run; the agent may go on."""


class Halted(Signal):
    """The session has ended; no further act of it starts."""


class ApprovalPending(Signal):
    """The act waits for a human."""


class BundleError(JacklineError):
    """A bundle is missing or invalid; nothing of it was loaded."""


class JournalError(JacklineError):
    """A journal cannot be written or read."""


class LedgerError(JacklineError):
    """The ledger cannot be used; what needs it is denied."""


class PluginError(JacklineError):
    """A plugin could not be loaded or registered wrongly."""


def describe(decision: Decision) -> str:
    """Say a decision in one sentence, for a person or a model."""
    what = {"halt": "Session ended", "escalate": "Approval needed"}.get(decision.effect, "Not permitted")
    by = f" by policy '{decision.policy}'" if decision.policy else ""
    return f"{what}{by}: {decision.reason or 'no reason given'}"
