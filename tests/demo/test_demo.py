"""The three stories with agents of plain Python: what holds is counted, and does not hold where nothing is enforced."""

from __future__ import annotations

import json

import pytest

from jackline import demo
from jackline.demo import stories
from jackline.demo.agents import MODEL, PROVIDER, Ran, tokens
from jackline.demo.company import CUSTOMERS, Company
from jackline.errors import Denied, Halted, JacklineError
from jackline.events import Usage
from jackline.request import Model

BUNDLES = {"cost-spiral", "silent-violation", "audit-gap"}


class PlainAdapter:
    """Governs the plain agents below while it is enabled."""

    name = "plain"
    guard = None

    def enable(self, guard):
        type(self).guard = guard

    def disable(self, guard):
        type(self).guard = None


class PlainAgents:
    """A loop around a scripted model, in plain Python."""

    def adapter(self):
        return PlainAdapter()

    def run(self, job):
        guard, usage = PlainAdapter.guard, []
        tools = {body.__name__: guard.tool(body) if guard else body for body in job.tools}
        if guard is None:
            return self.loop(job, tools, usage, None)
        with guard.session(id=job.session, agent=job.agent):
            guard.registry.declare(guard.scope().agent, tuple(body.jackline_tool for body in tools.values()))
            try:
                return self.loop(job, tools, usage, guard)
            except Halted as halted:
                return Ran("", usage, str(halted))

    def loop(self, job, tools, usage, guard):
        messages = [job.system, job.task]
        for number in range(1000):
            turn = self.ask(job, messages, number, usage, guard)
            if not turn.calls:
                return Ran(turn.text, usage)
            for name, args in turn.calls:
                try:
                    messages.append(tools[name](**args))
                except Denied as denied:
                    messages.append(str(denied))
        raise AssertionError

    def ask(self, job, messages, number, usage, guard):
        turn = job.script(number)
        size = sum(len(message.encode()) for message in messages)
        used = Usage(input=tokens(size), output=tokens(len(turn.text) + 60))
        if guard is not None:
            model = Model(name=MODEL, provider=PROVIDER, input_bytes=size, can_limit=True)
            request = guard.request("model.call", MODEL, {"messages": messages}, model=model)
            decision = guard.require(request)
            guard.complete(request, decision, turn.text, usage=used)
        usage.append((used.input, used.output))
        return turn


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setattr(demo, "agents_of", lambda framework: PlainAgents())


def tell(name, sessions=3):
    return stories.STORIES[name](PlainAgents(), sessions, lambda *_: None)


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
    monkeypatch.setattr(PlainAgents, "ask", lambda self, job, messages, number, usage, guard: job.script(number))
    monkeypatch.setattr("jackline.guard.Guard.complete", lambda *_args, **_options: None)
    told = tell("audit-gap")
    assert not told.holds
    assert told.why.startswith("0 of ")


def test_run_prints_json_with_one_object_a_scenario(plain, capsys):
    assert demo.run(None, True, 2) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [story["scenario"] for story in printed] == ["cost-spiral", "silent-violation", "audit-gap"]
    assert all(story["holds"] is True and story["why"] for story in printed)


def test_run_shows_progress_and_a_table(plain, capsys):
    assert demo.run("audit-gap", False, 2) == 0
    shown = capsys.readouterr()
    assert "with Jackline" in shown.out
    assert "holds: 14 of 14 tool runs and model calls have an earlier decision" in shown.out
    assert "audit-gap, governed" in shown.err


def test_run_fails_where_a_story_does_not_hold(plain, monkeypatch, tmp_path, capsys):
    (tmp_path / "silent-violation.yaml").write_text("jackline: 1\npolicies: []\n")
    monkeypatch.setattr(stories, "files", lambda _package: tmp_path)
    assert demo.run("silent-violation", False, 2) == 1
    assert "does not hold" in capsys.readouterr().out


def test_an_unknown_framework_is_named_with_what_brings_it():
    with pytest.raises(
        JacklineError, match=r"no adapter 'crewai' is installed; installed: .*; try: pip install jackline-crewai"
    ):
        demo.agents_of("crewai")


def test_an_adapter_without_agents_says_so():
    with pytest.raises(JacklineError, match="the adapter 'python' brings no agents for the demo"):
        demo.agents_of("python")


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
