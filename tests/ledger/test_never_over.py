"""Never over the ceiling: in any order, from eight processes, with processes killed between."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.decision import Claim, Refusal, Reservation
from jackline.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

MILLION = 1_000_000
scopes = st.sampled_from(["a", "b", "c"])
amounts = st.integers(0, 60)
claim_lists = st.lists(
    st.builds(
        Claim,
        scope=scopes,
        unit=st.just("usd"),
        cap=st.integers(0, 100),
        fixed=amounts,
        per_output=st.sampled_from([0, 1, 300_000, 2_500_000]),
    ),
    min_size=1,
    max_size=4,
)
acts = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), claim_lists, st.integers(0, 100), st.booleans(), st.integers(0, 20)),
        st.tuples(st.just("settle"), st.integers(0, 9), amounts),
        st.tuples(st.just("release"), st.integers(0, 9)),
        st.tuples(st.just("book"), st.integers(0, 9)),
    ),
    max_size=30,
)


class Model:
    """What the ledger must do, in the plainest words."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def totals(self, claims: list[Claim], output: int) -> dict[str, int]:
        merged: dict[str, list[int]] = {}
        for claim in claims:
            total = merged.setdefault(claim.scope, [0, 0])
            total[0] += claim.fixed
            total[1] += claim.per_output
        return {scope: fixed + -(-output * per // MILLION) for scope, (fixed, per) in merged.items()}

    def misfit(self, claims: list[Claim], output: int) -> str | None:
        """The first scope, in listed order, one of whose caps does not hold."""
        wanted = self.totals(claims, output)
        for scope, need in wanted.items():
            have = self.spent.get(scope, 0) + self.held.get(scope, 0)
            if any(have + need > claim.cap for claim in claims if claim.scope == scope):
                return scope
        return None


def check_reserve(ledger: Ledger, model: Model, act: Any) -> Reservation | None:
    _, claims, wanted, shrink, minimum = act
    made = ledger.reserve(claims, output=wanted, shrink=shrink, minimum=minimum, at=1.0)
    least = min(minimum, wanted) if shrink else wanted
    if isinstance(made, Refusal):
        assert made.claim.scope == model.misfit(claims, least)
        assert made.spent + made.outstanding + made.wanted > made.claim.cap
        return None
    if any(claim.per_output for claim in claims):
        assert made.output is not None
        assert least <= made.output <= wanted
        assert model.misfit(claims, made.output) is None
        assert made.output == wanted or model.misfit(claims, made.output + 1) is not None, "the largest that fits"
    else:
        assert made.output is None
        assert model.misfit(claims, 0) is None
    for hold in made.holds:
        assert hold.held == model.totals(claims, made.output or 0)[hold.scope]
        model.held[hold.scope] = model.held.get(hold.scope, 0) + hold.held
    return made


def finish(ledger: Ledger, model: Model, act: Any, made: Reservation) -> None:
    how = act[0]
    booked = ledger.settle(made, {"usd": act[2]}, 1.0) if how == "settle" else getattr(ledger, how)(made)
    for hold in made.holds:
        amount = {"settle": act[-1], "release": 0, "book": hold.held}[how]
        model.held[hold.scope] -= hold.held
        model.spent[hold.scope] = model.spent.get(hold.scope, 0) + amount
        assert how == "release" or booked[hold.scope] == amount


@settings(max_examples=120, deadline=None)
@given(acts=acts)
def test_in_any_order_no_scope_goes_over_and_all_that_fits_is_granted(tmp_path_factory, acts):
    ledger = Ledger.open(tmp_path_factory.mktemp("ledger"))
    model = Model()
    open_ones: list[Reservation] = []
    for act in acts:
        if act[0] == "reserve":
            made = check_reserve(ledger, model, act)
            if made is not None:
                open_ones.append(made)
        elif open_ones:
            finish(ledger, model, act, open_ones.pop(act[1] % len(open_ones)))
        for scope in "abc":
            assert ledger.balance(scope) == (model.spent.get(scope, 0), model.held.get(scope, 0))
    assert ledger.audit() == []
    ledger.close()


def in_processes(count: int, act: Callable[[int], None]) -> list[int]:
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                act(number)
                status = 0
            finally:
                os._exit(status)
        pids.append(pid)
    return pids


def test_eight_forked_processes_stop_exactly_at_the_cap(ledger):
    claims = [
        Claim(scope="tight", unit="usd", cap=20_000, fixed=10),
        Claim(scope="wide", unit="calls", cap=10**9, fixed=1),
    ]

    def spend(number: int) -> None:
        chance = random.Random(number)
        while isinstance(made := ledger.reserve(claims, at=1.0), Reservation):
            ledger.settle(made, {"usd": chance.choice([1, 5, 10]), "calls": 1}, 1.0)
        while isinstance(
            made := ledger.reserve([Claim(scope="tight", unit="usd", cap=20_000, fixed=1)], at=1.0), Reservation
        ):
            ledger.settle(made, {"usd": 1}, 1.0)

    for pid in in_processes(8, spend):
        assert os.waitpid(pid, 0)[1] == 0
    assert ledger.balance("tight") == (20_000, 0)
    assert ledger.balance("wide").held == 0
    assert ledger.audit() == []


def test_eight_separate_processes_stop_exactly_at_the_cap(folder):
    script = """
import sys
from jackline.decision import Claim, Reservation
from jackline.ledger import Ledger
ledger = Ledger.open(sys.argv[1])
claims = [Claim(scope="tight", unit="calls", cap=2_000, fixed=1), Claim(scope=sys.argv[2], unit="usd", cap=9**9, fixed=3)]
count = 0
while isinstance(made := ledger.reserve(claims, at=1.0), Reservation):
    assert ledger.settle(made, {"usd": 2, "calls": 1}, 1.0) == {"tight": 1, sys.argv[2]: 2}
    count += 1
assert ledger.balance(sys.argv[2]) == (2 * count, 0)
"""
    running = [subprocess.Popen([sys.executable, "-c", script, folder, f"own {n}"]) for n in range(8)]
    assert [process.wait() for process in running] == [0] * 8
    ledger = Ledger.open(folder)
    assert ledger.balance("tight") == (2_000, 0)
    assert sum(entry.spent for entry in ledger.balances() if entry.unit == "usd") == 4_000
    assert ledger.audit() == []
    ledger.close()


def test_threads_of_one_process_stop_exactly_at_the_cap(ledger):
    claims = [Claim(scope="calls", unit="calls", cap=300, fixed=1)]
    ran: list[int] = []

    def call() -> None:
        for _ in range(10):
            if isinstance(made := ledger.reserve(claims, at=1.0), Reservation):
                ran.append(1)
                ledger.settle(made, {"calls": 1}, 1.0)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ran) == 300
    assert ledger.balance("calls") == (300, 0)


@pytest.mark.parametrize("parallel", [5, 100])
def test_parallel_calls_are_held_before_any_is_posted(ledger, parallel):
    """Five parallel calls under max_tool_calls=2 all ran where the count came after the check."""
    results = [ledger.reserve([Claim(scope="calls", unit="calls", cap=2, fixed=1)], at=1.0) for _ in range(parallel)]
    assert [isinstance(each, Reservation) for each in results] == [True, True] + [False] * (parallel - 2)


def test_a_budget_belongs_to_its_scope_and_survives_the_process(folder):
    """A budget kept in a middleware instance starts anew with each; this one is the session's."""
    claims = [Claim(scope="session/1", unit="usd", cap=10, fixed=10)]
    for expected in (Reservation, Refusal, Refusal):
        ledger = Ledger.open(folder)
        made = ledger.reserve(claims, at=1.0)
        assert isinstance(made, expected)
        if isinstance(made, Reservation):
            ledger.book(made)
        ledger.close()


def test_processes_killed_at_random_lose_nothing_acknowledged(ledger):
    rounds, workers, cap = 6, 4, 10**12
    board = mmap.mmap(-1, 8 * workers)
    chance = random.Random(7)

    def spend(number: int) -> None:
        own = random.Random()
        (posted,) = struct.unpack_from("q", board, 8 * number)
        while isinstance(made := ledger.reserve(both(own.randint(1, 9)), output=2, at=1.0), Reservation):
            posted += sum(ledger.settle(made, {"usd": own.randint(1, 12)}, 1.0).values())
            struct.pack_into("q", board, 8 * number, posted)

    def both(fixed: int) -> list[Claim]:
        return [Claim(scope=scope, unit="usd", cap=cap, fixed=fixed, per_output=500_000) for scope in "ab"]

    recovered = 0
    for _ in range(rounds):
        pids = in_processes(workers, spend)
        before = ledger.balance("a").spent
        goal = before + chance.randint(200, 2_000)
        for _ in range(1_000_000):
            if ledger.balance("a").spent >= goal:
                break
            os.sched_yield()
        else:
            pytest.fail("the processes do not spend")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
        recovered += sum(each.booked["a"] for each in ledger.recover())
        posted = sum(struct.unpack(f"{workers}q", board[:])) // 2
        assert ledger.audit() == []
        spent, held = ledger.balance("a")
        assert ledger.balance("b") == (spent, held)
        assert held == 0
        assert posted + recovered <= spent <= posted + recovered + rounds * workers * 12
