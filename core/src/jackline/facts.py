"""What conditions see of a request: plain maps by root name, made once a request."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from jackline.condition.functions import ORIGINS
from jackline.plain import as_dict

if TYPE_CHECKING:
    import msgspec

    from jackline.request import Agent, Request

_CAPACITY = 4096
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}")
PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
"""What a scheme's port is where none is said."""
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
        found["model"] = {**asdict(request.model), "tools": [record(tool) for tool in request.model.tools]}
    if request.facts:
        found = {**request.facts, **found}
    if request.origins is not None:
        found[ORIGINS] = request.origins
    request.view = found
    return found


@lru_cache(maxsize=_CAPACITY)
def host(text: str) -> str:
    """The one spelling of a host, as `http.host` has it, however it was written.

    Lower case, without a last dot, brackets or zone; names in ASCII (IDNA); addresses as `ipaddress` writes them, also
    those given as one number, in octal or in hexadecimal, or as IPv4 within IPv6. `unix:/path` stays as it is.
    """
    if text.startswith("unix:"):
        return text
    found = text.lower().rstrip(".").removeprefix("[").removesuffix("]")
    if not found.isascii():
        found = _ascii(found)
    if _NUMBERS.fullmatch(found):
        try:
            return socket.inet_ntoa(socket.inet_aton(found))  # as what connects would read it
        except OSError:
            return found
    if ":" in found:
        try:
            address = ipaddress.IPv6Address(found.partition("%")[0])
        except ValueError:
            return found
        return str(address.ipv4_mapped or address)
    return found


def _ascii(name: str) -> str:
    try:
        import idna  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - as the libraries do, if it is there

        return str(idna.encode(name, uts46=True).decode()).rstrip(".")
    except (ImportError, UnicodeError):
        pass
    try:
        return name.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        return name


def origin(scheme: str, name: str, port: int) -> str:
    """Scheme, host and port as people write them; a port that goes without saying is left out."""
    shown = f"[{name}]" if ":" in name and not name.startswith("unix:") else name
    return f"{scheme}://{shown}" if not port or port == PORTS.get(scheme) else f"{scheme}://{shown}:{port}"
