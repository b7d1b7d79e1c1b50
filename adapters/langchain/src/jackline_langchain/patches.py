"""The entrances of LangChain that are wrapped while a guard is open, and put back when the last one is closed.

A wrap changes nothing by itself: it makes a call's objects known to the callbacks (entrances.py), and a body asks the
guard only for the acts that a callback has added there. No handler, no act, no difference.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from langchain_core.tools import BaseTool

from jackline.wrapping import Wraps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.wrapping import Wrapper

SWITCH = "JACKLINE_LANGCHAIN_PATCH"
"""Set to 0, nothing is wrapped: acts are refused from the callbacks, and what a policy would change is refused."""


class Patches(Wraps):
    """Every wrapped attribute of LangChain's."""

    def __init__(self) -> None:
        super().__init__()
        self._reached: set[tuple[type, type]] = set()
        self._embedding: Mapping[str, Wrapper] = {}
        self._tools: Mapping[str, Wrapper] = {}

    def put_on(self) -> None:
        """Wrap LangChain's entrances, and the bodies of classes that may be called past them."""
        from jackline_langchain import wraps  # noqa: PLC0415 - the wraps stand on this module

        self._reached.clear()
        if os.environ.get(SWITCH) == "0":
            return
        for owner, wrappers in wraps.ENTRANCES:
            for name, wrapper in wrappers.items():
                if name in owner.__dict__:
                    self.wrap(owner, name, wrapper)
        for kind, base, wrappers in wraps.BODIES:
            self.reach(kind, base, wrappers)
        self._embedding, self._tools = wraps.EMBEDDINGS, wraps.OWN_TOOLS
        self.cover_family(Embeddings, self._cover_embedding)  # they have no callbacks
        self.cover_family(BaseTool, self._cover_tool)

    def reach(self, kind: type, base: type, wrappers: Mapping[str, Wrapper]) -> None:
        """Wrap the bodies that a class has of its own or inherits, below `base`. Every call asks for it."""
        if (kind, base) in self._reached:
            return
        with self.lock:
            for owner in _below(kind, base):
                self.cover(owner, wrappers)
            if self.on:
                self._reached.add((kind, base))

    def _cover_tool(self, kind: type) -> None:
        for owner in _below(kind, BaseTool):
            if not owner.__module__.startswith("langchain_core."):
                self.cover(owner, self._tools)

    def _cover_embedding(self, kind: type) -> None:
        self.cover(kind, self._embedding)


def _below(kind: type, base: type) -> tuple[type, ...]:
    """A class and what it inherits from, up to `base`."""
    order = kind.__mro__
    return order[: order.index(base)] if base in order else order


PATCHES = Patches()
