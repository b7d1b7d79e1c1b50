"""What a refused act raises in LangChain: Jackline's signals, each also of a class that the framework lets through."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.prebuilt.tool_node import ToolInvocationError
from langgraph.types import Interrupt

from jackline.decision import Decision
from jackline.errors import ApprovalPending, Denied, Halted, Signal, describe

if TYPE_CHECKING:
    from collections.abc import Callable


class _Told(Signal):
    """ToolNode turns it into an error message for the model, whatever tools it has; the agent goes on."""

    def __init__(self, decision: Decision, message: str | None = None) -> None:
        self.message = message if message is not None else describe(decision)
        self.tool_name = ""
        self.tool_kwargs: dict[str, Any] = {}
        self.source: Any = self
        self.filtered_errors: Any = None
        self.decision = decision
        Exception.__init__(self, self.message)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self.decision, self.message)


class _Bubbling(Signal):
    """Retry and fallback middleware, ToolNode and graphs let it through: it reaches the caller."""

    def __init__(self, decision: Decision, message: str | None = None) -> None:
        self.message = message if message is not None else describe(decision)
        self.decision = decision
        Exception.__init__(self, self.message)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self.decision, self.message)


class DeniedTool(_Told, Denied, ToolInvocationError):
    """A tool was not run, or its result is withheld."""


class PendingTool(_Told, ApprovalPending, ToolInvocationError):
    """A tool waits for a human."""


class DeniedCall(_Bubbling, Denied, GraphBubbleUp):
    """A model, sub-agent or retriever was not asked. A denial is no outage: nothing retries it."""


class PendingCall(_Bubbling, ApprovalPending, GraphBubbleUp):
    """A model, sub-agent or retriever waits for a human."""


class PausedCall(_Bubbling, ApprovalPending, GraphInterrupt):
    """An act waits for a human: LangGraph keeps the thread, and the act is made again when somebody resumes it."""

    def __init__(self, decision: Decision, message: str | None = None, interrupts: tuple[Interrupt, ...] = ()) -> None:
        super().__init__(decision, message)
        self.args = (interrupts,)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return type(self), (self.decision, self.message, *self.args)


class HaltedRun(_Bubbling, Halted, GraphBubbleUp):
    """The session has ended."""


SIGNALS = (DeniedTool, PendingTool, DeniedCall, PendingCall, PausedCall, HaltedRun)


def signal(decision: Decision, *, tool: bool = False) -> Signal:
    """The exception for a decision that does not permit its act."""
    if decision.effect == "halt":
        return HaltedRun(decision)
    if decision.effect == "escalate":
        return PendingTool(decision) if tool else PendingCall(decision)
    return DeniedTool(decision) if tool else DeniedCall(decision)


def paused(decision: Decision, identity: str, value: dict[str, Any]) -> PausedCall:
    """LangGraph's interrupt for an act that waits for a human."""
    return PausedCall(decision, interrupts=(Interrupt(value=value, id=identity),))


def failed_closed(error: BaseException, what: str, *, tool: bool = False) -> Signal:
    """The denial of an act that could not be judged because of an error of Jackline's own."""
    reason = f"{what} could not be judged: {type(error).__name__}: {error}"
    return signal(Decision(effect="deny", reason=reason, policy="jackline", rule="error"), tool=tool)


def told(error: BaseException) -> BaseException:
    """What a tool raises when something inside of it was refused: its caller's model is told, a halt goes through."""
    if not isinstance(error, Signal) or isinstance(error, (_Told, PausedCall, HaltedRun)):
        return error
    if isinstance(error, Halted):
        return HaltedRun(error.decision, str(error))
    kind = PendingTool if isinstance(error, ApprovalPending) else DeniedTool
    return kind(error.decision, str(error))


class _OwnSignals(logging.Filter):
    """LangChain logs every exception of a handler before raising it; a refusal is no fault of the handler's."""

    _starts = tuple(f"{kind.__name__}(" for kind in SIGNALS)

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args
        last = args[-1] if isinstance(args, tuple) and args else None
        return not (isinstance(last, str) and last.startswith(self._starts))


QUIET = _OwnSignals()
LOGGER = logging.getLogger("langchain_core.callbacks.manager")
