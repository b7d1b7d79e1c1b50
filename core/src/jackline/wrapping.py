"""Wraps around a framework's classes: put on once, also on classes that come later, and taken off without a trace.

An adapter that must not be walked around wraps what leads to a tool's or a model's body, on the class that has it.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_NOTHING = object()
"""Stands for an attribute that a class did not have of its own."""


class Wraps:
    """Every wrapped attribute of a framework, with what was there before."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._users = 0
        self._wrapped: list[tuple[Any, str, Any, Any]] = []
        self._covered: set[type] = set()

    @property
    def on(self) -> bool:
        """Whether anything is wrapped."""
        return bool(self._wrapped)

    def install(self) -> None:
        """Put the wraps on for one guard; each call wants a `remove`."""
        with self.lock:
            self._users += 1
            if not self._wrapped:
                self.put_on()

    def put_on(self) -> None:
        """Wrap what the framework has; an adapter's own wraps say what that is."""
        raise NotImplementedError

    def remove(self) -> None:
        """Put back what was there, with the last user; a wrap that somebody else wrapped stays, and does nothing."""
        with self.lock:
            self._users -= 1
            if self._users:
                return
            for owner, name, original, wrapped in reversed(self._wrapped):
                if owner.__dict__.get(name) is wrapped:
                    if original is _NOTHING:
                        delattr(owner, name)
                    else:
                        setattr(owner, name, original)
            self._wrapped.clear()
            self._covered.clear()

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Wrap a function that `owner` (a class or a module) has of its own."""
        original = owner.__dict__[name]
        kind = type(original) if isinstance(original, (staticmethod, classmethod)) else None
        body = original.__func__ if kind is not None else original
        wrapped: Any = functools.wraps(body)(wrapper(body))
        self._put(owner, name, original, kind(wrapped) if kind is not None else wrapped)

    def cover(self, kind: type, wrappers: Mapping[str, Wrapper]) -> None:
        """Wrap, once, what a class has of its own under these names; what is abstract there has no body."""
        with self.lock:
            if kind in self._covered:
                return
            self._covered.add(kind)
            for name, wrapper in wrappers.items():
                own = kind.__dict__.get(name)
                if own is not None and not getattr(own, "__isabstractmethod__", False):
                    self.wrap(kind, name, wrapper)

    def cover_family(self, base: Any, cover: Callable[[type], None]) -> None:
        """Cover `base` and every class below it, those defined later too: `cover` is told each class once."""
        inherited = base.__dict__.get("__init_subclass__", _NOTHING)

        def made(cls: type, /, **kwargs: Any) -> None:
            if inherited is _NOTHING:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[misc]
            else:
                inherited.__func__(cls, **kwargs)
            with self.lock:
                if self.on:
                    cover(cls)

        self._put(base, "__init_subclass__", inherited, classmethod(made))
        for kind in family(base):
            cover(kind)

    def _put(self, owner: Any, name: str, original: Any, wrapped: Any) -> None:
        self._wrapped.append((owner, name, original, wrapped))
        setattr(owner, name, wrapped)


def family(base: type) -> Iterator[type]:
    """A class and every class below it, each once."""
    seen: set[type] = set()
    pending = [base]
    while pending:
        kind = pending.pop()
        if kind not in seen:
            seen.add(kind)
            yield kind
            pending.extend(kind.__subclasses__())
