"""What the tests of this folder share: guards of policies as functions, what is on record, and whether off means off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from crewai import Agent, BaseLLM, Crew, Knowledge, Memory, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.agents.agent_executor import AgentExecutor
from crewai.agents.cache.cache_handler import CacheHandler
from crewai.events.event_bus import CrewAIEventsBus
from crewai.flow.flow import Flow
from crewai.lite_agent import LiteAgent
from crewai.tools import BaseTool
from crewai.tools.structured_tool import CrewStructuredTool

from jackline.bundle import Bundle, Entry
from jackline.decision import Verdict
from jackline.guard import Guard
from jackline.policy import Reach
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import on_record, replaced
from jackline.wrapping import family

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jackline.request import Request

__all__ = ["Guards", "Policy", "acts", "assert_accounted", "deny", "left_on", "on_record", "redact", "refuse"]

KINDS: tuple[Any, ...] = (
    BaseTool,
    CrewStructuredTool,
    BaseLLM,
    BaseAgent,
    Agent,
    LiteAgent,
    AgentExecutor,
    Crew,
    Task,
    Flow,
    CacheHandler,
    CrewAIEventsBus,
    Knowledge,
    Memory,
)


class Policy:
    """A policy that a function answers for; it keeps what it was asked."""

    observes = False

    def __init__(self, answer: Callable[[Request], Verdict | None], *actions: str, phase: Any = "judge") -> None:
        self.answer = answer
        self.phase = phase
        self.reach = Reach(actions=frozenset(actions) if actions else None)  # type: ignore[arg-type]
        self.asked: list[Request] = []

    def evaluate(self, request: Request, state: Any) -> Verdict | None:
        self.asked.append(msgspec.structs.replace(request))
        return self.answer(request)

    def observe(self, event: Any, state: Any) -> None:
        """Nothing to remember."""


def deny(*tools: str, effect: Any = "deny", reason: str = "not that one") -> Policy:
    """Refuse calls of these tools."""
    return Policy(
        lambda request: Verdict(effect=effect, reason=reason) if request.resource in tools else None, "tool.call"
    )


def refuse(action: str, effect: Any = "deny", reason: str = "no") -> Policy:
    """Refuse every act of one kind."""
    return Policy(lambda request: Verdict(effect=effect, reason=reason), action)


def redact(*actions: str, old: str = "abc", new: str = "[gone]") -> Policy:
    """Replace a text in what is sent or given back."""

    def answer(request: Request) -> Verdict | None:
        args = replaced(request.args, old, new)
        return Verdict(effect="modify", args=args, reason="redacted") if args != request.args else None

    return Policy(answer, *actions, phase="modify")


class Guards:
    """Makes guards for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Guard] = []

    def __call__(self, *policies: Policy, mode: Any = "enforce", **options: Any) -> Guard:
        entries = tuple(Entry(f"p{place}", "test", policy, None) for place, policy in enumerate(policies))  # type: ignore[arg-type]
        bundle = Bundle(revision="0" * 64, source="test", entries=entries, mode=mode)
        guard = Guard(bundle, home=self._folder / f"home{len(self._made)}", **{"application": "tests", **options})
        self._made.append(guard)
        return guard

    def close(self) -> None:
        for guard in self._made:
            guard.close()


def acts(guard: Guard) -> list[tuple[str, str, str]]:
    """Decisions on record: (action, resource, effect)."""
    return [(event.action, event.resource, event.effect) for event in on_record(guard, "decided")]


def attributes() -> dict[str, int]:
    """Every attribute of every class that an adapter could wrap, by its place."""
    found = {}
    for base in KINDS:
        for kind in family(base):
            for name, value in list(vars(kind).items()):
                if not name.startswith("_abc_") and name != "__pydantic_decorators__":
                    found[f"{kind.__module__}.{kind.__qualname__}@{id(kind):x}.{name}"] = id(value)
    return found


def left_on() -> list[str]:
    """What of Jackline is still in CrewAI's classes."""
    found = []
    for base in KINDS:
        for kind in family(base):
            if kind.__module__.startswith("jackline"):
                continue
            for name, value in list(vars(kind).items()):
                body = getattr(value, "__func__", value)
                if getattr(getattr(body, "__code__", None), "co_filename", "").find("jackline") >= 0:
                    found.append(f"{kind.__qualname__}.{name}")
    return found
