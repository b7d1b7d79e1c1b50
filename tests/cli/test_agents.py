"""`agents`: the registry as people see it and change it."""

from __future__ import annotations

import os
import pwd
import re

import pytest

import jackline
from jackline.journal import read, verify
from jackline.request import Agent, Tool

ME = pwd.getpwuid(os.getuid()).pw_name
READ = Tool(name="crm_get", fingerprint="a" * 16, read_only=True)


@pytest.fixture
def team(guard):
    """Three agents: support with a tool too many, billing that is suspended, and an old one."""
    support = Agent(name="support", version="1", framework="langchain", framework_version="1.2", team="crm")
    guard.registry.agent(support, tools=[READ], models=["gpt-5"])
    guard.registry.agent(Agent(name="support", version="2", framework="langchain", team="crm"), tools=[READ])
    guard.registry.tool(support, Tool(name="crm_export", fingerprint="b" * 16))
    guard.registry.agent(Agent(name="billing", labels={"tier": "1"}))
    return guard


def amended(home):
    """Every AgentAmended that the command line put on record, with the writer of its journal."""
    found = []
    for path in sorted((home / "journals").iterdir()):
        lines = list(read(path))
        found += [(lines[0].event.writer, line.event) for line in lines if line.kind == "agent_amended"]
    return found


def test_agents_are_listed(team, run, ask):
    rows = {agent["name"]: agent for agent in ask("agents", "list")["agents"]}
    assert list(rows) == ["billing", "support"]
    assert [version["key"] for version in rows["support"]["versions"]] == ["support@1", "support@2"]
    line = next(line for line in run("agents", "list").stdout.splitlines() if line.startswith("support"))
    assert line.split()[:4] == ["support", "langchain", "seen", "crm"]
    assert line.split()[4:6] == ["2", "1"], "two tools, one of them not permitted"


def test_agents_are_found_by_condition(team, run, ask):
    assert [a["name"] for a in ask("agents", "list", "--where", "agent.team == 'crm'")["agents"]] == ["support"]
    assert [a["name"] for a in ask("agents", "list", "--where", "'tier' in agent.labels")["agents"]] == ["billing"]
    result = run("agents", "list", "--where", "agent.labels['tier'] == '1'")
    assert result.stdout.splitlines()[1].startswith("billing")
    assert "support@1 is not listed: --where has no answer for it" in result.stderr


def test_a_condition_that_does_not_type_check_is_shown_with_its_place(team, run, ask):
    told = run("agents", "list", "--where", "agent.teem == 'crm'", code=2).stderr.splitlines()
    assert told[0].startswith("--where:1:7: agent has no field 'teem'; ")
    assert told[0].endswith("did you mean 'team'?")
    assert told[1:] == ["  agent.teem == 'crm'", "        ^"]
    told = run("agents", "list", "--where", "agent.name", code=2).stderr
    assert told.splitlines()[0] == "--where:1:1: this condition gives string; compare it with a value"
    told = ask("agents", "list", "--where", "tool.name == 'x'", code=2)["error"]
    assert told.startswith("--where:1:1: "), "only the root agent is known"


def test_one_agent_is_shown_with_what_is_not_permitted_and_since_when(team, run, ask, bundle):
    """The added tool is seen and not permitted, with the time."""
    answer = ask("agents", "show", "support")
    tools = {tool["name"]: tool for tool in answer["tools"]}
    assert (tools["crm_get"]["permitted"], tools["crm_get"]["not_permitted_since"]) == (True, None)
    assert (tools["crm_export"]["status"], tools["crm_export"]["permitted"]) == ("new", False)
    assert tools["crm_export"]["not_permitted_since"] == tools["crm_export"]["first_seen"]
    assert answer["policies"] == ["small-refunds", "crm-lock", "no-wires"]
    shown = run("agents", "show", "support").stdout
    assert "seen, not permitted since 20" in shown
    assert "gpt-5" in shown
    assert "1 langchain 1.2" in shown
    assert "policies of jackline.yaml that select it: small-refunds, crm-lock, no-wires" in shown
    assert ask("agents", "show", "billing", "--bundle", bundle)["policies"] == ["small-refunds", "no-wires"]
    bundle.unlink()
    assert "policies: no bundle here; name one with --bundle" in run("agents", "show", "billing").stdout
    assert ask("agents", "show", "support@2")["policies"] is None


