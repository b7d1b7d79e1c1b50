"""Exact repeats, cycles, tools that answer the same, near-duplicates: each with what is one and what is not."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest
from breaking import Story, blocked, breaker, said

from jackline.request import Agent, Tool

OFF = {"no_progress": "off", "repeats": "off", "cycles": "off", "same_result": "off", "similar": "off"}


def only(**options: Any) -> Story:
    return Story(**{**OFF, **options})


def turns(*calls: str) -> Any:
    """A loop of calls of one tool, a word each, with the same result whenever the word comes."""
    return ({"arguments": word, "result": f"result of {word}"} for word in itertools.cycle(calls))


def test_the_same_call_with_the_same_result_runs_three_times() -> None:
    story = Story()
    assert story.calls_until_stopped(turns("x")) == 3
    verdict = story.verdicts[-1]
    assert verdict is not None
    assert (verdict.effect, verdict.rule, verdict.policy) == ("deny", "no_progress", "loops")
    assert verdict.reason == (
        "'search' was called 3 times with the same arguments and gave nothing new: "
        "change the arguments, or go on without it"
    )
    assert said(verdict) == [("no_progress", verdict.reason)]


def test_new_results_are_progress() -> None:
    story = Story()
    for number in range(30):
        assert not blocked(story.call(result=f"page {number}"))


def test_a_result_that_came_before_is_no_progress() -> None:
    story = only(no_progress="deny")
    results = ["pending", "pending", "done", "pending"]
    assert not any(blocked(story.call(result=result)) for result in results)
    assert blocked(story.call())
    assert only(no_progress={"at": 4}).calls_until_stopped(turns("x")) == 4


def test_another_call_is_let_through_and_old_ones_are_forgotten() -> None:
    story = only(no_progress="deny")
    for _ in range(3):
        story.call()
    assert blocked(story.call())
    assert not blocked(story.call(arguments="y"))
    assert not blocked(story.call(name="find"))
    assert blocked(story.call())
    for number in range(22):
        assert not blocked(story.call(arguments=f"other {number}"))
    assert not blocked(story.call()), "two are left among the last 24"


def test_who_comes_back_after_a_while_begins_anew() -> None:
    story = Story()
    for _ in range(3):
        story.call()
    story.now += 599
    assert blocked(story.call())
    story.now += 599
    assert blocked(story.call()), "an attempt that is blocked is no quiet either"
    story.now += 600
    assert story.calls_until_stopped(turns("x")) == 3
    story = Story(same_result="deny", quiet="1s", no_progress="off")
    for number in range(20):
        story.now += 1
        assert not blocked(story.call(arguments=f"{number} {number}", result="nothing"))


def test_calls_under_way_count_so_that_those_side_by_side_do_not_all_pass() -> None:
    story = only(no_progress="deny", halt_after=None)
    started = [story.start() for _ in range(10)]
    assert [blocked(verdict) for _, verdict in started] == [False] * 3 + [True] * 7
    for number, (asked, _) in enumerate(started[:3]):
        story.end(asked, result=f"different {number}")
    assert not blocked(story.call()), "they made progress after all"


def test_a_failure_is_a_result() -> None:
    story = only(no_progress="deny", errors="off")
    assert story.calls_until_stopped({"error": "ValueError"} for _ in range(9)) == 3
    story = only(no_progress="deny")
    assert story.calls_until_stopped({"error": "ValueError"} for _ in range(9)) == 4, "failing tools have their own"
    assert story.verdicts[-1].rule == "errors"  # type: ignore[union-attr]
    story = only(no_progress="deny", errors="off")
    assert story.calls_until_stopped({"error": error} for error in "ABCD") == 60


@pytest.mark.parametrize("error", ["cancelled", "abandoned"])
def test_calls_that_are_broken_off_make_no_progress_either(error: str) -> None:
    """A call whose arguments the tool does not take is abandoned: models repeat just that."""
    assert Story().calls_until_stopped({"error": error} for _ in range(9)) == 3


def test_repeats_are_recorded_whatever_came_of_them() -> None:
    story = Story()
    for number in range(5):
        assert story.call(result=str(number)) is None
    verdict = story.call(result="other")
    assert verdict is not None
    assert (verdict.effect, verdict.reason, verdict.rule) == ("allow", "", "repeats")
    assert said(verdict) == [
        ("repeats", "'search' was called 5 times with the same arguments: go on without calling it again")
    ]
    assert story.call(result="yet another") is None, "it is said once"


@pytest.mark.parametrize("allowed", [1, 3, 10, 24])
def test_repeats_can_be_bounded_exactly(allowed: int) -> None:
    story = only(repeats={"action": "deny", "at": allowed})
    steps = ({"result": str(number)} for number in itertools.count())
    assert story.calls_until_stopped(steps) == allowed
    assert story.verdicts[-1] is not None
    assert story.verdicts[-1].rule == "repeats"


def test_attempts_that_others_deny_count_as_repeats() -> None:
    story = only(repeats={"action": "halt", "at": 4})
    for _ in range(4):
        story.start(others="deny")
    verdict = story.call()
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("halt", "repeats")


@pytest.mark.parametrize(("words", "ran"), [("ab", 5), ("abc", 6), ("abcd", 8), ("abcde", 10)])
def test_a_cycle_is_broken_once_all_of_it_came_round(words: str, ran: int) -> None:
    story = only(cycles="deny")
    assert story.calls_until_stopped(turns(*words)) == ran
    verdict = story.verdicts[-1]
    assert verdict is not None
    assert verdict.reason == f"the same {len(words)} calls go round with the same results: do something else"


@pytest.mark.parametrize(("words", "ran"), [("ab", 5), ("abc", 8), ("abcd", 11), ("abcde", 14)])
def test_more_periods_can_be_asked_for(words: str, ran: int) -> None:
    assert only(cycles={"periods": 3}).calls_until_stopped(turns(*words)) == ran


def test_a_cycle_in_the_middle_of_a_session_is_found() -> None:
    story = only(cycles="halt")
    for number in range(40):
        assert story.call(arguments=f"before {number}") is None
    assert story.calls_until_stopped(turns("a", "b", "c")) == 6
    verdict = story.verdicts[-1]
    assert verdict is not None
    assert verdict.effect == "halt"


def test_what_is_no_cycle() -> None:
    story = only(cycles="deny")
    for number in range(30):
        word = "abc"[number % 3]
        assert not blocked(story.call(arguments=word, result=f"{word} {number}")), "results change"
    for word in "abcdeabdceabedcdcba":
        assert not blocked(story.call(arguments=word))
    assert only(cycles="deny").calls_until_stopped(turns("x")) == 60, "one call is a repeat, not a cycle"
    assert only(cycles="deny").calls_until_stopped(turns(*"abcdef")) == 60, "six calls are too many"


def test_acts_without_news_around_one_that_has_some_are_no_loop() -> None:
    """Turn the page, wait, read: two calls of the round say the same each time, and the third does not."""
    story = Story()
    for number in range(20):
        for name, result in (("turn_page", "ok"), ("wait", "ok"), ("read", f"page {number}")):
            assert not blocked(story.call(name, result=result)), (number, name)


def test_a_check_after_each_change_is_no_loop() -> None:
    """Change something, run the tests: that they pass again is what is hoped for."""
    story = Story()
    for number in range(20):
        assert not blocked(story.call("edit", f"line {number}", result=f"+ line {number}")), number
        assert not blocked(story.call("run_tests", result="all pass")), number


def test_news_that_are_none_do_not_hide_a_loop() -> None:
    """Neither what fails, nor what was given before, nor what was broken off or has not ended, is progress."""
    for other in ({"result": "noted"}, {"error": "KeyError"}, {"error": "cancelled"}):
        steps = (
            {"name": "search"} if number % 2 else {"name": "x", "arguments": number, **other} for number in range(60)
        )
        assert only(no_progress="deny").calls_until_stopped(steps) == 7, other
    story = only(no_progress="deny")
    for number in range(3):
        assert not blocked(story.call())
        story.start("slow", number)
    assert blocked(story.call())


def test_a_cycle_is_recorded_once() -> None:
    story = only(cycles="record")
    found = [said(story.call(**step)) for step in itertools.islice(turns("a", "b", "c"), 20)]
    assert [number for number, each in enumerate(found) if each] == [6]


def test_one_result_for_all_arguments_is_recorded() -> None:
    story = Story(similar="off")
    words = ["red", "green", "blue", "cyan", "pink", "grey", "white", "black"]
    found = [said(story.call(arguments=word, result="nothing found")) for word in words]
    assert found[:6] == [[]] * 6
    assert found[6] == [("same_result", "'search' gave the same result 6 times in a row, whatever it was asked")]
    assert found[7] == []


def test_one_result_for_all_arguments_blocks_a_call_and_counts_on() -> None:
    story = only(same_result="deny")
    effects = [blocked(story.call(arguments=f"{number:x} word", result="nothing")) for number in range(15)]
    assert [number for number, each in enumerate(effects) if each] == [6, 10, 14]
    for number in range(20):
        assert not blocked(story.call(name="fetch", arguments=str(number), result=str(number)))


PAGES = [f"https://shop.example/list?category=garden-furniture&page={number}" for number in range(30)]


def test_nearly_the_same_arguments_with_one_result_are_recorded() -> None:
    story = only(similar="record")
    found = [said(story.call(arguments=page, result="no results")) for page in PAGES[:13]]
    reason = "'search' gave the same result {} times in a row for nearly the same arguments"
    assert [each for each in found if each] == [[("similar", reason.format(6))], [("similar", reason.format(12))]]
    assert found[6]
    story = only(similar={"action": "deny", "at": 4})
    assert story.calls_until_stopped({"arguments": page, "result": "none"} for page in PAGES) == 4
    assert blocked(story.call(arguments=PAGES[20])), "as long as the arguments are like those before"
    assert not blocked(story.call(arguments="something else altogether"))


def test_paging_and_different_questions_are_not_near_duplicates() -> None:
    story = Story(similar="deny", same_result="off")
    for number, page in enumerate(PAGES):
        assert not blocked(story.call(arguments=page, result=f"page {number}")), "results change"
    words = ["trousers", "garden chairs", "winter coats", "umbrellas", "lamps", "notebooks", "kettles", "sofas", "rugs"]
    for word in words:
        assert not blocked(story.call(arguments=word, result="no results")), "arguments differ by more than numbers"


def test_polls_may_be_called_again_until_too_often_without_a_change() -> None:
    story = Story(repeats="deny", polls={"tools": ["job.*"], "unchanged": 8})
    for number in range(40):
        assert not blocked(story.call("job.status", result=f"{number // 5} done"))
    story.call("job.status", result="stuck")
    for _ in range(7):
        assert not blocked(story.call("job.status", result="stuck"))
    verdict = story.call("job.status", result="stuck")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("deny", "polls")
    assert verdict.reason == "'job.status' was polled 8 times without a change"
    assert not blocked(story.call("job.status", {"job": 8}, result="stuck")), "another job is another poll"
    assert story.calls_until_stopped({"name": "other"} for _ in range(9)) == 3


def test_a_label_marks_a_poll_and_waiting_between_polls_is_no_cycle() -> None:
    story = Story()
    status, wait = Tool(name="status", labels={"poll": "yes"}), Tool(name="wait", labels={"poll": "yes"})
    for _ in range(25):
        assert not blocked(story.call("status", tool=status, result="pending"))
        assert not blocked(story.call("wait", tool=wait, result="-"))
    no = Tool(name="x", labels={"poll": "no"})
    assert story.calls_until_stopped({"name": "x"} for _ in range(9)) == 3
    assert not breaker()._is_poll(story.start("x", tool=no)[0])


def test_an_agent_that_does_not_take_the_hint_ends_its_session() -> None:
    story = Story(halt_after=3)
    for _ in range(3):
        story.call()
    assert [verdict.effect for verdict in (story.call() for _ in range(4)) if verdict] == ["deny"] * 3 + ["halt"]
    last = story.verdicts[-1]
    assert last is not None
    assert last.rule == "halt_after"
    assert last.reason.startswith(
        "3 calls in a row were blocked and the agent goes on; the last: 'search' was called 3"
    )
    assert story.call() is None, "a session that a human reopens begins to count anew"
    assert Story(halt_after=None).state.memory == {}


def test_calls_of_one_turn_are_blocked_as_one_and_other_calls_forgive() -> None:
    story = Story(halt_after=2)
    story.model()
    for _ in range(3):
        story.call()
    assert [verdict.effect for verdict in (story.call() for _ in range(8)) if verdict] == ["deny"] * 8
    story.model()
    assert story.call().effect == "deny"  # type: ignore[union-attr]
    story.call(arguments="y")
    for _ in range(2):
        story.model()
        assert story.call().effect == "deny"  # type: ignore[union-attr]
    story.model()
    assert story.call().effect == "halt"  # type: ignore[union-attr]


def test_p57_sub_agents_count_in_their_session() -> None:
    """P57: limits cover the whole session tree."""
    story = Story(steps=5)
    manager, worker = Agent(name="manager"), Agent(name="worker")
    story.call(agent=manager)
    story.call("worker", action="agent.spawn", agent=manager)
    for word in "abc":
        assert not blocked(story.call(arguments=word, agent=worker, ancestors=(manager,), depth=1))
    verdict = story.call(arguments="d", agent=worker, ancestors=(manager,), depth=1)
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("halt", "steps")
    assert verdict.reason == "the session has taken 5 steps, the most is 5"


def test_neither_memory_nor_findings_hold_arguments_or_results() -> None:
    story = Story(halt_after=None)
    for number in range(12):
        story.call(
            "search", {"iban": f"GB33BUKB2020155555555{number % 2}", "note": "confidential" * 30}, result="5e" * 16
        )
    held = json.dumps([story.state.memory, [msgspec.to_builtins(verdict) for verdict in story.verdicts]])
    assert "no_progress" in held
    for told in ("GB33", "confid", "denti", "5e" * 16):
        assert told not in held


def test_the_memory_is_bounded() -> None:
    story = Story(repeats="deny", polls={"tools": ["poll*"]})
    for number in range(3000):
        story.start(f"tool {number}", {"text": f"{number} " * 50})
        story.start(f"poll {number}")
        story.start(f"agent {number}", action="agent.spawn", run=f"{number:032x}")
    memory = story.state.memory
    sizes = {name: len(part) for name, part in memory.items() if isinstance(part, (list, dict))}
    assert sizes == {"asked": 0, "tried": 24, "window": 24, "tools": 64, "polls": 64, "spawned": 64}
