"""Jackline for outgoing requests: what tools send is traced and judged before it leaves."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jackline_http._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import RegisterAdapter
    from jackline_http.adapter import HttpAdapter, disable, enable

__all__ = ["HttpAdapter", "__version__", "disable", "enable"]


def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Name the adapter. Python's own `socket` is among its roots: connections need no library to be made."""
    register(
        "http",
        "jackline_http:HttpAdapter",
        roots=("socket", "httpx", "httpx2", "requests", "urllib3", "aiohttp"),
        supports="httpx>=0.27, requests>=2.31, urllib3>=2.0, aiohttp>=3.9",
    )


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in ("HttpAdapter", "enable", "disable"):
        return getattr(import_module("jackline_http.adapter"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
