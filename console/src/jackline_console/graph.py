"""Who called whom in a session: agents, the agents that they began, and what those used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.stores import SpanRow

_KINDS = {
    "model.call": "model",
    "embedding": "model",
    "tool.call": "tool",
    "http.request": "host",
    "retrieval": "retriever",
}
_REFUSED = ("deny", "halt")


def graph(spans: Sequence[SpanRow]) -> dict[str, Any]:
    """Nodes and edges with counts; an agent that another began is joined to it."""
    nodes: dict[str, dict[str, Any]] = {}
    edges: dict[tuple[str, str], dict[str, Any]] = {}
    by_id = {span.span: span for span in spans}
    for span in spans:
        if span.kind == "run":
            node = _node(nodes, "agent", span.name)
            above = _agent_above(span, by_id)
            _count(node, span)
            if above and above != span.name:
                _count(_edge(edges, _node(nodes, "agent", above)["id"], node["id"]), span)
        elif span.kind in _KINDS:
            node = _node(nodes, _KINDS[span.kind], span.name)
            _count(node, span)
            caller = _node(nodes, "agent", span.agent)
            if span.cost_micro_usd and span.agent:
                caller["cost_micro_usd"] += span.cost_micro_usd
            _count(_edge(edges, caller["id"], node["id"]), span)
    return {"nodes": list(nodes.values()), "edges": list(edges.values())}


def _agent_above(span: SpanRow, by_id: dict[str, SpanRow]) -> str:
    """The agent of the nearest run above a run; empty at the root, and in a ring of parents."""
    seen = {span.span}
    above = by_id.get(span.parent)
    while above is not None and above.span not in seen:
        if above.kind == "run":
            return above.name
        seen.add(above.span)
        above = by_id.get(above.parent)
    return ""


def _node(nodes: dict[str, dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    key = f"{kind}:{name}"
    blank = {"id": key, "kind": kind, "name": name, "calls": 0, "failures": 0, "denied": 0, "cost_micro_usd": 0}
    return nodes.setdefault(key, blank)


def _edge(edges: dict[tuple[str, str], dict[str, Any]], start: str, end: str) -> dict[str, Any]:
    blank = {"from": start, "to": end, "calls": 0, "failures": 0, "denied": 0, "cost_micro_usd": 0}
    return edges.setdefault((start, end), blank)


def _count(found: dict[str, Any], span: SpanRow) -> None:
    found["calls"] += 1
    found["failures"] += span.outcome == "failed"
    found["denied"] += span.effect in _REFUSED
    found["cost_micro_usd"] += span.cost_micro_usd or 0
