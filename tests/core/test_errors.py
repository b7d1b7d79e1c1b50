"""Signals travel: frameworks copy exceptions and send them to other processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from jackline.decision import Decision
from jackline.errors import ApprovalPending, Denied, Halted


class FrameworksOwn(ValueError):
    """What a framework raises."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class OwnSignal(Denied, FrameworksOwn):
    """A signal that is a framework's own exception too, made in another way."""

    def __init__(self, decision: Decision, *, number: int) -> None:
        Denied.__init__(self, decision)
        self.number = number


DECISION = Decision(effect="deny", reason="no", policy="p")
SIGNALS = [
    Denied(DECISION),
    Halted(DECISION, "ended otherwise"),
    ApprovalPending(DECISION),
    OwnSignal(DECISION, number=7),
]


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda signal: pickle.loads(pickle.dumps(signal))])
@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
def test_a_signal_arrives_as_it_was(signal, travel):
    found = travel(signal)
    assert type(found) is type(signal)
    assert (str(found), found.args) == (str(signal), signal.args)
    assert found.decision == DECISION
    assert vars(found) == vars(signal)
