"""Jackline for LlamaIndex: what agents, query engines and models do is judged before it happens."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jackline_llamaindex._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import RegisterAdapter
    from jackline_llamaindex.adapter import LlamaIndexAdapter, disable, enable

__all__ = ["LlamaIndexAdapter", "__version__", "disable", "enable"]


def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Name the adapter; LlamaIndex itself is imported when an agent is first governed."""
    register(
        "llamaindex",
        "jackline_llamaindex:LlamaIndexAdapter",
        roots=("llama_index", "llama_index.core"),  # the first is a namespace: nothing is loaded with it
        supports="llama-index-core>=0.14.10,<0.15",
    )


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in ("LlamaIndexAdapter", "disable", "enable"):
        return getattr(import_module("jackline_llamaindex.adapter"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
