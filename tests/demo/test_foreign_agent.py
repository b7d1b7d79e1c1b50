"""The closed agent behind the gateway: what is claimed is read from databases, reports and journals, not from words."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import yaml

pytest.importorskip("jackline_mcp", reason="the foreign agent comes with jackline-mcp")

from jackline.answers import Approver, verified
from jackline.approvals import Approvals
from jackline.errors import JacklineError
from jackline.events import AgentAmended, Completed, Decided, SessionHalted
from jackline.journal import read
from jackline_mcp import demo
from jackline_mcp.demo import claims, stage

PATIENCE = 300
COMMAND = (sys.executable, "-c", "from jackline.cli import main; main()")
PERMITTED = ("allow", "modify")


class Story(NamedTuple):
    """What is left of a telling."""

    folder: Path
    told: object
    person: Path
    """The home of the user who told it."""

    def report(self, visit):
        return json.loads((self.folder / f"{visit}-report.json").read_bytes())

    def ask(self, database, sql):
        with closing(sqlite3.connect(self.folder / f"{database}.db")) as opened:
            return opened.execute(sql).fetchall()

    def ran(self, telling):
        return Counter(
            tool
            for server in ("deploy", "notes")
            for (tool,) in self.ask(f"{telling}-{server}", "SELECT tool FROM ran")
        )

    def events(self, kind=object):
        """What is on record, journal by journal."""
        paths = sorted((self.folder / "home" / "journals").glob("*.jsonl"))
        return [line.event for path in paths for line in read(path) if isinstance(line.event, kind)]

    def decided(self, effects, tool=""):
        return [event for event in self.events(Decided) if event.effect in effects and tool in event.resource]


def tell(folder, person):
    """Tell the story as a user whose home is empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(person))
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "JACKLINE_CONFIG", "JACKLINE_HOME"):
            patch.delenv(name, raising=False)
        return Story(folder, demo.foreign_agent(lambda *_: None, folder), person)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return tell(tmp_path_factory.mktemp("stage"), tmp_path_factory.mktemp("person"))


def test_it_holds_with_every_claim(story):
    assert [claim for claim, so in story.told.claims.items() if not so] == []
    assert story.told.holds
    assert len(story.told.claims) == 9


def test_the_agent_is_a_process_that_has_the_sdk_and_nothing_of_ours(story):
    for visit in ("direct", "unknown", "known"):
        modules = story.report(visit)["modules"]
        assert "mcp" in modules
        assert [name for name in modules if "jackline" in name] == []


def test_without_it_the_database_is_gone_and_the_secret_told(story):
    assert story.ask("direct-deploy", "SELECT name FROM databases") == [("customers",)]
    assert story.ask("direct-notes", "SELECT what FROM told") == [(stage.SECRET,)]
    assert story.ran("direct") == {"list_services": 41, "restart_service": 1, "delete_database": 1, "search_notes": 2}


def test_unknown_it_is_shown_nothing_and_does_nothing(story):
    seen = story.report("unknown")
    assert [look["tools"] for look in seen["shown"]] == [{}] * len(seen["shown"]) != []
    assert {call["refused"] for call in seen["calls"]} == {True}
    first = [event for event in story.events(Decided) if event.rule == "unregistered"]
    assert len(first) == len(seen["calls"])
    assert {(event.agent, event.effect, event.policy) for event in first} == {("nightwatch", "deny", "registry")}


def test_discover_had_it_and_a_person_registered_it(story):
    found = story.told.governed["discovered"]
    assert (found["name"], found["how"], found["governed"]) == ("nightwatch", "gateway", True)
    assert "jackline agents set nightwatch --status active" in found["governs"]
    active = [event for event in story.events(AgentAmended) if event.changes.get("status") == "active"]
    assert [event.agent for event in active] == ["nightwatch"]
    assert active[0].who != "jackline-mcp"


def test_the_destructive_call_waited_and_a_signed_no_ended_it(story):
    asked = list(Approvals(story.folder / "home" / "approvals").all())
    assert [one.question.resource for one in asked] == ["deploy.delete_database"]
    key = yaml.safe_load((story.folder / "jackline.yaml").read_text())["approvers"]["ana"]["key"]
    answers = [
        verified(
            data,
            approval=asked[0].question.id,
            question=asked[0].fingerprint,
            approvers={"ana": Approver(name="ana", key=key)},
        )
        for data in asked[0].said()
    ]
    assert [(answer.who, answer.say) for answer in answers] == [("ana", "deny")]
    assert f"waits for a person (ana) to answer approval {asked[0].question.id[:12]}" in story.report("known")["heard"]
    assert story.decided(PERMITTED, "delete_database") == []
    assert story.ask("governed-deploy", "SELECT name FROM databases ORDER BY name") == [("customers",), ("orders",)]
    assert story.ran("governed")["delete_database"] == 0


def test_the_poisoned_tool_was_suspended_hidden_and_refused(story):
    assert story.ask("governed-notes", "SELECT what FROM told") == []
    assert story.ran("governed")["search_notes"] == 1
    amended = [event for event in story.events(AgentAmended) if "tools" in event.changes]
    assert [(event.who, event.changes) for event in amended] == [
        ("jackline-mcp", {"tools": {"notes.search_notes": "suspended"}})
    ]
    assert amended[0].why.startswith("its description is poisoned: ")
    looks = [look["tools"] for look in story.report("known")["shown"] if look["server"] == "notes"]
    assert [sorted(tools) for tools in looks] == [["search_notes"], ["search_notes"], []]
    assert [event.rule for event in story.decided(("deny",), "search_notes")][-1] == "tool suspended"


