"""Jackline for CrewAI: what crews, agents and flows do is judged before it happens."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jackline_crewai._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import RegisterAdapter
    from jackline_crewai.adapter import CrewAIAdapter, disable, enable

__all__ = ["CrewAIAdapter", "__version__", "disable", "enable"]

_WHERE = "jackline_crewai.adapter"


def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Name the adapter; CrewAI itself is imported when an agent is first governed."""
    register("crewai", "jackline_crewai:CrewAIAdapter", roots=("crewai",), supports="crewai>=1.15.29")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in __all__:
        return getattr(import_module(_WHERE), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
