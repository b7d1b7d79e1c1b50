"""Whether a request may leave: by host, port, scheme and method, and how it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.facts import host, origin
from jackline_tool_access.patterns import LONG
from jackline_tool_access.places import RAW, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.decision import Verdict
    from jackline.request import Request
    from jackline_tool_access.access import Answer
    from jackline_tool_access.options import Destination, EgressOptions

_CACHED = 4096
"""Answers remembered; an agent that invents hosts must not fill the memory."""

_MODELS = ("model.call", "embedding")
_FACTS = ("host", "method", "scheme", "port")


class _Listed(NamedTuple):
    place: Place
    rule: str
    methods: frozenset[str] | None
    reason: str

    def takes(self, method: str) -> bool:
        return self.methods is None or method in self.methods


class Egress:
    """The places that one policy lists, asked request by request."""

    def __init__(self, name: str, options: EgressOptions, answer: Answer) -> None:
        self._name = name
        self._answer = answer
        self._others = options.others
        self._model_hosts = options.model_hosts
        self._schemes = None if options.schemes is None else frozenset(options.schemes)
        self._permits = _listed("egress.allow", options.allow, options.methods)
        self._denies = _listed("egress.deny", options.deny, None)
        self._known: dict[tuple[Any, ...], Verdict | None] = {}

    def judge(self, request: Request) -> Verdict | None:
        """Allow what is listed, deny what may not be, None for the rest and for a request of which nothing is known."""
        told = request.facts.get("http")
        if not isinstance(told, dict) or any(name not in told for name in _FACTS):
            return None
        key = (told["host"], told["method"], told["scheme"], told["port"], told.get("proxy"), told.get("inside"))
        try:
            return self._known[key]
        except KeyError:
            pass
        http = {"proxy": "", "inside": "", **told, "host": host(str(told["host"]))}
        verdict = self._judged(http)
        if len(self._known) >= _CACHED:
            self._known.clear()
        if len(http["host"]) <= LONG:
            self._known[key] = verdict
        return verdict

    def _judged(self, http: Mapping[str, Any]) -> Verdict | None:
        where = origin(http["scheme"], http["host"], http["port"])
        for entry in self._denies:
            if entry.takes(http["method"]) and entry.place.denies(http):
                return self._answer("deny", entry.rule, entry.reason or f"{where} is on the deny list")
            if http["proxy"] and entry.place.is_proxy(http["proxy"]):
                return self._answer(
                    "deny", entry.rule, entry.reason or f"the proxy {http['proxy']} is on the deny list"
                )
        raw = http["scheme"] in RAW
        if http["inside"] in _MODELS and self._model_hosts == "allow" and not raw:
            return self._answer("allow", "egress.model_hosts: allow", "it is sent by a model's client")
        for entry in self._permits:
            if entry.place.covers(http, self._schemes) and (raw or entry.takes(http["method"])):
                return self._through(http) or self._answer("allow", entry.rule, entry.reason or "listed")
        return self._other(where) if raw else None

    def _through(self, http: Mapping[str, Any]) -> Verdict | None:
        """Deny what is listed, where it goes through a proxy that is not: the proxy is who gets it."""
        proxy = http["proxy"]
        if not proxy or any(entry.place.is_proxy(proxy) for entry in self._permits):
            return None
        reason = (
            f"it would go through the proxy {proxy}, which policy '{self._name}' does not list: add it to egress.allow"
        )
        return self._answer("deny", "egress.proxy", reason)

    def _other(self, where: str) -> Verdict:
        """A connection that was made past the libraries whose requests are judged."""
        if self._others == "record":
            return self._answer("allow", "egress.others: record", "made by no library that is governed; recorded")
        reason = (
            f"{where} is connected to by no library that is governed: list it under egress.allow, or use such a library"
        )
        return self._answer("deny", "egress.others: deny", reason)


def _listed(section: str, entries: Sequence[Destination] | None, methods: Sequence[str] | None) -> list[_Listed]:
    return [
        _Listed(
            Place(entry.host),
            f"{section}[{index}]: {entry.host}",
            None if (said := entry.methods or methods) is None else frozenset(said),
            entry.reason,
        )
        for index, entry in enumerate(entries or ())
    ]
