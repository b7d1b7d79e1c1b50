"""What plugin authors test with: conformance suites, fixtures, doubles. Nothing heavy loads before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "AdapterSuite": "jackline.testing.adapters",
    "PolicySuite": "jackline.testing.policies",
    "StoreSuite": "jackline.testing.stores",
    "allow_journal_writes": "jackline.testing.blocking",
}

__all__ = ["AdapterSuite", "PolicySuite", "StoreSuite", "allow_journal_writes"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
