"""A desk where people are asked: bundles in YAML that escalate to Ana, the guards of one home, and what she says."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from jackline.guard import Guard
from jackline.testing.people import EXPIRES, Ana

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.approvals import Asked

_GLANCE = 0.005


class Desk:
    """Escalations of real bundles, for an adapter's own tests: what is asked, answered, restarted."""

    def __init__(self, folder: Path) -> None:
        self.ana = Ana()
        self.home = folder / "home"
        self.bundle = folder / "jackline.yaml"
        self.guards: list[Guard] = []

    def guard(self, on: str, when: str, *, wait: str = "tell", more: str = "") -> Guard:
        """A guard that asks Ana about acts of one kind where a condition is true.

        `wait`: `tell` or `block`. `more`: further policies, as they stand in the file. Guards that were made before
        are closed: this one goes on in their home.
        """
        pinned = self.ana.approvers.people[self.ana.name].key
        self.bundle.write_text(
            f"jackline: 1\napprovers: {{{self.ana.name}: {{key: '{pinned}'}}}}\npolicies:\n"
            f"  - name: gate\n    use: rule\n    on: {on}\n    when: {when}\n    effect: escalate\n"
            f"    with: {{to: {self.ana.name}, expires: {EXPIRES:.0f}s, wait: {wait}}}\n{more}"
        )
        return self.restart()

    def restart(self) -> Guard:
        """A new guard on the same home, with the same bundle; those before it are closed."""
        self.close()
        guard = Guard.load(self.bundle, home=self.home, application="desk", clock=self.ana.clock)
        guard.prices.warm(wait=30)  # on an event loop a price is unknown until the table is there
        self.guards.append(guard)
        return guard

    def close(self) -> None:
        """Close every guard."""
        for guard in self.guards:
            guard.close()

    def open(self) -> list[Asked]:
        """The questions that wait for an answer, in the order in which they were asked."""
        return sorted(self.ana.asked(self.guards[-1]), key=lambda one: one.question.asked)

    async def asked(self, count: int = 1) -> list[Asked]:
        """Wait, on an event loop, until so many questions wait for an answer."""
        while len(found := self.open()) < count:  # noqa: ASYNC110 - files say so, of whatever process
            await asyncio.sleep(_GLANCE)
        return found

    def asked_elsewhere(self, count: int = 1) -> list[Asked]:
        """Wait until so many questions wait for an answer, which another thread or process asks."""
        while len(found := self.open()) < count:
            time.sleep(_GLANCE)
        return found


class Ticks:
    """Another task of an event loop, which counts how often it comes to its turn."""

    def __init__(self) -> None:
        self.count = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)

    async def more(self, count: int = 100) -> None:
        """Wait until it came to its turn so many more times."""
        enough = self.count + count
        while self.count < enough:  # noqa: ASYNC110 - what is counted is the loop's own turns
            await asyncio.sleep(0)