def test_what_an_agent_did_and_cost_is_counted(story, ask, run):
    answer = ask("agents", "show", "support")
    assert answer["cost_micro_usd"] > 0
    assert {tool["name"]: (tool["calls"], tool["denials"]) for tool in answer["tools"]}["refund"] == (1, 1)


def test_a_tool_of_which_policies_let_nothing_through_is_not_called_permitted(guard, run, ask):
    """The registry knows it from the first; what is shown is what happened."""
    refund = guard.tool(lambda amount: amount, name="refund")
    with guard.session(agent="clerk"), pytest.raises(jackline.Denied):
        refund(900)
    guard.close()
    assert "registered, every call was denied" in run("agents", "show", "clerk").stdout
    assert [tool["denials"] for tool in ask("agents", "show", "clerk")["tools"]] == [1]


def test_a_changed_tool_is_said_with_what_is_permitted(team, run):
    team.registry.tool(Agent(name="support"), Tool(name="crm_get", fingerprint="c" * 16))
    shown = run("agents", "show", "support").stdout
    assert "changed, not permitted since 20" in shown
    assert "(permitted: aaaaaaaaaaaaaaaa)" in shown


def test_an_unknown_agent_and_an_unknown_tool_are_not_guessed(team, run):
    assert run("agents", "show", "suport", code=1).stderr == "unknown agent 'suport'; did you mean 'support'?\n"
    told = run("agents", "set", "support", "--permit", "crm_exprt", code=1).stderr
    assert "agent 'support' was never seen with a tool 'crm_exprt'; did you mean 'crm_export'?" in told
    assert "was seen with no tool" in run("agents", "set", "billing", "--forbid", "x", code=1).stderr


def test_a_change_is_on_record_and_in_force_in_a_running_process(team, run, ask, jackline_home):
    support = team.registry.facts(Agent(name="support", version="1", team="crm"))
    with team.session(agent=support):
        request = team.request("tool.call", "crm_export", {}, tool=Tool(name="crm_export", fingerprint="b" * 16))
        assert team.check(request).effect == "deny"
        answer = ask("agents", "set", "support", "--permit", "crm_export", "--why", "PR 12")
        again = team.request("tool.call", "crm_export", {}, tool=Tool(name="crm_export", fingerprint="b" * 16))
        team.check(again)
        third = team.request("tool.call", "crm_export", {}, tool=Tool(name="crm_export", fingerprint="b" * 16))
        assert team.check(third).effect == "allow"
    assert answer == {"agent": "support", "who": ME, "why": "PR 12", "changes": {"permit": {"crm_export": "*"}}}
    ((writer, event),) = amended(jackline_home)
    assert (writer, event.agent, event.who, event.why) == ("cli", "support", ME, "PR 12")
    assert all(report.ok for report in verify(jackline_home / "journals"))
    assert {tool["name"]: tool["permitted"] for tool in ask("agents", "show", "support")["tools"]}["crm_export"]


def test_everything_that_can_be_set(team, run, ask):
    changes = [
        "--status",
        "suspended",
        "--team",
        "finance",
        "--environment",
        "prod",
        "--label",
        "tier=2",
        "--label",
        "x=y",
    ]
    shown = run("agents", "set", "support", *changes, "--forbid", "crm_get").stdout
    assert shown == (
        "support: status suspended, team finance, environment prod, labels tier=2 x=y, forbid crm_get, by " + ME + "\n"
    )
    found = ask("agents", "show", "support")
    assert (found["status"], found["versions"][0]["team"], found["versions"][0]["environment"]) == (
        "suspended",
        "finance",
        "prod",
    )
    assert found["versions"][0]["labels"] == {"tier": "2", "x": "y"}
    forbidden = next(tool for tool in found["tools"] if tool["name"] == "crm_get")
    assert forbidden["not_permitted_since"] > forbidden["first_seen"]
    run("agents", "set", "support", "--label", "x-", "--permit", "crm_get=" + "a" * 16)
    found = ask("agents", "show", "support")
    assert found["versions"][0]["labels"] == {"tier": "2"}
    assert next(tool for tool in found["tools"] if tool["name"] == "crm_get")["permitted"]


