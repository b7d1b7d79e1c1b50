"""Finding the adapter: by the type of an agent, or by the framework that a process loads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from jackline.errors import JacklineError
from jackline.plugins import installed_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.adapter import Adapter
    from jackline.registrations import Target

FRAMEWORKS: Mapping[str, str] = {
    "langchain_core": "jackline-langchain",
    "langgraph": "jackline-langchain",
    "langchain": "jackline-langchain",
    "crewai": "jackline-crewai",
    "llama_index": "jackline-llamaindex",
}
"""Modules that show that a framework is loaded, and the distribution that governs it."""


def make(target: Target) -> Adapter:
    """Import an adapter and make its instance."""
    return cast("Adapter", target.load()())


def of_framework(module: str) -> Target | None:
    """The adapter that governs the framework with this top-level module."""
    targets = installed_plugins().registrations.targets("adapter")
    return next((target for target in targets if module in target.facts.get("roots", ())), None)


def of_frameworks() -> list[Target]:
    """Every adapter that says which modules show that its framework is loaded."""
    return [target for target in installed_plugins().registrations.targets("adapter") if target.facts.get("roots")]


def adapter_for(agent: Any) -> Adapter:
    """The adapter that accepts `agent`; raises JacklineError that names what is installed and what to install.

    Only adapters whose framework is loaded are imported: an agent of a framework cannot exist without it.
    """
    targets = installed_plugins().registrations.targets("adapter")
    for target in targets:
        roots = target.facts.get("roots", ())
        if not roots or any(root in sys.modules for root in roots):
            adapter = make(target)
            if adapter.accepts(agent):
                return adapter
    module = type(agent).__module__.partition(".")[0]
    names = ", ".join(target.name for target in targets)
    message = f"No adapter accepts '{type(agent).__qualname__}' (from {module}). Installed: {names}."
    if module in FRAMEWORKS:
        message += f" Try: pip install {FRAMEWORKS[module]}"
    raise JacklineError(message)
