"""What is held, granted, refused and booked, in one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from jackline.decision import Hold, Refusal, Reservation
from jackline.errors import LedgerError
from jackline.ledger import Balance, Entry, Ledger, flights

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reservation_holds_every_scope_and_tells_the_balances_before(ledger, claim):
    first = ledger.reserve([claim("a", 100, 30), claim("b", 9, 1, unit="calls")], at=1.0)
    assert isinstance(first, Reservation)
    assert first.holds == (Hold("a", "usd", 30, 0, 0, 100), Hold("b", "calls", 1, 0, 0, 9))
    assert first.output is None
    assert len(first.id) == 16
    second = ledger.reserve([claim("a", 100, 30)], at=2.0)
    assert second.holds == (Hold("a", "usd", 30, 0, 30, 100),)
    assert second.id != first.id
    assert ledger.balance("a") == Balance(spent=0, held=60)
    assert ledger.balance("b") == (0, 1)
    assert ledger.balance("never claimed") == (0, 0)


def test_a_refusal_names_the_first_claim_that_does_not_fit_and_holds_nothing(ledger, claim):
    ledger.settle(ledger.reserve([claim("b", 100, 60)], at=1.0), {"usd": 50}, 1.0)
    held = ledger.reserve([claim("b", 100, 30)], at=1.0)
    claims = [claim("a", 100, 100), claim("b", 100, 21), claim("c", 0, 1)]
    refusal = ledger.reserve(claims, at=1.0)
    assert refusal == Refusal(claim=claims[1], spent=50, outstanding=30, wanted=21)
    assert ledger.balance("a") == (0, 0)
    assert ledger.balance("b") == (50, 30)
    assert isinstance(ledger.reserve([claim("b", 100, 20)], at=1.0), Reservation)
    assert isinstance(held, Reservation)


def test_the_worst_case_is_rounded_up(ledger, claim):
    made = ledger.reserve([claim("a", 10, 1, per_output=1)], output=1, at=1.0)
    assert made.holds[0].held == 2
    assert made.output == 1
    made = ledger.reserve([claim("b", 10, 0, per_output=1_000_000)], output=10, at=1.0)
    assert made.holds[0].held == 10


def test_shrink_grants_the_largest_output_that_every_claim_can_hold(ledger, claim):
    claims = [
        claim("money", 1000, 100, per_output=15_000_000),
        claim("tokens", 5000, 4950, per_output=1_000_000, unit="tokens"),
        claim("calls", 10, 1, unit="calls"),
    ]
    made = ledger.reserve(claims, output=4096, shrink=True, at=1.0)
    assert made.output == 50
    assert [hold.held for hold in made.holds] == [850, 5000, 1]
    made = ledger.reserve([claim("other", 1000, 100, per_output=15_000_000)], output=4096, shrink=True, at=1.0)
    assert made.output == 60
    made = ledger.reserve([claim("free", 1000, 100, per_output=15_000_000)], output=8, shrink=True, at=1.0)
    assert made.output == 8


def test_less_than_the_minimum_is_refused_at_the_minimum(ledger, claim):
    claims = [claim("money", 1000, 100, per_output=15_000_000), claim("calls", 0, 1, unit="calls")]
    refusal = ledger.reserve(claims, output=4096, shrink=True, minimum=61, at=1.0)
    assert refusal == Refusal(claim=claims[0], spent=0, outstanding=0, wanted=1015)
    assert ledger.reserve(claims, output=4096, shrink=True, minimum=60, at=1.0).claim is claims[1]
    wanted_less = ledger.reserve(claims[:1], output=5, shrink=True, minimum=60, at=1.0)
    assert wanted_less.output == 5


def test_without_shrink_all_of_the_output_must_fit(ledger, claim):
    refusal = ledger.reserve([claim("money", 1000, 100, per_output=15_000_000)], output=61, at=1.0)
    assert refusal.wanted == 1015


def test_claims_that_share_a_scope_count_together_under_the_lowest_cap(ledger, claim):
    wide, narrow = claim("a", 100, 40, per_output=1_000_000), claim("a", 90, 45)
    made = ledger.reserve([wide, claim("b", 9, 9), narrow], output=5, at=1.0)
    assert made.holds == (Hold("a", "usd", 90, 0, 0, 90), Hold("b", "usd", 9, 0, 0, 9))
    assert ledger.settle(made, {"usd": 3}, 1.0) == {"a": 3, "b": 3}
    assert ledger.balance("a") == (3, 0)
    refused = ledger.reserve([narrow, narrow, wide], output=0, at=1.0)
    assert (refused.claim.cap, refused.wanted, refused.spent) == (90, 130, 3)
    with pytest.raises(LedgerError, match=r"Scope 'a' needs one unit of \['usd', 'tokens', 'calls'\], and is claimed"):
        ledger.reserve([wide, claim("a", 9, 1, unit="calls")], output=1, at=1.0)


def test_settling_books_what_was_spent_and_a_unit_not_told_as_held(ledger, claim):
    made = ledger.reserve(
        [claim("m", 100, 50), claim("t", 500, 300, unit="tokens"), claim("c", 5, 1, unit="calls")], at=1.0
    )
    assert ledger.settle(made, {"usd": 70, "tokens": 10}, 2.0) == {"m": 70, "t": 10, "c": 1}
    assert sorted(ledger.balances()) == [
        Entry("c", "calls", 1, 0, 2),
        Entry("m", "usd", 70, 0, 2),
        Entry("t", "tokens", 10, 0, 2),
    ]
    above = ledger.reserve([claim("m", 100, 30)], at=1.0)
    assert ledger.settle(above, {"usd": 1_000}, 2.0) == {"m": 1_000}
    assert ledger.reserve([claim("m", 100, 0)], at=1.0).spent == 1_070


@pytest.mark.parametrize("first", ["settle", "release", "book"])
@pytest.mark.parametrize("again", ["settle", "release", "book"])
def test_a_reservation_ends_once(ledger, claim, first, again):
    def end(how, made):
        return ledger.settle(made, {"usd": 7}, 1.0) if how == "settle" else getattr(ledger, how)(made)

    made = ledger.reserve([claim("a", 100, 30)], at=1.0)
    other = ledger.reserve([claim("a", 100, 40)], at=1.0)
    assert end(first, made) == {"settle": {"a": 7}, "release": None, "book": {"a": 30}}[first]
    spent = {"settle": 7, "release": 0, "book": 30}[first]
    assert ledger.balance("a") == (spent, 40)
    assert not end(again, made)
    assert ledger.balance("a") == (spent, 40)
    reused = ledger.reserve([claim("a", 100, 5)], at=1.0)
    assert not end(again, made), "the block is used again, under another id"
    assert ledger.balance("a") == (spent, 45)
    ledger.release(other)
    ledger.release(reused)
    assert ledger.balance("a") == (spent, 0)


@pytest.mark.parametrize("first", ["settle", "release", "book"])
@pytest.mark.parametrize("again", ["settle", "release", "book"])
def test_calls_are_spent_when_they_are_reserved_and_given_back_once(ledger, claim, first, again):
    def end(how, made):
        return ledger.settle(made, {"calls": 1}, 1.0) if how == "settle" else getattr(ledger, how)(made)

    made = ledger.reserve([claim("a", 2, 1, unit="calls"), claim("b", 9, 1, unit="calls")], at=1.0)
    other = ledger.reserve([claim("a", 2, 1, unit="calls")], at=2.0)
    assert made.holds == (Hold("a", "calls", 1, 0, 0, 2), Hold("b", "calls", 1, 0, 0, 9))
    assert other.holds == (Hold("a", "calls", 1, 0, 1, 2),)
    assert ledger.balance("a") == (0, 2)
    assert ledger.reserve([claim("a", 2, 1, unit="calls")], at=2.0) == Refusal(
        claim=claim("a", 2, 1, unit="calls"), spent=0, outstanding=2, wanted=1
    )
    assert end(first, made) == {"settle": {"a": 1, "b": 1}, "release": None, "book": {"a": 1, "b": 1}}[first]
    spent = 0 if first == "release" else 1
    assert (ledger.balance("a"), ledger.balance("b")) == ((spent, 1), (spent, 0))
    assert not end(again, made)
    assert sorted(ledger.balances()) == [Entry("a", "calls", spent, 1, 2), Entry("b", "calls", spent, 0, 1)]
    ledger.release(other)
    assert ledger.balance("a") == (spent, 0)
    assert ledger.audit() == []


def test_calls_that_a_cache_answered_are_given_back(ledger, claim):
    made = ledger.reserve([claim("a", 100, 1, unit="calls"), claim("a", 100, 2, unit="calls")], at=1.0)
    assert ledger.settle(made, {"calls": 0}, 1.0) == {"a": 0}
    assert ledger.balance("a") == (0, 0)
    with pytest.raises(LedgerError, match="-1 of 'calls' cannot be booked"):
        ledger.settle(ledger.reserve([claim("a", 100, 1, unit="calls")], at=1.0), {"calls": -1}, 1.0)
    assert ledger.balance("a") == (1, 0)


def test_a_forked_child_cannot_give_its_parents_calls_back(ledger, claim):
    made = ledger.reserve([claim("a", 100, 1, unit="calls")], at=1.0)
    child = os.fork()
    if child == 0:
        ledger.release(made)
        os._exit(0 if ledger.balance("a") == (1, 0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    ledger.release(made)
    assert ledger.balance("a") == (0, 0)


def test_of_calls_that_never_end_the_oldest_stay_spent(ledger, claim, monkeypatch):
    monkeypatch.setattr(flights, "_MOST", 2)
    made = [ledger.reserve([claim("a", 100, 1, unit="calls")], at=1.0) for _ in range(3)]
    assert ledger.balance("a") == (1, 2)
    for each in made:
        ledger.release(each)
    assert ledger.balance("a") == (1, 0)


def test_calls_of_a_scope_that_was_pruned_are_not_given_back_twice(ledger, claim):
    made = ledger.reserve([claim("a", 100, 1, unit="calls")], at=1.0)
    assert ledger.prune(2.0) == 1
    assert ledger.reserve([claim("a", 100, 0, unit="calls")], at=3.0).holds == (Hold("a", "calls", 0, 0, 0, 100),)
    ledger.release(made)
    assert ledger.balance("a") == (0, 0)
    assert ledger.audit() == []


def test_a_reservation_survives_the_journal(ledger, claim):
    made = ledger.reserve([claim("a", 100, 30)], at=1.0)
    read = msgspec.json.decode(msgspec.json.encode(made), type=Reservation)
    assert ledger.book(read) == {"a": 30}


def test_no_claims_hold_nothing(ledger):
    made = ledger.reserve([], at=1.0)
    assert made.holds == ()
    assert ledger.settle(made, {"usd": 1}, 1.0) == {}


def test_an_unknown_id_ends_nothing(ledger, claim):
    ledger.reserve([claim("a", 100, 30)], at=1.0)
    for number in (0, 1, 2**40, 2**63 - 1):
        assert ledger.book(Reservation(id=f"{number:016x}", holds=())) == {}
    with pytest.raises(LedgerError, match="'no' is no reservation's id, which has 16 hex digits"):
        ledger.book(Reservation(id="no", holds=()))
    assert ledger.balance("a") == (0, 30)


@pytest.mark.parametrize(
    ("claims", "output", "message"),
    [
        ([{"fixed": -1}], None, "Scope 's' is claimed with a negative amount: Claim"),
        ([{"per_output": -2_000_000}], 5, "Scope 's' is claimed with a negative amount"),
        ([{"unit": "euros"}], None, "Scope 's' needs one unit of .*, and is claimed in 'euros'"),
        (
            [{"unit": "calls"}, {"scope": "x", "unit": "calls"}],
            None,
            "Scope 's' counts usd, not calls. Give each unit its",
        ),
        ([{"per_output": 1}], None, "Scope 's' is claimed for each output token, but no output was named"),
        ([{"fixed": 1.5}], None, "The ledger counts whole numbers below 2\\^60"),
        ([{"fixed": 2**63, "cap": 2**70}], None, "The ledger counts whole numbers below 2\\^60"),
        ([{"scope": str(n)} for n in range(30)], None, "at most 29 scopes, and 30 were claimed"),
    ],
)
def test_junk_is_an_error_and_changes_nothing(ledger, claim, claims, output, message):
    ledger.settle(ledger.reserve([claim(fixed=5)], at=1.0), {"usd": 5}, 1.0)
    with pytest.raises(LedgerError, match=message):
        ledger.reserve([claim(**each) for each in claims], output=output, at=1.0)
    assert ledger.balance("s") == (5, 0)
    assert ledger.audit() == []


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ({"usd": -1}, "-1 of 'usd' cannot be booked: 0 or more of one of"),
        ({"euros": 1}, "1 of 'euros' cannot be booked"),
        ({"usd": 1.5}, "counts whole numbers"),
    ],
)
def test_junk_cannot_be_settled(ledger, claim, actual, message):
    made = ledger.reserve([claim(fixed=5)], at=1.0)
    with pytest.raises(LedgerError, match=message):
        ledger.settle(made, actual, 1.0)
    assert ledger.balance("s") == (0, 5)


def test_what_is_spent_stops_at_the_limit_and_never_wraps(ledger, claim):
    for _ in range(3):
        made = ledger.reserve([claim(cap=2**62)], at=1.0)
        ledger.settle(made, {"usd": 2**60 - 1}, 1.0)
    assert ledger.balance("s") == (2**60, 0)


def test_twenty_nine_scopes_fit_one_reservation(ledger, claim):
    made = ledger.reserve([claim(str(n), 100, n) for n in range(29)], at=1.0)
    assert ledger.book(made) == {str(n): n for n in range(29)}
    assert ledger.audit() == []


def test_any_text_is_a_scope(ledger, claim):
    texts = ["", "é" * 500, "\udc80", "a\x00b", "x" * 176]
    ledger.book(ledger.reserve([claim(text, 100, n + 1) for n, text in enumerate(texts)], at=1.0))
    assert [ledger.balance(text).spent for text in texts] == [1, 2, 3, 4, 5]
    listed = {entry.scope for entry in ledger.balances()}
    assert listed == {"", "é" * 88, "?", "a\x00b", "x" * 176}


def test_prune_forgets_old_scopes_without_holds(ledger, claim):
    ledger.book(ledger.reserve([claim("day/1", 100, 1), claim("both", 100, 1)], at=100.0))
    ledger.book(ledger.reserve([claim("day/2", 100, 2), claim("both", 100, 1)], at=200.0))
    held = ledger.reserve([claim("empty hold", 100, 0)], at=50.0)
    assert ledger.prune(150.0) == 1
    assert sorted(entry.scope for entry in ledger.balances()) == ["both", "day/2", "empty hold"]
    assert ledger.balance("day/1") == (0, 0)
    ledger.book(held)
    assert ledger.prune(150.0) == 1
    ledger.book(ledger.reserve([claim("day/3", 100, 3)], at=300.0))
    assert ledger.balance("day/3") == (3, 0)
    assert ledger.audit() == []


def test_a_folder_has_one_ledger_in_a_process(folder: Path, claim):
    one, two = Ledger.open(folder), Ledger.open(str(folder))
    assert one is two
    one.book(one.reserve([claim(fixed=5)], at=1.0))
    one.close()
    assert two.balance("s") == (5, 0)
    two.close()
    with pytest.raises(LedgerError, match=r"is closed\. Open it again with Ledger\.open"):
        two.balance("s")
    two.close()
    three = Ledger.open(folder)
    assert three is not one
    assert three.balance("s") == (5, 0)
    three.close()
