"""A month of a fleet as journals: forty agents, long and short sessions, refusals, failures, and what runs now."""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from jackline.decision import Hold, Reservation, Verdict
from jackline.events import (
    ApprovalConsumed,
    ApprovalRequested,
    BundleActivated,
    Completed,
    Cost,
    Decided,
    EventsLost,
    Failed,
    RunEnded,
    RunStarted,
    SessionEnded,
    SessionHalted,
    SessionStarted,
    Usage,
)
from jackline.home import Home
from jackline.journal import Journal
from jackline.registry import Registry
from jackline.request import Agent, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.events import Event

DAY = 86400.0
DAYS = 30
AT_ONCE = 24
"""Sessions that a process has under way."""
PROCESSES = 4
"""A day, one after the other."""
RUNNING = 500
"""Sessions that are under way when the month ends."""
LARGE = "f" * 32
"""A session of 10,000 steps."""
MODELS = ("gpt-5", "gpt-5-mini", "claude-opus-5", "claude-sonnet-5", "gemini-3-pro", "mistral-large", "qwen3", "local")
TOOLS = tuple(f"{area}.{verb}" for area in ("crm", "mail", "db", "web", "files", "pay") for verb in
              ("get", "search", "list", "create", "update", "delete"))  # fmt: skip
RULES = tuple((f"policy-{number}", f"rule-{place}") for number in range(12) for place in range(3))
AGENTS = tuple(f"{role}-{team}@{version}" for role in ("support", "research", "billing", "coder", "ops")
               for team in ("eu", "us", "asia", "lab") for version in (1, 2))  # fmt: skip
REVISION = "f" * 64
CEILING = 2_000_000
Steps = Generator["Event", float, None]
"""Yields events, is sent the time of the next."""


def registered(home: Home, clock: float) -> None:
    """Put the agents, with their tools and models, into the registry and on record."""
    home.make()
    with Journal.open(home.journals, clock=lambda: clock) as journal:
        registry = Registry(home.registry, journal.append, lambda: clock).open()
        for number, key in enumerate(AGENTS):
            name, _, version = key.partition("@")
            agent = Agent(name=name, version=version, framework="langchain", team=name.rpartition("-")[2])
            tools = [Tool(name=tool, fingerprint=f"{index:016x}") for index, tool in enumerate(_tools(number))]
            registry.agent(agent, tools=tools, models=_models(number), revision=REVISION)
        for number in range(20):
            journal.append(BundleActivated(at=clock, revision=f"{number:064x}", source="jackline.yaml"))
            journal.append(EventsLost(at=clock, count=3, reason="the buffer is full"))


def month(home: Home, events: int, end: float, seed: int = 7) -> Iterator[int]:
    """Journal so many events up to `end` (Unix seconds); after each journal gives how many there are by now."""
    dice = random.Random(seed)
    step, at, written = DAYS * DAY / events, end - DAYS * DAY, 0
    going: list[Steps] = []
    for process in range(DAYS * PROCESSES):
        with Journal.open(home.journals, clock=partial(float, at)) as journal:
            quota = events * (process + 1) // (DAYS * PROCESSES)
            while written < quota:
                at += step
                while len(going) < AT_ONCE:
                    going.append(session(f"{dice.getrandbits(128):032x}", dice))
                    next(going[-1])
                place = dice.randrange(AT_ONCE)
                try:
                    journal.append(going[place].send(at))
                except StopIteration:
                    at -= step
                    del going[place]
                    continue
                written += 1
        yield written


def present(home: Home, seed: int = 8) -> Journal:
    """Sessions that run now, in a journal that stays open, and one of 10,000 steps. The caller closes it."""
    dice = random.Random(seed)
    journal = Journal.open(home.journals)
    for _ in range(RUNNING):
        steps = session(f"{dice.getrandbits(128):032x}", dice, acts=dice.randrange(2, 40), stays=True)
        _write(journal, steps, time.time() - dice.randrange(1, 250))
    _write(journal, session(LARGE, dice, acts=10_000), time.time() - 3000)
    return journal


def _write(journal: Journal, steps: Steps, at: float) -> None:
    next(steps)
    for number in range(10**9):
        try:
            journal.append(steps.send(at + number * 0.01))
        except StopIteration:
            return


