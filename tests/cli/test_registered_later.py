"""Agents that come after the bundle was loaded: its queries select them, in whatever process people say what they are."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

POLICIES = """\
jackline: 1
policies:
  - name: no-exports
    use: rule
    on: tool.call
    agents: "'customer-data' in agent.labels && agent.status == 'active'"
    when: tool.name == 'export'
    effect: deny
"""
PROGRAM = """
    import json, sys
    import jackline
    from jackline.request import Agent, Tool

    with jackline.Guard.load(sys.argv[1], application="desk") as guard:
        print(json.dumps("loaded"), flush=True)
        for line in sys.stdin:
            agent, tool = Agent(**json.loads(line)), Tool(name="export")
            with guard.session(), guard.run(agent):
                decision = guard.check(guard.request("tool.call", "export", {}, tool=tool))
            print(json.dumps([decision.effect, decision.policy]), flush=True)
"""
DENIED, ALLOWED = ["deny", "no-exports"], ["allow", ""]


@pytest.fixture
def act(jackline_home, tmp_path):
    """A process that has loaded the bundle; call it to have an agent export, and to hear what was decided."""
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(POLICIES, encoding="utf-8")
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(bundle)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline()) == "loaded"

        def as_(**agent):
            process.stdin.write(json.dumps(agent) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield as_
        process.stdin.close()


def test_an_agent_that_registers_later_is_selected(act, run):
    assert act(name="early") == ALLOWED
    assert act(name="late", labels={"customer-data": "eu"}) == ALLOWED, "nobody registered it: its status is seen"
    run("agents", "set", "late", "--status", "active", "--why", "reviewed")
    assert act(name="late", labels={"customer-data": "eu"}) == DENIED
    assert act(name="early") == ALLOWED
    assert act(name="latest", labels={"customer-data": "us"}) == ALLOWED
    run("agents", "set", "latest", "--status", "active", "--why", "reviewed")
    assert act(name="latest", labels={"customer-data": "us"}) == DENIED


def test_what_a_person_says_of_an_agent_selects_it_in_a_process_that_runs(act, run, ask):
    where = "'customer-data' in agent.labels && agent.status == 'active'"
    assert act(name="desk") == ALLOWED
    assert ask("agents", "list", "--where", where)["agents"] == []
    run("agents", "set", "desk", "--label", "customer-data=eu", "--status", "active", "--why", "it reads the CRM now")
    assert act(name="desk") == DENIED
    assert [agent["name"] for agent in ask("agents", "list", "--where", where)["agents"]] == ["desk"]
    run("agents", "set", "desk", "--label", "customer-data-", "--why", "no longer")
    assert act(name="desk") == ALLOWED
    assert ask("agents", "list", "--where", where)["agents"] == []
