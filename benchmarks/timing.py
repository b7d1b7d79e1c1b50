"""How the benchmarks measure: short batches of every case in turn, round after round, the collector off inside them."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence

BATCH_NS = 2_000_000
"""About how long a batch takes: shorter than a scheduler's slice, so that most batches run undisturbed."""
AGAIN = 5
"""One uncounted call for so many of a batch comes before it: the case before has left its own data in the caches."""
QUANTILES = {"median": 0.5, "p10": 0.1}
"""The tenth percentile is about what a quiet machine would show, the median what this one did."""
WARM = 300
"""Calls before anything counts."""


class Timed(Protocol):
    """Something whose calls can be timed a batch at a time."""

    def batch(self, calls: int) -> int:
        """Call it so often; the nanoseconds that this took."""


class Local:
    """A function of this process."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def batch(self, calls: int) -> int:
        call = self._call
        gc.disable()
        for _ in range(calls // AGAIN + 1):
            call()
        started = time.perf_counter_ns()
        for _ in range(calls):
            call()
        took = time.perf_counter_ns() - started
        gc.enable()
        return took


class Async:
    """A coroutine function of this process, awaited call after call on one event loop."""

    def __init__(self, call: Callable[[], Awaitable[object]], loop: asyncio.AbstractEventLoop) -> None:
        self._call, self._loop = call, loop

    def batch(self, calls: int) -> int:
        return self._loop.run_until_complete(self._timed(calls))

    async def _timed(self, calls: int) -> int:
        call = self._call
        gc.disable()
        for _ in range(calls // AGAIN + 1):
            await call()
        started = time.perf_counter_ns()
        for _ in range(calls):
            await call()
        took = time.perf_counter_ns() - started
        gc.enable()
        return took


class Served:
    """What another process serves: a framework that is patched there and nowhere else, or a peer."""

    def __init__(self, server: Server, name: str) -> None:
        self._server, self._name = server, name

    def batch(self, calls: int) -> int:
        return int(self._server.ask(f"{self._name} {calls}"))


class Server:
    """A process of its own that times batches when it is told to, and is idle meanwhile."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(script)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.ready = self._answer()
        """What it said first: the names of what it serves."""

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._process.args} ended without an answer")
        return line


def serve(offers: Mapping[str, Timed]) -> None:
    """Be such a process: `NAME CALLS` a line on stdin, the nanoseconds on stdout."""
    gc.collect()
    gc.freeze()  # a framework's own objects need not be looked through before each batch
    print(" ".join(offers), flush=True)
    for line in sys.stdin:
        name, _, calls = line.strip().partition(" ")
        gc.collect()
        print(offers[name].batch(int(calls)), flush=True)


@dataclass
class Case:
    """One row: a governed call, and the bare one whose cost is taken off it where there is one."""

    what: str
    subject: Timed
    bare: Timed | None = None
    goal: float | None = None
    """Microseconds at most."""
    calls: int = 0
    """Calls in a batch; found before the first round."""
    took: list[float] = field(default_factory=list)
    """Microseconds of one call, a batch an entry."""
    took_bare: list[float] = field(default_factory=list)

    def ready(self) -> None:
        """Warm both up, and see how many calls a batch takes."""
        for timed in (self.bare, self.subject):
            if timed is not None:
                timed.batch(WARM)
        fastest = min(self.subject.batch(20) for _ in range(5)) / 20
        self.calls = max(3, min(2_000, int(BATCH_NS / fastest)))

    def round(self) -> None:
        """One batch of each."""
        if self.bare is not None:
            self.took_bare.append(self.bare.batch(self.calls) / self.calls / 1_000)
        self.took.append(self.subject.batch(self.calls) / self.calls / 1_000)

    def row(self) -> dict[str, Any]:
        """What was measured; where there is a bare call, what is added to it, quantile by quantile."""
        row: dict[str, Any] = {"what": self.what, "unit": "us", "goal": self.goal}
        for name, share in QUANTILES.items():
            row[name] = quantile(self.took, share) - (quantile(self.took_bare, share) if self.bare is not None else 0)
        if self.bare is not None:
            row["bare"] = quantile(self.took_bare, QUANTILES["median"])
            row["times_bare"] = quantile(self.took, QUANTILES["median"]) / row["bare"]
        return row


def quantile(took: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted(took)[int(len(took) * share)]


def run(cases: Sequence[Case], rounds: int) -> list[dict[str, Any]]:
    """Measure all cases together: in every round each has a batch, and another one begins."""
    for case in cases:
        case.ready()
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        start = number % len(cases)
        for case in (*cases[start:], *cases[:start]):
            case.round()
        gc.collect()
    return [case.row() for case in cases]
