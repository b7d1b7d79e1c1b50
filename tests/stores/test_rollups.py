"""The rules that join rows give the same whatever comes first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.events import Completed, Cost, Decided, Failed, RunEnded, RunStarted, Usage
from jackline.ingest import ingest, rebuild
from jackline.stores.fold import stamp_place
from jackline.stores.rollups import RULES, Batch
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.journals import dump, write

AT = 1_800_000_000.0
numbers = st.integers(0, 1000)


def part_of(table: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some columns of a row, with stamps that no other line has."""
    rules = RULES[table]
    groups = {name for columns in rules.latest.values() for name in columns}
    columns: dict[str, st.SearchStrategy[Any]] = {}
    for name, blank in rules.blank.items():
        if name in rules.latest:
            columns[name] = st.uuids().map(str)
        elif name not in groups:
            columns[name] = st.text(max_size=3) if blank == "" else numbers
    return st.fixed_dictionaries({}, optional=columns)


@pytest.mark.parametrize("table", ["spans", "sessions", "usage_hourly", "seen", "journals"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_order_and_the_steps_make_no_difference(table, data):
    parts = data.draw(st.lists(part_of(table), min_size=1, max_size=6))
    for part in parts:
        for stamp, columns in RULES[table].latest.items():
            if stamp in part:
                part |= {name: f"{part[stamp]} {name}" for name in columns}
    mixed = data.draw(st.permutations(parts))
    cut = data.draw(st.integers(0, len(parts)))

    def joined(*batches: list[dict[str, Any]]) -> dict[str, Any]:
        rows = []
        for batch in batches:
            row = dict(RULES[table].blank)
            for part in batch:
                RULES[table].join(row, part)
            rows.append(row)
        first, *rest = rows
        for row in rest:
            RULES[table].join(first, row)
        return first

    assert joined(parts) == joined(list(mixed)) == joined(mixed[:cut], mixed[cut:])


def test_a_batch_joins_what_is_said_twice():
    batch = Batch()
    batch.add("seen", ("a", "tool", "t"), {"first_seen": 5.0, "last_seen": 5.0})
    batch.add("seen", ("a", "tool", "t"), {"first_seen": 3.0, "last_seen": 9.0})
    assert list(batch.rows["seen"].values()) == [
        {"agent": "a", "what": "tool", "name": "t", "first_seen": 3.0, "last_seen": 9.0}
    ]


def test_a_stamp_gives_its_place_back():
    assert stamp_place("00000000001.000000 a name with blanks 000000000007") == ("a name with blanks", 7)


def act(kind: str, span: int, at: float):
    ids: dict[str, Any] = {"at": AT + at, "session": "s", "run": "r", "span": f"{span}"}
    what: dict[str, Any] = {"action": "model.call" if span % 2 else "tool.call", "resource": "x"}
    if kind == "decided":
        return Decided(**ids, **what, agent="a", effect="deny" if span == 4 else "allow")
    if kind == "completed":
        return Completed(
            **ids, **what, duration_ms=1.5, usage=Usage(input=3), cost=Cost(micro_usd=7) if span != 1 else None
        )
    if kind == "failed":
        return Failed(**ids, **what, error="E")
    if kind == "started":
        return RunStarted(**ids, agent="b")
    return RunEnded(**ids, agent="b")


acts = st.builds(
    act,
    st.sampled_from(["decided", "completed", "failed", "started", "ended"]),
    st.integers(0, 4),
    st.integers(0, 9000),
)


@settings(max_examples=12, deadline=None)
@given(
    journals=st.lists(st.lists(acts, min_size=1, max_size=5), min_size=1, max_size=3),
    order=st.randoms(use_true_random=False),
)
def test_any_journals_in_any_order_give_the_same_index(tmp_path_factory, journals, order):
    home = tmp_path_factory.mktemp("home")
    order.shuffle(journals)
    store = SQLiteStore(home / "index.db")
    for events in journals:
        write(home, events)
        ingest(home, store)
    steps = dump(store)
    rebuild(home, store)
    assert dump(store) == steps
    (row,) = store.sessions()
    assert row.cost_micro_usd == sum(span.cost_micro_usd or 0 for span in store.spans("s"))
    store.close()
