"""`approvals`: a person is asked, answers with a key, and a guard that never met them goes by it."""

from __future__ import annotations

import json
import stat

import pytest

from jackline import ApprovalPending, Denied, Guard
from jackline.approvals import Question
from jackline.bundle import load_bundle
from jackline.cli import keys
from jackline.cli.status import found
from jackline.entitlement import entitlement
from jackline.events import ApprovalAnswerRefused
from jackline.home import Home
from jackline.journal import read


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
    assert told == "'../ana' is no approver's name: letters, digits, '_', '.', '@' and '-' were expected\n"


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
    shown = run("trace", "job-1").stdout
    assert f"approval {approval[:12]}: consumed  by ana: known customer\n" in shown
    assert f"approved by ana: known customer  (approval {approval[:12]})\n" in shown
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
        "unverified": "",
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


_TYPED = {
    "approve": (),
    "deny": ("--why", "no"),
    "edit": ("--args", '{"order": "A-1", "amount": 450}'),
    "respond": ("--text", "no"),
}


def refused(home):
    events = [line.event for path in home.glob("journals/*.jsonl") for line in read(path)]
    return [event.why for event in events if isinstance(event, ApprovalAnswerRefused)]


@pytest.mark.parametrize("say", _TYPED)
def test_nobody_answers_whom_the_bundle_does_not_name(desk, run, jackline_home, say):
    approval = desk.ask()
    run("approvals", "key", "eve")
    told = run("approvals", say, approval, *_TYPED[say], "--as", "eve", code=1)
    why = "'eve' is no approver; jackline.yaml says that these may answer: ana"
    assert told.stderr == f"{why}; nothing was signed, and the attempt is on record\n"
    assert told.stdout == ""
    assert refused(jackline_home) == [why]
    (plain,) = json.loads(run("approvals", "list", "--json").stdout)["approvals"]
    assert (plain["state"], plain["answers"]) == ("pending", [])
    assert desk.ask() == approval
    assert desk.paid == []


def test_a_key_that_is_not_the_pinned_one_signs_nothing(desk, run, jackline_home, tmp_path, monkeypatch):
    approval = desk.ask()
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "another"))
    run("approvals", "key", "ana")
    told = run("approvals", "approve", approval, code=1).stderr
    assert told.startswith("your key is not the one that jackline.yaml pins for 'ana'; these may answer: ana; nothing")
    assert len(refused(jackline_home)) == 1


def question(**changes):
    told = {"id": "0" * 64, "asked": 0, "expires": 1, "action": "tool.call", "resource": "refund", "args": {}}
    told |= {"agent": "support", "session": "5" * 32, "policy": "refunds", "nonce": "1", "to": ("ana",)}
    return Question(**{**told, **changes})


def test_who_is_asked_for_himself_or_was_not_asked_is_refused_and_a_changed_bundle_leaves_a_doubt(desk, run, tmp_path):
    public = json.loads(run("approvals", "key", "ben", "--json").stdout)["key"]
    path = tmp_path / "jackline.yaml"
    path.write_text(path.read_text().replace("policies:", f"  ben: {{key: '{public}', user: b@x}}\npolicies:"))
    revision = load_bundle(path).revision

    def of(who, under=path, **changes):
        bundle = found(under, Home(tmp_path))
        return entitlement(question(**changes), who, keys.load(who)[1], bundle, str(under))

    assert of("ana") == ("", "")
    assert of("ben", to=()) == ("", "")
    may = f"{path} says that these may answer: "
    assert of("ben", revision=revision) == (f"'ben' may not answer this; {may}ana", "")
    assert of("ben", revision="older") == ("", f"{path} was changed since it was asked, and asked were ana")
    assert of("ben", to=(), user="B@X") == (f"'ben' may not answer this; {may}ana", "")
    assert of("ana", under=tmp_path / "none", user="Ana") == ("'ana' may not answer this: it is done for 'Ana'", "")


@pytest.mark.parametrize("how", ["none", "broken", "another"])
def test_without_the_bundle_at_hand_an_answer_is_taken_and_said_to_be_unverified(desk, run, tmp_path, how):
    approval, path = desk.ask(), tmp_path / "jackline.yaml"
    path.rename(tmp_path / "agents.yaml")
    if how != "none":
        path.write_text("jackline: 2\n" if how == "broken" else "jackline: 1\npolicies: []\n")
    doubt = {
        "none": "there is no jackline.yaml here",
        "broken": "jackline.yaml does not load (see: jackline check jackline.yaml)",
        "another": "jackline.yaml has no policy 'refunds', which asks",
    }[how]
    told = run("approvals", "approve", approval).stderr
    assert f"whether a guard counts it was not looked at: {doubt}; name the agents' bundle: --bundle FILE\n" in told
    run("approvals", "key", "eve")
    typed = ("approvals", "deny", approval, "--why", "no", "--as", "eve", "--bundle")
    assert "'eve' is no approver; agents.yaml says" in run(*typed, "agents.yaml", code=1).stderr
    assert run(*typed, "x.yaml", code=1).stderr == "there is no bundle x.yaml; nothing was signed\n"
