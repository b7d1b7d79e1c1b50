"""MCP's messages as requests: which methods are judged, as which action, on what, with which arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.plain import fingerprint
from jackline.request import Tool

if TYPE_CHECKING:
    from jackline.request import Action

PASSED = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
    }
)
"""What a client may ask without being judged: it names what there is, and does nothing. `tools/list` is filtered."""

JUDGED = frozenset({"completion/complete", "prompts/get", "resources/read", "resources/subscribe", "tools/call"})

VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT = "io.modelcontextprotocol/clientInfo"
_NO_IDENTITY = frozenset({"_meta", "icons"})
"""What of a tool's descriptor says nothing of what it does."""


_REFS = {"ref/prompt": "name", "ref/resource": "uri"}
"""Which key of a `ref` says what is completed."""
_ARGUMENT = ("name", "value")
_RESOURCES = "resourceSubscriptions"
_LISTENED = 1000


class Judged(NamedTuple):
    """How one request is judged."""

    action: Action
    resource: str
    args: dict[str, Any]


def judged(method: str, params: dict[str, Any]) -> Judged | None:
    """How a request is judged; None for a method that is not. Raises ValueError where its params say too little."""
    if method == "tools/call":
        given = params.get("arguments")
        return Judged("tool.call", _text(params, "name"), _map(given, "arguments"))
    if method in ("resources/read", "resources/subscribe"):
        uri = _text(params, "uri")
        return Judged("retrieval", uri, {"query": uri})
    if method == "prompts/get":
        name = _text(params, "name")
        args = {"query": name, "arguments": _map(params.get("arguments"), "arguments")}
        return Judged("retrieval", f"prompt:{name}", args)
    if method == "completion/complete":
        return _completion(params)
    return None


def _completion(params: dict[str, Any]) -> Judged:
    ref, argument = _map(params.get("ref"), "ref"), _map(params.get("argument"), "argument")
    kind = ref.get("type")
    key = _REFS.get(kind) if isinstance(kind, str) else None
    if key is None:
        raise ValueError(f"`ref.type` is {str(kind)[:50]!r}, expected one of {', '.join(map(repr, _REFS))}")
    for name, found, known, read in (
        ("ref", ref, ("type", key), ("type", *_REFS.values())),
        ("argument", argument, _ARGUMENT, _ARGUMENT),
    ):
        for other in found:
            if other not in known and other.casefold() in read:
                raise ValueError(f"`{name}` has the key {other[:50]!r}, expected {' and '.join(map(repr, known))}")
    context = _map(params.get("context"), "context")
    args = {"query": argument.get("value", ""), "argument": argument, "context": context, "ref": ref}
    return Judged("retrieval", f"completion:{_text(ref, key)}", args)


def listened(params: dict[str, Any]) -> list[str]:
    """The resources of which a `subscriptions/listen` wants to hear; raises ValueError where that is not plain."""
    filtered = _map(params.get("notifications"), "notifications")
    for key in filtered:
        if key != _RESOURCES and key.replace("_", "").casefold() == _RESOURCES.casefold():
            raise ValueError(f"the key {key[:50]!r} may be read as '{_RESOURCES}'")
    found = filtered.get(_RESOURCES)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _LISTENED or not all(isinstance(uri, str) for uri in found):
        raise ValueError(f"`{_RESOURCES}` is no list of at most {_LISTENED:,} texts")
    return found


def listening(params: dict[str, Any], uris: list[str]) -> dict[str, Any]:
    """Params of a `subscriptions/listen` with other resources."""
    return {**params, "notifications": {**params["notifications"], _RESOURCES: uris}}


def changed(method: str, params: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    """Params with other arguments; raises ValueError where the method has no place for a change."""
    if method == "tools/call":
        return {**params, "arguments": args}
    if method in ("resources/read", "resources/subscribe"):
        return {**params, "uri": _text(args, "query")}
    if method == "prompts/get":
        return {**params, "name": _text(args, "query"), "arguments": _needed(args, "arguments")}
    argument = _needed(args, "argument")
    if argument.get("value", "") != _text(args, "query"):
        argument = {**argument, "value": args["query"]}
    context = {"context": _needed(args, "context")} if "context" in params else {}
    return {**params, "ref": _needed(args, "ref"), "argument": argument, **context}


def tool_of(name: str, descriptor: dict[str, Any] | None, server: str, signs: tuple[str, ...] = ()) -> Tool:
    """A tool as policies know it. `descriptor`: as the server lists it; None where it does not."""
    labels = {"server": server}
    if descriptor is None:
        return Tool(name=name, labels={**labels, "unlisted": "true"})
    if signs:
        labels["findings"] = ", ".join(signs)
    hints = descriptor.get("annotations")
    says = hints.get("readOnlyHint") if isinstance(hints, dict) else None
    schema = descriptor.get("inputSchema")
    identity = {key: item for key, item in descriptor.items() if key not in _NO_IDENTITY}
    return Tool(
        name=name,
        fingerprint=fingerprint(identity),
        read_only=says if isinstance(says, bool) else None,
        parameters=schema if isinstance(schema, dict) else {},
        labels=labels,
    )


def client_of(message: dict[str, Any]) -> tuple[str, str]:
    """The name and version that a client gives itself in its first message; it may be anybody's."""
    params = message.get("params") or {}
    meta = params.get("_meta")
    about = params.get("clientInfo") or (meta.get(CLIENT) if isinstance(meta, dict) else None)
    if not isinstance(about, dict):
        return "", ""
    return str(about.get("name") or "")[:100], str(about.get("version") or "")[:50]


def is_modern(params: dict[str, Any]) -> bool:
    """Whether a request carries all that it needs, as since 2026-07-28."""
    meta = params.get("_meta")
    return isinstance(meta, dict) and VERSION in meta


def token_of(params: dict[str, Any]) -> Any:
    """Under which token the client wants to hear of progress; None where it does not."""
    meta = params.get("_meta")
    found = meta.get("progressToken") if isinstance(meta, dict) else None
    return found if type(found) in (int, str) else None


def _text(params: dict[str, Any], key: str) -> str:
    found = params.get(key)
    if not isinstance(found, str):
        raise ValueError(f"`{key}` is {type(found).__name__}, expected text")  # noqa: TRY004 - what a client sent
    return found


def _needed(args: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in args:
        raise ValueError(f"`{key}` is missing")
    return _map(args[key], key)


def _map(found: Any, key: str) -> dict[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"`{key}` is {type(found).__name__}, expected a map")  # noqa: TRY004 - what a client sent
    return found