def test_a_change_that_says_nothing_or_is_no_label(team, run):
    assert "say what to change" in run("agents", "set", "support", code=2).stderr
    assert "--label 'x' is neither KEY=VALUE nor KEY-" in run("agents", "set", "support", "--label", "x", code=2).stderr
    assert "'sleeping' is not one of" in run("agents", "set", "support", "--status", "sleeping", code=2).stderr


def test_a_registry_that_cannot_be_written_is_said(team, run, jackline_home, monkeypatch):
    from jackline.registry import Registry  # noqa: PLC0415

    def lose(registry, *_):
        registry.lost += 1

    monkeypatch.setattr(Registry, "_write", lose)
    told = run("agents", "set", "support", "--team", "x", code=1).stderr
    assert told.startswith(f"{jackline_home / 'registry.jsonl'} cannot be written; the change is on record")


def test_a_registry_that_was_deleted_is_made_again(team, ask, jackline_home):
    (jackline_home / "registry.jsonl").unlink()
    assert [agent["name"] for agent in ask("agents", "list")["agents"]] == ["billing", "support"]


def test_who_is_asked_of_the_system(monkeypatch):
    from jackline.cli import state  # noqa: PLC0415

    monkeypatch.setenv("LOGNAME", "mallory")
    assert state.person() == ME

    def unknown(_):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert state.person() == f"uid {os.getuid()}"


MANIFEST = """\
agents:
  - name: support
    status: active
    team: crm
    environment: production
    labels: {tier: "1"}
    models: [gpt-5]
    tools:
      - crm_get
      - {name: crm_put, fingerprint: dddddddddddddddd}
  - name: night
    status: suspended
"""


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "agents.yaml"
    path.write_text(MANIFEST, encoding="utf-8")
    return path


def test_a_manifest_is_applied_once(team, manifest, run, ask, jackline_home):
    answer = ask("agents", "apply", manifest)
    assert answer["applied"] is True
    assert answer["changes"]["support"]["permit"] == {"crm_put": "d" * 16}, "crm_get is permitted already"
    assert "forbid" not in answer["changes"]["support"], "crm_export has no permission to lose"
    assert answer["changes"]["night"] == {"status": "suspended"}
    assert {(found["agent"], found["kind"], found["name"]) for found in answer["drift"]} == {
        ("billing", "agent_undeclared", "billing"),
        ("night", "agent_never_seen", "night"),
        ("support", "tool_undeclared", "crm_export"),
        ("support", "tool_never_seen", "crm_put"),
    }
    count = len(amended(jackline_home))
    again = ask("agents", "apply", manifest)
    assert again["changes"] == {}
    assert len(amended(jackline_home)) == count == 2
    shown = run("agents", "apply", manifest).stdout
    assert "nothing to change" in shown
    assert "support: drift: the tool 'crm_export' was seen and is not declared" in shown
    found = ask("agents", "show", "support")
    assert (found["status"], found["declared"]["tools"]) == ("active", {"crm_get": None, "crm_put": "d" * 16})


def test_check_changes_nothing_and_fails_where_anything_differs(team, manifest, run, ask, jackline_home):
    shown = run("agents", "apply", manifest, "--check", code=1).stdout
    assert "support: to change: status active" in shown
    assert amended(jackline_home) == []
    sound = "agents:\n  - {name: support}\n  - {name: billing}\n"
    manifest.write_text(sound, encoding="utf-8")
    assert (
        run("agents", "apply", manifest, "--check").stdout
        == "nothing to change\nno drift: what was seen is what is declared\n"
    )


