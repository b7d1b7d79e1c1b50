"""Failing tools, dearer and dearer calls, and the caps of a session."""

from __future__ import annotations

import pytest
from breaking import START, Story, blocked, said
from msgspec.structs import replace

from jackline.request import Agent


def failing(story: Story, times: int = 4, tool: str = "search") -> None:
    for number in range(times):
        assert not blocked(story.call(tool, str(number), error="TimeoutError"))


def test_four_failures_in_a_row_open_the_breaker_for_a_while() -> None:
    story = Story()
    failing(story)
    verdict = story.call(arguments="again")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("deny", "errors")
    assert verdict.reason == "'search' failed 4 times in a row: calls are blocked for 29 s more"
    assert not blocked(story.call("other")), "other tools are open"
    story.now += 26
    assert blocked(story.call(arguments="again"))
    story.now += 1
    assert not blocked(story.call(arguments="probe", result="well")), "the probe"
    for number in range(10):
        assert not blocked(story.call(arguments=f"{number} later", result=str(number)))


def test_one_probe_tries_the_tool_however_many_ask() -> None:
    story = Story()
    failing(story)
    story.now += 60
    asked, verdict = story.start(arguments="probe")
    assert verdict is None
    for number in range(5):
        other = story.start(arguments=f"side by side {number}")[1]
        assert other is not None
        assert other.reason == "'search' failed 4 times in a row: one call is trying it, and has not ended"
    story.end(asked, error="TimeoutError")
    refused = story.call(arguments="x")
    assert refused is not None
    assert refused.reason == "'search' failed 4 times in a row: calls are blocked for 59 s more"


def test_it_waits_longer_each_time_up_to_a_most() -> None:
    story = Story(errors={"open_for": "10s", "backoff": 3.0, "longest": "1m"})
    failing(story)
    waits = []
    for _ in range(4):
        until = story.state.memory["tools"]["tool.call search"]["until"]
        waits.append(until - story.now)
        story.now = until
        assert not blocked(story.call(arguments="probe", error="TimeoutError"))
    assert waits == [10, 30, 60, 60]


def test_a_clock_that_was_put_back_keeps_no_tool_blocked() -> None:
    story = Story()
    for _ in range(4):
        story.call(error="TimeoutError")
    story.now -= 10  # calls side by side are not told in order
    assert blocked(story.call())
    story.now -= 3 * 86400
    asked, verdict = story.start()
    assert not blocked(verdict), "the probe"
    assert blocked(story.call()), "one call is trying it"
    story.now -= 86400
    assert not blocked(story.call(error="TimeoutError")), "the probe was long ago, or will never have been"
    story.end(asked)
    assert blocked(story.call())


def test_a_probe_that_others_deny_is_none() -> None:
    story = Story()
    failing(story)
    story.now += 60
    assert story.start(arguments="probe", others="deny")[1] is None
    assert not blocked(story.call(arguments="probe"))


@pytest.mark.parametrize("error", ["cancelled", "abandoned", "outcome unknown"])
def test_a_probe_that_did_not_end_is_followed_by_another(error: str) -> None:
    story = Story()
    failing(story)
    story.now += 60
    story.call(arguments="probe", error=error)
    assert story.start(arguments="another probe")[1] is None, "and it is on its way, never to be heard of"
    story.now += 290
    assert blocked(story.call(arguments="too early"))
    story.now += 10
    assert not blocked(story.call(arguments="a third"))


def test_what_started_before_the_breaker_opened_neither_closes_nor_prolongs_it() -> None:
    story = Story()
    well, ill = (story.start(arguments=word)[0] for word in ("a", "b"))
    failing(story)
    until = story.state.memory["tools"]["tool.call search"]["until"]
    story.end(well)
    story.end(ill, error="TimeoutError")
    assert story.state.memory["tools"]["tool.call search"]["until"] == until
    assert blocked(story.call(arguments="x"))


def test_a_share_of_errors_opens_it_too() -> None:
    story = Story(errors={"streak": 9})
    outcomes = ["E", None, "E", "E", None]
    for number, error in enumerate(outcomes):
        assert not blocked(story.call(arguments=str(number), result=str(number), error=error))
    assert not blocked(story.call(arguments="sixth", error="E"))
    verdict = story.call(arguments="x")
    assert verdict is not None
    assert verdict.reason == "'search' failed 4 of the last 6 times: calls are blocked for 29 s more"
    story = Story(errors={"streak": 9})
    for number in range(40):
        error = "E" if number % 2 else None
        assert not blocked(story.call(arguments=str(number), result=str(number), error=error)), "half of them"


def test_cancelled_calls_are_no_errors() -> None:
    story = Story(same_result="off", similar="off")
    for number in range(20):
        assert story.call(arguments=f"{number} {number % 7}", error="cancelled") is None


