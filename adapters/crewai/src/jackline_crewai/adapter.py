"""The adapter as Jackline's core knows it: attach one agent, or govern the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from crewai import Crew, Flow
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.lite_agent import LiteAgent
from crewai.llms.base_llm import BaseLLM
from crewai.tools.base_tool import BaseTool
from crewai.tools.structured_tool import CrewStructuredTool

from jackline_crewai.following import FOLLOWING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.guard import Guard

T = TypeVar("T")

GAPS: Mapping[str, str] = {
    "Qdrant": "embedding functions of CrewAI's Qdrant client are not asked about; what is looked for by them is",
    "bodies": "`tool._run` and `tool.func`, called as such, are plain Python; decorate the function with guard.tool",
    "references": "the `run` of an own class that was taken from a tool before Jackline was on is not seen",
    "tool events": "CrewAI's events of tools show the arguments as the model gave them, before they are judged",
    "model hooks": "CrewAI's hooks and LiteLLM's callbacks in a direct `llm.call` see the answer before it is judged",
    "own words": "what a guardrail, callback or flow's method says instead of the agent's answer is not judged",
    "tasks": "what another agent's task asks for is judged as agent.spawn and refused; it is changed in kickoffs only",
    "parallel calls": "calls that a model asks for at once and that have begun go on to their end after a halt",
    "failure policy": "an agent whose tool_failure_policy is RAISE ends with ToolExecutionFailedError at a denial",
    "coroutines": "what an own synchronous `run` or `func` hands out to be awaited is judged as it is, not as it ends",
    "other frameworks": "agents of CrewAI's OpenAI adapter are refused; those of its LangGraph adapter want ours too",
    "A2A": "a remote agent is governed where it runs",
}

_KINDS = (Crew, Flow, BaseAgent, LiteAgent, BaseTool, CrewStructuredTool, BaseLLM)


class CrewAIAdapter:
    """Governs CrewAI."""

    name = "crewai"

    def accepts(self, agent: object) -> bool:
        """Crews, flows, agents, tools and models."""
        return isinstance(agent, _KINDS)

    def attach(self, guard: Guard, agent: T) -> T:
        """Govern this very object, and what happens inside of its calls, until the guard is closed.

        CrewAI's objects are known by their identity (a crew copies neither its agents nor its models), so the
        answer is the object itself. The classes' entrances are wrapped; calls of what is not attached pass through.
        """
        FOLLOWING.attach(guard, agent)
        return agent

    def enable(self, guard: Guard) -> None:
        """Govern every call of this process, of objects built earlier too."""
        FOLLOWING.widen(guard)

    def disable(self, guard: Guard) -> None:
        """Undo `enable`."""
        FOLLOWING.narrow(guard)

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path."""
        return GAPS


def enable(guard: Guard) -> None:
    """Govern every crew, agent and flow of this process with `guard`, until it is closed or `disable` is called."""
    guard.enable(CrewAIAdapter())


def disable(guard: Guard | None = None) -> None:
    """Undo `enable` for a guard, or for every guard; without any left, CrewAI is as it was."""
    for each in [guard] if guard is not None else FOLLOWING.guards():
        FOLLOWING.narrow(each)
