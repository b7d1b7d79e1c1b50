"""What conditions see of a request: plain maps by root name, made once a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.plain import as_dict

if TYPE_CHECKING:
    import msgspec

    from jackline.request import Agent, Request

_CAPACITY = 4096
_records: dict[int, tuple[msgspec.Struct, dict[str, Any]]] = {}
"""Agents and tools are the registry's own objects, the same at every request: their maps are kept by identity."""


def record(struct: msgspec.Struct) -> dict[str, Any]:
    """The map of an agent, tool or model; the same map for the same object. Do not change it."""
    known = _records.get(id(struct))
    if known is not None and known[0] is struct:
        return known[1]
    found = as_dict(struct)
    found.pop("parameters", None)  # a tool's schema is for checking conditions, not for asking
    if hasattr(type(struct), "key"):
        found["key"] = struct.key  # type: ignore[attr-defined]
    if len(_records) >= _CAPACITY:
        _records.clear()
    _records[id(struct)] = (struct, found)
    return found


def agent_facts(agent: Agent) -> dict[str, Any]:
    """What an `agents:` query sees: the one root `agent`."""
    return {"agent": record(agent)}


def facts(request: Request) -> dict[str, Any]:
    """What a condition sees of a request. Roots that do not apply (a tool of a model call) are absent."""
    found = request.view
    if found is not None:
        return found
    subject = request.subject
    session = {
        "id": subject.session,
        "external_id": subject.external_id,
        "user": subject.user,
        "labels": subject.labels,
        "application": subject.application,
        "namespace": subject.namespace,
        **request.session,
    }
    args = request.args
    found = {
        "action": request.action,
        "resource": request.resource,
        "at": request.at,
        "run": request.run,
        "depth": request.depth,
        "agent": record(request.agent),
        "session": session,
        "args": args,
        "original": args if request.original is None else request.original,
        "ancestors": [record(agent) for agent in request.ancestors] if request.ancestors else [],
    }
    if request.tool is not None:
        found["tool"] = record(request.tool)
    if request.model is not None:
        found["model"] = as_dict(request.model)
    if request.facts:
        found = {**request.facts, **found}
    request.view = found
    return found
