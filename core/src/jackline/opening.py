"""What is read of a home folder before a guard is made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jackline.journal import read
from jackline.prices import Prices
from jackline.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.events import Event
    from jackline.home import Home


def load_prices(home: Home) -> Prices:
    """The price table, with the overrides in `prices.yaml` of the home folder where there are any."""
    override = home.path / "prices.yaml"
    return Prices.load(override=override if override.exists() else None, cache=home.cache)


def known_schemas(home: Home) -> dict[str, dict[str, Any]]:
    """What the registry of a home knows of tools' arguments, without opening it for writing."""
    registry = Registry(home.registry, lambda _event: None, time.time)
    registry.refresh()
    return registry.schemas()


def open_registry(home: Home, clock: float | None = None) -> Registry:
    """The registry as guards see it; `clock` (Unix seconds) dates what is amended through it."""
    at = time.time() if clock is None else clock
    return Registry(home.registry, lambda _event: None, lambda: at).open(lambda: history(home))


def history(home: Home) -> Iterator[Event]:
    """Every event of every journal: what the registry is made of where its projection is missing."""
    for path in sorted(home.journals.glob("*.jsonl")):
        for line in read(path):
            if line.event is not None:
                yield line.event
