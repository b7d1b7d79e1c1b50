"""What the tests of this folder share: policies as functions, guards of them, and every way to call an agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import langchain
import msgspec
from langchain.agents import create_agent

from jackline.bundle import Bundle, Entry
from jackline.decision import Verdict
from jackline.guard import Guard
from jackline.journal import read
from jackline.policy import Reach
from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware, LangChainAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jackline.request import Request


OLD = tuple(map(int, langchain.__version__.split(".")[:2])) < (1, 4)
"""Before July 2026: retries swallow GraphBubbleUp, and callbacks are not told which runs are agents."""


class Policy:
    """A policy that a function answers for; it keeps what it was asked."""

    observes = False

    def __init__(
        self, answer: Callable[[Request], Verdict | None], *actions: str, phase: Any = "judge", tools: Any = None
    ) -> None:
        self.answer = answer
        self.phase = phase
        self.reach = Reach(actions=frozenset(actions) if actions else None, tools=tools)  # type: ignore[arg-type]
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


def swapped(value: Any, old: str, new: str) -> Any:
    """Plain data with one text replaced everywhere."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: swapped(item, old, new) for key, item in value.items()}
    return [swapped(item, old, new) for item in value] if isinstance(value, list) else value


def redact(*actions: str, old: str = "secret", new: str = "[gone]") -> Policy:
    """Replace a text in what is sent or given back."""

    def answer(request: Request) -> Verdict | None:
        args = swapped(request.args, old, new)
        return Verdict(effect="modify", args=args, reason="redacted") if args != request.args else None

    return Policy(answer, *actions, phase="modify")


class Guards:
    """Makes guards for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Guard] = []

    @property
    def any(self) -> bool:
        return bool(self._made)

    def __call__(self, *policies: Policy, mode: Any = "enforce", policy_mode: Any = "enforce", **options: Any) -> Guard:
        entries = tuple(
            Entry(f"p{place}", "test", policy, None, mode=policy_mode)  # type: ignore[arg-type]
            for place, policy in enumerate(policies)
        )
        bundle = Bundle(revision="0" * 64, source="test", entries=entries, mode=mode)
        home = self._folder / f"home{len(self._made)}"
        guard = Guard(bundle, home=home, **{"application": "tests", **options})
        self._made.append(guard)
        return guard

    def close(self) -> None:
        for guard in self._made:
            guard.close()


def events(guard: Guard, *kinds: str) -> list[Any]:
    """What the guard has on record, in order."""
    found = [line.event for path in sorted(guard.home.journals.glob("*.jsonl")) for line in read(path)]
    return [event for event in found if event is not None and (not kinds or event.__struct_config__.tag in kinds)]


def acts(guard: Guard) -> list[tuple[str, str, str]]:
    """Decisions on record: (action, resource, effect)."""
    return [(event.action, event.resource, event.effect) for event in events(guard, "decided")]


def assert_accounted(guard: Guard) -> None:
    """Every permitted act has one outcome after its decision, every refused one has none."""
    open_acts: dict[str, Any] = {}
    closed: set[str] = set()
    for event in events(guard, "decided", "completed", "failed"):
        kind = event.__struct_config__.tag
        if kind == "decided":
            if event.action in ("model.return", "tool.return", "output"):
                continue
            assert event.span not in open_acts, event
            if event.effect in ("allow", "modify"):
                open_acts[event.span] = event
        else:
            assert event.span in open_acts, f"an outcome without a decision: {event}"
            assert event.span not in closed, f"two outcomes: {event}"
            closed.add(event.span)
    assert closed == set(open_acts), [event for span, event in open_acts.items() if span not in closed]


class Governed:
    """One way in which an agent comes under a guard."""

    def __init__(self, way: str, guards: Guards) -> None:
        self.way = way
        self.guards = guards

    def agent(self, guard: Guard, model: Any, tools: Any, **options: Any) -> Any:
        """An agent under the guard."""
        if self.way == "process":  # built before
            agent = create_agent(model, tools, **options)
            guard.enable(LangChainAdapter())
            return agent
        if self.way == "middleware":
            return create_agent(
                model, tools, middleware=[JacklineMiddleware(guard), *options.pop("middleware", ())], **options
            )
        agent = create_agent(model, tools, **options)
        if self.way == "attach":
            return guard.attach(agent)
        return WithCallbacks(agent, JacklineCallbackHandler(guard))


class WithCallbacks:
    """An agent whose every call is given a handler, as users write it: `config={"callbacks": [handler]}`."""

    def __init__(self, agent: Any, handler: Any) -> None:
        self.agent = agent
        self.handler = handler

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.agent, name)

        def call(task: Any, config: Any = None, **options: Any) -> Any:
            callbacks = [*(config or {}).get("callbacks", ()), self.handler]
            return method(task, {**(config or {}), "callbacks": callbacks}, **options)

        return call


async def _gather(items: Any) -> list[Any]:
    return [item async for item in items]


TASK = {"messages": [("user", "please")]}


def invoke(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return agent.invoke(task, config)["messages"]


def ainvoke(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return asyncio.run(agent.ainvoke(task, config))["messages"]


def stream(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return list(agent.stream(task, config, stream_mode="values"))[-1]["messages"]


def astream(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return asyncio.run(_gather(agent.astream(task, config, stream_mode="values")))[-1]["messages"]


def stream_tokens(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    items = list(agent.stream(task, config, stream_mode=["messages", "values"]))
    return [item for mode, item in items if mode == "values"][-1]["messages"]


def astream_tokens(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    items = asyncio.run(_gather(agent.astream(task, config, stream_mode=["messages", "values"])))
    return [item for mode, item in items if mode == "values"][-1]["messages"]


def astream_events(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    found = asyncio.run(_gather(agent.astream_events(task, config, version="v2")))
    return found[-1]["data"]["output"]["messages"]


def batch(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return agent.batch([task, task], config)[-1]["messages"]


def abatch(agent: Any, config: Any = None, task: Any = TASK) -> list[Any]:
    return asyncio.run(agent.abatch([task, task], config))[-1]["messages"]


CALLS = {
    call.__name__: call
    for call in (invoke, ainvoke, stream, astream, stream_tokens, astream_tokens, astream_events, batch, abatch)
}
TWICE = {"batch", "abatch"}
"""Ways to call that run the agent twice."""
