"""A process may be killed at any instruction: nothing is half done, and what it held is booked as spent."""

from __future__ import annotations

import dis
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from jackline.decision import Claim, Reservation
from jackline.ledger import Ledger, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCOPES = [f"scope {n}" for n in range(24)]


class Countdown:
    """Runs `strike` before the nth bytecode instruction inside the ledger's own modules.

    With `after` only instructions count that follow one of that name under the same exception handler: the
    interpreter looks for interrupts in calls and at a function's start, while kills come anywhere.
    """

    def __init__(self, instructions: int, strike: Callable[[], None], after: tuple[str, ...] = ()) -> None:
        self.left = instructions
        self.strike = strike
        self.after = after
        self.previous: dict[Any, tuple[str, int]] = {}

    def __call__(self, frame: Any, event: str, arg: object) -> Any:
        """As `sys.settrace` calls it."""
        if "/jackline/ledger/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self.instruction(frame)
        return self

    def monitored(self, code: Any, offset: int) -> Any:
        """As `sys.monitoring` calls it."""
        if "/jackline/ledger/" not in code.co_filename:
            return sys.monitoring.DISABLE
        return self.instruction(sys._getframe(1))

    def instruction(self, frame: Any) -> None:
        if self.counts(frame):
            self.left -= 1
            if self.left == 0:
                self.strike()

    def counts(self, frame: Any) -> bool:
        if not self.after:
            return True
        code, here = frame.f_code, frame.f_lasti
        name, there = self.previous.get(frame, ("RESUME", here))
        self.previous[frame] = dis.opname[code.co_code[here]], here
        return name.startswith(self.after) and protection(code, there) == protection(code, here)


def protection(code: Any, at: int) -> Any:
    """The innermost entry of the exception table that covers an instruction."""
    return next((entry for entry in dis._parse_exception_table(code) if entry.start <= at < entry.end), None)


def traced(countdown: Countdown, act: Callable[[], object]) -> None:
    if sys.version_info >= (3, 12):  # settrace there misses the instructions of code that it has not seen before
        monitored(countdown, act)
        return
    before = sys.gettrace()
    sys.settrace(countdown)
    try:
        act()
    finally:
        sys.settrace(before)


def monitored(countdown: Countdown, act: Callable[[], object]) -> None:
    watch, tool = sys.monitoring, 4
    watch.use_tool_id(tool, "countdown")
    watch.register_callback(tool, watch.events.INSTRUCTION, countdown.monitored)
    watch.set_events(tool, watch.events.INSTRUCTION)
    try:
        act()
    finally:
        watch.set_events(tool, 0)
        watch.register_callback(tool, watch.events.INSTRUCTION, None)
        watch.free_tool_id(tool)


