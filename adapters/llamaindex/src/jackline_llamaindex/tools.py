"""Which tools there are: their identity, found once, and what their bodies take."""

from __future__ import annotations

import inspect
import threading
import weakref
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import FieldInfo
from llama_index.core.tools import FunctionTool
from llama_index.core.tools.types import BaseToolAsyncAdapter

from jackline.plain import fingerprint
from jackline.request import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llama_index.core.tools import BaseTool

_CAPACITY = 4096
"""Tool objects remembered; the memory is emptied when it is full."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class KnownTool:
    """One tool object: its identity and its parameters."""

    __slots__ = ("_description", "_partial", "_reference", "_schema", "context", "defaults", "names", "tool")

    def __init__(self, native: BaseTool) -> None:
        metadata = native.metadata
        self._reference = weakref.ref(native, _forgetting(id(native)))
        self._description = metadata.description
        self._schema = metadata.fn_schema
        declared = {"description": metadata.description, "parameters": _parameters(metadata)}
        self.tool = Tool(
            name=metadata.name or type(native).__name__,
            fingerprint=fingerprint(declared),
            read_only=_read_only(native),
            parameters=declared["parameters"],  # type: ignore[arg-type]
        )
        self.context: str | None = None
        """The parameter that LlamaIndex fills with the workflow's context; no policy sees it."""
        self._partial: Mapping[str, Any] = {}
        if isinstance(native, FunctionTool):
            self.context, self._partial = native.ctx_param_name, native.partial_params
            self.names, self.defaults = _signature(native, self.context)
        else:
            self.names, self.defaults = tuple(declared["parameters"].get("properties", ())), {}  # type: ignore[attr-defined]

    def describes(self, native: BaseTool) -> bool:
        """Whether this is still what `native` says of itself."""
        metadata = native.metadata
        return (
            self._reference() is native
            and self._schema is metadata.fn_schema
            and self._description == metadata.description
            and self.tool.name == metadata.name
        )

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What the body receives, by name: positional and keyword arguments are the same action."""
        found = {**self.defaults, **self._partial, **dict(zip(self.names, args, strict=False)), **kwargs}
        for place, extra in enumerate(args[len(self.names) :], len(self.names)):
            found[f"arg{place}"] = extra
        if self.context is not None:
            found.pop(self.context, None)
        return found


def _forgetting(key: int) -> Callable[[Any], None]:
    """What a tool object leaves behind goes with it: agents make tools anew for each step."""

    def forget(reference: Any) -> None:
        found = _KNOWN.get(key)
        if found is not None and found._reference is reference:  # noqa: SLF001 - of this module
            _KNOWN.pop(key, None)

    return forget


def _parameters(metadata: Any) -> dict[str, Any]:
    """A tool's JSON schema; empty where its parameters have none: such a tool can be called all the same."""
    try:
        return dict(metadata.get_parameters_dict())
    except Exception:  # noqa: BLE001 - whatever a class makes of its schema
        return {}


def _signature(native: FunctionTool, context: str | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    try:
        parameters = list(inspect.signature(native.real_fn).parameters.values())
    except (TypeError, ValueError):
        return (), {}
    names = tuple(p.name for p in parameters if p.kind in _POSITIONAL and p.name != context)
    given = {p.name: p.default for p in parameters if p.default is not p.empty and p.name != context}
    own = {name: item for name, item in given.items() if not isinstance(item, FieldInfo)}
    return names, {**own, **getattr(native, "_field_defaults", {})}


def _read_only(native: Any) -> bool | None:
    """What a tool declares about itself (MCP's `readOnlyHint`, or `read_only`); None where it declares nothing."""
    for place in (native.metadata, native):
        for name in ("read_only", "readOnlyHint"):
            found = getattr(place, name, None)
            if isinstance(found, bool):
                return found
    return None


_ANSWERS = "llama_index.core.program.function_program"
"""Where LlamaIndex makes a tool of a class that a model's answer is read into."""


def reads_answer(native: Any) -> bool:
    """Whether a "tool" only reads a model's answer into an object: nothing is done, and the answer was judged."""
    return isinstance(native, FunctionTool) and getattr(native.real_fn, "__module__", "") == _ANSWERS


_KNOWN: dict[int, KnownTool] = {}
_LOCK = threading.Lock()


def known(native: BaseTool) -> KnownTool:
    """What is known of a tool object."""
    if isinstance(native, BaseToolAsyncAdapter):
        native = native.base_tool
    found = _KNOWN.get(id(native))
    if found is None or not found.describes(native):
        found = KnownTool(native)
        with _LOCK:
            if len(_KNOWN) >= _CAPACITY:
                _KNOWN.clear()
            _KNOWN[id(native)] = found
    return found
