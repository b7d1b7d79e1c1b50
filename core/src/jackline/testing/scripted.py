"""Policies that say what a test wants said, and guards of them: what conformance suites put in force."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from jackline.bundle import Bundle, Entry, load_bundle
from jackline.decision import Claim, Effect, Mode, Verdict
from jackline.guard import Guard
from jackline.home import Home
from jackline.journal import read
from jackline.policy import Phase, Reach, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jackline.events import Event
    from jackline.request import Action, Request
    from jackline.testing.people import Ana

Answer = Callable[["Request"], Verdict | None]


class Scripted:
    """A policy that a function answers for."""

    observes: ClassVar[bool] = False

    def __init__(self, answer: Answer, *actions: Action, phase: Phase = "judge") -> None:
        self._answer = answer
        self.phase = phase
        self.reach = Reach(actions=frozenset(actions) or None)

    def evaluate(self, request: Request, state: State) -> Verdict | None:  # noqa: ARG002 - as policies are asked
        """What the function says."""
        return self._answer(request)

    def observe(self, event: Event, state: State) -> None:
        """Nothing is remembered."""


def refusing(
    action: Action,
    reason: str,
    *,
    agent: str,
    effect: Effect = "deny",
    tool: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Scripted:
    """Refuse the agent's acts of one kind (or those of one tool); an empty agent is everybody.

    `detail` says with `escalate` how people are asked.
    """

    def answer(request: Request) -> Verdict | None:
        if (agent and request.agent.name != agent) or (tool and request.resource != tool):
            return None
        return Verdict(effect=effect, reason=reason, detail=dict(detail or {}))

    return Scripted(answer, action)


def replacing(action: Action, old: str, new: str, *, agent: str = "") -> Scripted:
    """Replace a text wherever it stands in what is judged of the agent; an empty agent is everybody."""

    def answer(request: Request) -> Verdict | None:
        if agent and request.agent.name != agent:
            return None
        args = replaced(request.args, old, new)
        return Verdict(effect="modify", reason=f"{old} is not for others", args=args) if args != request.args else None

    return Scripted(answer, action, phase="modify")


def replaced(value: Any, old: str, new: str) -> Any:
    """Plain data with a text replaced in all of its strings."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: replaced(item, old, new) for key, item in value.items()}
    return [replaced(item, old, new) for item in value] if isinstance(value, list) else value


def failing(action: Action, *, agent: str) -> Scripted:
    """Raise instead of answering, about the agent's acts of one kind; an empty agent is everybody."""

    def answer(request: Request) -> Verdict | None:
        if agent and request.agent.name != agent:
            return None
        raise ZeroDivisionError(f"no answer about {request.resource}")

    return Scripted(answer, action)


def at_most(count: int, action: Action, tool: str) -> Scripted:
    """Let a session do so many acts of one kind on one tool, reserved one at a time."""

    def answer(request: Request) -> Verdict | None:
        if request.resource != tool:
            return None
        claim = Claim(
            scope=f"suite/session/{request.subject.session}/calls",
            unit="calls",
            cap=count,
            fixed=1,
            label=f"{count} calls per session",
        )
        return Verdict(effect="allow", claims=(claim,))

    return Scripted(answer, action, phase="meter")


class Guards:
    """Makes guards on homes of their own, and reads back what they have on record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[Guard] = []

    def __call__(self, *policies: Scripted, mode: Mode = "enforce", people: Ana | None = None) -> Guard:
        """A guard with these policies, named `p0`, `p1`, ..., in force; `people` answer what they escalate."""
        entries = tuple(Entry(f"p{place}", "suite", policy, None) for place, policy in enumerate(policies))
        approvers = people.approvers if people is not None else None
        bundle = Bundle(revision="0" * 64, source="suite", entries=entries, mode=mode, approvers=approvers)
        clock = people.clock if people is not None else time.time
        return self._kept(Guard(bundle, home=self._folder / f"home{len(self.made)}", application="suite", clock=clock))

    def load(self, text: str, policies: Mapping[str, Scripted], prices: str) -> Guard:
        """A guard of a bundle in YAML with further policies in front, by name; `prices` is the home's `prices.yaml`."""
        home = Home(self._folder / f"home{len(self.made)}").make()
        (home.path / "prices.yaml").write_text(prices, encoding="utf-8")
        loaded = load_bundle(text.encode())
        entries = tuple(Entry(name, "suite", policy, None) for name, policy in policies.items())
        bundle = Bundle(
            revision=loaded.revision, source="suite", entries=(*entries, *loaded.entries), capture=loaded.capture
        )
        return self._kept(Guard(bundle, home=home.path, application="suite"))

    def _kept(self, guard: Guard) -> Guard:
        guard.prices.warm(wait=30)  # on an event loop a price is unknown until the table is there
        self.made.append(guard)
        return guard

    def close(self) -> None:
        """Close every guard."""
        for guard in self.made:
            guard.close()


def on_record(guard: Guard, *kinds: str) -> list[Any]:
    """The events of these kinds (all where none is named) in the guard's journals, in order."""
    lines = [line for path in sorted(guard.home.journals.glob("*.jsonl")) for line in read(path)]
    return [line.event for line in lines if line.event is not None and (not kinds or line.kind in kinds)]
