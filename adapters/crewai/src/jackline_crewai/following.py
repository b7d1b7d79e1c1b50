"""Which guards follow which calls: the whole process, what is attached, or what happens inside of a governed run."""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any

from jackline.session import CURRENT
from jackline_crewai.places import PLACE
from jackline_crewai.tools import Tools

if TYPE_CHECKING:
    from jackline.guard import Guard


class Follower:
    """What one guard has in CrewAI while it governs anything there."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.tools = Tools(guard)
        self.process = 0
        """How often the guard was enabled for the whole process."""
        self.attached: dict[int, weakref.ref[Any]] = {}

    def has(self, native: Any) -> bool:
        """Whether this very object was attached."""
        found = self.attached.get(id(native))
        return found is not None and found() is native


class Following:
    """The guards that are followed. The wraps are on while there is one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._followers: dict[int, Follower] = {}
        self._process: tuple[Follower, ...] = ()
        self._attached = False

    def of(self, guard: Any) -> Follower | None:
        """What a guard has in CrewAI; None where it has nothing (any more)."""
        return self._followers.get(id(guard))

    def guards(self) -> list[Guard]:
        """Every guard that is followed."""
        return [follower.guard for follower in self._followers.values()]

    def active(self, native: Any) -> tuple[Follower, ...]:
        """The followers of a call of this object, here."""
        found = self._process
        if len(found) == len(self._followers):  # each of them follows everything
            return found
        near = {item.guard for place in _chain() for item in place.scopes}
        scope = CURRENT.get()
        if scope is not None:
            near.update(one.guard for one in (scope, *scope.others))
        more = [
            item
            for item in tuple(self._followers.values())
            if not item.process and (item.guard in near or item.has(native))
        ]
        return (*found, *more)

    def widen(self, guard: Guard) -> None:
        """Follow every call of the process."""
        with self._lock:
            self._join(guard).process += 1
            self._sort()

    def narrow(self, guard: Guard) -> None:
        """Undo one `widen`."""
        with self._lock:
            follower = self.of(guard)
            if follower is None or not follower.process:
                return
            follower.process -= 1
            if follower.process or follower.attached:
                self._sort()
            else:
                self.leave(guard)

    def attach(self, guard: Guard, native: Any) -> None:
        """Follow the calls of one object, and what happens inside of them."""
        with self._lock:
            follower = self._join(guard)
            key = id(native)
            follower.attached[key] = weakref.ref(native, lambda _gone: follower.attached.pop(key, None))
            self._sort()

    def inherit(self, native: Any, made: Any) -> None:
        """Follow what was made of an object as that is followed: its copy, or what a checkpoint had of it."""
        for follower in tuple(self._followers.values()):
            if made is not None and made is not native and follower.has(native):
                self.attach(follower.guard, made)

    def leave(self, guard: Guard) -> None:
        """Follow nothing for this guard any more."""
        from jackline_crewai.wraps import WRAPS  # noqa: PLC0415 - the wraps stand on this module

        with self._lock:
            if self._followers.pop(id(guard), None) is not None:
                self._sort()
                WRAPS.remove()

    def _join(self, guard: Guard) -> Follower:
        from jackline_crewai.wraps import WRAPS  # noqa: PLC0415 - as above

        found = self.of(guard)
        if found is None:
            WRAPS.install()
            found = self._followers[id(guard)] = Follower(guard)
            guard.at_close(functools.partial(self.leave, guard))
        return found

    def _sort(self) -> None:
        self._process = tuple(item for item in self._followers.values() if item.process)


def _chain() -> Any:
    place = PLACE.get()
    while place is not None:
        yield place
        place = place.above


FOLLOWING = Following()
