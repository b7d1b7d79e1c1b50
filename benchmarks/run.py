"""All figures of one run in one table: `python -m nox -s bench`, or `python benchmarks/run.py [--json] [--write]`."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import calls
import console_stream
import crewai_calls
import dashboards
import decision_api
import http_calls
import ingest
import langchain_calls
import llamaindex_calls
import mcp_calls
import pack_calls
import peers
import pii_calls
import processes
import provenance
import stops
import timing

from jackline import __version__

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"


def measured(rounds: int, processes_of_a_kind: int, events: int) -> list[dict[str, Any]]:
    """Every row, in the table's order. Times are in microseconds unless the row says otherwise."""
    with ExitStack() as stack:
        own = [*calls.cases(stack), *provenance.cases(stack), *pii_calls.cases(stack), *pack_calls.cases(stack)]
        langchain = [
            *langchain_calls.cases(stack),
            *crewai_calls.cases(stack),
            *llamaindex_calls.cases(stack),
            *http_calls.cases(stack),
            *mcp_calls.cases(stack),
        ]
        others = peers.cases(stack)
        rows = timing.run([*own, *langchain, *others], rounds)
    yardstick = rows[0]["median"]
    for row in rows:
        row["ratio"] = row["median"] / yardstick
    first_peer = len(own) + len(langchain)
    console = [*console_stream.rows(), *(dashboards.rows(events) if events else ()), *stops.rows()]
    console += [*decision_api.rows(), *mcp_calls.rows()]
    return [*rows[:first_peer], taken_in(), *console, *processes.rows(processes_of_a_kind), *rows[first_peer:]]


def taken_in() -> dict[str, Any]:
    """How fast the journal is taken into the store, by the CPU that it takes."""
    rates = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            rates.append(ingest.rate(Path(folder), sessions=300))
    rates.sort()
    what = "ingest: journal into SQLite, CPU"
    return {"what": what, "unit": "events/s", "median": rates[1], "p10": rates[0], "goal": 20_000, "least": True}


def met(row: dict[str, Any]) -> str:
    if row.get("goal") is None:
        return ""
    good = row["median"] >= row["goal"] if row.get("least") else row["median"] <= row["goal"]
    return "yes" if good else "NO"


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table that Markdown renders and a terminal shows."""
    head = ["what", "median", "p10", "goal", "met", "x yardstick", "bare", "x bare"]
    lines = [head]
    for row in rows:
        sign = ">=" if row.get("least") else "<="
        goal = f"{sign} {row['goal']:,g}" if row.get("goal") is not None else ""
        over = "+" if "bare" in row else ""
        lines.append(
            [
                row["what"],
                f"{over}{shown(row['median'])} {row['unit']}",
                f"{over}{shown(row['p10'])}",
                goal,
                met(row),
                shown(row["ratio"]) if "ratio" in row else "",
                shown(row["bare"]) if "bare" in row else "",
                shown(row["times_bare"]) if row.get("bare", 0) > 10 else "",
            ]
        )
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    text = [
        [
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    rule = ["-" * width if not place else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [text[0], rule, *text[1:]])


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> str:
    """Where and when this ran."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    built = sysconfig.get_config_var("CONFIG_ARGS") or ""
    how = "optimised build" if "--enable-optimizations" in built or "lto" in built else "build without optimisations"
    return (
        f"{today}, jackline {__version__}, Python {platform.python_version()} ({how}), {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the end of the run"
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options.add_argument("--rounds", type=int, default=150, help="batches of each row (default: 150)")
    options.add_argument("--processes", type=int, default=15, help="fresh processes of each kind (default: 15)")
    of_pages = (
        "of the console's pages, over an index of so many events: 5000000 takes ten minutes and 9 GB (default: none)"
    )
    options.add_argument("--events", type=int, default=0, metavar="N", help=f"rows {of_pages}")
    chosen = options.parse_args()
    rows = measured(chosen.rounds, chosen.processes, chosen.events)
    for row in rows:
        row["met"] = met(row) or None
    if chosen.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=1))
    else:
        print(f"{table(rows)}\n\n{machine()}")
    if chosen.write:
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        README.write_text(
            f"{before}{BEGIN}\n{machine()}.\n\n{table(rows)}\n{END}{rest.partition(END)[2]}", encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
