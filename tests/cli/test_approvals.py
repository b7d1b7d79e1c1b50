"""`approvals`: a person is asked, answers with a key, and a guard that never met them goes by it."""

from __future__ import annotations

import json
import stat

import pytest

from jackline import ApprovalPending, Denied, Guard


class Desk:
    """An approver's terminal beside an agent that wants to refund."""

    def __init__(self, run, home, folder):
        self.run, self.home, self.paid = run, home, []
        public = json.loads(run("approvals", "key", "ana", "--json").stdout)["key"]
        bundle = folder / "jackline.yaml"
        bundle.write_text(
            f"jackline: 1\napprovers:\n  ana: {{key: '{public}'}}\npolicies:\n  - name: refunds\n    use: rule\n"
            "    on: tool.call\n    when: args.amount > 500\n    effect: escalate\n    with: {to: ana}\n"
        )
        self.guard = Guard.load(bundle, home=home, application="app")

        @self.guard.tool
        def refund(order: str, amount: int) -> str:
            self.paid.append((order, amount))
            return "done"

        self.refund = refund

    def ask(self):
        with pytest.raises(ApprovalPending) as raised:
            self.refund("A-1", 900)
        return raised.value.decision.approvals[0]


@pytest.fixture
def desk(run, jackline_home, tmp_path, monkeypatch):
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "config"))
    made = Desk(run, jackline_home, tmp_path)
    with made.guard.session(id="job-1", user="u-9"):
        yield made
    made.guard.close()


def test_a_key_is_made_once_and_kept_from_others(desk, run, tmp_path):
    path = tmp_path / "config" / "keys" / "ana.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = run("approvals", "key", "ana")
    assert again.stderr == f"found {path}; keep it to yourself. Under `approvers:` of the bundle:\n"
    assert again.stdout.startswith('  ana: {key: "ed25519:')
    told = run("approvals", "key", "../ana", code=1).stderr
    assert told == "'../ana' is no approver's name: letters, digits, '_', '.' and '-' were expected\n"


def test_what_waits_is_listed_and_shown(desk, run):
    assert run("approvals", "list").stdout == "nothing waits for people\n"
    approval = desk.ask()
    listed = run("approvals", "list").stdout
    assert approval[:12] in listed
    assert "tool.call refund" in listed
    (plain,) = json.loads(run("approvals", "list", "--json").stdout)["approvals"]
    assert (plain["id"], plain["state"], plain["args"]) == (approval, "pending", {"order": "A-1", "amount": 900})
    shown = run("approvals", "show", approval[:8]).stdout
    assert "policy 'refunds' asks: args.amount > 500" in shown
    assert '"amount": 900' in shown
    assert json.loads(run("approvals", "show", approval, "--json").stdout) == plain


def test_an_approval_lets_the_act_go_on(desk, run):
    approval = desk.ask()
    told = run("approvals", "approve", approval[:8], "--why", "known customer")
    assert told.stdout == f"approval {approval[:12]} approved by ana: known customer\n"
    assert told.stderr == (
        "self-approval possible: the agent runs as the same user as you, and can read your key; "
        "run agents as a user of their own\n"
    )
    assert "ana: approve" in run("approvals", "list").stdout
    assert desk.refund("A-1", 900) == "done"
    assert desk.paid == [("A-1", 900)]
    late = run("approvals", "deny", approval, "--why", "no", code=1).stderr
    assert late == f"approval {approval[:12]} is consumed: it is too late for an answer\n"
    (plain,) = json.loads(run("approvals", "list", "--all", "--json").stdout)["approvals"]
    assert plain["state"] == "consumed"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("deny", "--why", "no receipt"), "ana denied it: no receipt"),
        (("respond", "--text", "offer a voucher"), "ana answers: offer a voucher"),
    ],
    ids=["deny", "respond"],
)
def test_a_no_reaches_the_agent(desk, run, typed, told):
    approval = desk.ask()
    done = json.loads(run("approvals", typed[0], approval, *typed[1:], "--json").stdout)
    assert done == {
        "approval": approval,
        "done": typed[0],
        "who": "ana",
        "why": typed[2],
        "self_approval_possible": True,
    }
    with pytest.raises(Denied, match=told):
        desk.refund("A-1", 900)
    assert desk.paid == []


def test_other_arguments_are_used_in_place_of_the_agents(desk, run):
    approval = desk.ask()
    run("approvals", "edit", approval, "--args", '{"order": "A-1", "amount": 450}')
    desk.refund("A-1", 900)
    assert desk.paid == [("A-1", 450)]
    for junk, told in (("{", "--args is no JSON"), ("[1]", "--args is no map: write all arguments by name")):
        assert told in " ".join(run("approvals", "edit", approval, "--args", junk, code=2).stderr.split())


def test_arguments_that_the_tool_cannot_take_are_not_signed(desk, run):
    approval = desk.ask()
    for args, why in (
        ('{"order": "A-1", "amount": "450"}', "amount is '450', expected a whole number"),
        ('{"order": "A-1", "amout": 450}', "amout is no argument of the tool; did you mean 'amount'?"),
    ):
        told = run("approvals", "edit", approval, "--args", args, code=1).stderr
        assert told == f"the arguments do not fit the tool 'refund': {why}; nothing was signed\n"
    assert desk.ask() == approval


def test_a_refusal_says_why(desk, run):
    approval = desk.ask()
    told = run("approvals", "deny", approval, "--why", " ", code=1).stderr
    assert told == "say why: the agent is told it, and it stands in the record\n"


def test_a_key_must_be_there_alone_or_named_and_hidden(desk, run, tmp_path):
    approval = desk.ask()
    told = run("approvals", "approve", approval, "--as", "ben", code=1).stderr
    assert told.endswith("ben.pem; make one: jackline approvals key ben\n")
    run("approvals", "key", "ben")
    told = run("approvals", "approve", approval, code=1).stderr
    assert told == "there are several keys (ana, ben); say which: --as NAME\n"
    path = tmp_path / "config" / "keys" / "ana.pem"
    path.chmod(0o644)
    told = run("approvals", "approve", approval, "--as", "ana", code=1).stderr
    assert told == f"others can read the key {path}; whoever has it answers as 'ana': chmod 600 {path}\n"
    path.chmod(0o600)
    path.write_text("junk")
    assert f"the key {path} cannot be read: " in run("approvals", "approve", approval, "--as", "ana", code=1).stderr
    for each in (path, path.with_name("ben.pem")):
        each.unlink()
    told = run("approvals", "approve", approval, code=1).stderr
    assert told == f"there is no key in {path.parent}; make one: jackline approvals key NAME\n"


def test_an_answer_of_somebody_whom_the_bundle_does_not_name_changes_nothing(desk, run):
    approval = desk.ask()
    run("approvals", "key", "eve")
    run("approvals", "approve", approval, "--as", "eve")
    assert desk.ask() == approval
    assert desk.paid == []