def test_the_budget_ended_it_and_nothing_ran_after(story):
    assert sum(story.ran("governed").values()) == len(story.events(Completed)) == len(story.decided(PERMITTED)) == 8
    assert [event.policy for event in story.events(SessionHalted)] == ["calls"]
    calls = story.report("known")["calls"]
    assert [call["refused"] for call in calls[-3:]] == [False, True, True]
    halted = [isinstance(event, SessionHalted) for event in story.events()]
    after = story.events()[halted.index(True) + 1 :]
    assert [event for event in after if isinstance(event, Decided) and event.effect in PERMITTED] == []


def test_verify_holds_and_one_altered_line_is_named(story, tmp_path):
    home = story.folder / "home"
    whole = subprocess.run([*COMMAND, "--home", str(home), "verify", "--json"], capture_output=True, check=False)
    assert (whole.returncode, json.loads(whole.stdout)["ok"]) == (0, True)

    shutil.copytree(home, tmp_path / "home")
    longest = max((tmp_path / "home" / "journals").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    lines = longest.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"effect":"deny"' in line)
    lines[at] = lines[at].replace(b'"effect":"deny"', b'"effect":"allow"', 1)
    longest.write_bytes(b"".join(lines))
    altered = subprocess.run(
        [*COMMAND, "--home", str(tmp_path / "home"), "verify", "--json"], capture_output=True, check=False
    )
    bad = [report for report in json.loads(altered.stdout)["journals"] if not report["ok"]]
    assert (altered.returncode, len(bad), bad[0]["first_bad"]) == (1, 1, at + 1)


def test_nothing_in_the_users_home_is_touched_and_the_record_is_shown(story):
    assert list(story.person.rglob("*")) == []
    assert "nightwatch at deploy" in story.told.record
    assert "approval" in story.told.record
    assert {step["effect"] for step in story.told.governed["trace"]} == {"deny", "allow", "halt"}


def test_it_does_not_hold_where_nothing_is_enforced(tmp_path, monkeypatch):
    package = tmp_path / "package"
    shutil.copytree(Path(demo.__file__).parent, package)
    bundle = package / "foreign-agent.yaml"
    bundle.write_text(bundle.read_text() + "unregistered: allow\nmode: observe\n")
    monkeypatch.setattr(demo, "files", lambda _package: package)
    (tmp_path / "stage").mkdir()
    (tmp_path / "person").mkdir()
    told = tell(tmp_path / "stage", tmp_path / "person").told
    assert not told.holds
    assert [claim for claim, so in told.claims.items() if so] == [
        "the agent imports nothing of Jackline's",
        "without Jackline it deletes a database and gives a secret away",
        "`jackline agents discover` has it, and says what governs it",
        "each run has a decision before it and an outcome",
        "the journals verify, and each altered copy is found",
    ]
    assert told.why.startswith("not so: unknown, it is shown no tool and runs none; ")


@pytest.mark.parametrize(("moment", "number"), [("direct", signal.SIGINT), ("governed", signal.SIGTERM)])
def test_no_process_is_left_where_it_is_interrupted(tmp_path, moment, number):
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("what belongs to a telling is found in /proc")
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    # What a shell starts in the background begins with SIGINT ignored, and so does what that starts.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    told = subprocess.Popen(
        [*COMMAND[:-1], heeding + COMMAND[-1], "demo", "--scenario", "foreign-agent", "--json"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + PATIENCE
        while not (servers := ids_of(tmp_path, moment)):
            assert told.poll() is None, "it ended before its servers ran"
            assert time.monotonic() < until
        every = [*servers, *processes_of(tmp_path)]
        told.send_signal(number)
        assert told.wait(PATIENCE) != 0
    finally:
        told.kill()
        told.wait()
    while left := [each for each in every if runs(each)]:
        assert time.monotonic() < until, f"still there: {left}"
    assert len(every) > len(servers)
    assert list(tmp_path.glob("jackline-demo-*")) == []


def runs(number):
    """Whether a process runs; one that has ended may wait for somebody to ask how."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ids_of(folder, telling):
    """The servers that told their ids in their databases."""
    found = []
    for path in folder.glob(f"jackline-demo-*/{telling}-deploy.db"):
        try:
            with closing(sqlite3.connect(path)) as database:
                found += [each for (each,) in database.execute("SELECT id FROM processes")]
        except sqlite3.OperationalError:
            continue
    return found


def processes_of(folder):
    """The processes whose command names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(str(folder)) in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_what_it_needs_is_named(monkeypatch):
    registrations = SimpleNamespace(names=lambda _kind: ["rule", "budget"])
    monkeypatch.setattr(demo, "installed_plugins", lambda: SimpleNamespace(registrations=registrations))
    with pytest.raises(JacklineError) as raised:
        demo.foreign_agent(lambda *_: None)
    assert str(raised.value) == (
        "the demo needs jackline-tool-access; try: pip install jackline-tool-access, "
        "or from a clone: pip install ./policy_packs/tool_access"
    )


def test_a_process_that_fails_is_told_with_its_last_line(tmp_path):
    here = stage.Stage(tmp_path)
    with pytest.raises(JacklineError, match=r"^jackline agents set nobody --status active ended with 1: "):
        here.jackline("agents", "set", "nobody", "--status", "active")
    with (
        pytest.raises(JacklineError, match=r"^the gateway did not start: .*jackline\.yaml"),
        here.gateway(),
    ):
        pytest.fail("it started without a bundle")
    with here.visit("direct", {"deploy": {}}) as visit, pytest.raises(JacklineError) as raised:
        visit.over()
    assert str(raised.value) == "the agent ended with 1: KeyError: 'command'"


def test_the_limit_that_is_claimed_is_the_bundles():
    bundle = yaml.safe_load((Path(demo.__file__).parent / "foreign-agent.yaml").read_text())
    assert bundle["policies"][-1]["with"]["limit"] == f"{claims.LIMIT} calls"
