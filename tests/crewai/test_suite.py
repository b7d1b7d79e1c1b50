"""The conformance suite on CrewAI: ways to come under a guard x shapes x ways to be called."""

from __future__ import annotations

from typing import Any

import crew_ways as ways
from crew_provider import Custom, Provider, async_tools, class_tools, tools
from crew_ways import akickoff, ask, ask_akickoff, ask_async, astream, attach, enable, kickoff, kickoff_async, process

from jackline.testing import AdapterSuite
from jackline.testing.paths import Group, Path
from jackline_crewai import CrewAIAdapter

LOOP = ("tools", "parallel", "sends", "model", "output")
REACT = ("tools", "sends", "model", "output")
BELOW = ("tools", "parallel", "sends", "model", "spawn")
STREAMS = {ways.stream, astream}
GROUPS: dict[Any, Group] = {
    kickoff: "sync",
    ask: "sync",
    kickoff_async: "async",
    akickoff: "async",
    ask_async: "async",
    ask_akickoff: "async",
    ways.kickoff_for_each: "parallel",
}
SHAPES = {
    ways.crew: "Crew",
    ways.async_crew: "Crew with asynchronous tools",
    ways.class_crew: "Crew with tools of own classes",
    ways.custom_crew: "Crew on an own LLM",
    ways.react_crew: "Crew (ReAct)",
    ways.alone: "Agent",
    ways.react_alone: "Agent (ReAct)",
    ways.lite: "LiteAgent",
    ways.flow_with_crew: "Flow with a crew",
    ways.flow_with_agent: "Flow with an agent",
    ways.delegation: "delegation",
    ways.react_delegation: "delegation (ReAct)",
    ways.hierarchy: "hierarchical crew",
    ways.crew_in_tool: "crew in a tool",
}
WAYS = {enable: "enable", process: "init", attach: "attach"}
MODES = {ask: "kickoff", ask_async: "kickoff_async", ask_akickoff: "akickoff"}


def conversation(way: Any, shape: Any, mode: Any, *carries: Any, **more: Any) -> Path:
    streamed = ("stream",) if mode in STREAMS else ()
    return Path(
        name=f"{WAYS[way]}, {SHAPES[shape]}, {MODES.get(mode, mode.__name__)}",
        group=more.pop("group", GROUPS.get(mode, "stream")),
        carries=frozenset({*(carries or LOOP), *streamed}),
        drive=ways.conversation(shape, way, mode),
        agent="worker",
        times=2 if mode is ways.kickoff_for_each else 1,
        **more,
    )


def react(way: Any, shape: Any, mode: Any) -> Path:
    """Its calls are made one after another."""
    return conversation(way, shape, mode, *REACT)


def below(way: Any, shape: Any, mode: Any, *carries: Any) -> Path:
    """An agent that another one started."""
    return conversation(way, shape, mode, *(carries or BELOW), group="sub-agent", above=("boss",))


def direct(way: Any, tools_of: Any, mode: Any, kind: str = "tool") -> Path:
    return Path(
        name=f"{WAYS[way]}, {kind}, {mode.__name__}",
        group="direct call",
        carries=frozenset({"tools"}),
        drive=ways.plain_tools(tools_of, way, mode),
    )


def model(way: Any, mode: Any, group: Group, kind: type[Provider] = Provider) -> Path:
    return Path(
        name=f"{WAYS[way]}, {'LLM' if kind is Provider else 'own LLM'}, {mode.__name__}",
        group=group,
        carries=frozenset({"sends", "model", *(("stream",) if group == "stream" else ())}),
        drive=ways.one_answer(kind, way, mode),
        action="model.call",
    )


def handed_in(way: Any) -> Path:
    return Path(
        name=f"{WAYS[way]}, LLM with available_functions, call",
        group="direct call",
        carries=frozenset({"tools", "sends", "model"}),
        drive=ways.handed_in(way),
    )


class TestCrewAI(AdapterSuite):
    adapter = CrewAIAdapter()

    @classmethod
    def paths(cls) -> list[Path]:
        return [
            *(conversation(enable, ways.crew, mode) for mode in (kickoff, kickoff_async, akickoff, ways.stream)),
            *(conversation(process, ways.crew, mode) for mode in (kickoff, akickoff, astream, ways.kickoff_for_each)),
            *(conversation(attach, ways.crew, mode) for mode in (kickoff, kickoff_async, akickoff)),
            conversation(enable, ways.async_crew, akickoff),
            conversation(enable, ways.class_crew, kickoff),
            conversation(process, ways.custom_crew, kickoff),
            *(react(enable, ways.react_crew, mode) for mode in (kickoff, akickoff)),
            react(attach, ways.react_crew, kickoff_async),
            *(conversation(enable, ways.alone, mode) for mode in (ask, ask_async, ask_akickoff)),
            conversation(attach, ways.alone, ask),
            react(process, ways.react_alone, ask),
            *(react(enable, ways.lite, mode) for mode in (ask, ask_async)),
            conversation(enable, ways.flow_with_crew, kickoff),
            conversation(process, ways.flow_with_agent, kickoff_async),
            *(below(enable, ways.delegation, mode) for mode in (kickoff, akickoff)),
            below(attach, ways.delegation, kickoff),
            below(process, ways.react_delegation, kickoff, "tools", "sends", "model", "spawn"),
            below(process, ways.hierarchy, kickoff),
            below(enable, ways.crew_in_tool, kickoff),
            direct(enable, tools, ways.run),
            direct(enable, async_tools, ways.arun),
            direct(process, tools, ways.invoke),
            direct(process, tools, ways.ainvoke),
            direct(attach, class_tools, ways.run, "tool of an own class"),
            direct(enable, tools, ways.in_flow),
            handed_in(enable),
            model(enable, ways.call, "sync"),
            model(process, ways.acall, "async"),
            model(attach, ways.call, "sync"),
            model(enable, ways.call, "sync", Custom),
            model(enable, ways.stream_events, "stream"),
        ]
