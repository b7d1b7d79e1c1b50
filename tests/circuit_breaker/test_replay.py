"""What a session's events say is what its policy knew: replayed, spilled, reloaded."""

from __future__ import annotations

from typing import Any

from breaking import Story, blocked, breaker, replayed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackline.request import Tool

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "call", "call", "start", "end", "model", "spawn", "poll", "later"]),
        st.sampled_from(["search", "fetch"]),
        st.sampled_from(["x", "y", "order 1", "order 2", "order 3"]),
        st.sampled_from(["same", "other", "!ValueError", "!cancelled", "denied"]),
    ),
    max_size=60,
)
OPTIONS = st.sampled_from(
    [
        {},
        {
            "repeats": "deny",
            "same_result": {"action": "deny", "at": 3},
            "similar": {"action": "deny", "at": 4, "alike": 0.5},
        },
        {
            "errors": {"streak": 2, "open_for": "5s"},
            "halt_after": 2,
            "polls": {"unchanged": 3},
            "no_progress": {"at": 2},
        },
        {
            "steps": {"max": 7, "action": "record"},
            "wall_time": {"max": "20s", "action": "deny"},
            "fan_out": 1,
            "depth": 0,
        },
        {"cost": {"action": "deny", "floor": "0.001 USD", "times": 1.5}, "cycles": "record", "no_progress": "record"},
    ]
)
POLL = Tool(name="wait", labels={"poll": "yes"})


def told(options: dict[str, Any], steps: Any) -> Story:
    story, running = Story(**options), []
    for number, (kind, name, word, outcome) in enumerate(steps):
        error = outcome[1:] if outcome.startswith("!") else None
        others = "deny" if outcome == "denied" else "allow"
        if kind == "later":
            story.now += 7 if word != "y" else 601
        elif kind == "model":
            story.model(1000 * 2 ** (number % 12))
        elif kind == "end" and running:
            story.end(running.pop(0), outcome, error)
        elif kind in ("start", "end"):
            asked, verdict = story.start(name, word, others=others)
            if not blocked(verdict) and others == "allow":
                running.append(asked)
        else:
            more = {"poll": {"tool": POLL}, "spawn": {"action": "agent.spawn"}}.get(kind, {})
            story.call("wait" if kind == "poll" else name, word, outcome, error, **more)
    return story


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPTIONS, STEPS, st.sampled_from([0, 1, 5]))
def test_replay_equals_live(options: dict[str, Any], steps: Any, reload_every: int) -> None:
    """From the written form of its requests and events, and with its memory spilled and the bundle reloaded between."""
    story = told(options, steps)
    verdicts, memory = replayed(story, breaker(**options), reload_every)
    assert verdicts == story.verdicts
    assert memory == story.state.memory


@settings(max_examples=100, deadline=None)
@given(OPTIONS, OPTIONS, STEPS, STEPS)
def test_other_options_take_over_the_memory(first: Any, second: Any, before: Any, after: Any) -> None:
    """A reload with other options neither fails on what was remembered nor forgets it."""
    story = told(first, before)
    policy = breaker(**second)
    for item in told(second, after).told:
        if hasattr(item, "subject"):
            policy.evaluate(item, story.state)
        else:
            policy.observe(item, story.state)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.booleans(), max_size=60))
def test_no_interleaving_lets_more_than_the_bound_pass(bound: int, ends: list[bool]) -> None:
    """However starts and ends are mixed, the same call starts `bound` times."""
    story = Story(repeats={"action": "deny", "at": bound}, no_progress="off", halt_after=None)
    running, ran = [], 0
    for end in ends:
        if end and running:
            story.end(running.pop(), result=str(ran))
            continue
        asked, verdict = story.start()
        if not blocked(verdict):
            ran += 1
            running.append(asked)
    assert ran == min(bound, sum(not blocked(verdict) for verdict in story.verdicts))
    assert ran <= bound


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["start", "start", "well", "ill", "cancelled", "later"]), max_size=80))
def test_however_starts_and_ends_are_mixed_one_probe_is_under_way(steps: list[str]) -> None:
    story, running, probes = Story(errors={"streak": 2, "open_for": "5s"}, same_result="off"), [], []
    for number, step in enumerate(steps):
        if step == "later":
            story.now += 4
        elif step == "start":
            is_open = "until" in story.state.memory.get("tools", {}).get("tool.call search", {})
            asked, verdict = story.start(arguments=f"{number} {number % 7}")
            if not blocked(verdict):
                running.append(asked)
                probes += [asked] if is_open else []
        elif running:
            ended = running.pop(number % len(running))
            story.end(ended, str(number), {"ill": "TimeoutError", "cancelled": "cancelled"}.get(step))
            probes = [probe for probe in probes if probe is not ended]
        assert len(probes) <= 1
