"""`approvals notify` and `approvals prune`: a worker for people, and what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jackline import ApprovalPending, Guard
from jackline.approvals import retention

sys.path.insert(0, str(Path(__file__).parents[1] / "approvals"))

from receiver import SHARED, Receiver

BUNDLE = """\
jackline: 1
approvers: {{ana: {{key: '{key}'}}}}
notify: {{ops: {{webhook: env:HOOK, secret: env:SECRET, attempts: 1}}}}
policies:
  - {{name: refunds, use: rule, on: tool.call, effect: escalate, with: {{expires: 30m}}}}
"""


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def refund(run, jackline_home, tmp_path, monkeypatch, receiver):
    """A guarded tool that waits for ana; ops is told."""
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOOK", receiver.url)
    monkeypatch.setenv("SECRET", SHARED)
    key = json.loads(run("approvals", "key", "ana", "--json").stdout)["key"]
    (tmp_path / "jackline.yaml").write_text(BUNDLE.format(key=key))
    guard = Guard.load(tmp_path / "jackline.yaml", home=jackline_home, application="app")

    @guard.tool
    def refund(order):
        return order

    def wants(order="A-1"):
        with pytest.raises(ApprovalPending) as raised:
            refund(order)
        return raised.value.decision.approvals[0]

    with guard.session(id="job-1", user="u-9"):
        yield wants
    guard.close()


def test_people_are_told_and_what_was_given_up_is_counted(run, refund, receiver):
    approval = refund()
    assert run("approvals", "notify").stdout == "1 new, 1 sent, 0 failed; 0 wait, 0 given up\n"
    run("approvals", "approve", approval, "--why", "known")
    receiver.answers = [503]
    told = run("approvals", "notify", code=1)
    assert told.stdout == "1 new, 0 sent, 1 failed; 0 wait, 1 given up\n"
    assert told.stderr == "ops: it answered 503 (1)\n"
    assert run("approvals", "list").stderr == "1 notice was given up; see: jackline approvals notify\n"
    (remark,) = [one for one in json.loads(run("doctor", "--json").stdout)["remarks"] if one["about"] == "notices"]
    assert remark["level"] == "warning"
    assert remark["message"].startswith(
        "1 notice was given up: ops: it answered 503 (1); jackline approvals notify --again"
    )
    again = run("approvals", "notify", "--again")
    assert again.stderr == "1 delivery tried anew\n"
    assert [body["type"] for _, body in receiver.got] == ["approval.asked", "approval.answered", "approval.answered"]
    done = json.loads(run("approvals", "notify", "--json").stdout)
    assert done == {"new": 0, "sent": 0, "failed": 0, "waiting": 0, "dead": 0, "busy": False, "errors": []}


def test_a_bundle_that_names_nobody_is_refused(run, refund, tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET")
    told = run("approvals", "notify", code=1).stderr
    assert told == "notify 'ops': secret is env:SECRET, and this process's environment has no SECRET\n"
    (tmp_path / "jackline.yaml").write_text("jackline: 1\npolicies: []\n")
    told = run("approvals", "notify", code=1).stderr
    assert told == "jackline.yaml names nobody to be told; write `notify:` into it, as `approvers:` stands there\n"
    (tmp_path / "jackline.yaml").write_text("jackline: 1\nnotify: 3\n")
    assert "jackline.yaml:2:9: " in run("approvals", "notify", code=1).stderr


def test_a_worker_goes_on_and_follows_its_bundle(refund, receiver, jackline_home, tmp_path):
    """A process of its own: what is asked later is told, a broken bundle changes nothing."""
    program = Path(sys.executable).with_name("jackline")
    command = [str(program), "approvals", "notify", "--watch", "--every", "0.1", "--json"]
    env = {**os.environ, "JACKLINE_HOME": str(jackline_home)}
    pipe = subprocess.PIPE
    worker = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=pipe, stderr=pipe, text=True)
    try:
        read_answer(worker)
        refund("A-1")
        assert read_answer(worker)["sent"] == 1
        (tmp_path / "jackline.yaml").write_text("jackline: 2\n")
        assert worker.stderr.readline().startswith("the bundle before stays in force: jackline.yaml:1:1: ")
        refund("A-2")
        assert read_answer(worker)["sent"] == 1
    finally:
        worker.terminate()
        worker.communicate(timeout=20)
    assert len(receiver.got) == 2


def read_answer(worker):
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(worker.stdout.readline())
        assert lines[-1], worker.stderr.read()
    return json.loads("".join(lines))


def test_old_approvals_are_removed(run, refund, jackline_home):
    approval = refund()
    run("approvals", "deny", approval, "--why", "no")
    assert run("approvals", "prune").stdout == "0 approvals removed, 0 ended that had lapsed\n"
    done = json.loads(run("approvals", "prune", "--older", "1d", "--json").stdout)
    assert done == {"expired": 0, "removed": 0, "unreadable": 0}


def test_who_could_answer_for_himself_is_told(run, ask, refund, tmp_path, monkeypatch):
    """The same user has the key of an approver and the home of agents: `check` and `doctor` say so."""
    refund()
    told = run("check", "jackline.yaml").stderr
    assert told.startswith("self-approval possible: '")
    assert told.endswith(f"has the key of ana ({tmp_path / 'config' / 'keys'}): run agents as a user of their own\n")
    assert ask("check", "jackline.yaml")["self_approval"] == told.rstrip("\n")
    assert remark(ask, "approvers") == ("warning", told.rstrip("\n"))
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "elsewhere"))
    assert ask("check", "jackline.yaml")["self_approval"] == ""
    assert remark(ask, "approvers")[0] == "ok"
    (tmp_path / "elsewhere" / "keys").mkdir(parents=True)
    (tmp_path / "elsewhere" / "keys" / "ana.pem").write_text("junk")
    assert run("check", "jackline.yaml").stderr == ""
    monkeypatch.setenv("JACKLINE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert run("check", "jackline.yaml").stderr == ""


def remark(ask, about):
    (found,) = [one for one in ask("doctor")["remarks"] if one["about"] == about]
    return found["level"], found["message"]


def test_a_trace_shows_what_people_were_asked_and_said(run, ask, refund):
    approval = refund()
    assert "has 1 question to people waiting; see: jackline approvals\n" in run("sessions").stdout
    assert f"approval {approval[:12]}: pending  until " in run("trace", "job-1").stdout
    run("approvals", "deny", approval, "--why", "no receipt")
    assert f"approval {approval[:12]}: denied  by ana: no receipt\n" in run("trace", "job-1").stdout
    (told,) = ask("trace", "job-1")["approvals"]
    assert (told["approval"], told["state"], told["by"], told["why"]) == (approval, "denied", ["ana"], "no receipt")
    assert "waiting" not in run("sessions").stdout


def test_history_outlives_the_files_and_the_index(run, ask, refund, jackline_home):
    first, second = refund("A-1"), refund("A-2")
    run("approvals", "deny", first, "--why", "no receipt")
    shutil.rmtree(jackline_home / "approvals")
    run("ingest")
    (jackline_home / "index.db").unlink()
    assert ask("approvals", "list")["approvals"] == []
    told = ask("approvals", "list", "--all")["approvals"]
    assert [(one["id"], one["state"], one["removed"]) for one in told] == [
        (first, "denied", True),
        (second, "pending", True),
    ]
    assert told[0]["answers"] == [{"who": "ana", "say": "deny", "at": told[0]["answers"][0]["at"], "why": "no receipt"}]
    listed = run("approvals", "list", "--all").stdout
    assert first[:12] in listed
    assert "ana: deny" in listed


def test_what_has_lapsed_is_ended_on_record_and_removed_later(run, ask, refund, jackline_home, monkeypatch):
    approval = refund()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1801)
    assert run("approvals", "prune").stdout == "0 approvals removed, 1 ended that had lapsed\n"
    (told,) = ask("approvals", "list", "--all")["approvals"]
    assert (told["id"], told["state"]) == (approval, "expired")
    monkeypatch.setattr(time, "time", lambda: now + 1801 + 86400)
    assert ask("approvals", "prune", "--older", "1h") == {"expired": 0, "removed": 1, "unreadable": 0}
    (told,) = ask("approvals", "list", "--all")["approvals"]
    assert (told["id"], told["state"], told["removed"]) == (approval, "expired", True)


def test_what_cannot_be_removed_is_said(run, refund, jackline_home):
    approval = refund()
    folder = jackline_home / "approvals"
    (next(folder.glob(f"*/{approval}")) / "question.json").write_text("?")
    assert run("approvals", "prune").stderr == f"1 approval in {folder} cannot be read: look at them\n"
    assert "--older: 'soon' is not a duration" in run("approvals", "prune", "--older", "soon", code=2).stderr
    with retention.only_one(folder):
        told = run("approvals", "prune", code=1).stderr
    assert told == "another process removes old approvals now: try again when it has ended\n"
