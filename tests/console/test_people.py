"""What several people do at once, what strangers try, and who answers as whom."""

from __future__ import annotations

import threading

import pytest
from console_harness import PASSWORD, POLICIES, until
from starlette.testclient import TestClient

import jackline
from jackline.cli import keys
from jackline.events import AgentAmended, ApprovalAnswerRefused, BundleChanged, SessionStopped
from jackline.home import Home
from jackline.journal import read, verify
from jackline.request import Agent, Tool
from jackline_console.access.passwords import hashed
from jackline_console.access.users import User
from jackline_console.app import create_app
from jackline_console.settings import Settings

STRANGER = "urn:jackline:problem:not-an-approver"


@pytest.fixture
def app(home, folder, config, users, monkeypatch):
    monkeypatch.setenv("JACKLINE_CONFIG", str(config))
    made = create_app(Settings(home=Home(home), host="0.0.0.0", secure=True, bundle=folder / "jackline.yaml"))
    with TestClient(made, base_url="https://localhost/api/v1", raise_server_exceptions=False):
        yield made


@pytest.fixture
def person(app):
    """Log in: `person("ana").post(...)`."""

    def enter(name):
        client = TestClient(app, base_url="https://localhost/api/v1", raise_server_exceptions=False)
        answer = client.post("login", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["X-Jackline-CSRF"] = answer.json()["csrf"]
        return client

    return enter


def pin(folder, *names, **more):
    """Pin the keys of approvers in the bundle."""
    entries = "".join(f"{keys.pinned(name, keys.made(name)[1])}\n" for name in names)
    for name, entry in more.items():
        entries += f"  {name}: {entry}\n"
    (folder / "jackline.yaml").write_text(f"{POLICIES}approvers:\n{entries}", encoding="utf-8")


@pytest.fixture
def ask(home, folder):
    """Have an agent ask for a refund; gives the approval."""

    def asked(user="u-9"):
        with jackline.Guard.load(folder / "jackline.yaml", home=home) as guard:

            @guard.tool
            def refund(order: str, amount: float) -> str:
                return f"paid {order} {amount}"

            with guard.session(user=user), pytest.raises(jackline.ApprovalPending) as caught:
                refund(order="A-1", amount=600.0)
        return caught.value.decision.approvals[0]

    return asked


def said(home, kind):
    return [
        line.event for path in sorted((home / "journals").iterdir()) for line in read(path) if type(line.event) is kind
    ]


def test_a_stranger_signs_nothing_and_the_attempt_is_on_record_once(person, ask, folder, home):
    """As on the command line; however often they try, the journal has one line for it."""
    pin(folder, "ana")
    approval = ask()
    otto = person("otto")
    why = "the bundle asks ana; there is no key here for any of them"
    first = otto.post(f"approvals/{approval}/approve", json={})
    assert (first.status_code, first.json()["type"]) == (403, STRANGER)
    assert first.json()["detail"] == f"{why}; nothing was signed, and the attempt is on record"
    for verb, body in (("deny", {"why": "x"}), ("edit", {"args": {}}), ("respond", {"text": "x"}), ("approve", {})):
        assert otto.post(f"approvals/{approval}/{verb}", json=body).json()["type"] == STRANGER
    (event,) = said(home, ApprovalAnswerRefused)
    assert (event.who, event.approval, event.why) == ("otto", approval, why)
    borrowed = person("ana").post(f"approvals/{approval}/approve", json={"as": "otto"})
    assert borrowed.json()["detail"].startswith("'otto' cannot be answered as here; nothing was signed")
    assert [event.who for event in said(home, ApprovalAnswerRefused)] == ["otto", "ana"]
    told = person("ana").get(f"approvals/{approval}").json()
    assert (told["state"], told["answers"]) == ("pending", [])


def test_whoever_the_agent_acts_for_does_not_approve_it(person, ask, folder, home):
    """`user` of an approver: whatever they are called here, and whatever is written large or small."""
    pin(folder, "otto", ana=f'{{user: U-9, key: "{keys.made("ana")[1]}"}}')
    approval = ask("u-9")
    refused = person("ana").post(f"approvals/{approval}/approve", json={})
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("the agent acts for 'u-9', who may not approve it; nothing was signed")
    assert person("ana").get(f"approvals/{approval}").json()["may_answer"] == ["otto"]
    done = person("otto").post(f"approvals/{approval}/approve", json={"why": "fine"}).json()
    assert (done["state"], done["self_approval_possible"]) == ("approved", True)
    assert person("vera").get("status").json()["self_approval_possible"] is True


def test_arguments_that_the_tool_cannot_take_are_not_signed(person, ask, folder):
    pin(folder, "ana")
    approval, ana = ask(), person("ana")
    for args, told in (
        ({"order": "A-1", "amount": "much"}, "amount"),
        ({"order": ["A-1"], "amount": 1.0}, "order"),
        ({"order": "A-1", "amount": 1.0, "to": "me"}, "to"),
    ):
        answer = ana.post(f"approvals/{approval}/edit", json={"args": args, "why": "less"})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:jackline:problem:invalid"), answer.text
        detail = answer.json()["detail"]
        assert detail.startswith("the arguments do not fit the tool 'refund': ")
        assert told in detail
        assert detail.endswith("; nothing was signed")
    assert ana.get(f"approvals/{approval}").json()["answers"] == []
    done = ana.post(f"approvals/{approval}/edit", json={"args": {"order": "A-1", "amount": 450.0}, "why": "less"})
    assert done.json()["state"] == "approved"


def test_who_is_called_by_an_address_answers_as_the_approver_whom_the_bundle_calls_so(app, person, ask, folder, users):
    """Users from a provider: their name here is an address, which no approver's name can be."""
    users.put(User(name="eva@example.org", role="approver", created=1.0, hash=hashed(PASSWORD)))
    pin(folder, "eva@example.org")
    assert "  eva: {user: eva@example.org, key: " in (folder / "jackline.yaml").read_text()
    approval = ask()
    eva = person("eva@example.org")
    assert eva.get("me").json()["answers_as"] == ["eva"]
    done = eva.post(f"approvals/{approval}/approve", json={"why": "fine"}).json()
    assert (done["who"], done["state"]) == ("eva", "approved")
    assert person("ana").get("me").json()["answers_as"] == []


def test_a_script_answers_nothing(app, ask, folder, users):
    """An API token of an approver's name, and of an admin's role: approvals are for people."""
    pin(folder, "ana")
    approval = ask()
    _, text = users.issue("ana", "admin", 1.0, None)
    script = TestClient(app, base_url="https://localhost/api/v1", headers={"Authorization": f"Bearer {text}"})
    assert script.post(f"approvals/{approval}/approve", json={}).json()["type"] == STRANGER


def at_once(*acts):
    """Do several things at the same moment; their answers in the order of the acts."""
    gate, answers = threading.Barrier(len(acts)), [None] * len(acts)

    def do(number):
        gate.wait()
        answers[number] = acts[number]()

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_two_operators_at_once(app, person, folder, home):
    """Of two bundles one comes into force; a session that both stop is stopped, and each act is on record."""
    with (
        jackline.Guard.load(folder / "jackline.yaml", home=home) as guard,
        guard.session(),
        guard.run(Agent(name="desk")),
    ):
        guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    otto, ada = person("otto"), person("ada")
    until(lambda: otto.get("agents/desk").status_code == 200, "the agent")
    revision = otto.get("bundle").json()["revision"]
    texts = [f"{POLICIES}mode: {mode}\n" for mode in ("observe", "enforce")]
    answers = at_once(
        *(
            lambda who=who, text=text: who.post(
                "bundle/activate", json={"text": text, "previous": revision, "why": "mine"}
            )
            for who, text in zip((otto, ada), texts, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer.json() for answer in answers if answer.status_code == 409)
    assert lost["type"] == "urn:jackline:problem:changed"
    won = next(number for number, answer in enumerate(answers) if answer.status_code == 200)
    assert (folder / "jackline.yaml").read_text() == texts[won]
    assert [event.who for event in said(home, BundleChanged)] == [("otto", "ada")[won]]
    session = "1" * 32
    stops = at_once(*(lambda who=who: who.post(f"sessions/{session}/stop", json={"why": "odd"}) for who in (otto, ada)))
    assert [answer.status_code for answer in stops] == [200, 200]
    assert sorted(event.who for event in said(home, SessionStopped)) == ["ada", "otto"]
    lifted = at_once(
        *(lambda who=who: who.post(f"sessions/{session}/reopen", json={"why": "x"}) for who in (otto, ada))
    )
    assert 200 in [answer.status_code for answer in lifted]
    verbs = at_once(
        *(lambda verb=verb: otto.post(f"agents/desk/{verb}", json={"why": verb}) for verb in ("suspend", "resume"))
    )
    assert [answer.status_code for answer in verbs] == [200, 200]
    last = said(home, AgentAmended)[-1].changes["status"]
    assert otto.get("agents/desk").json()["status"] == last, "the record's last word is what holds"
    assert all(report.ok for report in verify(home / "journals"))
