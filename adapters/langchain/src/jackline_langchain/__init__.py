"""Jackline for LangChain and LangGraph: what agents do is judged before it happens."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jackline_langchain._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import RegisterAdapter
    from jackline_langchain.adapter import LangChainAdapter, disable, enable
    from jackline_langchain.handler import JacklineCallbackHandler
    from jackline_langchain.middleware import JacklineMiddleware

__all__ = [
    "JacklineCallbackHandler",
    "JacklineMiddleware",
    "LangChainAdapter",
    "__version__",
    "disable",
    "enable",
]

_WHERE = {
    "JacklineCallbackHandler": "jackline_langchain.handler",
    "JacklineMiddleware": "jackline_langchain.middleware",
    "LangChainAdapter": "jackline_langchain.adapter",
    "disable": "jackline_langchain.adapter",
    "enable": "jackline_langchain.adapter",
}


def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Name the adapter; LangChain itself is imported when an agent is first governed."""
    register(
        "langchain",
        "jackline_langchain:LangChainAdapter",
        roots=("langchain", "langgraph", "langchain_core"),
        supports="langchain-core>=1.2.1",
    )


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
