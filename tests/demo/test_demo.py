"""The three stories with agents of plain Python: what holds is counted, and does not hold where nothing is enforced."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest

from jackline import demo, plugins
from jackline.cli import demo as command
from jackline.demo import python_agents, stories
from jackline.demo.agents import Job, Turn
from jackline.demo.company import CUSTOMERS, Company
from jackline.errors import JacklineError
from jackline.events import Decided
from jackline.guard import Guard
from jackline.journal import read
from jackline.testing.scripted import Guards, replacing

BUNDLES = {"cost-spiral", "silent-violation", "audit-gap"}


def tell(name, sessions=3):
    return stories.STORIES[name](demo.agents_of("python"), sessions, lambda *_: None)


def registered(monkeypatch, **adapters):
    """Let these adapters be installed, and no others."""
    registrations = SimpleNamespace(
        names=lambda _kind: list(adapters), target=lambda _kind, name: SimpleNamespace(target=adapters[name])
    )
    monkeypatch.setattr(plugins, "installed_plugins", lambda: SimpleNamespace(registrations=registrations))


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_each_story_holds(name):
    told = tell(name)
    assert told.holds, told.why
    for side in (told.ungoverned, told.governed):
        assert {"cost_usd", "tool_runs", "decisions", "denied", "halted"} <= side.keys()
    assert told.ungoverned["decisions"] == 0
    assert told.governed["decisions"] > 0


def test_the_spiral_would_have_cost_what_is_told_and_ends_below_the_ceiling():
    told = tell("cost-spiral")
    assert told.ungoverned["cost_usd"] > 4.5
    assert told.governed["cost_usd"] < 0.5
    assert told.governed["halted"] == 1
    assert "0 acts started after the halt" in told.why


def test_the_added_tool_deletes_without_and_does_not_run_with():
    told = tell("silent-violation")
    assert told.ungoverned["rows_lost"] > 0
    assert told.governed["rows_lost"] == 0
    assert told.governed["added_tool_runs"] == 0
    assert told.why.endswith("the tool is listed as new and not permitted")


@pytest.mark.parametrize("name", sorted(BUNDLES - {"audit-gap"}))
def test_a_story_does_not_hold_where_nothing_is_enforced(name, monkeypatch, tmp_path):
    (tmp_path / f"{name}.yaml").write_text("jackline: 1\npolicies: []\n")
    monkeypatch.setattr(stories, "files", lambda _package: tmp_path)
    assert not tell(name).holds


def test_the_audit_does_not_hold_where_an_act_is_not_on_record(monkeypatch):
    monkeypatch.setattr(python_agents, "_ask", lambda guard, model, messages, tools: model(messages)[0])
    monkeypatch.setattr("jackline.guard.Guard.complete", lambda *_args, **_options: None)
    told = tell("audit-gap")
    assert not told.holds
    assert told.why.startswith("0 of ")


@pytest.fixture
def gateway(monkeypatch):
    """Whether the gateway is installed, and the story that it brings."""

    def set_to(told):
        monkeypatch.setattr(demo, "find_spec", lambda _name: None if told is None else object())
        module = SimpleNamespace(foreign_agent=lambda _advance: told)
        monkeypatch.setattr(demo, "import_module", lambda name: {"jackline_mcp.demo": module}.get(name, python_agents))

    return set_to


def foreign(**fields):
    return stories.Told(scenario="foreign-agent", ungoverned={}, governed={"denied": 2}, why="it is so", **fields)


def test_the_foreign_agent_is_told_too_where_the_gateway_is_installed(gateway, capsys):
    gateway(foreign(holds=False, claims={"nothing ran": False}))
    assert demo.run(None, True, 2, "python") == 1
    printed = json.loads(capsys.readouterr().out)
    assert [story["scenario"] for story in printed] == [*stories.STORIES, "foreign-agent"]
    assert printed[-1]["claims"] == {"nothing ran": False}
    assert "claims" not in printed[0]


def test_the_foreign_agent_needs_no_framework_and_shows_claims_and_record(gateway, capsys):
    gateway(foreign(holds=True, claims={"it holds [x]": True, "so not": False}, record="session [red]1"))
    assert demo.run("foreign-agent", False, 2, "no such framework") == 0
    out = capsys.readouterr().out
    assert "✓ it holds [x]\n✗ so not\n" in out
    assert "session [red]1\n" in out
    assert "holds: it is so" in out


def test_a_terminal_without_such_characters_is_shown_what_it_can(gateway, monkeypatch):
    gateway(foreign(holds=True, claims={"it holds": True}, record="└── a call"))
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    monkeypatch.setattr("sys.stdout", out)
    demo.run("foreign-agent", False)
    out.seek(0)
    shown = out.read()
    assert "yes: it holds\n" in shown
    assert "??? a call\n" in shown


def test_the_foreign_agent_without_the_gateway_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'jackline_mcp'", name="jackline_mcp")

    monkeypatch.setattr(demo, "import_module", missing)
    with pytest.raises(JacklineError) as raised:
        command.demo(scenario=command.Scenario.foreign_agent)
    assert str(raised.value) == (
        "the demo needs jackline_mcp; try: pip install jackline-mcp jackline-tool-access jackline-budget, "
        "or from a clone: pip install ./adapters/mcp ./policy_packs/tool_access ./policy_packs/budget"
    )


def test_run_prints_json_with_one_object_a_scenario(gateway, capsys):
    gateway(None)
    assert demo.run(None, True, 2, "python") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [story["scenario"] for story in printed] == ["cost-spiral", "silent-violation", "audit-gap"]
    assert all(story["holds"] is True and story["why"] for story in printed)


def test_what_a_framework_prints_is_not_in_the_answer(monkeypatch, capsys):
    told = python_agents.Agents.run

    def chatty(self, job):
        print("Agent Started")  # noqa: T201 - as CrewAI does
        return told(self, job)

    monkeypatch.setattr(python_agents.Agents, "run", chatty)
    assert demo.run("audit-gap", True, 2, "python") == 0
    assert [story["scenario"] for story in json.loads(capsys.readouterr().out)] == ["audit-gap"]


def test_run_shows_progress_and_a_table(capsys):
    assert demo.run("audit-gap", False, 2, "python") == 0
    shown = capsys.readouterr()
    assert "with Jackline" in shown.out
    assert "holds: 14 of 14 tool runs and model calls have an earlier decision" in shown.out
    assert "audit-gap, governed" in shown.err


def test_run_fails_where_a_story_does_not_hold(monkeypatch, tmp_path, capsys):
    (tmp_path / "silent-violation.yaml").write_text("jackline: 1\npolicies: []\n")
    monkeypatch.setattr(stories, "files", lambda _package: tmp_path)
    assert demo.run("silent-violation", False, 2, "python") == 1
    assert "does not hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("framework", "install"),
    [
        ("langchain", "jackline-langchain langchain"),
        ("crewai", "jackline-crewai crewai"),
        ("llamaindex", "jackline-llamaindex llama-index-core"),
    ],
)
def test_a_framework_without_its_adapter_is_named_with_what_brings_it(framework, install, monkeypatch):
    registered(monkeypatch, python="jackline.python:PythonAdapter")
    with pytest.raises(JacklineError) as raised:
        demo.agents_of(framework)
    assert str(raised.value) == f"no adapter '{framework}' is installed; installed: python; try: pip install {install}"


def test_an_unknown_framework_is_told_what_there_is_and_no_package_is_guessed(monkeypatch):
    registered(monkeypatch, python="jackline.python:PythonAdapter")
    with pytest.raises(JacklineError) as raised:
        demo.agents_of("lang-chain")
    assert str(raised.value) == (
        "no adapter 'lang-chain' is installed; installed: python; the demo knows: python, langchain, crewai, llamaindex"
    )


def test_a_framework_that_is_missing_under_its_adapter_is_named_by_the_command(monkeypatch):
    registered(monkeypatch, crewai="jackline_crewai:CrewAIAdapter")

    def missing(name):
        raise ModuleNotFoundError("No module named 'crewai'", name="crewai")

    monkeypatch.setattr(demo, "import_module", missing)
    with pytest.raises(JacklineError, match=r"^the demo needs crewai; try: pip install jackline-crewai crewai$"):
        command.demo(framework="crewai")


def test_an_adapter_without_agents_says_so(monkeypatch):
    registered(monkeypatch, json="json:Adapter")
    with pytest.raises(JacklineError, match="the adapter 'json' brings no agents for the demo"):
        demo.agents_of("json")


def test_an_adapter_of_a_third_party_brings_its_own_agents(monkeypatch):
    registered(monkeypatch, theirs="theirs:Adapter")
    found = SimpleNamespace(Agents=lambda: "their agents")
    monkeypatch.setattr(demo, "import_module", {"theirs.demo": found}.__getitem__)
    assert demo.agents_of("theirs") == "their agents"


def one_job(tool, said="all is done"):
    turns = (Turn(calls=((tool.__name__, {}),)), Turn(said))
    return Job("job-1", "clerk", "Be brief.", "Do it.", [tool], lambda number: turns[min(number, 1)])


def governed(tmp_path, text, tool, said="all is done"):
    """What the agent of plain Python does under a bundle, and what is on record of it."""
    agents = demo.agents_of("python")
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(text)
    with Guard.load(bundle, home=tmp_path / "home", application="demo") as guard:
        guard.enable(agents.adapter())
        ran = agents.run(one_job(tool, said))
    lines = [line.event for path in (tmp_path / "home" / "journals").glob("*.jsonl") for line in read(path)]
    return ran, [(event.action, event.effect) for event in lines if isinstance(event, Decided)]


def look() -> str:
    """Look."""
    return "seen"


def test_the_plain_agents_model_is_limited_to_what_is_left(tmp_path):
    budget = "{name: b, use: budget, with: {limit: 2000 tokens, per: session}}"
    said = "word " * 4000
    ran, decided = governed(tmp_path, f"jackline: 1\npolicies:\n  - {budget}\n", look, said)
    assert decided == [("model.call", "allow"), ("tool.call", "allow"), ("model.call", "allow")]
    assert 0 < len(ran.answer) < 8000
    assert sum(map(sum, ran.usage)) <= 2000


def test_the_plain_agents_answer_is_judged_before_it_is_used(tmp_path):
    rule = (
        "{name: r, use: rule, on: model.return, when: args.result.content.contains('done'), effect: halt, reason: no}"
    )
    ran, decided = governed(tmp_path, f"jackline: 1\npolicies:\n  - {rule}\n", look)
    assert (ran.answer, ran.ended) == ("", "Session ended by policy 'r': no")
    assert decided[-1] == ("model.return", "halt")


def test_the_plain_agents_answer_is_changed_where_a_policy_says_so(tmp_path):
    agents, guards = demo.agents_of("python"), Guards(tmp_path)
    guard = guards(replacing("model.return", "done", "hidden"), replacing("model.call", "Do it", "Do not"))
    guard.enable(agents.adapter())
    assert agents.run(one_job(look)).answer == "all is hidden"
    guards.close()


def test_a_model_that_fails_is_on_record(tmp_path, monkeypatch):
    agents = demo.agents_of("python")
    with Guard(home=tmp_path, application="demo") as guard:
        guard.enable(agents.adapter())
        monkeypatch.setattr(python_agents.ScriptedModel, "__call__", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            agents.run(one_job(look))
    failed = [
        line.event for path in (tmp_path / "journals").glob("*.jsonl") for line in read(path) if line.kind == "failed"
    ]
    assert [(event.action, event.error) for event in failed] == [("model.call", "ZeroDivisionError")]


def test_off_means_off(tmp_path):
    agents = demo.agents_of("python")
    with Guard(home=tmp_path, application="demo") as guard:
        guard.enable(agents.adapter())
    assert agents.run(one_job(look)).answer == "all is done"


def test_an_agent_that_never_answers_stops_by_itself(monkeypatch):
    monkeypatch.setattr(python_agents, "_TURNS", 3)
    ran = demo.agents_of("python").run(one_job(look)._replace(script=lambda _: Turn(calls=(("look", {}),))))
    assert (ran.answer, len(ran.usage)) == ("", 3)


def test_the_tools_work_on_a_real_database(tmp_path):
    company = Company(tmp_path / "c.db")
    search, get = company.tools()
    assert search("Ada").startswith("8: Ada Byron")
    assert search("nobody at all") == "nobody"
    assert "c7@example.com" in get(7)
    assert get(100_000) == "no such customer"
    assert company.helpful_tool()(1).endswith("duplicates merged")
    assert company.rows() < CUSTOMERS
    assert len(company.report_tool(500)("Q3")) == 500
    assert company.ran == {"crm_search": 2, "crm_get_customer": 2, "crm_get_merged_customer": 1, "crm_report": 1}
    company.close()
