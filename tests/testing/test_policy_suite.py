"""The conformance suite finds what it promises to find: each behaviour is broken once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from jackline.decision import Verdict
from jackline.options import Options
from jackline.policy import Reach
from jackline.request import Tool
from jackline.testing import PolicySuite
from jackline.testing.policies import Context, request

if TYPE_CHECKING:
    from jackline.events import Event
    from jackline.policy import State
    from jackline.request import Request


class Sound:
    """Denies one tool, and counts what it is told."""

    phase = "judge"
    Options = Options
    reach = Reach(actions=frozenset({"tool.call"}), tools=frozenset({"refund"}), tool_prefixes=("db.",))

    @classmethod
    def build(cls, name: str, options: Any, context: Any) -> Any:
        return cls()

    def evaluate(self, request: Request, state: State) -> Any:
        if request.action != "tool.call" or request.tool is None or request.tool.name != "refund":
            return None
        return Verdict(effect="deny", reason=f"no, after {state.memory.get('told', 0)}")

    def observe(self, event: Event, state: State) -> None:
        state.memory["told"] = state.memory.get("told", 0) + 1


class NoPolicy(Sound):
    observe = None  # type: ignore[assignment]


class Late(Sound):
    phase = "afterwards"


class Unreachable(Sound):
    reach = "tool.call"  # type: ignore[assignment]


class Raises(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny", reason=request.model.name)  # type: ignore[union-attr]


class Junk(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        return "deny"


class Mute(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny")


class Everywhere(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny", reason="always")


class Moody(Sound):
    moods: ClassVar[Any] = itertools.cycle("abc")

    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny", reason=next(self.moods))


class Own(Sound):
    serials: ClassVar[Any] = itertools.count()

    def __init__(self) -> None:
        self.serial = next(self.serials)

    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny", reason=f"by {self.serial}")


class Edits(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        request.args["checked"] = True


class NoJson(Sound):
    def observe(self, event: Event, state: State) -> None:
        state.memory["told"] = {1: "one"}


class Forgets(Sound):
    def evaluate(self, request: Request, state: State) -> Any:
        return Verdict(effect="deny", reason=str(type(state.memory.get("span"))))

    def observe(self, event: Event, state: State) -> None:
        state.memory["span"] = [1] if "span" not in state.memory else (1,)


class Lenient(Sound):
    class Options(Options, extra="ignore"):
        pass


def suite(policy: Any) -> PolicySuite:
    made: Any = type("Suite", (PolicySuite,), {"use": policy})()
    return made


def behaviours() -> list[str]:
    return [name for name in vars(PolicySuite) if name.startswith("test_")]


@pytest.mark.parametrize("behaviour", behaviours())
def test_a_sound_policy_passes(behaviour: str) -> None:
    getattr(suite(Sound), behaviour)()


BROKEN = [
    (NoPolicy, "test_is_a_policy", AssertionError, "a policy has phase, reach, evaluate and observe"),
    (Late, "test_is_a_policy", AssertionError, "phase 'afterwards' is none of"),
    (Unreachable, "test_is_a_policy", AssertionError, "reach is no Reach"),
    (Raises, "test_answers_every_request", AttributeError, "no attribute 'name'"),
    (Junk, "test_answers_every_request", AssertionError, "answers 'deny', no Verdict and not None"),
    (Mute, "test_answers_every_request", AssertionError, "what is not allowed says why"),
    (Everywhere, "test_is_silent_outside_its_reach", AssertionError, "answers model.call outside its reach"),
    (Moody, "test_gives_the_same_answer_twice", AssertionError, "answers otherwise the second time"),
    (Own, "test_gives_the_same_answer_twice", AssertionError, "another instance of the policy answers otherwise"),
    (Edits, "test_leaves_the_request_alone", AssertionError, "changes the request of a model.call"),
    (NoJson, "test_memory_survives_as_json", AssertionError, "memory changes when it is written as JSON"),
    (Forgets, "test_memory_survives_as_json", AssertionError, "memory changes|answers otherwise after its memory"),
    (Lenient, "test_options_refuse_unknown_fields", BaseException, "DID NOT RAISE"),
]


@pytest.mark.parametrize(("policy", "behaviour", "error", "message"), BROKEN)
def test_a_fault_is_found(policy: Any, behaviour: str, error: type[BaseException], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(suite(policy), behaviour)()


def test_every_behaviour_is_broken_once() -> None:
    assert {behaviour for _, behaviour, _, _ in BROKEN} == set(behaviours())


def test_reach_without_actions_is_everywhere() -> None:
    class Anywhere(Everywhere):
        reach = Reach()

    suite(Anywhere).test_is_silent_outside_its_reach()


def test_a_context_refuses_as_a_bundle_would() -> None:
    with pytest.raises(ValueError, match=r"limits\.1: too many; leave one out"):
        Context().problem("too many", path=("limits", 1), hint="leave one out")


def test_a_request_is_what_an_adapter_would_make() -> None:
    asked = request("tool.call", "refund", args={"amount": 5})
    assert asked.tool == Tool(name="refund", fingerprint="00aa11bb22cc33dd")
    assert asked.args == {"amount": 5}
    assert request("output").args == {"result": "order 7 is on its way"}
