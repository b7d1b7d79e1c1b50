"""Loops in recorded sessions: none in those that succeeded, all of those that were put into them.

`../shared/data/trajectories/taubench` has no public set of labelled loops: they are injected here, and that is said.
"""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import sys
from typing import TYPE_CHECKING, Any

import pytest
from breaking import Story, blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEED = 20261122
MOST = 40
Call = dict[str, Any]


def show(line: str) -> None:
    """What was measured: pytest shows it with `-s`."""
    sys.stdout.write(f"{line}\n")


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def calls_of(session: dict[str, Any], *, errors: bool) -> list[Call]:
    """A session's calls; `errors`: a result that says that it is an error counts as a tool that failed."""
    results = {step["tool_call_id"]: str(step["content"]) for step in session["traj"] if step["role"] == "tool"}
    found: list[Call] = []
    for step in session["traj"]:
        for call in step.get("tool_calls") or ():
            name, text = call["function"]["name"], results.get(call["id"], "")
            failed = errors and text.startswith("Error")
            arguments = json.loads(call["function"]["arguments"])
            found.append(
                {"name": name, "arguments": arguments, "result": digest(text), "error": "ToolError" if failed else None}
            )
    return found


@pytest.fixture(scope="module")
def sessions(shared_data: Path) -> list[dict[str, Any]]:
    path = shared_data / "trajectories" / "taubench" / "gpt-4o-airline.json"
    if not path.is_file():
        pytest.skip("the recorded sessions of taubench are not among the shared data sets")
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def trips(calls: list[Call], **options: Any) -> set[str]:
    """The detectors that block a call or find something in a session."""
    story = Story(**options)
    for call in calls:
        story.call(**call)
    return {finding.place for verdict in story.verdicts if verdict for finding in verdict.findings}


@pytest.mark.parametrize("errors", [False, True], ids=["results", "errors"])
def test_no_successful_session_trips(sessions: list[dict[str, Any]], errors: bool) -> None:
    """With every detector on, recorded or blocking, and also where results that tell of errors are failures."""
    outcomes = [(session["reward"] == 1.0, trips(calls_of(session, errors=errors))) for session in sessions]
    good = [found for success, found in outcomes if success]
    bad = [found for success, found in outcomes if not success]
    by_rule = {rule: sum(rule in found for found in bad) for rule in sorted(set().union(*bad))}
    show(
        f"successful sessions tripped: {sum(map(bool, good))}/{len(good)}; failed: {sum(map(bool, bad))}/{len(bad)} {by_rule}"
    )
    assert (len(good), len(bad)) == (31, 69)
    assert not any(good)


def own(period: int) -> Callable[[list[Call], random.Random], Iterator[Call]]:
    """The session's last calls again and again; where it has fewer, calls that it never made go before them."""

    def loop(calls: list[Call], chance: random.Random) -> Iterator[Call]:
        last = {json.dumps(call["arguments"]): call for call in calls if call["error"] is None}
        round_ = list(last.values())[-period:]
        round_ = [*fresh_calls(period - len(round_), chance), *round_]
        for number in range(MOST):
            yield round_[number % period]

    return loop


def fresh(period: int) -> Callable[[list[Call], random.Random], Iterator[Call]]:
    """Calls that the session never made, again and again."""

    def loop(_: list[Call], chance: random.Random) -> Iterator[Call]:
        round_ = fresh_calls(period, chance)
        for number in range(MOST):
            yield round_[number % period]

    return loop


def fresh_calls(count: int, chance: random.Random) -> list[Call]:
    names = chance.sample(
        ["get_user_details", "search_direct_flight", "list_all_airports", "think", "calculate"], count
    )
    return [
        {"name": name, "arguments": {"value": chance.randrange(10**6)}, "result": digest(name), "error": None}
        for name in names
    ]