def test_errors_can_be_recorded_or_end_the_session() -> None:
    story = Story(errors="record", same_result="off", similar="off")
    failing(story)
    assert said(story.call(arguments="x", error="E")) == [("errors", "'search' failed 4 times in a row")]
    assert story.call(arguments="y") is None
    story = Story(errors="halt")
    failing(story)
    verdict = story.call()
    assert verdict is not None
    assert verdict.effect == "halt"
    story = Story(errors="off", same_result="off", similar="off")
    failing(story, 30)


@pytest.mark.parametrize("reads_first", [False, True])
def test_results_that_tell_of_errors_can_count_as_failures(reads_first: bool) -> None:
    story = Story(errors={"results": ["Error*", "*not found"]})
    story.reads_first = reads_first
    for result in ("Error: no such user", "flight not found", "Error", "Error: again"):
        assert not blocked(story.call(arguments="x", result=result))
    verdict = story.call(arguments="x")
    assert verdict is not None
    assert verdict.reason == "'search' failed 4 times in a row: calls are blocked for 29 s more"
    story.now += 60
    assert not blocked(story.call(arguments="x", result="found 3 errors")), "the probe, which finds it mended"
    assert not blocked(story.call(arguments="x", result="well"))
    assert (story.state.memory["read"], story.state.memory["unread"]) == ({}, {})
    assert "tool.return" not in (Story(errors={"results": []}).policy.reach.actions or ())
    asked, _ = story.start(arguments="y")
    story.ask(replace(asked, action="tool.return", args={"result": {"error": "Error"}}))
    assert story.state.memory["read"] == {asked.span: False}, "only texts are read"


def test_an_open_breaker_is_not_forgotten_for_other_tools() -> None:
    story = Story()
    failing(story)
    for number in range(100):
        story.now -= 1
        story.call(f"tool {number}")
    assert blocked(story.call(arguments="again"))


def test_dearer_and_dearer_model_calls_are_recorded_once() -> None:
    story = Story()
    for _ in range(10):
        assert story.model(20_000) is None
    found = [verdict for verdict in (story.model(400_000) for _ in range(4)) if verdict]
    assert len(found) == 1
    assert found[0].effect == "allow"
    assert said(found[0]) == [("cost", "model calls cost 0.1340 USD of late, the session's median is 0.0200 USD")]
    for _ in range(15):
        story.model(20_000)
    assert [verdict for verdict in (story.model(600_000) for _ in range(4)) if verdict], "it is said again"


def test_cheap_calls_and_a_growing_context_are_no_acceleration() -> None:
    story = Story(cost="halt")
    for number in range(60):
        assert story.model(100 * 2 ** min(number, 8)) is None, "below the floor"
    story = Story(cost="halt")
    for number in range(60):
        assert story.model(20_000 + 2_000 * number) is None
    story = Story(cost={"action": "deny", "floor": "0.01 USD", "times": 2.0})
    for _ in range(8):
        story.model(10_000)
    for _ in range(8):
        story.model(90_000)
    assert story.verdicts[-1] is not None
    assert story.verdicts[-1].rule == "cost"


def test_steps_of_every_kind_count() -> None:
    story = Story(steps=4)
    story.start("gpt", action="model.call", others="deny")
    story.model()
    story.call()
    story.call("docs", action="retrieval")
    story.call("helper", action="agent.spawn")
    verdict = story.model()
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("halt", "steps")
    recorded = Story(steps={"max": 5, "action": "record"})
    found = [number for number in range(16) if said(recorded.call(arguments=str(number), result=str(number)))]
    assert found == [5, 10, 15]


def test_the_time_is_the_requests() -> None:
    story = Story(wall_time="1h30m")
    story.call()
    story.now = START + 5400
    assert story.call(arguments="y") is None
    verdict = story.call(arguments="z")
    assert verdict is not None
    assert verdict.effect == "halt"
    assert verdict.reason == "the session has been at work for 5401 s, the most is 5400 s"
    recorded = Story(wall_time={"max": "1s", "action": "record"})
    assert sum(bool(said(recorded.call(arguments=str(number), result=str(number)))) for number in range(9)) == 1


def test_depth_and_fan_out() -> None:
    story = Story(depth=1, fan_out=2)
    boss = Agent(name="boss")
    assert story.call("worker", action="agent.spawn") is None
    assert story.call(agent=Agent(name="worker"), ancestors=(boss,), depth=1) is None
    deep = story.call("helper", action="agent.spawn", ancestors=(boss,), depth=1)
    assert deep is not None
    assert (deep.effect, deep.rule) == ("deny", "depth")
    assert deep.reason == "2 agents would be above this one, the most is 1"
    assert story.call(arguments="y", ancestors=(boss, boss), depth=2).effect == "deny"  # type: ignore[union-attr]
    assert story.call("worker", "another", action="agent.spawn") is None
    many = story.call("worker", "a third", action="agent.spawn")
    assert many is not None
    assert (many.effect, many.reason) == ("deny", "this run has started 2 sub-agents, the most is 2")
    assert story.call("worker", "of another run", action="agent.spawn", run="b" * 32) is None
