"""Other projects at like work, each in a process of its own; what is not installed is left out with the reason."""

# ruff: noqa: PLC0415 - each is imported in the process that serves it

from __future__ import annotations

import itertools
import logging
import sys
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from timing import Case, Local, Served, Server, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from timing import Timed

PEERS = {
    "agentfirewall": "agentfirewall",
    "agentguard47": "agentguard47",
    "agt": "agent-governance-toolkit-core",
}
"""What a process here is asked to serve, and the distribution that it needs."""


def cases(stack: ExitStack) -> list[Case]:
    """The cases of every peer that is installed and starts."""
    found = []
    for peer, distribution in PEERS.items():
        try:
            release = version(distribution)
            server = Server("peers.py", peer)
        except (PackageNotFoundError, RuntimeError) as error:
            print(f"skipped: {peer}: {type(error).__name__}: {error}")
            continue
        stack.callback(server.close)
        found += [
            Case(f"{peer} {release}: {name.replace('_', ' ')}", Served(server, name)) for name in server.ready.split()
        ]
    return found


def agentfirewall(folder: Path) -> Mapping[str, Timed]:
    from agentfirewall import InMemoryAuditSink
    from agentfirewall.audit import JsonLinesAuditSink
    from agentfirewall.events import EventContext
    from agentfirewall.generic import create_generic_runtime_bundle
    from agentfirewall.policy import Decision, PolicyEngine

    def rule(place: int):
        name = f"tool_{place}"
        return lambda event: Decision.block(reason="x") if event.payload.get("name") == name else None

    text = "x" * 150
    event = EventContext.tool_call("search", kwargs={"q": text})
    found: dict[str, Timed] = {}
    for count in (1, 10, 1_000):
        engine = PolicyEngine(rules=[rule(place) for place in range(count)])
        found[f"evaluate,_{count}_rules"] = Local(lambda engine=engine: engine.evaluate(event))
    for name, sink in (("memory", InMemoryAuditSink()), ("JSONL", JsonLinesAuditSink(str(folder / "firewall.jsonl")))):
        runtime = create_generic_runtime_bundle(audit_sink=sink, tools={"search": lambda q: "ok"})
        found[f"governed_call,_audit_{name}"] = Local(lambda runtime=runtime: runtime.dispatch("search", q=text))
    return found


def agentguard47(folder: Path) -> Mapping[str, Timed]:
    import agentguard

    count = itertools.count()
    loop = agentguard.LoopGuard(max_repeats=3, window=6)
    budget = agentguard.BudgetGuard(max_cost_usd=1e9, max_calls=10**9)
    sink = agentguard.JsonlFileSink(str(folder / "guard.jsonl"))
    tracer = agentguard.Tracer(sink=sink, guards=[agentguard.LoopGuard(max_repeats=3, window=6)])

    def call() -> None:
        query = f"{next(count):06d}".ljust(150, "x")
        with tracer.trace("agent") as trace, trace.span("tool.search", data={"q": query}):
            loop.check("search", {"q": query})
            budget.check()
            budget.consume(calls=1)

    return {"governed_call,_JSONL": Local(call)}


def agt(folder: Path) -> Mapping[str, Timed]:
    import yaml
    from agentmesh.governance import govern

    rules = [
        {"name": f"r{place}", "condition": f"action.type == 'tool_{place}'", "action": "deny"} for place in range(10)
    ]
    head = {"apiVersion": "governance.toolkit/v1", "name": "p", "default_action": "allow"}
    text = "x" * 150

    def tool(action: str = "x", query: str = "") -> str:
        return "ok"

    found: dict[str, Timed] = {}
    for audit in (False, True):
        governed = govern(tool, policy=yaml.safe_dump({**head, "rules": rules}), audit=audit)
        name = f"govern(),_10_rules,_audit_{'memory' if audit else 'off'}"
        found[name] = Local(lambda governed=governed: governed(action="search", query=text))
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as place:
        serve(globals()[sys.argv[1]](Path(place)))
