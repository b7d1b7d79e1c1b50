"""Arguments by name: positional and keyword calls of a function are the same action."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from jackline.plain import apart, are_plain_names, are_plain_scalars, is_plain, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
RECEIVERS = ("self", "cls")


class Binding:
    """One function's signature, prepared once."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        self.receiver = parameters[0].name if parameters and parameters[0].name in RECEIVERS else None
        simple = all(p.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY) for p in parameters)
        self._positional = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self._only = frozenset(p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_ONLY)
        self._names = frozenset(p.name for p in parameters)
        self._defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        self._flat = simple and self.receiver is None and are_plain_names(self._names)
        """Whether the names are those of plain data: then the values alone need be looked at."""
        self._most = len(self._positional) if simple and not self._only else -1
        """Positional arguments of a call that is bound the quick way."""

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Native arguments by name, defaults applied; raises TypeError as the call itself would."""
        if len(args) <= self._most:
            given = dict(zip(self._positional, args))  # noqa: B905 - fewer may be given
            if not kwargs or given.keys().isdisjoint(kwargs):
                bound = {**self._defaults, **given, **kwargs}
                if bound.keys() == self._names:
                    return bound
        full = self.signature.bind(*args, **kwargs)
        full.apply_defaults()
        return dict(full.arguments)

    def judged(self, bound: Mapping[str, Any]) -> dict[str, Any]:
        """The bound arguments as policies see them: plain data, without the receiver of a method."""
        if self.receiver is not None:
            bound = {name: value for name, value in bound.items() if name != self.receiver}
        if is_plain(bound):
            return bound if isinstance(bound, dict) else dict(bound)
        return {name: plain(value) for name, value in bound.items()}

    def asked(self, bound: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is judged, and the natives to compare with it later: `judged`, taken apart as `plain.apart` does."""
        if self._flat and are_plain_scalars(bound.values()):
            return bound, {}
        return apart(bound, self.judged(bound))

    def changed(
        self, bound: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call with a policy's arguments; what the policy left alone stays the native value."""
        unknown = after.keys() - self._names
        if unknown:
            raise TypeError(f"a policy added the argument '{min(unknown)}', which the tool does not take")
        merged = {
            name: value if name not in after or after[name] == before.get(name) else after[name]
            for name, value in bound.items()
        }
        call = inspect.BoundArguments(self.signature, merged)
        return call.args, call.kwargs
