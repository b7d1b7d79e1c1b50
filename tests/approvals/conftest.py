"""Approvers with keys, questions about a refund, and what they answer."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jackline.answers import Answer, Approver, public_text, sign
from jackline.approvals import Approvals
from jackline.request import Agent, Request, Subject, Tool

sys.path.insert(0, str(Path(__file__).parent))

from teller import Bank  # the folder is on the path from here on

NOW = 1_800_000_000.0


def refunding(call_id="call-1", **changes):
    told = {"args": {"order": "A-1", "amount": 900}, "user": "u-9", "agent": "support", "session": "5" * 32, **changes}
    return Request(
        action="tool.call",
        resource="refund",
        at=NOW,
        agent=Agent(name=told["agent"]),
        subject=Subject(session=told["session"], user=told["user"]),
        run="1" * 32,
        span="2" * 16,
        args=told["args"],
        tool=Tool(name="refund", fingerprint=told.get("fingerprint", "f" * 16)),
        call_id=call_id,
    )


@dataclasses.dataclass
class People:
    """Approvers of a test: each has a key of its own."""

    keys: dict

    def approvers(self, *names):
        return {
            name: Approver(name=name, key=public_text(key))
            for name, key in self.keys.items()
            if name in names or not names
        }

    def says(self, who, say, asked, *, key=None, at=NOW + 1, **more):
        answer = Answer(approval=asked.question.id, question=asked.fingerprint, say=say, who=who, at=at, **more)
        return sign(answer, self.keys[key or who])


@pytest.fixture
def people():
    return People({name: Ed25519PrivateKey.generate() for name in ("ana", "ben", "eve")})


@pytest.fixture
def approvals(tmp_path):
    return Approvals(tmp_path / "approvals")


@pytest.fixture
def ask(approvals):
    def asked(request=None, *, now=NOW, following=frozenset(), policy="refunds", expires=NOW + 1800, **more):
        return approvals.ask(
            request or refunding(), policy=policy, rule="when", now=now, following=following, expires=expires, **more
        )

    return asked


@pytest.fixture
def refund():
    return refunding


@pytest.fixture
def bank(tmp_path, people):
    made = Bank(tmp_path / "home", people)
    with made.guard.session(id="job-1", user="u-9"):
        yield made
    for guard in made.guards:
        guard.close()
