"""Jackline: decide, record and account for what an agent does, before it does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline._version import __version__
from jackline.errors import (
    ApprovalPending,
    BundleError,
    Denied,
    Halted,
    JacklineError,
    JournalError,
    LedgerError,
    PluginError,
)

if TYPE_CHECKING:
    from jackline.guard import Guard
    from jackline.init import close, current, init
    from jackline.session import Session

__all__ = [
    "ApprovalPending",
    "BundleError",
    "Denied",
    "Guard",
    "Halted",
    "JacklineError",
    "JournalError",
    "LedgerError",
    "PluginError",
    "Session",
    "__version__",
    "close",
    "current",
    "init",
]

_LAZY = {
    "Guard": "jackline.guard",
    "Session": "jackline.session",
    "close": "jackline.init",
    "current": "jackline.init",
    "init": "jackline.init",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `import jackline` stays small."""
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'jackline' has no attribute '{name}'")
    import importlib  # noqa: PLC0415 - only when something is asked for

    found = importlib.import_module(module)
    for each, where in _LAZY.items():
        if where == module:  # all at once: the import has put the module `init` where the function `init` is to be
            globals()[each] = getattr(found, each)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
