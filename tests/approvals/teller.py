"""A guarded tool that moves money, and what people and agents do with it."""

from __future__ import annotations

import pytest

from jackline import ApprovalPending, Denied, Guard
from jackline.answers import Answer, sign
from jackline.journal import read

NOW = 1_800_000_000.0


class Bank:
    """A guarded tool that moves money, on a home that outlives guards."""

    def __init__(self, home, people):
        self.home, self.people, self.now, self.paid, self.guards = home, people, NOW, [], []
        self.bundle = home.parent / "jackline.yaml"
        self.write()
        self.guard = self.restart()

    def write(self, *, with_="{to: [finance], expires: 30m}", more="", effect="escalate", when="args.amount > 500"):
        pinned = "".join(
            f"  {name}: {{key: '{one.key}'}}\n" for name, one in self.people.approvers("ana", "ben").items()
        )
        with_ = f"    with: {with_}\n" if effect == "escalate" else ""
        self.bundle.write_text(
            f"jackline: 1\napprovers:\n{pinned}groups: {{finance: [ana, ben]}}\npolicies:\n"
            f"  - name: refunds\n    use: rule\n    on: tool.call\n    when: {when}\n    effect: {effect}\n{with_}{more}"
        )

    def restart(self):
        guard = Guard.load(self.bundle, home=self.home, application="app", clock=lambda: self.now)
        self.guards.append(guard)
        self.guard = guard

        @guard.tool
        def refund(order: str, amount: int) -> str:
            self.paid.append((order, amount))
            return f"refunded {amount}"

        self.refund = refund
        return guard

    def asked(self):
        (asked,) = [one for one in self.guard.approvals.all() if one.ended() is None]
        return asked

    def says(self, who, say, *, key=None, asked=None, **more):
        asked = asked or self.asked()
        approval, question = asked.question.id, asked.fingerprint
        answer = Answer(approval=approval, question=question, say=say, who=who, at=self.now, **more)
        return asked.answer(sign(answer, self.people.keys[key or who]), say, self.now)

    def events(self, *kinds):
        lines = [line for path in sorted((self.home / "journals").glob("*.jsonl")) for line in read(path)]
        return [line.event for line in lines if line.kind in kinds]


def pending(bank, *args):
    with pytest.raises(ApprovalPending) as raised:
        bank.refund(*args)
    return raised.value


def denied(bank, *args):
    with pytest.raises(Denied) as raised:
        bank.refund(*args)
    return str(raised.value)
