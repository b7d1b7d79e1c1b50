"""What metrics are made of: how long deciding took, and how long people took."""

from __future__ import annotations

import pytest

import jackline
from jackline.events import (
    ApprovalApproved,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalRequested,
    Decided,
)
from jackline.ingest import ingest, rebuild
from jackline.stores.histograms import ERROR
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.journals import AT, ONE, approval, decided, dump, write

BOUNDS = (10.0, 60.0, 600.0)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def store(home):
    made = SQLiteStore(home / "index.db")
    yield made
    made.close()


def test_how_long_deciding_took_is_kept_by_action(home, store):
    told = [("01", "tool.call", 100), ("02", "tool.call", 400), ("03", "model.call", 50), ("04", "tool.call", 0)]
    write(home, [decided(span, action, "x", latency_us=took) for span, action, took in told])
    ingest(home, store)
    rows = {row.name: row for row in store.distributions("decision", ("name",))}
    assert {name: (row.count, row.total) for name, row in rows.items()} == {
        "tool.call": (2, 500),
        "model.call": (1, 50),
    }
    assert rows["tool.call"].most == pytest.approx(400, rel=ERROR)
    steps = dump(store)
    rebuild(home, store)
    assert dump(store) == steps


@pytest.mark.parametrize("took", [-5, 2**60])
def test_a_time_that_nothing_can_have_taken_disturbs_nothing(took, home, store):
    write(home, [decided("01", "tool.call", "x", latency_us=took)])
    assert ingest(home, store).problems == ()
    assert store.distributions("decision", ("name",)) == []


def test_a_guard_puts_on_record_how_long_it_took(home):
    with jackline.Guard.load(_bundle(home.parent), home=home) as guard:
        decision = guard.require(guard.request("tool.call", "look", {}))
        guard.complete(guard.request("tool.call", "look", {}), decision)
        store = SQLiteStore(home / "index.db")
        ingest(home, store)
    try:
        (event,) = [event for event in (row.event for row in store.events()) if isinstance(event, Decided)]
        assert 0 < event.latency_us < 5_000_000
        (row,) = store.distributions("decision")
        assert (row.count, row.total) == (1, event.latency_us)
    finally:
        store.close()


def _bundle(folder):
    path = folder / "jackline.yaml"
    path.write_text("jackline: 1\npolicies: []\n", encoding="utf-8")
    return path


def of(digit, kind, after, **more):
    return kind(at=AT + 1 + after, approval=digit * 64, session=ONE, **more)


def test_how_long_people_took_by_how_it_ended(home, store):
    """A yes counts from when it was given; what is open, and what was asked anew since, does not count."""
    asked: list[ApprovalRequested] = [approval(digit) for digit in "12345"]
    ends = [
        of("1", ApprovalApproved, 5.0, who="ana"),
        of("1", ApprovalConsumed, 500.0, span="03", by=("ana",)),
        of("2", ApprovalDenied, 30.0, who="ana", why="no"),
        of("3", ApprovalExpired, 1800.0),
        of("4", ApprovalApproved, 7.0, who="ana"),
        of("5", ApprovalDenied, 40.0, who="ben", why="no"),
    ]
    write(home, [*asked, *ends])
    ingest(home, store)
    rows = {row.state: row for row in store.approval_waits(BOUNDS)}
    counted = {state: ([(one.to, one.count) for one in row.buckets], row.count) for state, row in rows.items()}
    assert counted == {"consumed": ([(10.0, 1)], 1), "denied": ([(60.0, 2)], 2), "expired": ([], 1)}
    assert [rows[state].seconds for state in ("consumed", "denied", "expired")] == [5.0, 70.0, 1800.0]
    write(home, [approval("5", at=AT + 100)])
    ingest(home, store)
    assert {row.state: row.count for row in store.approval_waits(BOUNDS)} == {"consumed": 1, "denied": 1, "expired": 1}
