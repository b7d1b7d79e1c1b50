"""How long the console takes for what its pages ask, over millions of events: a real console, a real index."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import fleet
from console_stream import Served

from jackline.home import Home
from jackline.ingest import ingest
from jackline.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMES = 15
DASHBOARDS = (
    "/summary", "/live", "/agents", "/approvals", "/approvals?state=all", "/alerts", "/bundle/revisions",
    "/policies/usage", "/costs", "/costs?by=model", "/costs?by=team", "/costs?by=day", "/costs?by=agent,model",
    "/costs/series", "/costs/series?step=day&since={month}", "/costs?since={month}",
    "/distributions?what=session_cost", "/distributions?what=session_cost&by=agent&since={month}",
    "/distributions?what=session_duration", "/distributions?what=tool_duration&by=tool&since={month}",
    "/distributions?what=model_duration&by=model", "/tools/usage", "/tools/usage?by=agent&since={month}",
    "/sessions", "/sessions?agent=support-eu", "/sessions?user=user-7", "/sessions?state=halted", "/metrics",
)  # fmt: skip
SESSION = (
    "/sessions/{session}", "/sessions/{session}/spans", "/sessions/{session}/spans?only=denied",
    "/sessions/{session}/graph", "/sessions/{session}/events", "/sessions/{session}/spans/{span}",
)  # fmt: skip


def filled(home: Home, events: int) -> dict[str, float]:
    """Make the month and bring it in, process by process, as a console would; how fast that was."""
    now, cpu, wall, count = time.time(), 0.0, 0.0, 0
    fleet.registered(home, now - (fleet.DAYS + 1) * fleet.DAY)
    with closing(SQLiteStore(home.index)) as store:
        for _ in fleet.month(home, events, now - 400):
            began = time.process_time(), time.perf_counter()
            count += ingest(home.path, store).events
            cpu += time.process_time() - began[0]
            wall += time.perf_counter() - began[1]
    return {"events": count, "events_per_cpu_s": count / cpu, "events_per_s": count / wall}


def measured(home: Home) -> Iterator[dict[str, object]]:
    """A row for each thing asked: milliseconds, of requests one after the other on a kept connection."""
    journal = fleet.present(home)
    ingest(home.path)
    try:
        with Served(home.path) as console:
            month = int(time.time() - fleet.DAYS * fleet.DAY)
            for path in DASHBOARDS:
                yield {"kind": "dashboard", **timed(console, path.format(month=month), path)}
            for kind, name in (("session", typical(console)), ("10,000 steps", fleet.LARGE)):
                span = json.loads(console.get(f"/sessions/{name}/spans?limit=20"))["items"][-1]["span"]
                for path in SESSION:
                    yield {"kind": kind, **timed(console, path.format(session=name, span=span), path)}
    finally:
        journal.close()


def typical(console: Served) -> str:
    """A session of some forty steps, of a week ago."""
    until = int(time.time() - 7 * fleet.DAY)
    found = json.loads(console.get(f"/sessions?limit=500&until={until}"))["items"]
    return str(min(found, key=lambda one: abs(one["model_calls"] + one["tool_runs"] - 40))["session"])


def timed(console: Served, path: str, shown: str) -> dict[str, object]:
    """The first time, the median and the slowest of the rest, and how large the answer is."""
    took = []
    size = 0
    for _ in range(TIMES):
        began = time.perf_counter()
        size = len(console.get(path))
        took.append((time.perf_counter() - began) * 1000)
    first, rest = took[0], sorted(took[1:])
    return {"what": shown, "first": first, "median": rest[len(rest) // 2], "most": rest[-1], "kB": size / 1000}


def rows(events: int) -> list[dict[str, object]]:
    """What `run.py` shows of it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").make()
        fill = filled(home, events)
        found = list(measured(home))
    many = f"{events / 1e6:g} million events"
    told: list[dict[str, object]] = [
        {"what": f"ingest: {many}, a month of 40 agents, CPU", "unit": "events/s", "median": fill["events_per_cpu_s"],
         "p10": fill["events_per_cpu_s"], "goal": 20_000, "least": True}
    ]  # fmt: skip
    for kind, goal, what in (
        ("dashboard", 300, f"dashboards over {many}: the slowest of {len(DASHBOARDS)}"),
        ("session", 50, f"one session of {many}: the slowest of {len(SESSION)}"),
        ("10,000 steps", None, "a session of 10,000 steps: the slowest"),
    ):
        of = [row for row in found if row["kind"] == kind]
        worst = max(of, key=lambda row: row["median"])  # type: ignore[arg-type, return-value]
        least = min(row["median"] for row in of)  # type: ignore[type-var]
        row = {"what": f"{what}, {worst['what']}", "unit": "ms", "median": worst["median"], "p10": least, "goal": goal}
        told.append(row)
    return told


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=5_000_000)
    options.add_argument("--home", type=Path, help="a home that was filled before, or is to be kept")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(chosen.home or Path(folder) / "home").make()
        if not home.index.exists():
            print(json.dumps(filled(home, chosen.events)))
        for row in measured(home):
            numbers = f"first {row['first']:8.1f}  median {row['median']:8.1f}  most {row['most']:8.1f} ms"
            print(f"{row['kind']:<13} {numbers}  {row['kB']:8.1f} kB  {row['what']}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
