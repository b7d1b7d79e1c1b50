"""The ledger: money, tokens and calls held before an act and settled after it, one for all processes of a host."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from jackline.errors import LedgerError
from jackline.ledger import pruning, reservations
from jackline.ledger.cells import (
    AT,
    CREDIT,
    DAMAGE,
    H_BOOT,
    H_CAPACITY,
    H_OWNERS,
    HELD,
    ID,
    OWNER,
    SPENT,
    TOUCHED,
    TURN,
    UNIT,
    Cells,
    boot,
    create,
)
from jackline.ledger.flights import Flight, Flights
from jackline.ledger.locking import HostLock, Owners
from jackline.ledger.reservations import UNIT_NAMES, UNITS, Recovered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from jackline.decision import Claim, Refusal, Reservation, Unit

__all__ = ["Balance", "Entry", "Ledger", "Recovered", "Room"]

_PID_BITS: Final = 22
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Balance(NamedTuple):
    """What one scope has spent and holds, in micro-dollars, tokens or calls."""

    spent: int
    held: int


class Entry(NamedTuple):
    """One scope as `Ledger.balances` lists it."""

    scope: str
    """At most 176 bytes of it."""
    unit: Unit
    spent: int
    held: int
    touched: int
    """Unix seconds of the last reservation."""
    raised: int = 0
    """What people added to its cap by top-ups."""
    turn: int = 0
    """Of a scope that is a part of a rolling window: which part, counted from 1970; 0 for any other."""


class Room(NamedTuple):
    """How full a ledger is."""

    used: int
    capacity: int
    """About how many scopes fit into the file where it is as large as it may be."""


class Ledger:
    """Hold before, settle after; every scope of a reservation in one step, for all processes of the host.

    A folder has the mapped cells (`cells`), the lock (`lock`) and the living processes (`owners`). A process
    may be killed at any instruction: what it had begun is completed by the next one, and what it held stays
    held until `recover` books it as spent. A power cut may lose the last seconds of writes; `open` then
    compares cells and reservations before the first use.

    Limits: 29 scopes a reservation, 2^60 of a unit a scope, about 8 million scopes (2 GiB; prune those that
    are over), POSIX systems, a local disk. The hash table is built anew at 16,384 scopes, then at four
    times as many: the lock is then held for as long as that takes (about 1 us a scope).

    Waiting: a step holds the lock for some 4 us. One that finds it taken tries for 20 us, then naps of up to a
    millisecond, and after `patience` seconds raises LedgerError, since the holder is stopped; nothing else would
    end that wait. Measured on two cores: a pair of reserve and settle over two scopes 12 us; beside a process
    with a busy thread p99 0.06 ms, max 4 ms; eight processes at full speed p99 1 ms, max 210 ms, which is the
    scheduler's. `benchmarks/ledger.py` repeats it.
    """

    _open: ClassVar[dict[tuple[int, int], Ledger]] = {}
    _opening: ClassVar[threading.Lock] = threading.Lock()
    _left: ClassVar[deque[Ledger]] = deque()

    def __init__(self, directory: Path, patience: float) -> None:
        self.directory = directory
        self._lock = HostLock(directory / "lock", patience)
        self._owners = Owners(directory / "owners")
        self._mutex = threading.RLock()
        self._inside = False
        self._owner = 0
        self._flights = Flights()
        self._users = 1
        self._cells: Cells | None = None
        try:
            self._lock.wait()
            self._cells = self._load(directory / "cells")
        except BaseException:
            self._lock.close()
            self._owners.close()
            raise
        self._lock.free()

    @classmethod
    def open(cls, directory: Path | str, *, patience: float = 2.0) -> Ledger:
        """Open the ledger of a folder, or make an empty one where there has never been one.

        A process has one Ledger for a folder, however often it is opened: closing a second descriptor of the
        lock file would drop the process's lock. Raises LedgerError where the files are damaged or gone, or
        the disk is full; a ledger never starts at zero by itself.
        """
        with contextlib.suppress(IndexError):
            while True:
                cls._left.popleft().close()
        folder = Path(directory)
        with cls._opening:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = folder / "lock"
                if not lock.exists():
                    lock.touch(mode=0o600)
                status = lock.stat()
                key = (status.st_dev, status.st_ino)
                ledger = cls._open.get(key)
                if ledger is None:
                    ledger = cls(folder, patience)
                    cls._open[key] = ledger
                else:
                    ledger._users += 1
            except OSError as error:
                raise LedgerError(f"The ledger in {folder} cannot be opened: {error}.") from error
        return ledger

    def _load(self, path: Path) -> Cells:
        if not path.exists():
            if self._lock.marked:
                raise LedgerError(
                    f"The ledger in {path.parent} has lost its file '{path.name}': what was spent is unknown, and "
                    "nothing that a budget meters is permitted. Stop the agents, then restore the file from a copy, "
                    "or move the whole folder away to start at zero on purpose."
                )
            create(path)
        self._lock.mark()
        cells = Cells(path)
        cells.refresh()
        if cells.words[H_BOOT] != boot():
            try:
                problems = reservations.audit(cells)
            except DAMAGE as error:
                told = cells.damaged(error)
                cells.close()
                raise told from error
            if problems:
                what = f"after a restart of the host {problems[0]} ({len(problems)} such)"
                cells.close()
                raise LedgerError(cells.advice(what))
            cells.words[H_BOOT] = boot()
        return cells

    def _locked(self, step: Callable[Concatenate[Cells, _P], _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run one step alone on this host. An exception in it, an interrupt among them, leaves no half step."""
        with self._mutex:
            if self._inside:
                raise LedgerError(
                    "The ledger was entered again from within one of its steps, by a signal handler or a finalizer. "
                    "Reserve and settle from ordinary code."
                )
            cells = self._cells
            if cells is None:
                raise LedgerError(f"The ledger in {self.directory} is closed. Open it again with Ledger.open.")
            lock = self._lock
            try:
                self._inside = True
                if lock.attempt():
                    lock.wait()
                cells.refresh()
                return step(cells, *args, **kwargs)
            except DAMAGE as error:  # a block leads where none is
                raise cells.damaged(error) from error
            except (struct.error, OverflowError) as error:
                raise LedgerError(f"The ledger counts whole numbers below 2^60: {error}.") from error
            finally:
                self._inside = False
                lock.free()

    def reserve(
        self,
        claims: Sequence[Claim],
        *,
        output: int | None = None,
        shrink: bool = False,
        minimum: int = 1,
        at: float,
    ) -> Reservation | Refusal:
        """Hold the worst case of an act in every scope, or refuse for the first claim that does not fit.

        With `shrink` the largest output up to `output` tokens that fits every cap is granted, at least
        `minimum`; otherwise all of `output` must fit. Claims that share a scope count together, under the
        lowest of their caps. `at` is Unix seconds.

        Where only calls are claimed they are booked at once, and given back where the act does not start: other
        processes see them as spent, not as held.
        """
        merged = reservations.merge(claims)
        if reservations.only_calls(merged):
            return self._locked(reservations.count, merged, self._flights, int(at))
        owner = self._owner or self._locked(self._claim)
        return self._locked(reservations.reserve, merged, output, minimum if shrink else None, owner, int(at))

    def _claim(self, cells: Cells) -> int:
        number = cells.words[H_OWNERS] + 1
        cells.words[H_OWNERS] = number
        self._owners.claim(number)
        self._owner = number << _PID_BITS | os.getpid() & ((1 << _PID_BITS) - 1)
        return self._owner

    def settle(self, reservation: Reservation, actual: Mapping[Unit, int], at: float) -> dict[str, int]:
        """Book what the act did cost, also above the hold, and give the rest back; amounts by scope.

        A unit that `actual` does not name is booked as held. A reservation that has ended before gives {}.
        `at` is Unix seconds.
        """
        with self._mutex:
            calls = self._flights.end(reservation.id)
        if calls is not None:
            booked = {hold.scope: hold.held for hold in calls.holds}
            if "calls" not in actual or {actual["calls"]}.issuperset(booked.values()):
                return booked
        amounts = {}
        for unit, amount in actual.items():
            if unit not in UNITS or amount < 0:
                raise LedgerError(f"{amount} of '{unit}' cannot be booked: 0 or more of one of {[*UNITS]} can.")
            amounts[UNITS[unit]] = amount
        if calls is not None:
            return self._recount(calls, actual["calls"])
        return self._finish(reservation, amounts, int(at))

    def release(self, reservation: Reservation) -> None:
        """Give a hold back. Only where it is shown that the act did not start."""
        with self._mutex:
            calls = self._flights.end(reservation.id)
        if calls is not None:
            self._recount(calls, 0)
            return
        self._finish(reservation, dict.fromkeys(UNITS.values(), 0))

    def book(self, reservation: Reservation) -> dict[str, int]:
        """Book a whole hold as spent, since the act's outcome is unknown; amounts by scope."""
        with self._mutex:
            calls = self._flights.end(reservation.id)
        return {hold.scope: hold.held for hold in calls.holds} if calls is not None else self._finish(reservation, None)

    def _recount(self, flight: Flight, calls: int) -> dict[str, int]:
        self._locked(reservations.recount, flight, calls)
        return dict.fromkeys([hold.scope for hold in flight.holds], calls)

    def _finish(self, reservation: Reservation, actual: Mapping[int, int] | None, at: int = 0) -> dict[str, int]:
        try:
            number = int(reservation.id, 16)
        except ValueError as error:
            raise LedgerError(f"'{reservation.id}' is no reservation's id, which has 16 hex digits.") from error
        booked = self._locked(reservations.finish, number, actual, at)
        lasting = [hold for hold in reservation.holds if not hold.once]
        return {hold.scope: amount for hold, (_, amount) in zip(lasting, booked, strict=False)}

    def top_up(self, scope: str, amount: int, at: float = 0) -> int:
        """Raise the cap of a scope by `amount` of its unit for as long as it is counted in; return the sum so far.

        Whoever calls this has put on record who wants it, and why. `at` (Unix seconds) keeps it from being pruned.
        """
        if amount <= 0:
            raise LedgerError(f"A top-up of {amount} raises nothing: name more than 0.")
        return self._locked(reservations.top_up, scope, amount, int(at))

    def balance(self, scope: str) -> Balance:
        """What a scope has spent and holds; zero for one that nobody has claimed."""
        return self._locked(_balance, scope, self._flights.calls)

    def balances(self) -> list[Entry]:
        """Every scope, in no order. Holds the lock while it reads: for people, not for each request."""
        return self._locked(_balances, self._flights.calls)

    def recover(self, *, book: bool = True) -> list[Recovered]:
        """Book the holds of processes that are dead as spent; their acts' outcomes are unknown.

        Without `book` nothing changes: it tells what would be booked.
        """
        return self._locked(self._recover, book)

    def _recover(self, cells: Cells, book: bool) -> list[Recovered]:
        alive = {self._owner >> _PID_BITS: True}
        found = []
        for record in reservations.live(cells):
            number, owner, at = (cells.words[record + field] for field in (ID, OWNER, AT))
            process = owner >> _PID_BITS
            if process not in alive:
                alive[process] = self._owners.alive(process)
            if not alive[process]:
                parts = reservations.finish(cells, number, None) if book else cells.parts(record)
                booked = {cells.scope(cell): amount for cell, amount in parts}
                found.append(Recovered(f"{number:016x}", owner & ((1 << _PID_BITS) - 1), at, booked))
        return found

    def prune(self, before: float, only: Collection[str] | None = None) -> int:
        """Forget scopes without holds whose last reservation is older than `before` (Unix seconds); how many.

        With `only` just those of its names; one that came into use since they were listed stays.
        What they had spent is forgotten with them: prune windows that are over, not sessions that may go on.
        The lock is given up between batches.
        """
        total = first = 0
        while first < self._locked(_capacity):
            total += self._locked(pruning.prune, int(before), first, only)
            first += pruning.BATCH
        return total

    def room(self) -> Room:
        """How many scopes there are, and how many there can be."""
        return Room(*self._locked(Cells.room_for_scopes))

    def audit(self) -> list[str]:
        """Say where cells and reservations disagree, for `doctor`; an empty list is a sound ledger."""
        return self._locked(reservations.audit)

    def close(self) -> None:
        """Give the files back once every `open` of this process has closed; open holds count as a dead process's."""
        with self._opening, self._mutex:
            if self._inside:
                raise LedgerError("The ledger cannot be closed from within one of its steps.")
            self._users -= 1
            if self._users == 0 and self._cells is not None:
                self._cells.close()
                self._cells = None
                self._lock.close()
                self._owners.close()
                for key in [key for key, ledger in self._open.items() if ledger is self]:
                    del self._open[key]

    def leave(self) -> None:
        """Close it when the next one is opened: for finalizers, which must not wait for a lock."""
        self._left.append(self)

    def _after_fork(self) -> None:
        self._mutex = threading.RLock()
        self._inside = False
        self._owner = 0
        self._flights = Flights()  # what its parent booked is its parent's to give back


