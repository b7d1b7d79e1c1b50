"""The policy in a guard: loops of plain Python functions, one after another, awaited, and side by side."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from jackline import Denied, Guard, Halted
from jackline.bundle import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST = 7
BOUND = f"{{repeats: {{action: deny, at: {MOST}}}, no_progress: off, halt_after: null}}"


def bundle(options: str) -> str:
    return f"jackline: 1\npolicies:\n  - name: loops\n    use: circuit_breaker\n    with: {options}\n"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[[str], Guard]]:
    opened: list[Guard] = []

    def load(options: str, **more: Any) -> Guard:
        path = tmp_path / "jackline.yaml"
        path.write_text(bundle(options))
        opened.append(Guard.load(path, home=tmp_path / "home", application="shop", **more))
        return opened[-1]

    yield load
    for guard in opened:
        guard.close()


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except (Denied, Halted) as signal:
        return str(signal)
    return ""


def test_p5_a_loop_stops_at_exactly_the_bound(guarded: Callable[[str], Guard]) -> None:
    """P5: stop at exactly N identical calls, sync, async, parallel; here one after another."""
    guard, ran = guarded(BOUND), []

    @guard.tool
    def search(query: str) -> int:
        ran.append(query)
        return len(ran)

    with guard.session(id="job"):
        answers = [refused(lambda: search("x")) for _ in range(10)]
    assert ran == ["x"] * MOST
    assert answers[MOST - 1 :] == ["", *["Not permitted by policy 'loops': 'search' was called " + what for what in [
        f"{MOST} times with the same arguments: go on without calling it again",
        f"{MOST + 1} times with the same arguments: go on without calling it again",
        f"{MOST + 2} times with the same arguments: go on without calling it again",
    ]]]  # fmt: skip


async def test_p5_a_loop_stops_at_exactly_the_bound_when_awaited(guarded: Callable[[str], Guard]) -> None:
    """P5: ten awaited one after another, then forty at once in another session."""
    guard, ran = guarded(BOUND), []

    @guard.tool
    async def search(query: str) -> int:
        ran.append(query)
        await asyncio.sleep(0)
        return len(ran)

    async def tried(query: str) -> bool:
        try:
            await search(query)
        except Denied:
            return False
        return True

    with guard.session(id="job"):
        assert [await tried("x") for _ in range(10)] == [True] * MOST + [False] * 3
    with guard.session(id="another job"):
        assert sum(await asyncio.gather(*(tried("y") for _ in range(40)))) == MOST
    assert ran == ["x"] * MOST + ["y"] * MOST


def test_p5_a_loop_stops_at_exactly_the_bound_side_by_side(guarded: Callable[[str], Guard]) -> None:
    """P5: forty threads at once, none of which has ended when the next asks."""
    guard, ran, start = guarded(BOUND), [], threading.Barrier(40)

    @guard.tool
    def search(query: str) -> int:
        ran.append(query)
        return len(ran)

    def work(_: int) -> str:
        start.wait()
        with guard.session(id="job"):
            return refused(lambda: search("x"))

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(work, range(40)))
    assert len(ran) == MOST == answers.count("")


def test_p5_the_default_stops_at_three_without_progress_side_by_side(guarded: Callable[[str], Guard]) -> None:
    guard, ran, start, leave = guarded("{}"), [], threading.Barrier(12), threading.Event()

    @guard.tool
    def search(query: str) -> str:
        ran.append(query)
        leave.wait(20)
        return "nothing"

    def work(_: int) -> str:
        start.wait()
        with guard.session(id="job"):
            answer = refused(lambda: search("x"))
        if answer:
            leave.set()
        return answer

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(work, range(12)))
    assert len(ran) == 3 == answers.count("")
    assert any("gave nothing new" in answer for answer in answers)


def test_one_probe_of_a_tool_that_failed_runs_side_by_side(guarded: Callable[..., Guard]) -> None:
    now = [1_780_000_000.0]
    guard = guarded("{errors: {streak: 3, open_for: 30s}}", clock=lambda: now[0])
    ran, broken, leave, start = [], [True], threading.Event(), threading.Barrier(16)
    blocked: list[str] = []

    @guard.tool
    def fetch(number: int) -> int:
        if broken[0]:
            raise TimeoutError("no answer")
        ran.append(number)
        leave.wait(20)
        return number

    with guard.session(id="job"):
        for number in range(3):
            with pytest.raises(TimeoutError):
                fetch(number)
        assert "fetch' failed 3 times in a row: calls are blocked for 30 s more" in refused(lambda: fetch(9))
    now[0], broken[0] = now[0] + 31, False

    def work(number: int) -> str:
        start.wait()
        with guard.session(id="job"):
            answer = refused(lambda: fetch(number))
        if answer:
            blocked.append(answer)
        if len(blocked) == 15:
            leave.set()  # not before: once the probe has ended well, the others may run
        return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(work, range(16)))
    assert len(ran) == 1 == answers.count("")
    assert {answer.rpartition(": ")[2] for answer in answers if answer} == {"one call is trying it, and has not ended"}
    with guard.session(id="job"):
        assert fetch(99) == 99


def test_a_halted_session_stays_ended_and_another_goes_on(guarded: Callable[[str], Guard]) -> None:
    guard, ran = guarded("{no_progress: {action: halt, at: 2}}"), []

    @guard.tool
    def search(query: str) -> str:
        ran.append(query)
        return "nothing"

    with guard.session(id="job") as session:
        answers = [refused(lambda: search("x")) for _ in range(4)]
        assert answers[:2] == ["", ""]
        assert "'search' was called 2 times with the same arguments and gave nothing new" in answers[2]
        assert session.halted
        assert refused(lambda: search("something else"))
    with guard.session(id="another"):
        search("x")
    assert ran == ["x"] * 3


def test_a_reload_keeps_what_is_known(guarded: Callable[[str], Guard]) -> None:
    guard, ran = guarded("{no_progress: {at: 4}}"), []

    @guard.tool
    def search(query: str) -> str:
        ran.append(query)
        return "nothing"

    with guard.session(id="job"):
        for _ in range(3):
            search("x")
        guard.reload(load_bundle(bundle("{no_progress: {at: 3}}")))
        assert refused(lambda: search("x"))
    assert ran == ["x"] * 3


def test_a_session_that_left_memory_and_its_process_is_still_known(guarded: Callable[..., Guard]) -> None:
    ran: list[str] = []
    for _ in range(5):
        guard = guarded("{}")

        @guard.tool
        def search(query: str) -> str:
            ran.append(query)
            return "nothing"

        with guard.session(id="job"):
            refused(lambda search=search: search("x"))
        assert len(guard.sessions) == 0
        guard.close()
    assert ran == ["x"] * 3


def test_what_only_observes_blocks_nothing_and_says_what_it_would(
    guarded: Callable[..., Guard], tmp_path: Path
) -> None:
    path = tmp_path / "observing.yaml"
    path.write_text("jackline: 1\npolicies:\n  - name: loops\n    use: circuit_breaker\n    mode: observe\n")
    with Guard.load(path, home=tmp_path / "observing", application="shop") as guard, guard.session(id="job"):
        ran = []

        @guard.tool
        def search(query: str) -> str:
            ran.append(query)
            return "nothing"

        for _ in range(6):
            search("x")
        assert len(ran) == 6
        lines = "".join(file.read_text() for file in (tmp_path / "observing").rglob("*.jsonl"))
    assert lines.count('"would":"deny"') == 3


def test_a_call_that_was_permitted_and_not_started_is_no_probe_for_ever(guarded: Callable[..., Guard]) -> None:
    """Policies are told of acts that are abandoned."""
    now = [1_780_000_000.0]
    guard = guarded("{errors: {streak: 2, open_for: 30s}}", clock=lambda: now[0])

    @guard.tool
    def fetch(number: int) -> int:
        if number < 2:
            raise TimeoutError("no answer")
        return number

    with guard.session(id="job"):
        for number in range(2):
            with pytest.raises(TimeoutError):
                fetch(number)
        now[0] += 31
        asked = guard.request("tool.call", "fetch", {"number": 7})
        decision = guard.check(asked)
        assert decision.permitted
        assert "one call is trying it" in refused(lambda: fetch(8))
        guard.abandon(asked, decision, "its arguments were not valid")
        assert fetch(9) == 9


def test_a_tool_that_returns_its_errors_as_text_rests_too(guarded: Callable[..., Guard]) -> None:
    guard, ran = guarded("{errors: {results: ['Error*']}}"), []

    @guard.tool
    def fetch(number: int) -> str:
        ran.append(number)
        return f"Error: {number} is not there"

    with guard.session(id="job"):
        answers = [refused(lambda number=number: fetch(number)) for number in range(6)]
    assert ran == [0, 1, 2, 3]
    assert "'fetch' failed 4 times in a row: calls are blocked for" in answers[4]


def test_a_session_that_a_human_reopens_begins_to_count_anew(guarded: Callable[[str], Guard]) -> None:
    guard, ran = guarded("{steps: 5}"), []

    @guard.tool
    def search(number: int) -> int:
        ran.append(number)
        return number

    for _ in range(2):
        with guard.session(id="job") as session:
            answers = [refused(lambda number=number: search(number)) for number in range(7)]
        assert [bool(answer) for answer in answers] == [False] * 5 + [True] * 2
        assert "the session has taken 5 steps, the most is 5" in answers[6]
        guard.control.reopen(session.id, "ann", "it is nearly done")
    assert ran == [*range(5), *range(5)]
