"""Where an approval could permit too much or leave something behind: gates passed by an edit, deadlines, a full disk."""

from __future__ import annotations

import pytest

from jackline import ApprovalPending, Denied, Guard
from jackline.answers import Answer, sign
from jackline.approvals import ApprovalError, Asked
from jackline.bundle import load_bundle
from jackline.errors import BundleError

NOW = 1_800_000_000.0
GATES = """\
  - name: risk
    use: escalation
    with:
      amount: {of: amount, steps: [{above: 100, add: 50}, {above: 1000, add: 90}]}
      gates: [{at: 50, to: ana}, {at: 90, to: [ana, ben], approvals: 2}]
"""
RULE = "  - {name: risk, use: rule, on: tool.call, effect: escalate, with: {expires: 30m}}\n"
CALLS = "  - {name: calls, use: budget, with: {limit: 5 USD, tool_prices: {pay: 1 USD}}}\n"


class Office:
    """A guarded tool that pays, and people who answer."""

    def __init__(self, home, people):
        self.home, self.people, self.now, self.paid, self.guards = home, people, NOW, [], []

    def under(self, policies):
        pinned = "".join(f"  {name}: {{key: '{one.key}'}}\n" for name, one in self.people.approvers().items())
        bundle = load_bundle(f"jackline: 1\napprovers:\n{pinned}policies:\n{policies}")
        guard = Guard(bundle, home=self.home, application="app", clock=lambda: self.now)
        self.guards.append(guard)
        self.guard = guard

        @guard.tool
        def pay(amount: int) -> None:
            self.paid.append(amount)

        return pay

    def says(self, who, say, approval, **more):
        asked = self.guard.approvals.named(approval)
        answer = Answer(approval=asked.question.id, question=asked.fingerprint, say=say, who=who, at=self.now, **more)
        return asked.answer(sign(answer, self.people.keys[who]), say, self.now)


@pytest.fixture
def office(tmp_path, people):
    made = Office(tmp_path / "home", people)
    yield made
    for guard in made.guards:
        guard.close()


def waits(call, *args):
    with pytest.raises(ApprovalPending) as raised:
        call(*args)
    (approval,) = raised.value.decision.approvals
    return approval


def test_an_edit_does_not_open_a_higher_gate_of_the_same_policy(office):
    """Ana alone may let 500 through; what she makes of it needs two people like any other 5000."""
    pay = office.under(GATES)
    with office.guard.session(id="job"):
        first = waits(pay, 500)
        office.says("ana", "edit", first, args={"amount": 5000})
        second = waits(pay, 500)
        assert office.paid == []
        assert second != first
        question = office.guard.approvals.named(second).question
        assert (question.rule, question.needed, question.args) == ("risk 90", 2, {"amount": 5000})
        office.says("ana", "approve", second)
        assert waits(pay, 500) == second
        office.says("ben", "approve", second)
        pay(500)
        assert office.paid == [5000]


def test_an_edit_that_lowers_the_risk_asks_nobody_again(office):
    pay = office.under(GATES)
    with office.guard.session(id="job"):
        asked = waits(pay, 5000)
        office.says("ana", "edit", asked, args={"amount": 500})
        office.says("ben", "edit", asked, args={"amount": 500})
        pay(5000)
    assert office.paid == [500]


def test_what_is_held_for_an_act_is_given_back_where_its_approval_cannot_be_used_up(office, monkeypatch):
    pay = office.under(RULE + CALLS)
    with office.guard.session(id="job"):
        office.says("ana", "approve", waits(pay, 1))

        def full(*_):
            raise ApprovalError("closed.json cannot be written: No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Asked, "close", full)
            with pytest.raises(Denied, match=r"could not be judged: ApprovalError: closed[.]json cannot be written"):
                pay(1)
        assert [(entry.spent, entry.held) for entry in office.guard.ledger.balances()] == [(0, 0)]
        pay(1)
    assert office.paid == [1]


@pytest.mark.parametrize(("late", "told"), [(-0.001, None), (0, "nobody approved it in time")])
def test_from_the_deadline_on_the_answer_is_no(office, late, told):
    pay = office.under(RULE)
    with office.guard.session(id="job"):
        approval = waits(pay, 1)
        office.says("ana", "approve", approval)
        office.now = office.guard.approvals.named(approval).question.expires + late
        if told is None:
            pay(1)
        else:
            with pytest.raises(Denied, match=told):
                pay(1)
    assert office.paid == ([1] if told is None else [])


@pytest.mark.parametrize("user", ["ANA", "Ana ", "\uff41na"])
def test_nobody_approves_for_themselves_however_their_name_is_written(office, user):
    pay = office.under(RULE)
    with office.guard.session(id="job", user=user):
        approval = waits(pay, 1)
        office.says("ana", "approve", approval)
        assert waits(pay, 1) == approval
    assert office.paid == []


def people_of(text):
    with pytest.raises(BundleError) as raised:
        load_bundle(f"jackline: 1\napprovers:\n{text}policies: []\n")
    return str(raised.value)


KEY = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
OTHER = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="


def test_one_person_does_not_count_as_two():
    told = people_of(f"  ana: {{key: '{KEY}', user: a@x.test}}\n  ben: {{key: '{OTHER}', user: A@X.test}}\n")
    assert "'ben' is the user of 'ana': one person would count as two; each approver is another person" in told
    told = people_of(f"  ana: {{key: '{KEY}'}}\n  ben: {{key: '{OTHER}', user: ana}}\n")
    assert "'ben' is the user of 'ana'" in told


def test_a_key_is_written_in_one_way():
    """The last character of a key's base64 has bits that mean nothing: one key in two spellings would be two people."""
    told = people_of(f"  ana: {{key: '{KEY}'}}\n  ben: {{key: '{KEY.replace('o=', 'p=')}'}}\n")
    assert "is no public key: expected ed25519: and the base64 of 32 bytes" in told


@pytest.mark.parametrize("end", ["denied", "expired"])
def test_a_question_that_ends_between_the_look_and_the_use_permits_nothing(office, monkeypatch, end):
    pay = office.under(RULE)
    close = Asked.close

    def late(asked, state, now, answer=""):
        if state == "consumed":
            close(asked, end, now)
        return close(asked, state, now, answer)

    with office.guard.session(id="job"):
        office.says("ana", "approve", waits(pay, 1))
        monkeypatch.setattr(Asked, "close", late)
        if end == "denied":
            with pytest.raises(Denied, match="somebody denied it"):
                pay(1)
        else:  # whoever comes later asks anew
            waits(pay, 1)
    assert office.paid == []


def test_where_too_few_are_left_beside_the_requester_nobody_is_asked(office):
    pay = office.under(
        "  - {name: risk, use: rule, on: tool.call, effect: escalate, with: {to: [ana, ben], approvals: 2}}\n"
    )
    with office.guard.session(id="job", user="ana"), pytest.raises(Denied, match=r"2 of ben would have to approve it"):
        pay(1)
    assert list(office.guard.approvals.all()) == []
