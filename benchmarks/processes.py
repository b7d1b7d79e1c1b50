"""What is measured once a process: importing, `jackline.init`, memory of live sessions."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import bundles
from timing import QUANTILES, quantile

IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import jackline
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""
INIT = """
import sys, time
import jackline
wall, cpu = time.perf_counter(), time.process_time()
guard = jackline.init(sys.argv[1], home=sys.argv[2])
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
jackline.close()
"""
PRICED = """
import sys
from jackline.home import Home
from jackline.opening import load_prices

assert load_prices(Home(sys.argv[1])).price("gpt-4o-mini", "openai", 1.0) is not None
"""
MEMORY = """
import gc, sys, tracemalloc
import jackline

guard = jackline.Guard.load(sys.argv[1], home=sys.argv[2])

@guard.tool
def search(query: str, limit: int = 5, region: str = "emea") -> str:
    return "3 results"

def live(number):
    session = guard.open_session(f"{name}-{number}", user=f"user-{number % 50}", labels={"purpose": "research"})
    with guard.session(id=f"{name}-{number}"):
        for call in range(5):
            search(f"{number}-{call}" + "x" * 100)

name = "warm"
for number in range(20):
    live(number)
gc.collect()
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
name = "live"
for number in range(1000):
    live(number)
gc.collect()
assert len([s for s in guard.sessions.live() if s.subject.external_id.startswith("live")]) == 1000
print((tracemalloc.get_traced_memory()[0] - before) / 1e6)
"""


def rows(times: int) -> list[dict[str, Any]]:
    """The rows of this file, each from fresh processes, with byte code kept as installed packages have it.

    A home that was used has the prices of the models that its agents used; in a new one, `init` waits for the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        path = bundles.written(place, bundles.ten_rules_and_a_budget())
        _once(place, INIT, path, place / "home")
        _once(place, PRICED, place / "home")
        imports, inits, firsts = [], [], []
        for number in range(times):
            imports.append(_once(place, IMPORT))
            inits.append(_once(place, INIT, path, place / "home"))
            if number % 4 == 0:
                firsts.append(_once(place, INIT, path, place / f"home-{number}"))
        memory = _once(place, MEMORY, path, place / "home-of-sessions")
        return [
            *_rows("import jackline, fresh processes", "ms", imports, 40),
            *_rows("jackline.init, 20 rules + 2 budgets, fresh processes", "ms", inits, 250),
            *_rows("jackline.init in a home that was never used", "ms", firsts),
            *_rows("1,000 live sessions of 5 calls, tracemalloc", "MB", [memory], 5),
        ]


def _once(place: Path, script: str, *arguments: Path) -> list[float]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(word) for word in done.stdout.split()]


def _rows(what: str, unit: str, took: list[list[float]], goal: float | None = None) -> list[dict[str, Any]]:
    """A row for what was measured, and one for the CPU of it where that was measured too."""
    names = (what, "  CPU of it")
    return [
        {"what": name, "unit": unit, "goal": None if place else goal}
        | {q: quantile(values, share) for q, share in QUANTILES.items()}
        for place, (name, values) in enumerate(zip(names, zip(*took, strict=True), strict=False))
    ]
