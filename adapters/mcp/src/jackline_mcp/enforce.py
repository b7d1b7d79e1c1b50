"""Decisions as MCP says them: a refusal that a model can read, or an error where the protocol has only that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.act import Act
from jackline.errors import describe
from jackline.plain import words
from jackline_mcp.translate import changed, is_modern

if TYPE_CHECKING:
    from jackline.asking import Waiting
    from jackline.decision import Decision
    from jackline_mcp.frames import Message

REFUSED = -32010
"""The JSON-RPC error of an act that policy does not permit; from the range that is left to implementations."""
GONE = -32000
TIMED_OUT = -32001
NO_METHOD = -32601
INVALID = -32602
INTERNAL = -32603
META = "jackline/decision"
"""Where a refusal says in `_meta` (or an error in `data`) which policy decided, as data."""


class McpAct(Act):
    """One judged request of a client."""

    def sent(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Params as the decision wants them; raises a denial where it wants what the method has no place for."""
        if self.request is None or self.decision is None or self.decision.args is None:
            return params
        try:
            before, after = changed(method, params, self.request.args), changed(method, params, self.decision.args)
        except Exception as error:
            raise self.refused(f"its arguments cannot be changed as policy asks: {words(error)}") from error
        found: dict[str, Any] = self.changed(params, before, after)
        return found


def result_of(message: Message, result: dict[str, Any]) -> Message:
    """The answer to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def error_of(request: Any, code: int, text: str, data: Any = None) -> Message:
    """An error as the answer to the request with this id; None where nobody can say which it was."""
    error = {"code": code, "message": text, **({"data": data} if data is not None else {})}
    return {"jsonrpc": "2.0", "id": request, "error": error}


def decided(decision: Decision) -> dict[str, Any]:
    """A decision as data for whoever is told of it."""
    told: dict[str, Any] = {
        "effect": decision.effect,
        "policy": decision.policy,
        "rule": decision.rule,
        "reason": decision.reason,
        "session": decision.session,
    }
    return {**told, "approvals": list(decision.approvals)} if decision.approvals else told


def refusal(message: Message, decision: Decision, text: str = "") -> Message:
    """Tell a client that an act was not permitted, or its result withheld: a model reads why and goes on.

    A tool's call is answered by a result that says it is an error; of anything else the protocol has only errors.
    """
    text, data = text or describe(decision), decided(decision)
    if message["method"] != "tools/call":
        return error_of(message["id"], REFUSED, text, data)
    told = {"content": [{"type": "text", "text": text}], "isError": True, "_meta": {META: data}}
    modern = {"resultType": "complete"} if is_modern(message.get("params") or {}) else {}
    return result_of(message, {**told, **modern})


def waits_said(waiting: Waiting) -> str:
    """What is waited for, in a sentence; it names no arguments."""
    questions = [asked.question for asked, _ in waiting.asked]
    ids = " and ".join(one.id[:12] for one in questions)
    to = sorted({name for one in questions for name in one.to})
    whom = f" ({', '.join(to)})" if to else ""
    return f"waits for a person{whom} to answer approval {ids}"


def pending(waiting: Waiting) -> tuple[dict[str, Any], str]:
    """The fields of a decision that is still waited for, and what to tell the client."""
    first = waiting.asked[0][0].question
    fields = {
        "effect": "escalate",
        "policy": first.policy,
        "rule": first.rule,
        "reason": first.reason,
        "revision": first.revision,
        "session": first.session,
        "span": first.span,
        "approvals": tuple(asked.question.id for asked, _ in waiting.asked),
    }
    text = (
        f"Not done yet: by policy '{first.policy}' it {waits_said(waiting)}: {first.reason}. "
        "Ask again with the same arguments later: the answer is taken up then."
    )
    return fields, text
