"""Off means off: what Jackline puts on in CrewAI is taken off without a trace (P50, P67)."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import Bodies, OwnRun, calling, crew, fake, run
from crew_harness import acts, attributes, deny, left_on, on_record
from crewai.hooks import get_after_tool_call_hooks, get_before_llm_call_hooks, get_before_tool_call_hooks
from crewai.tools import BaseTool

import jackline
import jackline_crewai
from jackline import Denied
from jackline_crewai import CrewAIAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from crew_harness import Guards


def hooks() -> list[Any]:
    return [*get_before_tool_call_hooks(), *get_after_tool_call_hooks(), *get_before_llm_call_hooks()]


def differences(before: dict[str, int], after: dict[str, int]) -> dict[str, Any]:
    """What is other than before in the classes that were there and still are: one of an earlier test may be freed."""
    classes = {key.rpartition(".")[0] for key in before} & {key.rpartition(".")[0] for key in after}
    keys = {key for key in (*before, *after) if key.rpartition(".")[0] in classes}
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def test_p50_disable_puts_back_every_attribute_of_every_class(guards: Guards) -> None:
    run(crew(fake(calling(("look", {"what": "x"}))), Bodies().look()))  # what is made lazily is made
    before, hooks_before = attributes(), hooks()
    guard = guards()
    jackline_crewai.enable(guard)
    assert differences(before, attributes()) != {}
    run(crew(fake(calling(("look", {"what": "x"}))), Bodies().look()))
    jackline_crewai.disable(guard)
    assert differences(before, attributes()) == {}
    assert hooks() == hooks_before
    assert left_on() == []


def test_p50_nothing_is_judged_after_disable(guards: Guards) -> None:
    bodies = Bodies()
    guard = guards(deny("look"))
    jackline_crewai.enable(guard)
    jackline_crewai.disable(guard)
    llm = fake(calling(("look", {"what": "x"})))
    run(crew(llm, bodies.look()))
    assert bodies.look().run(what="y") == "y it is"
    assert bodies.ran["look"] == 2
    assert acts(guard) == []


def test_a_class_that_was_defined_in_between_is_put_back(guards: Guards) -> None:
    guard = guards(deny("between"))
    jackline_crewai.enable(guard)

    class Between(BaseTool):
        name: str = "between"
        description: str = "Defined while a guard was on."

        def _run(self, to: str) -> str:
            return to

        def run(self, *args: Any, **kwargs: Any) -> Any:
            return "own"

    with pytest.raises(Denied):
        Between().run(to="x")
    jackline_crewai.disable(guard)
    assert Between().run(to="x") == "own"
    assert left_on() == []


def test_closing_the_guard_is_disabling(guards: Guards) -> None:
    guard = guards(deny("look"))
    jackline_crewai.enable(guard)
    guard.close()
    assert Bodies().look().run(what="y") == "y it is"
    assert left_on() == []


def test_closing_a_guard_that_was_enabled_and_attached_leaves_nothing_on(guards: Guards) -> None:
    guard = guards(deny("look"))
    jackline_crewai.enable(guard)
    tool = guard.attach(Bodies().look())
    with pytest.raises(Denied):
        tool.run(what="y")
    guard.close()
    assert tool.run(what="y") == "y it is"
    assert left_on() == []


def test_disable_of_a_guard_that_was_not_enabled_changes_nothing(guards: Guards) -> None:
    first, second = guards(deny("look")), guards()
    jackline_crewai.enable(first)
    jackline_crewai.disable(second)
    with pytest.raises(Denied):
        Bodies().look().run(what="y")
    jackline_crewai.disable(first)
    jackline_crewai.disable(first)
    assert left_on() == []


def test_two_guards_judge_both_and_one_no_is_enough(guards: Guards) -> None:
    bodies = Bodies()
    first, second = guards(), guards(deny("look"))
    jackline_crewai.enable(first)
    jackline_crewai.enable(second)
    with pytest.raises(Denied):
        bodies.look().run(what="y")
    assert bodies.ran == {}
    jackline_crewai.disable(second)
    assert bodies.look().run(what="y") == "y it is"
    assert [effect for *_, effect in acts(second)] == ["deny"]
    assert [effect for *_, effect in acts(first)][-1] == "allow"


def test_what_is_attached_is_governed_and_nothing_else(guards: Guards) -> None:
    bodies = Bodies()
    guard = guards(deny("look"))
    governed, free = fake(calling(("look", {"what": "x"}))), fake(calling(("look", {"what": "y"})))
    made, other = crew(governed, bodies.look()), crew(free, bodies.look())
    assert guard.attach(made) is not None
    attached = guard.attach(made)
    run(attached)
    assert bodies.ran == {}
    run(other)
    assert bodies.got == [("look", {"what": "y"})]
    assert "Not permitted" not in "".join(free.seen)


@pytest.mark.parametrize("kind", ["crew", "agent", "tool", "model"])
def test_attach_answers_with_the_same_type(guards: Guards, kind: str) -> None:
    bodies = Bodies()
    made = crew(fake(), bodies.look())
    native = {"crew": made, "agent": made.agents[0], "tool": OwnRun(bodies=bodies), "model": fake()}[kind]
    assert type(guards().attach(native)) is type(native)


def test_the_adapter_is_found_by_type(guards: Guards) -> None:
    with pytest.raises(jackline.errors.JacklineError, match="No adapter accepts"):
        guards().attach(object())
    assert CrewAIAdapter().accepts(fake())


def test_init_governs_crews_and_close_ends_it(tmp_path: Path) -> None:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(
        "jackline: 1\npolicies:\n"
        "  - {name: no-look, use: rule, on: tool.call, when: \"tool.name == 'look'\", effect: deny}\n"
    )
    bodies = Bodies()
    guard = jackline.init(bundle, home=tmp_path / "home", application="tests")
    try:
        llm = fake(calling(("look", {"what": "x"})))
        run(crew(llm, bodies.look()))
        assert bodies.ran == {}
        assert "Not permitted by policy 'no-look'" in llm.seen[-1]
        assert on_record(guard, "decided")
    finally:
        jackline.close()
    assert bodies.look().run(what="y") == "y it is"
    assert left_on() == []


def test_importing_the_adapter_imports_no_crewai(tmp_path: Path) -> None:
    script = """
        import sys
        import jackline, jackline_crewai
        from jackline.plugins import installed_plugins
        assert "crewai" in installed_plugins().registrations.names("adapter")
        assert "crewai" not in sys.modules, "imported"
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()


def test_crews_agents_roles_models_and_tools_are_registered(guards: Guards) -> None:
    guard = guards()
    jackline_crewai.enable(guard)
    bodies = Bodies()
    run(crew(fake(), bodies.look(), bodies.mail()))
    (seen,) = [event for event in on_record(guard, "agent_seen") if event.agent.name == "worker"][:1]
    assert seen.agent.framework == "crewai"
    assert seen.agent.framework_version
    entry = guard.registry.entry("worker") if hasattr(guard.registry, "entry") else None
    assert entry is None or {"look", "send_mail"} <= set(entry.tools)
