"""The entrances of LangChain that are wrapped while a guard is open, and put back when the last one is closed.

A wrap changes nothing by itself: it makes a call's objects known to the callbacks (entrances.py), and a body asks the
guard only for the acts that a callback has added there. No handler, no act, no difference.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from langchain_core.tools import BaseTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

SWITCH = "JACKLINE_LANGCHAIN_PATCH"
"""Set to 0, nothing is wrapped: acts are refused from the callbacks, and what a policy would change is refused."""


class Patches:
    """Every wrapped attribute, with what was there before."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        self._covered: set[type] = set()
        self._embedding: Mapping[str, Wrapper] = {}
        self._tools: Mapping[str, Wrapper] = {}

    @property
    def on(self) -> bool:
        """Whether anything is wrapped."""
        return bool(self._wrapped)

    def install(self) -> None:
        """Wrap LangChain's entrances for a guard; each call wants a `remove`."""
        with self._lock:
            self._users += 1
            self.prepare()

    def prepare(self) -> None:
        """Wrap LangChain's entrances before there is a guard.

        In `model.stream(text, {"callbacks": [JacklineCallbackHandler(guard)]})` the method is looked up first.
        """
        from jackline_langchain import wraps  # noqa: PLC0415 - the wraps stand on this module

        with self._lock:
            if self._wrapped or os.environ.get(SWITCH) == "0":
                return
            for owner, wrappers in wraps.ENTRANCES:
                for name, wrapper in wrappers.items():
                    if name in owner.__dict__:
                        self._wrap(owner, name, wrapper)
            for kind, base, wrappers in wraps.BODIES:
                self.cover(kind, base, wrappers)
            self._embedding, self._tools = wraps.EMBEDDINGS, wraps.OWN_TOOLS
            self._cover_family(Embeddings, self._wrap_embedding)  # they have no callbacks
            self._cover_family(BaseTool, self._wrap_tool)

    def remove(self) -> None:
        """Put back what was there, with the last user; a wrap that somebody else wrapped stays, and does nothing."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            for owner, name, original, wrapped in reversed(self._wrapped):
                if owner.__dict__.get(name) is wrapped:
                    if original is None:
                        delattr(owner, name)
                    else:
                        setattr(owner, name, original)
            self._wrapped.clear()
            self._covered.clear()

    def cover(self, kind: type, base: type, wrappers: Mapping[str, Wrapper]) -> None:
        """Wrap the bodies that a class has of its own or inherits, below `base`."""
        if kind in self._covered:
            return
        with self._lock:
            if not self._wrapped:
                return
            for owner in kind.__mro__:
                if owner is base:
                    break
                if owner not in self._covered:
                    for name, wrapper in wrappers.items():
                        if name in owner.__dict__:
                            self._wrap(owner, name, wrapper)
                    self._covered.add(owner)

    def _wrap(self, owner: type, name: str, wrapper: Wrapper) -> None:
        original = owner.__dict__[name]
        wrapped = functools.wraps(original)(wrapper(original))
        self._wrapped.append((owner, name, original, wrapped))
        setattr(owner, name, wrapped)

    def _cover_family(self, base: Any, cover: Callable[[type], None]) -> None:
        """Wrap every class below `base`, those defined later too."""
        inherited: Any = base.__dict__.get("__init_subclass__")

        def made(cls: type, /, **kwargs: Any) -> None:
            if inherited is None:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[misc]
            else:
                inherited.__func__(cls, **kwargs)
            with self._lock:
                cover(cls)

        replaced: Any = classmethod(made)
        self._wrapped.append((base, "__init_subclass__", inherited, replaced))
        base.__init_subclass__ = replaced
        pending: list[type] = [base]
        while pending:
            owner = pending.pop()
            cover(owner)
            pending.extend(owner.__subclasses__())

    def _wrap_tool(self, owner: type) -> None:
        if not owner.__module__.startswith("langchain_core."):
            self.cover(owner, BaseTool, self._tools)

    def _wrap_embedding(self, owner: type) -> None:
        if owner in self._covered:
            return
        self._covered.add(owner)
        for name, wrapper in self._embedding.items():
            if name in owner.__dict__ and not getattr(owner.__dict__[name], "__isabstractmethod__", False):
                self._wrap(owner, name, wrapper)


PATCHES = Patches()