def killed_at(instructions: int, act: Callable[..., object], before: Callable[[], object] | None = None) -> bool:
    """Run `act` in a forked process that SIGKILLs itself at that instruction; False where it ended before.

    It is given what `before` made in that process.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            given = () if before is None else (before(),)
            traced(Countdown(instructions, lambda: os.kill(os.getpid(), signal.SIGKILL)), lambda: act(*given))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), f"the child failed at instruction {instructions}: {status}"
    return status == signal.SIGKILL


def claims(amount: int, scopes: list[str]) -> list[Claim]:
    return [Claim(scope=scope, unit="usd", cap=10**9, fixed=amount) for scope in scopes]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Ledger]:
    """A ledger whose file and hash table grow after a few scopes."""
    monkeypatch.setattr(cells, "CHUNK", 4096)
    monkeypatch.setattr(cells, "CAPACITY", 16)
    ledger = Ledger.open(folder)
    yield ledger
    ledger.close()


def test_killed_in_a_reserve_it_held_all_or_nothing(ledger):
    two = ["a", "b"]
    ledger.book(ledger.reserve(claims(1, two), at=1.0))
    instruction, spent = 0, 1
    outcomes = set()
    while killed_at(instruction := instruction + 1, lambda: ledger.reserve(claims(10, two), at=1.0)):
        recovered = ledger.recover()
        spent += sum(each.booked["a"] for each in recovered)
        outcomes.add(len(recovered))
        assert ledger.balance("a") == ledger.balance("b") == (spent, 0)
        assert ledger.audit() == []
    assert outcomes == {0, 1}
    assert instruction > 300


def test_killed_in_a_settle_it_booked_the_actual_or_the_hold(ledger):
    two = ["a", "b"]
    instruction, spent = 0, 0
    outcomes = set()
    while True:
        made = ledger.reserve(claims(10, two), at=1.0)
        killed = killed_at(instruction := instruction + 1, lambda made=made: ledger.settle(made, {"usd": 3}, 2.0))
        left = ledger.balance("a")
        assert ledger.balance("b") == left
        assert left in ((spent, 10), (spent + 3, 0))
        ledger.book(made)
        outcomes.add(left.held)
        spent = ledger.balance("a").spent
        assert ledger.balance("b") == (spent, 0)
        assert ledger.audit() == []
        if not killed:
            break
    assert outcomes == {0, 10}
    assert instruction > 200


@pytest.mark.parametrize(("scopes", "stride"), [("a", 5), ("ab", 3)])
def test_killed_while_calls_are_booked_all_are_spent_or_none(ledger, scopes, stride):
    calls = [Claim(scope=scope, unit="calls", cap=10**9, fixed=1) for scope in scopes]
    ledger.book(ledger.reserve(calls, at=1.0))
    instruction, spent, outcomes = 0, 1, set()
    while killed_at(instruction := instruction + stride, lambda: ledger.reserve(calls, at=1.0)):
        assert ledger.recover() == []
        left = ledger.balance("a")
        assert ledger.balance(scopes[-1]) == left
        assert left.held == 0
        outcomes.add(left.spent - spent)
        spent = left.spent
        assert ledger.audit() == []
    assert outcomes == {0, 1}
    assert instruction > 150


def test_killed_while_calls_are_given_back_all_are_or_none(ledger):
    calls = [Claim(scope=scope, unit="calls", cap=10**9, fixed=1) for scope in "ab"]
    spent, instruction, outcomes = 0, 0, set()
    while killed_at(instruction := instruction + 3, ledger.release, lambda: ledger.reserve(calls, at=1.0)):
        left = ledger.balance("a")
        assert ledger.balance("b") == left
        outcomes.add(left.spent - spent)
        spent = left.spent
        assert ledger.audit() == []
    assert outcomes == {0, 1}
    assert ledger.balance("a") == (spent, 0)


def test_killed_while_it_completes_another_ones_step_the_next_completes_it(ledger):
    two = ["a", "b"]
    ledger.book(ledger.reserve(claims(1, two), at=1.0))

    def reserve() -> None:
        ledger.reserve(claims(10, two), at=1.0)

    begun = 1
    while ledger._cells.words[cells.H_INTENT] == 0:
        ledger.recover()
        assert killed_at(begun := begun + 1, reserve)
    spent, instruction, undone = ledger.balance("a").spent, 0, 0
    spent += sum(each.booked["a"] for each in ledger.recover())
    while True:
        assert killed_at(begun + 1, reserve)
        assert ledger._cells.words[cells.H_INTENT] > 0
        killed = killed_at(instruction := instruction + 1, lambda: ledger.balance("a"))
        undone += ledger._cells.words[cells.H_INTENT] > 0
        assert ledger.audit() == []
        assert [each.booked for each in ledger.recover()] == [{"a": 10, "b": 10}]
        spent += 10
        assert ledger.balance("a") == ledger.balance("b") == (spent, 0)
        if not killed:
            break
    assert undone > 50


def test_killed_while_the_file_and_the_table_grow_it_loses_no_scope(small):
    first, stride = SCOPES[:3], 53
    small.book(small.reserve(claims(5, first), at=1.0))
    instruction = 0
    sizes = set()
    while killed_at(instruction := instruction + stride, lambda n=instruction: small.reserve(fresh(n), at=1.0)):
        assert small.audit() == []
        assert [small.balance(scope).spent for scope in first] == [5, 5, 5]
        spent = {entry.scope: entry.spent + entry.held for entry in small.balances() if entry.scope not in first}
        assert set(spent.values()) <= {0, 7}
        sizes.add((small.directory / "cells").stat().st_size)
        small.recover()
    assert small.balance(f"{instruction} 0") == (0, 7)
    assert small.audit() == []
    assert len(sizes) > 5
    assert instruction > 1000


def fresh(instruction: int) -> list[Claim]:
    return claims(7, [f"{instruction} {n}" for n in range(6)])


def test_killed_while_pruning_it_forgets_whole_scopes(small):
    small.book(small.reserve(claims(5, SCOPES[:3]), at=1000.0))
    instruction, stride = 0, 41
    while True:
        small.book(small.reserve(claims(7, SCOPES[3:12]), at=10.0))
        killed = killed_at(instruction := instruction + stride, lambda: small.prune(500.0))
        assert small.audit() == []
        left = {entry.scope: entry.spent for entry in small.balances()}
        assert {scope: left.pop(scope) for scope in SCOPES[:3]} == dict.fromkeys(SCOPES[:3], 5)
        assert all(spent % 7 == 0 for spent in left.values())
        if not killed:
            break
    assert left == {}
    assert instruction > 1000


def test_killed_while_it_is_made_there_is_none_or_an_empty_one(folder):
    instruction, stride = 0, 17
    path = folder
    while killed_at(instruction := instruction + stride, lambda path=path: Ledger.open(path)):
        opened = Ledger.open(path)
        assert opened.balances() == []
        opened.close()
        path = folder.with_name(f"ledger {instruction}")
    assert instruction > 200


def test_an_interrupt_anywhere_leaves_no_half_step_and_no_lock(ledger):
    class Interrupted(BaseException):
        pass

    def strike() -> None:
        raise Interrupted

    two = ["a", "b"]
    instruction = 0
    while True:
        instruction += 1
        countdown = Countdown(instruction, strike, after=("RESUME", "CALL", "JUMP_BACKWARD"))
        try:
            traced(countdown, lambda: ledger.settle(ledger.reserve(claims(10, two), at=1.0), {"usd": 3}, 1.0))
        except Interrupted:
            assert ledger.balance("a") == ledger.balance("b")
            assert ledger.audit() == []
            assert not killed_at(10**9, lambda: ledger.balance("a")), "another process gets the lock"
        else:
            break
    assert ledger._mutex.acquire(blocking=False)
    ledger._mutex.release()
    assert instruction > 50


def test_recover_says_what_was_held_and_by_whom(ledger, folder):
    pid = os.fork()
    if pid == 0:
        ledger.reserve(claims(10, ["a", "b"]), at=77.9)
        os._exit(0)
    os.waitpid(pid, 0)
    mine = ledger.reserve(claims(4, ["a"]), at=78.0)
    (recovered,) = ledger.recover()
    assert (recovered.pid, recovered.at, recovered.booked) == (pid, 77, {"a": 10, "b": 10})
    assert len(recovered.id) == 16
    assert ledger.book(Reservation(id=recovered.id, holds=())) == {}
    assert ledger.balance("a") == (10, 4)
    assert ledger.recover() == []
    ledger.release(mine)


def test_a_process_that_lives_keeps_its_holds_and_another_may_settle_them(ledger):
    told, tell = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        made = ledger.reserve(claims(10, ["a"]), at=1.0)
        os.write(tell, made.id.encode())
        os.read(wait, 1)
        os._exit(0 if ledger.balance("a") == (6, 0) else 1)
    identifier = os.read(told, 16).decode()
    assert ledger.recover() == []
    assert ledger.balance("a") == (0, 10)
    ledger.settle(Reservation(id=identifier, holds=()), {"usd": 6}, 1.0)
    os.write(go, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    for end in (told, tell, wait, go):
        os.close(end)


def test_a_fork_while_another_thread_is_inside_does_not_deadlock(ledger):
    inside, leave = threading.Event(), threading.Event()

    def stay(_: object) -> None:
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=lambda: ledger._locked(stay))
    thread.start()
    assert inside.wait(10)
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(tell, b"x")
        made = ledger.reserve(claims(10, ["a"]), at=1.0)
        os._exit(0 if ledger.settle(made, {"usd": 4}, 1.0) == {"a": 4} else 1)
    os.read(told, 1)
    leave.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
    assert ledger.balance("a") == (4, 0)
    os.close(told)
    os.close(tell)


def test_a_lock_that_stays_taken_is_an_error_with_advice(folder, ledger):
    told, tell = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:

        def stay(_: object) -> None:
            os.write(tell, b"x")
            os.read(wait, 1)

        ledger._locked(stay)
        os._exit(0)
    os.read(told, 1)
    ledger._lock.patience = 0.02
    with pytest.raises(
        Exception, match=r"was not free within 0.02 s: a process that holds it is stopped or starved. Find"
    ):
        ledger.reserve(claims(1, ["a"]), at=1.0)
    os.write(go, b"x")
    os.waitpid(pid, 0)
    assert isinstance(ledger.reserve(claims(1, ["a"]), at=1.0), Reservation)
    for end in (told, tell, wait, go):
        os.close(end)
