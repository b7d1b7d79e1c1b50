"""What every path of a conformance suite is asked to do, and the words by which a leak is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.testing.paths import Call, Step
from jackline.testing.scripted import replacing

if TYPE_CHECKING:
    from jackline.testing.scripted import Scripted

SECRET, HIDDEN = "sesame seven", "[hidden]"
LEAK = "violet river"
PAY = Call("pay", {"order": "o-1", "amount": 40.0})
FIND = Call("find", {"query": f"who knows {SECRET}"})
PROMPT = f"please find who knows {SECRET}"
STORY = (Step(calls=(PAY,)), Step(calls=(FIND,)), Step("all is done"))
LEAKING = (Step(calls=(FIND,)), Step(f"it is {LEAK} indeed"))
MANY = 6
"""Calls that a model asks for at once where a ceiling lets two through."""
NO = "it is not to be"


def policy_needing(behaviour: str) -> Scripted | None:
    """A policy that works only where the behaviour is offered; None where any refusal is one."""
    return {
        "outputs-checked": replacing("output", LEAK, HIDDEN),
        "answers-checked": replacing("model.return", LEAK, HIDDEN),
        "streams-held-back": replacing("model.return", LEAK, HIDDEN),
        "results-checked": replacing("tool.return", LEAK, HIDDEN),
        "modified-arguments": replacing("tool.call", SECRET, HIDDEN),
        "modified-prompt": replacing("model.call", SECRET, HIDDEN),
    }.get(behaviour)
