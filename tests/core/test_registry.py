"""What agents run and what they have: the same in every process of the host."""

from __future__ import annotations

import os

import msgspec
import pytest

from jackline.events import AgentAmended, AgentSeen, ModelSeen, ToolSeen
from jackline.registry import Registry
from jackline.request import Agent, Tool

READ = Tool(name="crm.get", fingerprint="f1")
WRITE = Tool(name="crm.delete", fingerprint="f2")


class Journalled:
    """A registry with what it put on record."""

    def __init__(self, folder):
        self.events = []
        self.now = 0.0
        self.registry = Registry(folder / "registry.jsonl", self.events.append, self.clock).open()

    def clock(self):
        self.now += 1
        return self.now

    def kinds(self):
        return [type(event) for event in self.events]


@pytest.fixture
def first(tmp_path):
    return Journalled(tmp_path)


def another(tmp_path):
    return Journalled(tmp_path).registry


def test_an_agent_is_on_record_once_and_stays_the_same_object(first):
    agent = first.registry.agent(Agent(name="support", framework="python"))
    assert first.registry.agent(Agent(name="support", framework="python")) is agent
    assert first.registry.facts(agent) is agent
    assert first.kinds() == [AgentSeen]
    assert (agent.status, agent.framework) == ("seen", "python")


def test_each_version_is_on_record(first):
    first.registry.agent(Agent(name="support", version="1"))
    first.registry.agent(Agent(name="support", version="2"))
    assert [event.agent.version for event in first.events] == ["1", "2"]
    assert set(first.registry.entries["support"].versions) == {"1", "2"}


def test_what_the_code_says_of_an_agent_may_change_once_a_process(first, tmp_path):
    first.registry.agent(Agent(name="support"))
    later = Journalled(tmp_path)
    assert later.registry.agent(Agent(name="support", labels={"pii": "yes"})).labels == {"pii": "yes"}
    later.registry.agent(Agent(name="support"))
    assert later.kinds() == [AgentSeen]


def test_declared_tools_are_known_and_later_ones_are_new(first, tmp_path):
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    assert first.registry.tool(agent, READ).status == "known"
    later = another(tmp_path)
    agent = later.agent(Agent(name="support"), tools=[READ, WRITE])
    assert later.tool(agent, READ).status == "known"
    assert later.tool(agent, WRITE).status == "new"
    assert another(tmp_path).tool(agent, WRITE).status == "new"


def test_tools_called_before_any_were_declared_are_the_first_ones(first, tmp_path):
    agent = first.registry.agent(Agent(name="script"))
    assert first.registry.tool(agent, READ).status == "known"
    assert first.registry.tool(agent, WRITE).status == "known"
    later = another(tmp_path)
    later.agent(Agent(name="script"))
    assert later.tool(agent, READ).status == "known"
    assert later.tool(agent, Tool(name="crm.drop", fingerprint="f3")).status == "new"


def test_after_the_first_declaration_a_further_tool_is_new_in_the_same_process(first):
    agent = first.registry.agent(Agent(name="support"))
    first.registry.declare(agent, [READ])
    assert first.registry.tool(agent, WRITE).status == "new"
    first.registry.declare(Agent(name="nobody"), [READ])
    assert "nobody" not in first.registry.entries


def test_a_tool_with_another_schema_is_changed_until_permitted(first, tmp_path):
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    changed = Tool(name="crm.get", fingerprint="f9")
    assert first.registry.tool(agent, changed).status == "changed"
    event = first.events[-1]
    assert (type(event), event.previous) == (ToolSeen, "f1")
    another(tmp_path).amend("support", "ann", {"permit": {"crm.get": "f9"}})
    first.registry.refresh()
    assert first.registry.tool(agent, changed).status == "known"
    assert first.registry.tool(agent, READ).status == "changed"


def test_a_tool_permitted_before_it_is_seen_is_bound_to_its_first_schema(first):
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    first.registry.amend("support", "ann", {"permit": {"crm.delete": "*"}})
    assert first.registry.tool(agent, WRITE).status == "known"
    assert first.registry.tool(agent, Tool(name="crm.delete", fingerprint="f8")).status == "changed"


def test_a_permit_can_be_taken_back(first):
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    first.registry.amend("support", "ann", {"forbid": ["crm.get", "unknown"]})
    assert first.registry.tool(agent, READ).status == "new"


def test_people_amend_status_team_and_labels(first, tmp_path):
    agent = first.registry.agent(Agent(name="support", labels={"tier": "1"}))
    another(tmp_path).amend("support", "ann", {"status": "suspended", "team": "crm", "labels": {"pii": "yes"}})
    assert first.registry.facts(agent) is agent
    assert first.registry.refresh()
    found = first.registry.facts(agent)
    assert (found.status, found.team, found.labels) == ("suspended", "crm", {"tier": "1", "pii": "yes"})
    another(tmp_path).amend("support", "ann", {"labels": {"tier": None}})
    first.registry.refresh()
    assert first.registry.facts(agent).labels == {"pii": "yes"}
    assert not first.registry.refresh()