def _balance(cells: Cells, scope: str, flying: Mapping[str, int]) -> Balance:
    cell = cells.find(scope)
    if not cell:
        return Balance(0, 0)
    spent = cells.words[cell + SPENT]
    mine = min(flying.get(scope, 0), spent)
    return Balance(spent - mine, cells.words[cell + HELD] + mine)


def _balances(cells: Cells, flying: Mapping[str, int]) -> list[Entry]:
    found = []
    for _, cell in cells.entries():
        scope, spent, unit = cells.scope(cell), cells.words[cell + SPENT], UNIT_NAMES[cells.words[cell + UNIT]]
        mine = min(flying.get(scope, 0), spent)
        touched, raised, turn = (cells.words[cell + field] for field in (TOUCHED, CREDIT, TURN))
        found.append(Entry(scope, unit, spent - mine, cells.words[cell + HELD] + mine, touched, raised, turn))
    return found


def _capacity(cells: Cells) -> int:
    return cells.words[H_CAPACITY]


def _after_fork() -> None:
    Ledger._opening = threading.Lock()  # noqa: SLF001 - the class's own module
    for ledger in list(Ledger._open.values()):  # noqa: SLF001
        ledger._after_fork()  # noqa: SLF001


os.register_at_fork(after_in_child=_after_fork)