def session(name: str, dice: random.Random, acts: int = 0, *, stays: bool = False) -> Steps:
    """One session: most have a dozen acts, some hundreds; `stays`: it does not end, and its last act is under way."""
    root = dice.randrange(len(AGENTS))
    agent, run, user = AGENTS[root], name[:31] + "f", f"user-{dice.randrange(2000)}"
    acts = acts or min(1500, int(dice.lognormvariate(2.6, 0.9)) + 1)
    spent = 0
    at = yield SessionStarted(at=0.0, session=name)  # not written: the first time is sent for what follows
    at = yield SessionStarted(at=at, session=name, external_id=f"job-{name[:8]}", user=user, application="fleet")
    at = yield RunStarted(at=at, session=name, run=run, span=run[16:], agent=agent)
    for number in range(acts):
        made = _Act(name, run, f"{number:04x}{name[:12]}", agent, root, spent, dice)
        at = yield made.decided(at)
        if stays and number == acts - 1:
            return
        for event in made.asked(at):
            at = yield event
        if made.effect == "allow":
            at = yield made.outcome(at)
        if made.effect == "allow" and number % 3 == 0:
            at = yield made.returned(at)
        spent += made.cost
        if spent > CEILING:
            yield SessionHalted(at=at, session=name, reason="the ceiling is reached", policy="session-ceiling")
            return
    at = yield RunEnded(at=at, session=name, run=run, span=run[16:], agent=agent)
    yield SessionEnded(at=at, session=name)


class _Act:
    """A model call or a tool call, from its decision to its outcome."""

    def __init__(self, name: str, run: str, span: str, agent: str, root: int, spent: int, dice: random.Random) -> None:
        is_model = dice.random() < 0.45
        self.ids: dict[str, Any] = {"session": name, "run": run, "span": span}
        self.what: dict[str, Any] = (
            {"action": "model.call", "resource": dice.choice(_models(root))}
            if is_model
            else {"action": "tool.call", "resource": dice.choice(_tools(root))}
        )
        chance = dice.random()
        self.effect = "allow" if is_model or chance > 0.05 else "escalate" if chance < 0.005 else "deny"
        self.rule = RULES[int(dice.random() ** 2 * len(RULES))]
        self.tokens = (int(dice.lognormvariate(7, 0.8)), int(dice.lognormvariate(5, 0.8))) if is_model else (0, 0)
        self.cost = self.tokens[0] * 2 + self.tokens[1] * 8
        self.ms = dice.lognormvariate(7, 0.7) if is_model else dice.lognormvariate(4, 1.1)
        self.fails = dice.random() < 0.03
        self._agent, self._spent, self._digest = agent, spent, f"{dice.getrandbits(128):032x}"

    def decided(self, at: float) -> Decided:
        policy, rule = self.rule
        scope = f"session-ceiling/session/{self.ids['session']}/usd"
        hold = Hold(scope=scope, unit="usd", held=5000, spent=self._spent, outstanding=0, cap=CEILING)
        verdict = Verdict(effect=self.effect, policy=policy, rule=rule, reason="as the rule says")
        return Decided(
            at=at, agent=self._agent, effect=self.effect, parent=self.ids["run"][16:], args=self._digest, size=220,
            verdicts=(verdict,), evaluated=("policy-0", "policy-1", "session-ceiling"), policy=policy, rule=rule,
            revision=REVISION, reason="" if self.effect == "allow" else "as the rule says", **self.ids, **self.what,
            reservation=Reservation(id="e" * 16, holds=(hold,)) if self.what["action"] == "model.call" else None,
        )  # fmt: skip

    def asked(self, at: float) -> Iterator[Event]:
        """A question to people, for what is escalated, and its use."""
        if self.effect != "escalate":
            return
        ids, approval = self.ids, self._digest * 2
        act = {**ids, **self.what, "agent": self._agent}
        yield ApprovalRequested(at=at, approval=approval, policy=self.rule[0], expires=at + 1800, args="", **act)
        yield ApprovalConsumed(at=at, approval=approval, session=ids["session"], span=ids["span"], by=("ana",))

    def outcome(self, at: float) -> Completed | Failed:
        if self.fails:
            return Failed(at=at, duration_ms=self.ms, error="TimeoutError", **self.ids, **self.what)
        sent, received = self.tokens
        usage = Usage(input=sent, output=received, cache_read=sent // 3) if sent else None
        cost = Cost(micro_usd=self.cost, matched=self.what["resource"]) if sent else None
        return Completed(
            at=at, duration_ms=self.ms, result=self._digest, size=150, usage=usage, cost=cost, **self.ids, **self.what
        )

    def returned(self, at: float) -> Decided:
        """The decision on what came back."""
        action = self.what["action"].replace("call", "return")
        what = {"action": action, "resource": self.what["resource"]}
        return Decided(at=at, agent=self._agent, effect="allow", parent=self.ids["run"][16:], **self.ids, **what)


def _models(number: int) -> tuple[str, ...]:
    return MODELS[number % 5 : number % 5 + 3]


def _tools(number: int) -> tuple[str, ...]:
    return tuple(TOOLS[(number * 5 + place * 7) % len(TOOLS)] for place in range(9))


def written(folder: Path, events: int) -> tuple[Home, Journal]:
    """A home with all of it; the journal is the one that stays open."""
    home = Home(folder).make()
    now = time.time()
    registered(home, now - (DAYS + 1) * DAY)
    for _ in month(home, events, now - 400):
        pass
    return home, present(home)