def test_an_agent_that_did_not_change_stays_the_same_object(first, tmp_path):
    agent = first.registry.agent(Agent(name="support"))
    another(tmp_path).agent(Agent(name="billing"))
    first.registry.refresh()
    assert first.registry.facts(agent) is agent


def test_an_agent_can_be_amended_before_it_is_seen(first):
    first.registry.amend("billing", "ann", {"status": "active"}, why="manifest")
    assert first.registry.agent(Agent(name="billing", framework="x")).status == "active"
    assert first.registry.facts(Agent(name="billing", framework="x")).framework == "x"


def test_models_are_on_record_once(first):
    agent = first.registry.agent(Agent(name="support"), models=["gpt-5"])
    first.registry.model(agent, "gpt-5")
    first.registry.model(agent, "claude")
    first.registry.model(agent, "claude")
    first.registry.model(Agent(name="nobody"), "claude")
    first.registry.agent(agent, models=["opus"])
    assert [event.model for event in first.events if isinstance(event, ModelSeen)] == ["claude", "opus"]
    assert first.registry.entries["support"].models == {"gpt-5", "claude", "opus"}


def test_a_tool_of_an_agent_that_was_never_registered_registers_it(first):
    assert first.registry.tool(Agent(name="late"), READ).status == "known"
    assert first.kinds() == [AgentSeen, ToolSeen]


def test_the_projection_is_made_again_from_the_journals(first, tmp_path):
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    first.registry.tool(agent, WRITE)
    first.registry.path.unlink()
    again = Registry(first.registry.path, lambda _event: None, lambda: 0.0).open(lambda: iter(first.events))
    assert again.tool(agent, READ).status == "known"
    assert again.tool(agent, WRITE).status == "new"


def test_a_projection_made_anew_by_another_process_is_read_again(first, tmp_path):
    agent = first.registry.agent(Agent(name="support", labels={"a": "b"}), tools=[READ, WRITE])
    event = AgentSeen(at=1.0, agent=Agent(name="support"))
    first.registry.path.write_bytes(msgspec.json.encode(event) + b"\n")
    assert first.registry.refresh()
    assert first.registry.facts(agent).labels == {}


def test_torn_and_strange_lines_are_passed_over_and_counted(first):
    agent = first.registry.agent(Agent(name="support"))
    with first.registry.path.open("ab") as file:
        file.write(
            b'{"kind":"agent_amended","at":1,"agent":"support","who":"x","changes":{"team":"crm"}}\nnot json\n{"to'
        )
    first.registry.refresh()
    assert first.registry.facts(agent).team == "crm"
    assert first.registry.lost == 1


def test_a_projection_that_cannot_be_written_is_counted_and_holds_in_this_process(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    events = []
    registry = Registry(blocked / "registry.jsonl", events.append, lambda: 1.0)
    with pytest.raises(NotADirectoryError):
        registry.open()
    agent = Agent(name="support")
    registry.path = tmp_path / "x" / "registry.jsonl"
    registry.path.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        registry.refresh()
    assert agent.key == "support"


def test_a_full_disk_loses_a_line_not_the_agent(first, monkeypatch):
    monkeypatch.setattr(os, "write", lambda _fd, data: 3)
    agent = first.registry.agent(Agent(name="support"), tools=[READ])
    assert first.registry.tool(agent, READ).status == "known"
    assert first.registry.lost >= 1

    def full(_fd, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert first.registry.tool(agent, WRITE).status == "new"
    assert first.registry.agent(Agent(name="other")).name == "other"


def test_an_agent_with_very_many_tools_stops_being_written(first, monkeypatch):
    monkeypatch.setattr("jackline.registry._TOOLS", 2)
    agent = first.registry.agent(Agent(name="support"), tools=[READ, WRITE])
    before = len(first.events)
    assert first.registry.tool(agent, Tool(name="third")).status == "new"
    assert len(first.events) == before


def test_an_agent_with_very_many_models_stops_being_written(first, monkeypatch):
    monkeypatch.setattr("jackline.registry._MODELS", 2)
    agent = first.registry.agent(Agent(name="support"), models=["a", "b"])
    before = len(first.events)
    for name in ("c", "a", "d"):
        first.registry.model(agent, name)
    assert first.registry.entries["support"].models == {"a", "b"}
    assert len(first.events) == before


def test_after_a_fork_the_lock_is_nobodys(first):
    first.registry._lock.acquire()
    first.registry.after_fork()
    assert first.registry._lock.acquire(blocking=False)


def test_amendments_are_on_record(first):
    first.registry.agent(Agent(name="support"))
    first.registry.amend("support", "ann", {"team": "crm"}, why="new owner")
    assert AgentAmended not in first.kinds(), "amend writes the projection; whoever amends journals its answer"