def error_run(calls: list[Call], chance: random.Random) -> Iterator[Call]:
    """A tool that fails whatever it is asked."""
    name = chance.choice(calls)["name"]
    for number in range(MOST):
        yield {"name": name, "arguments": {"attempt": digest(str(number))}, "error": "TimeoutError"}


def near_duplicates(_: list[Call], chance: random.Random) -> Iterator[Call]:
    """A search whose number changes and whose result does not."""
    first = chance.randrange(1000)
    for number in range(MOST):
        text = f"nonstop flight under {first + number} dollars from New York to Seattle"
        yield {"name": "search_flights", "arguments": {"query": text, "page": 1}, "result": digest("no results")}


def polling(_: list[Call], chance: random.Random) -> Iterator[Call]:
    """The same call, each time with another result."""
    for number in range(MOST):
        yield {"name": "job_status", "arguments": {"job": 7}, "result": digest(f"{number} done")}


def paging(_: list[Call], chance: random.Random) -> Iterator[Call]:
    for number in range(MOST):
        arguments = {"query": "flights from New York to Seattle", "page": number}
        yield {"name": "search_flights", "arguments": arguments, "result": digest(f"page {number}")}


def reading(_: list[Call], chance: random.Random) -> Iterator[Call]:
    """Two calls that say the same each time, and one that reads what they brought."""
    for number in range(MOST):
        name = ("next_page", "wait", "read_page")[number % 3]
        yield {"name": name, "arguments": {}, "result": digest(f"page {number}" if number % 3 == 2 else "ok")}


def working(_: list[Call], chance: random.Random) -> Iterator[Call]:
    """A change, and a check that always says the same."""
    for number in range(MOST):
        check = {"name": "run_tests", "arguments": {}, "result": digest("passed")}
        yield check if number % 2 else {"name": "edit", "arguments": {"at": number}, "result": digest(f"{number}")}


LOOPS = {
    "exact repeat": (own(1), 2),
    "2-cycle": (own(2), 4),
    "3-cycle": (own(3), 6),
    "4-cycle": (own(4), 8),
    "5-cycle": (own(5), 10),
    "exact repeat of a new call": (fresh(1), 3),
    "2-cycle of new calls": (fresh(2), 5),
    "3-cycle of new calls": (fresh(3), 6),
    "4-cycle of new calls": (fresh(4), 8),
    "5-cycle of new calls": (fresh(5), 10),
    "error run": (error_run, 4),
    "near-duplicates": (near_duplicates, 6),
}
"""Each injected loop, and the most calls of it that may run before one is blocked or found."""


def caught(sessions: list[dict[str, Any]], loop: Any) -> list[int | None]:
    """How many calls of the loop ran in each session before one was found; None where none was."""
    chance, counts = random.Random(SEED), []
    for session in sessions:
        calls = calls_of(session, errors=True)
        if len(calls) < 2:
            continue
        story = Story()
        for call in calls:
            story.call(**call)
        counts.append(next((ran for ran, call in enumerate(loop(calls, chance)) if found(story, call)), None))
    return counts


def found(story: Story, call: Call) -> bool:
    verdict = story.call(**call)
    if verdict is None:
        return False
    return blocked(verdict) or {finding.place for finding in verdict.findings} != {"repeats"}


@pytest.mark.parametrize("name", LOOPS)
def test_every_injected_loop_is_caught(sessions: list[dict[str, Any]], name: str) -> None:
    loop, most = LOOPS[name]
    counts = caught(sessions, loop)
    ran = [count for count in counts if count is not None]
    show(f"{name}: caught in {len(ran)}/{len(counts)}, after {statistics.median(ran):g} calls (at most {max(ran)})")
    assert len(counts) == len(ran) == 81
    assert max(ran) <= most


@pytest.mark.parametrize("control", [polling, paging, reading, working])
def test_progress_is_no_loop(sessions: list[dict[str, Any]], control: Any) -> None:
    counts = caught(sessions, control)
    show(f"{control.__name__}: tripped in {sum(count is not None for count in counts)}/{len(counts)}")
    assert counts == [None] * 81
