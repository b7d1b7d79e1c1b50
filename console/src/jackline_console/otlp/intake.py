"""Reported steps on their way to the record: what waits, and under which agents that nothing of ours stands before."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from jackline.journal import Journal
from jackline.opening import history, load_prices
from jackline.plain import Digester, canonical, plain
from jackline.registry import Registry
from jackline.request import Agent
from jackline_console.otlp.held import Held
from jackline_console.otlp.memory import WRITER, Memory
from jackline_console.otlp.taking import Taking
from jackline_console.reported import LABELS, is_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.events import Cost, Event
    from jackline.home import Home
    from jackline.prices import Prices
    from jackline.stores import Store
    from jackline_console.otlp.steps import Step

_AGENTS = 2000
"""Agents that one process registers; what further ones do is put down to `OTHERS`: names must not fill the registry."""
OTHERS = "other reported agents"
_SWEEP_S = 1.0


class Intake:
    """One for a console. Thread-safe: one request is taken in at a time."""

    def __init__(self, home: Home, store: Store, told: Callable[[], object], clock: Callable[[], float]) -> None:
        """`told` is called after something was written. Nothing is opened before the first span comes."""
        self._home, self._store, self._told, self._clock = home, store, told, clock
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._memory = Memory()
        self._held_in = home.path / "otlp" / "held"
        self.held = Held(self._held_in)
        self._swept = 0.0
        self._agents = set[tuple[str, str]]()
        self.counts: Counter[str] = Counter()
        """By what came: see `models.otlp.Reports`."""

    def close(self) -> None:
        """Close the journal."""
        with self._lock:
            self.held.close()
            if self._journal is not None:
                self._journal.close()

    def take(self, steps: Sequence[Step]) -> None:
        """Put steps on record. Raises JournalError where it cannot be: then the whole request is to be sent again."""
        if not steps:
            return
        with self._lock:
            self._ready()
            new = [self._digested(step) for step in steps if (step.trace, step.span) not in self.held.waiting]
            self.counts["repeated"] += len(steps) - len(new)
            pool = [*new, *self.held.of({step.trace for step in steps})]
            waiting = self._memory.waiting(pool)
            written = self._take([step for step in pool if (step.trace, step.span) not in waiting])
            self.held.keep([step for step in new if (step.trace, step.span) in waiting], self._clock())
        if written:
            self._told()

    def sweep(self) -> None:
        """Put on record what has waited for long enough; it looks once a second. Raises JournalError."""
        now = self._clock()
        if 0.0 <= now - self._swept < _SWEEP_S:
            return
        self._swept = now
        with self._lock:
            if self._journal is None and not any(self._held_in.glob("*.jsonl")):
                return
            self._ready()
            written = self._take(self.held.due(now))
        if written:
            self._told()

    def _take(self, steps: Sequence[Step]) -> int:
        written = Taking(self, steps).run() if steps else 0
        self.held.let_go([(step.trace, step.span) for step in steps])
        self._memory.trim()
        return written

    def _digested(self, step: Step) -> Step:
        """A step without what was said: of arguments and results only keyed digests are kept, wherever."""
        step.args, step.result = self._digest(step.args), self._digest(step.result)
        return step

    def _digest(self, given: object) -> str:
        return "" if given is None else self.digester.digest(canonical(plain(given)))

    def _ready(self) -> None:
        if self._journal is not None:
            return
        self._memory.recall(self._home.journals, self._clock())
        self.prices: Prices = load_prices(self._home)
        self.digester = Digester(self._home.key())
        self._journal = Journal.open(self._home.journals, writer=WRITER, clock=self._clock)
        self.registry = Registry(self._home.registry, self._journal.append, self._clock)
        self.registry.open(lambda: history(self._home))
        self.held.adopt()

    @property
    def memory(self) -> Memory:
        """What was reported of late."""
        return self._memory

    def write(self, event: Event) -> None:
        """Put one event on record."""
        assert self._journal is not None
        self._journal.append(event)

    def is_on_record(self, session: str, span: str) -> bool:
        """Whether the index has a step, of whenever."""
        return self._store.span(session, span) is not None

    def agent(self, name: str, step: Step) -> Agent:
        """The agent of a step, registered as one that only reports; the name of one that is judged stays that one's."""
        # An @ would make it a key that can be another agent's, of another version.
        name, version = name.replace("@", " at "), step.version.replace("@", " at ")
        if (name, version) not in self._agents and len(self._agents) >= _AGENTS:
            name, version = OTHERS, ""
        self._agents.add((name, version))
        self.registry.refresh()
        while self._is_governed(name, version):
            name = f"{name} (reported)"
        seen = Agent(
            name=name,
            version=version,
            framework=step.framework,
            environment=step.environment,
            labels={**LABELS, "service": step.service},
            managed=False,
        )
        return self.registry.agent(seen, tools=())  # what it reports first is not what it may use

    def _is_governed(self, name: str, version: str) -> bool:
        """Whether an agent that is judged has the name, or a key like that of this name and version."""
        roster = self.registry.roster
        entries = (roster.entries.get(one) for one in (name, roster.parts(f"{name}@{version}")[0]))
        return any(entry is not None and entry.versions and not is_reported(entry) for entry in entries)

    def cost(self, step: Step) -> Cost | None:
        """What a model call cost by this home's prices; what a span says of money is somebody else's sum."""
        if step.usage is None:
            return None
        for model in dict.fromkeys((step.model, step.name)):
            found = self.prices.cost(model, step.provider, step.usage, step.started) if model else None
            if found is not None:
                return found
        return None
