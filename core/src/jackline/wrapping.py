"""Wraps around a framework's classes: put on once, also on classes that come later, and taken off without a trace.

An adapter that must not be walked around wraps what leads to a tool's or a model's body, on the class that has it.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_NOTHING = object()
"""Stands for an attribute that a class did not have of its own."""


class _Wrapped(NamedTuple):
    owner: Any
    """A class or a module."""
    name: str
    original: Any
    """What `owner` had there; _NOTHING where it had nothing."""
    wrapped: Any
    """What it has instead."""


class Wraps:
    """Every wrapped attribute of a framework, with what was there before."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._users = 0
        self._ready = False
        """Whether `cover` may wrap: from `put_on` until the last `remove`."""
        self._wrapped: list[_Wrapped] = []
        self._covered: set[tuple[type, str]] = set()
        self._beneath: list[_Wrapped] = []
        """Wraps that somebody else has wrapped, which stayed when the rest was taken off."""

    @property
    def on(self) -> bool:
        """Whether anything is wrapped."""
        return bool(self._wrapped)

    def install(self) -> None:
        """Put the wraps on for one guard; each call wants a `remove`. Where it raises, nothing stays wrapped."""
        with self.lock:
            self.prepare()
            self._users += 1

    def prepare(self) -> None:
        """Put the wraps on before there is a guard, for callers who look a method up before they make one."""
        with self.lock:
            if self._wrapped:
                return
            self._ready = True
            try:
                self.put_on()
            except BaseException:
                self._take_off()
                raise
            self._ready = self.on

    def put_on(self) -> None:
        """Wrap what the framework has; an adapter's own wraps say what that is."""
        raise NotImplementedError

    def remove(self) -> None:
        """Put back what was there, with the last user; a wrap that somebody else wrapped stays, and does nothing.

        It does nothing because a wrap asks who is governed here, and nobody is; it serves again with the next install.
        """
        with self.lock:
            if self._users:
                self._users -= 1
                if not self._users:
                    self._take_off()

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Wrap what `owner` (a class or a module) has of its own under this name."""
        original = owner.__dict__[name]
        with self.lock:
            if not self._taken_up(owner, name):
                kind = type(original) if isinstance(original, (staticmethod, classmethod)) else None
                body = original.__func__ if kind is not None else _function(owner, original)
                wrapped: Any = functools.wraps(body)(wrapper(body))
                self._put(owner, name, original, kind(wrapped) if kind is not None else wrapped)

    def cover(self, kind: type, wrappers: Mapping[str, Wrapper]) -> None:
        """Wrap, once, what a class has of its own under these names; what is abstract there has no body.

        A call that comes after everything was taken off does nothing.
        """
        with self.lock:
            for name, wrapper in wrappers.items():
                own = kind.__dict__.get(name)
                if self._ready and own is not None and (kind, name) not in self._covered:
                    self._covered.add((kind, name))
                    if not getattr(own, "__isabstractmethod__", False):
                        self.wrap(kind, name, wrapper)

    def cover_family(self, base: Any, cover: Callable[[type], None]) -> None:
        """Cover `base` and every class below it, those defined later too: `cover` is told each class once."""
        told: weakref.WeakSet[type] = weakref.WeakSet()

        def tell(kind: type) -> None:
            with self.lock:
                if kind in told:
                    return
                told.add(kind)
                if kind is base or "__init_subclass__" in kind.__dict__:  # it may not call that of its base
                    self._watch(kind, tell)
                cover(kind)

        with self.lock:
            for kind in family(base):
                tell(kind)

    def _watch(self, owner: Any, tell: Callable[[type], None]) -> None:
        """Be told of classes that are defined below `owner` from now on."""
        if self._taken_up(owner, "__init_subclass__"):
            return
        inherited = owner.__dict__.get("__init_subclass__", _NOTHING)

        def made(cls: type, /, **kwargs: Any) -> None:
            if inherited is _NOTHING:
                super(owner, cls).__init_subclass__(**kwargs)  # type: ignore[misc]
            else:
                inherited.__func__(cls, **kwargs)
            with self.lock:
                if self.on:
                    tell(cls)

        self._put(owner, "__init_subclass__", inherited, classmethod(made))

    def _put(self, owner: Any, name: str, original: Any, wrapped: Any) -> None:
        self._wrapped.append(_Wrapped(owner, name, original, wrapped))
        setattr(owner, name, wrapped)

    def _taken_up(self, owner: Any, name: str) -> bool:
        """Whether an earlier wrap that is still called there serves again."""
        function = owner.__dict__.get(name)
        for one in self._beneath:
            if one.owner is owner and one.name == name and _leads(function, one.wrapped):
                self._beneath.remove(one)
                self._wrapped.append(one)
                return True
        return False

    def _take_off(self) -> None:
        self._ready = False
        for one in reversed(self._wrapped):
            if one.owner.__dict__.get(one.name) is not one.wrapped:
                self._beneath.append(one)
            elif one.original is _NOTHING:
                delattr(one.owner, one.name)
            else:
                setattr(one.owner, one.name, one.original)
        self._wrapped.clear()
        self._covered.clear()


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


def _function(owner: Any, original: Any) -> Callable[..., Any]:
    """What is found on a class, as a function whose first argument is the instance; a module binds nothing."""
    if not isinstance(owner, type) or (callable(original) and hasattr(type(original), "__get__")):
        return cast("Callable[..., Any]", original)

    def called(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        # A callable object is not given the instance; a property or a `partialmethod` answers with the callable.
        bind = getattr(type(original), "__get__", None)
        found = original if bind is None else bind(original, self, type(self))
        return found(*args, **kwargs)

    return called


def _leads(function: Any, wrapped: Any) -> bool:
    """Whether a wrap is still called by what stands in its place: what wraps a function says so."""
    aims = (wrapped, getattr(wrapped, "__func__", wrapped))
    while function is not None and not any(function is aim for aim in aims):
        function = getattr(function, "__wrapped__", None)
    return function is not None
