"""Which guards follow which calls: the whole process, what was attached, and all that happens inside of either."""

from __future__ import annotations

import contextlib
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jackline.session import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jackline.guard import Guard


class Follower:
    """What one guard has in LlamaIndex, from `enable` or its first `attach` until it is closed."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def begin(self) -> None:
        """Put the wraps on; nothing is governed by that alone."""
        from jackline_llamaindex.wraps import WRAPS  # noqa: PLC0415 - the wraps stand on this module

        WRAPS.install()
        FOLLOWERS.add(self)

    def end(self) -> None:
        """Off means off."""
        from jackline_llamaindex.wraps import WRAPS  # noqa: PLC0415 - the wraps stand on this module

        if FOLLOWERS.take(self):
            WRAPS.remove()


class Followers:
    """The guards that follow, and the objects that were attached to one of them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: dict[int, Follower] = {}
        self._everywhere: list[Follower] = []
        """Those that govern the whole process; a list that is never changed, only replaced."""
        self._attached: dict[int, tuple[Any, list[Follower]]] = {}

    def join(self, guard: Guard) -> Follower:
        """The follower of a guard."""
        with self._lock:
            found = self._all.get(id(guard))
            if found is None:
                found = Follower(guard)
                found.begin()
                guard.at_close(found.end)
            return found

    def add(self, follower: Follower) -> None:
        """From now on it is asked."""
        with self._lock:
            self._all = {**self._all, id(follower.guard): follower}

    def widen(self, follower: Follower) -> None:
        """Let a guard follow the whole process."""
        with self._lock:
            if follower not in self._everywhere:
                self._everywhere = [*self._everywhere, follower]

    def take(self, follower: Follower) -> bool:
        """It is asked no longer; False where it was not."""
        with self._lock:
            if self._all.get(id(follower.guard)) is not follower:
                return False
            self._all = {key: each for key, each in self._all.items() if each is not follower}
            self._everywhere = [each for each in self._everywhere if each is not follower]
            for key, (reference, attached) in list(self._attached.items()):
                kept = [each for each in attached if each is not follower]
                if kept:
                    self._attached[key] = (reference, kept)
                else:
                    del self._attached[key]
            return True

    def of(self, guard: Any) -> Follower | None:
        """What a guard has in LlamaIndex; None where it has nothing (any more)."""
        return self._all.get(id(guard))

    def all(self) -> list[Follower]:
        """Every follower."""
        return list(self._all.values())

    def bind(self, native: Any, follower: Follower) -> None:
        """Let a guard follow one object, as long as the object lives."""
        with self._lock:
            reference, attached = self._attached.get(id(native), (None, []))
            if reference is None:
                reference = self._reference(native)
            if follower not in attached:
                self._attached[id(native)] = (reference, [*attached, follower])

    def _reference(self, native: Any) -> Callable[[], Any]:
        key = id(native)

        def forget(_: Any) -> None:
            self._attached.pop(key, None)

        try:
            return weakref.ref(native, forget)
        except TypeError:  # what takes no weak reference is kept
            return lambda: native

    @contextlib.contextmanager
    def inside(self, native: Any) -> Iterator[None]:
        """What is done within is followed by the guards that follow this object."""
        token = _inside.set(tuple(self.active(native))) if self._attached else None
        try:
            yield
        finally:
            if token is not None:
                _inside.reset(token)

    def active(self, *natives: Any) -> list[Follower]:
        """The guards that follow what is done with these objects here."""
        everyone = self._all
        if len(self._everywhere) == len(everyone):
            return self._everywhere
        found = list(self._everywhere)
        found += [each for each in _inside.get() if each not in found and everyone.get(id(each.guard)) is each]
        for guard in around():
            follower = everyone.get(id(guard))
            if follower is not None and follower not in found:
                found.append(follower)
        if self._attached:
            for native in natives:
                reference, attached = self._attached.get(id(native), (None, ()))
                if reference is not None and reference() is native:
                    found += [follower for follower in attached if follower not in found]
        return found


def around() -> list[Any]:
    """The guards in whose scope the caller is."""
    from jackline_llamaindex.runs import RUN  # noqa: PLC0415 - runs stand on followers

    current = CURRENT.get()
    running = RUN.get()
    found = [] if current is None else [scope.guard for scope in (current, *current.others)]
    if running is not None:
        found += [each.guard for each in running.runs]
    return found


_inside: ContextVar[tuple[Follower, ...]] = ContextVar("jackline_llamaindex_inside", default=())
FOLLOWERS = Followers()