def test_a_permission_that_is_not_declared_is_taken_back(team, manifest, ask):
    ask("agents", "apply", manifest)
    manifest.write_text("agents:\n  - {name: support, tools: [crm_export], labels: {}}\n", encoding="utf-8")
    answer = ask("agents", "apply", manifest, "--why", "PR 13")
    assert answer["changes"]["support"]["permit"] == {"crm_export": "*"}
    assert answer["changes"]["support"]["forbid"] == ["crm_get", "crm_put"]
    assert answer["changes"]["support"]["labels"] == {"tier": None}
    assert {found["name"]: found["kind"] for found in answer["drift"] if found["agent"] == "support"} == {
        "crm_get": "tool_undeclared"
    }


@pytest.fixture
def foreign(team):
    """`robot` asks by a client of its own, `reporter` only tells."""
    for name, source in (("robot", "decision-api"), ("reporter", "otlp")):
        team.registry.agent(Agent(name=name, managed=False, labels={"source": source}))
    return team


def test_an_owner_vouches_for_an_agent_that_asks_by_its_own_client(foreign, run, ask):
    """Until then it may do nothing: a bundle may say otherwise of each kind."""
    robot = foreign.registry.facts(Agent(name="robot"))

    def effect():
        with foreign.session(agent=robot):
            foreign.check(foreign.request("tool.call", "look", {}))
            return foreign.check(foreign.request("tool.call", "look", {})).effect

    assert effect() == "deny"
    assert re.search(r"managed +no: nobody vouches that it always asks\n", run("agents", "show", "robot").stdout)
    told = run("agents", "set", "robot", "--managed", "--why", "its client was reviewed").stdout
    assert told == f"robot: managed yes, by {ME}\n"
    assert effect() == "allow"
    assert re.search(r"managed +yes\n", run("agents", "show", "robot").stdout)
    assert ask("agents", "list", "--where", "agent.managed && agent.name == 'robot'")["agents"]
    assert run("agents", "set", "robot", "--unmanaged").stdout == f"robot: managed no, by {ME}\n"
    assert effect() == "deny"


def test_nobody_vouches_for_an_agent_that_only_reports(foreign, run, manifest, jackline_home):
    assert re.search(r"managed +no: it only reports\n", run("agents", "show", "reporter").stdout)
    manifest.write_text(
        "agents:\n  - {name: robot, managed: true}\n  - {name: reporter, managed: true}\n", encoding="utf-8"
    )
    for words in (("set", "reporter", "--managed"), ("apply", manifest)):
        told = run("agents", *words, code=1).stderr
        assert told == (
            "agent 'reporter' only reports, over OTLP: nothing of Jackline's stands before its acts, so it is not "
            "managed; jackline.init() in its process, the gateway for its tools or the Decision API would stand before them\n"
        )
    assert amended(jackline_home) == []
    assert run("agents", "set", "reporter", "--unmanaged").stdout == f"reporter: managed no, by {ME}\n"


def test_a_manifest_vouches_too(foreign, ask, run, manifest):
    manifest.write_text("agents:\n  - {name: robot, managed: true}\n", encoding="utf-8")
    assert "robot: to change: managed yes\n" in run("agents", "apply", manifest, "--check", code=1).stdout
    assert ask("agents", "apply", manifest)["changes"] == {"robot": {"managed": True}}
    assert ask("agents", "apply", manifest)["changes"] == {}
    run("agents", "set", "robot", "--unmanaged")
    assert "robot: to change: managed yes\n" in run("agents", "apply", manifest, "--check", code=1).stdout
    manifest.write_text("agents:\n  - {name: robot}\n", encoding="utf-8")
    assert ask("agents", "apply", manifest)["changes"] == {}


