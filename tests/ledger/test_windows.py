"""Rolling windows, caps of one act alone, and top-ups, as the ledger keeps them."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from jackline.decision import Claim, Refusal, Reservation
from jackline.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Unit
    from jackline.ledger import Ledger

RING = 4
"""Two parts of the window that are whole, one that is partly over, one ahead."""


def part(turn: int, fixed: int = 1, cap: int = 10, unit: Unit = "usd", name: str = "w") -> Claim:
    """A claim in one part of a window of two parts."""
    names = [f"{name}/{slot}" for slot in range(RING)]
    slot = turn % RING
    beside = (*names[slot + 1 :], *names[:slot])
    return Claim(scope=names[slot], unit=unit, cap=cap, fixed=fixed, turn=turn, beside=beside)


def spend(ledger: Ledger, *claims: Claim) -> Reservation | Refusal:
    made = ledger.reserve(claims, at=1.0)
    if isinstance(made, Reservation):
        ledger.settle(made, {}, 1.0)
    return made


def test_a_part_counts_until_all_of_the_window_lies_after_it(ledger: Ledger) -> None:
    assert isinstance(spend(ledger, part(7, 6)), Reservation)
    for turn in (7, 8, 9):
        refused = spend(ledger, part(turn, 5))
        assert isinstance(refused, Refusal)
        assert (refused.spent, refused.outstanding, refused.wanted) == (6, 0, 5)
    assert isinstance(spend(ledger, part(10, 5)), Reservation)
    assert isinstance(spend(ledger, part(10, 6)), Refusal)
    assert len(ledger.balances()) == RING


def test_a_part_that_is_used_again_starts_at_zero_but_for_what_is_held(ledger: Ledger) -> None:
    slow = ledger.reserve([part(7, 4)], at=1.0)
    assert isinstance(slow, Reservation)
    spend(ledger, part(7, 3))
    ledger.top_up("w/3", 90)
    made = ledger.reserve([part(7 + RING, 6)], at=1.0)
    assert isinstance(made, Reservation)
    (hold,) = made.holds
    assert (hold.spent, hold.outstanding, hold.cap) == (0, 4, 10)
    ledger.release(made)
    ledger.settle(slow, {"usd": 2}, 1.0)
    assert ledger.balance("w/3") == (2, 0), "booked in the part that its balance is now of: never too little"


@pytest.mark.parametrize("end", ["release", "none taken"])
def test_a_call_of_a_part_that_is_over_takes_nothing_from_the_part_that_is_now(ledger: Ledger, end: str) -> None:
    slow = ledger.reserve([part(7, 1, unit="calls")], at=1.0)
    assert isinstance(slow, Reservation)
    spend(ledger, part(7 + RING, 10, unit="calls"))
    if end == "release":
        ledger.release(slow)
    else:
        ledger.settle(slow, {"calls": 0}, 1.0)
    refused = spend(ledger, part(7 + RING, 1, unit="calls"))
    assert isinstance(refused, Refusal)
    assert refused.spent == 10


@pytest.mark.parametrize("unit", ["usd", "calls"])
def test_a_part_of_the_future_counts_too(ledger: Ledger, unit: Unit) -> None:
    assert isinstance(spend(ledger, part(50, 10, unit=unit)), Reservation)
    for turn in (49, 46, 2):
        assert isinstance(spend(ledger, part(turn, 1, unit=unit)), Refusal)


def test_a_top_up_of_a_window_ends_with_its_part(ledger: Ledger) -> None:
    spend(ledger, part(7, 10))
    assert ledger.top_up("w/3", 5) == 5
    assert ledger.top_up("w/3", 1) == 6
    made = spend(ledger, part(9, 6))
    assert isinstance(made, Reservation)
    assert made.holds[0].cap == 16
    refused = spend(ledger, part(9, 1))
    assert isinstance(refused, Refusal)
    assert refused.raised == 6
    assert [(entry.scope, entry.raised, entry.turn) for entry in ledger.balances() if entry.raised] == [("w/3", 6, 7)]
    assert isinstance(spend(ledger, part(10, 5)), Refusal), "6 were spent in part 9, and the top-up is over"
    assert isinstance(spend(ledger, part(10, 4)), Reservation)


def test_a_top_up_lets_more_through_in_every_unit_and_shrinks_less(ledger: Ledger) -> None:
    money = Claim(scope="m", unit="usd", cap=100, fixed=0, per_output=1_000_000)
    made = ledger.reserve([money], output=500, shrink=True, at=1.0)
    assert isinstance(made, Reservation)
    assert made.output == 100
    ledger.top_up("m", 50)
    more = ledger.reserve([money], output=500, shrink=True, at=1.0)
    assert isinstance(more, Reservation)
    assert more.output == 50
    calls = Claim(scope="c", unit="calls", cap=1, fixed=1)
    spend(ledger, calls)
    assert isinstance(spend(ledger, calls), Refusal)
    ledger.top_up("c", 1)
    assert isinstance(spend(ledger, calls), Reservation)
    assert isinstance(spend(ledger, calls), Refusal)


def test_a_scope_that_was_pruned_has_lost_its_top_up(ledger: Ledger) -> None:
    money = Claim(scope="m", unit="usd", cap=100, fixed=100)
    spend(ledger, money)
    ledger.top_up("m", 100)
    assert ledger.prune(before=99) == 1
    assert isinstance(spend(ledger, money), Reservation)
    assert isinstance(spend(ledger, money), Refusal)


def test_a_cap_of_one_act_alone_keeps_nothing(ledger: Ledger) -> None:
    alone = Claim(scope="each", unit="usd", cap=10, fixed=4, per_output=1_000_000, once=True)
    wide = Claim(scope="wide", unit="usd", cap=1000, fixed=4, per_output=1_000_000)
    for claims in ([alone, wide], [wide, alone], [alone]):
        made = ledger.reserve(claims, output=50, shrink=True, at=1.0)
        assert isinstance(made, Reservation)
        assert made.output == 6
        booked = ledger.settle(made, {"usd": 7}, 1.0)
        assert booked == ({"wide": 7} if wide in claims else {})
    assert [entry.scope for entry in ledger.balances()] == ["wide"]
    refused = ledger.reserve([alone], output=50, at=1.0)
    assert isinstance(refused, Refusal)
    assert (refused.spent, refused.outstanding, refused.wanted) == (0, 0, 54)
    calls = Claim(scope="one", unit="calls", cap=1, fixed=1, once=True)
    assert all(isinstance(spend(ledger, calls), Reservation) for _ in range(3))
    assert ledger.audit() == []


def test_a_window_keeps_its_unit(ledger: Ledger) -> None:
    spend(ledger, part(7))
    with pytest.raises(LedgerError, match=r"Scope 'w/0' counts usd, not calls\. Give each unit its own scope"):
        ledger.reserve([part(8, unit="calls")], at=1.0)


def test_two_policies_windows_hold_in_one_step(ledger: Ledger) -> None:
    assert isinstance(spend(ledger, part(7, 10, name="a"), part(7, 1, cap=99, name="b")), Reservation)
    refused = spend(ledger, part(8, 1, cap=99, name="b"), part(8, 1, name="a"))
    assert isinstance(refused, Refusal)
    assert refused.claim.scope == "a/0"
    assert ledger.balance("b/0") == (0, 0)


def killed_after(stores: int, act: Callable[[], object], ledger: Ledger) -> bool:
    """Run `act` in a forked process that SIGKILLs itself at that store into the ledger; False where it ended before."""
    pid = os.fork()
    if pid == 0:
        cells = ledger._cells
        assert cells is not None
        cells.words = Dying(cells.words, stores)  # type: ignore[assignment]
        act()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


class Dying:
    """The ledger's words, in a process that is killed at one of its stores."""

    def __init__(self, words: memoryview, stores: int) -> None:
        self.words = words
        self.left = stores

    def __getitem__(self, at: int) -> int:
        return self.words[at]

    def __setitem__(self, at: int, value: int) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.words[at] = value

    def __len__(self) -> int:
        return len(self.words)


def test_killed_while_a_part_is_used_again_it_is_of_the_old_turn_or_empty(ledger: Ledger) -> None:
    store, turn, seen = 0, 7, set()
    while True:
        spend(ledger, part(turn, 3))
        ledger.top_up(f"w/{turn % RING}", 4)
        store, after = store + 1, turn + RING
        killed = killed_after(store, partial(ledger.reserve, [part(after)], at=1.0), ledger)
        (entry,) = [each for each in ledger.balances() if each.scope == f"w/{turn % RING}"]
        assert (entry.spent, entry.raised, entry.turn) in ((3, 4, turn), (0, 0, after))
        seen.add(entry.turn == after)
        ledger.recover()
        assert ledger.audit() == []
        if not killed:
            break
        turn = after + RING
    assert seen == {True, False}
    assert store > 5
