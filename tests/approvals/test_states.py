"""Whatever people, clocks and bundles do: never two ends, never two acts, never another act than was approved."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jackline import ApprovalPending, Denied, Guard
from jackline.answers import Answer, public_text, sign
from jackline.approvals import Approvals
from jackline.bundle import load_bundle
from jackline.journal import read

NOW = 1_800_000_000.0
STANDS = 1800.0
KEYS = {name: Ed25519PrivateKey.generate() for name in ("ana", "ben", "eve")}
PINNED = "".join(f"  {name}: {{key: '{public_text(KEYS[name])}'}}\n" for name in ("ana", "ben"))
REVISIONS = {"either": (("ana", "ben"), 1), "both": (("ana", "ben"), 2), "ben": (("ben",), 1)}


def bundle(revision):
    to, needed = REVISIONS[revision]
    return load_bundle(
        f"jackline: 1\napprovers:\n{PINNED}policies:\n  - {{name: refunds, use: rule, on: tool.call, effect: escalate,"
        f" with: {{to: [{', '.join(to)}], approvals: {needed}, expires: 30m}}}}\n"
    )


class Question:
    """What the model knows of one question."""

    def __init__(self, asked, order):
        self.asked, self.order, self.end = asked, order, None
        self.expires = asked.question.expires
        self.answers = []
        """(who it says it is of, whether its signature is right, the amount, or None as asked)."""
        self.no = None


class Approving(RuleBasedStateMachine):
    """A guard, people who answer rightly and wrongly, a clock, and revisions; beside it a model in a page."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="jackline-states-"))
        self.now, self.revision, self.told = NOW, "either", 0
        self.guard = Guard(bundle("either"), home=self.folder, application="app", clock=lambda: self.now)
        self.session = self.guard.session(id="job-1", user="u-9")
        self.session.__enter__()
        self.paid, self.should_pay, self.questions, self.current = [], [], [], {}
        self.refused = set()

        @self.guard.tool
        def refund(order: str, amount: int) -> None:
            self.paid.append((order, amount))

        self.refund = refund

    def teardown(self):
        self.session.__exit__(None, None, None)
        self.guard.close()
        consumed = [event.approval for event in self.events("approval_consumed")]
        assert len(consumed) == len(set(consumed)) == len(self.paid)
        assert consumed == [one.asked.question.id for one in self.questions if one.end == "consumed"] or sorted(
            consumed
        ) == sorted(one.asked.question.id for one in self.questions if one.end == "consumed")
        assert sorted(event.approval for event in self.events("approval_answer_refused")) == sorted(
            name for name, _ in self.refused
        )
        expired = [event.approval for event in self.events("approval_expired")]
        assert sorted(expired) == sorted(one.asked.question.id for one in self.questions if one.end == "expired")
        shutil.rmtree(self.folder)

    def events(self, kind):
        paths = (self.folder / "journals").glob("*.jsonl")
        return [line.event for path in paths for line in read(path) if line.kind == kind]

    def able(self):
        return REVISIONS[self.revision]

    def counts(self, answer):
        return answer[0] in self.able()[0] and answer[1]

    def agreed(self, question):
        """What enough people agree on: an amount, None for the one asked about, or False."""
        latest = {}
        for answer in question.answers:
            if self.counts(answer):
                latest.pop(answer[0], None)
                latest[answer[0]] = answer[2]
        found, needed = list(latest.values()), self.able()[1]
        places = {amount: [place for place, one in enumerate(found) if one == amount] for amount in found}
        enough = {amount: each[needed - 1] for amount, each in places.items() if len(each) >= needed}
        return min(enough, key=enough.__getitem__, default=False)

    def look(self, question):
        """Answers that do not count are put on record when a guard looks."""
        name = question.asked.question.id
        self.refused |= {(name, place) for place, one in enumerate(question.answers) if not self.counts(one)}

    @rule(order=st.sampled_from(["A-1", "A-2"]))
    def act(self, order):
        """The agent tries."""
        question = self.current.get(order)
        expected = "asked"
        if question is not None and question.end is None:
            if self.now >= question.expires:
                question.end, expected = "expired", "denied"
            else:
                self.look(question)
                amount = self.agreed(question)
                expected = "pending"
                if amount is not False:
                    question.end, expected = "consumed", "done"
                    self.should_pay.append((order, 900 if amount is None else amount))
        elif question is not None and question.end == "denied" and self.now < question.expires:
            expected = "denied"
            if not self.counts(question.no):
                self.refused.add((question.asked.question.id, "end"))
        known = {one.asked.folder.name for one in self.questions}
        assert self.tried(order) == {"asked": "pending"}.get(expected, expected)
        new = [one for one in Approvals(self.folder / "approvals").all() if one.folder.name not in known]
        assert len(new) == (expected == "asked")
        for asked in new:
            self.current[order] = Question(asked, order)
            self.questions.append(self.current[order])

    def tried(self, order):
        try:
            self.refund(order, 900)
        except ApprovalPending:
            return "pending"
        except Denied:
            return "denied"
        return "done"

    @precondition(lambda self: any(one.end is None for one in self.questions))
    @rule(data=st.data(), who=st.sampled_from(["ana", "ben"]), say=st.sampled_from(["approve", "edit"]))
    def agree(self, data, who, say):
        """An approver says yes to what waits."""
        open_ = [one for one in self.questions if one.end is None]
        self.give(data.draw(st.sampled_from(open_)), who, say)

    @precondition(lambda self: any(one.end is None for one in self.questions))
    @rule(who=st.sampled_from(["ana", "ben", "eve"]), say=st.sampled_from(["deny", "respond"]))
    def refuse(self, who, say):
        """Somebody says no to the latest question."""
        self.give(self.questions[-1], who, say)

    @precondition(lambda self: self.questions)
    @rule(
        data=st.data(),
        who=st.sampled_from(["ana", "ben", "eve"]),
        say=st.sampled_from(["approve", "edit", "deny"]),
        wrong=st.sampled_from(["key", "other", "tampered"]),
    )
    def forge(self, data, who, say, wrong):
        """Another's key, another question's answer, changed bytes, an answer of somebody who is no approver."""
        self.give(data.draw(st.sampled_from(self.questions)), who, say, wrong)

    def give(self, question, who, say, wrong=""):
        self.told += 1
        about = self.questions[0] if wrong == "other" and question is not self.questions[0] else question
        args = {"order": question.order, "amount": 450} if say == "edit" else None
        made = Answer(
            approval=about.asked.question.id,
            question=about.asked.fingerprint,
            say=say,
            who=who,
            at=self.now + self.told / 1000,
            why=f"answer {self.told}",
            args=args,
        )
        signed = sign(made, KEYS["eve" if wrong == "key" else who])
        if wrong == "tampered":
            signed = signed.replace(b"answer ", b"ANSWER ")
        ended = question.asked.answer(signed, say, self.now)
        if question.end is not None:
            assert ended == question.end
            return
        right = about is question and wrong != "tampered" and (wrong != "key" or who == "eve")
        said = (who, right, 450 if say == "edit" else None)
        assert ended is None
        if say in ("deny", "respond"):
            question.end, question.no = "denied", said
        else:
            question.answers.append(said)

    @precondition(lambda self: self.now < NOW + 40_000)
    @rule(seconds=st.sampled_from([1.0, 2.0, 5.0, 60.0, STANDS]))
    def wait(self, seconds):
        """Time passes."""
        self.now += seconds

    @rule(revision=st.sampled_from(sorted(REVISIONS)))
    def revise(self, revision):
        """Another revision comes into force: who may answer, and how many must."""
        self.revision = revision
        self.guard.reload(bundle(revision))

    @invariant()
    def nothing_is_done_that_was_not_approved(self):
        """The acts are those of the model, in its order, with the arguments that were agreed on."""
        assert self.paid == self.should_pay

    @invariant()
    def ends_stay(self):
        """What has ended has ended once, as the model says."""
        for question in self.questions:
            assert question.asked.ended() == question.end


TestApproving = Approving.TestCase
TestApproving.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_model_sees_what_it_should_not_miss():
    """A guard that counts forged answers differs from the model."""
    machine = Approving()
    machine.act("A-1")
    question = machine.questions[0]
    question.answers.append(("ana", True, None))
    with pytest.raises(AssertionError):
        machine.act("A-1")
    machine.session.__exit__(None, None, None)
    machine.guard.close()
    shutil.rmtree(machine.folder)