def test_a_changed_tool_is_drift_and_never_permitted_by_applying_again(team, manifest, ask):
    manifest.write_text("agents:\n  - {name: support, tools: [crm_get, crm_export]}\n", encoding="utf-8")
    ask("agents", "apply", manifest)
    team.registry.refresh()
    team.registry.tool(Agent(name="support"), Tool(name="crm_export", fingerprint="e" * 16))
    answer = ask("agents", "apply", manifest)
    assert answer["changes"] == {}
    (found,) = [found for found in answer["drift"] if found["agent"] == "support"]
    assert found["kind"] == "tool_changed"
    assert found["message"] == f"the tool 'crm_export' has the fingerprint {'e' * 16}, {'b' * 16} is permitted"


def test_models_drift_too(team, manifest, ask):
    manifest.write_text("agents:\n  - {name: support, models: [opus]}\n", encoding="utf-8")
    drift = {found["name"]: found["kind"] for found in ask("agents", "apply", manifest)["drift"]}
    assert (drift["gpt-5"], drift["opus"]) == ("model_undeclared", "model_never_seen")


def test_a_manifest_can_come_before_the_first_agent(run, ask, manifest, jackline_home):
    ask("agents", "apply", manifest)
    with jackline.Guard(home=jackline_home, application="desk") as guard:
        assert guard.registry.agent(Agent(name="night")).status == "suspended"
        put = Tool(name="crm_put", fingerprint="d" * 16)
        assert guard.registry.tool(guard.registry.agent(Agent(name="support")), put).status == "known"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1:1: the file is empty; a manifest starts with `agents:`"),
        ("- a\n", ":1:1: a manifest is a map; the file starts with `agents:`"),
        ("agent: []\n", ":1:1: unknown key `agent`; did you mean 'agents'?"),
        ("agents:\n  - {name: a, statu: seen}\n", ":2:15: unknown key `statu`; did you mean 'status'?"),
        ("agents:\n  - {name: a, status: asleep}\n", ":2:23: `agents[0].status` is 'asleep'"),
        ("agents:\n  - {team: a}\n", ":2:5: `name` is missing; give the agent's name"),
        ("agents:\n  - {name: a}\n  - {name: a}\n", ":3:12: 'a' is declared twice; write one entry for each agent"),
        ("agents:\n  - {name: a, tools: [x, {name: x}]}\n", ":2:26: the tool 'x' is declared twice"),
        ("agents:\n  - {name: a, tools: [{name: x, fingerprint: XYZ}]}\n", ":2:46: "),
        ("agents:\n  - {name: a, labels: {tier: 1}}\n", ":2:30: "),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said_with_its_place(text, told, run, ask, manifest):
    manifest.write_text(text, encoding="utf-8")
    assert f"{manifest}{told}" in run("agents", "apply", manifest, code=1).stdout
    assert ask("agents", "apply", manifest, code=1)["ok"] is False


def test_a_tool_is_taken_from_an_agent_and_given_back(guard, run, ask):
    """Whatever the policies permit: the agent is told at its next call, and may go on with its other tools."""

    @guard.tool
    def crm_get(customer):
        return customer

    with guard.session(id="job-30"):
        assert crm_get(1) == 1
        name = next(agent["name"] for agent in ask("agents", "list")["agents"] if agent["tools"])
        told = run("agents", "set", name, "--suspend", "crm_get", "--why", "leaks").stdout
        assert told == f"{name}: tools crm_get=suspended, by {ME}\n"
        with pytest.raises(
            jackline.Denied, match=f"tool 'crm_get' of agent '{name}' is suspended; permit it with"
        ) as no:
            crm_get(2)
        assert (no.value.decision.policy, no.value.decision.rule) == ("registry", "tool suspended")
        (tool,) = ask("agents", "show", name)["tools"]
        assert (tool["status"], tool["permitted"]) == ("suspended", False)
        assert "suspended since" in run("agents", "show", name).stdout
        run("agents", "set", name, "--resume", "crm_get", "--why", "mended")
        assert crm_get(3) == 3
