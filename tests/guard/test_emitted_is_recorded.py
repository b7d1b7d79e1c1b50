"""P7: a peer's spans vanished with another version of a dependency, silently. Here what was done is what is on record.

The sessions `tests` and `tests-oldest` run this on the newest and the oldest dependencies.
"""

from __future__ import annotations

import threading

import pytest

import jackline
from jackline.errors import JournalError

BUNDLE = """\
jackline: 1
policies:
  - name: no-odd-numbers
    use: rule
    on: tool.call
    when: args.number % 2 == 1
    effect: deny
"""


def test_p7_what_was_done_is_what_is_on_record(bench):
    guard = bench.guard(BUNDLE)
    ran = []

    @guard.tool
    def count(number: int) -> int:
        ran.append(number)
        if number % 10 == 0:
            raise ValueError(number)
        return number

    def work(start: int) -> None:
        for number in range(start, start + 25):
            try:
                count(number)
            except (jackline.Denied, ValueError):
                continue

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = bench.events("decided")
    assert sorted(event.effect for event in decided) == ["allow"] * 50 + ["deny"] * 50
    assert len({event.span for event in decided}) == 100
    permitted = {event.span for event in decided if event.effect == "allow"}
    outcomes = [event.span for event in bench.events("completed", "failed")]
    assert len(ran) == len(outcomes) == 50
    assert set(outcomes) == permitted
    assert len(bench.events("failed")) == 10
    assert guard.recorder.lost == 0


def test_p7_what_could_not_be_recorded_is_counted_and_shown(bench, monkeypatch):
    guard = bench.guard(BUNDLE.replace("jackline: 1", "jackline: 1\nmode: observe"))
    count = guard.tool(lambda number: number)
    append = guard.recorder.journal.append

    def full(event):
        raise JournalError("no space left on device")

    monkeypatch.setattr(guard.recorder.journal, "append", full)
    assert count(1) == 1
    lost = guard.recorder.lost
    assert lost > 0
    assert guard.recorder.last_error == "no space left on device"
    monkeypatch.setattr(guard.recorder.journal, "append", append)
    with guard.session(id="later"):
        assert count(2) == 2
    assert [event.count for event in bench.events("events_lost")] == [lost]
    assert guard.recorder.lost == 0


def test_p7_in_enforce_mode_nothing_runs_unrecorded(bench, monkeypatch):
    guard = bench.guard(BUNDLE)
    ran = []
    count = guard.tool(lambda number: ran.append(number) or number)

    def full(event):
        raise JournalError("no space left on device")

    monkeypatch.setattr(guard.recorder.journal, "append", full)
    with pytest.raises(jackline.Denied, match="the decision could not be recorded: no space left on device"):
        count(2)
    assert ran == []
