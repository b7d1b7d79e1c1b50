"""What every policy must keep to, as tests: subclass `PolicySuite` in your pack's tests."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from jackline.decision import EFFECTS, Verdict
from jackline.events import Completed, Decided, Failed, Usage
from jackline.policy import PHASES, Policy, Reach, State
from jackline.request import ACTIONS, Action, Agent, Model, Request, Subject, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jackline.condition import Condition
    from jackline.decision import Mode
    from jackline.engine import OnError
    from jackline.events import Event

_ARGS: dict[str, dict[str, Any]] = {
    "model.call": {"messages": [{"role": "user", "content": "find order 7"}]},
    "embedding": {"texts": ["order 7"]},
    "retrieval": {"query": "order 7"},
    "agent.spawn": {"input": "find order 7"},
    "tool.call": {"order": "7", "nested": {"amount": 12.5, "list": [1, None, True]}},
}
_RESULT: dict[str, Any] = {"result": "order 7 is on its way"}


class Context:
    """What a policy is built with, outside a bundle: conditions compile, prices are the ones given."""

    name = "suite"
    mode: Mode = "enforce"
    on = None
    on_error: OnError | None = None

    def __init__(self, prices: Any = None) -> None:
        self._prices = prices

    def problem(self, message: str, *, path: tuple[str | int, ...] = (), hint: str = "") -> None:
        """Refuse the options, as a bundle would."""
        raise ValueError(f"{'.'.join(map(str, path))}: {message}; {hint}")

    def compile(self, source: str, *, path: tuple[str | int, ...] = ()) -> Condition:  # noqa: ARG002 - as a bundle's
        """Compile a condition over the default roots; raises ConditionError."""
        from jackline.condition import Schema, compile_condition  # noqa: PLC0415 - few suites need conditions

        return compile_condition(source, Schema.default())

    def detector(self, name: str) -> Any:
        """Import the class of an installed detector; raises PluginError."""
        from jackline.plugins import installed_plugins  # noqa: PLC0415 - few suites need detectors

        return installed_plugins().registrations.detector(name)

    def check_gate(self, gate: Any, *, path: tuple[str | int, ...] = ()) -> None:
        """Accept a gate: without a bundle there are no approvers to compare it with."""

    def prices(self) -> Any:
        """Give the price table that the suite was made with; None where there is none."""
        return self._prices


def request(action: Action = "tool.call", resource: str = "", **changes: Any) -> Request:
    """Make a request that an adapter could have made; `changes` replace its fields."""
    resource = resource or {"model.call": "gpt-5-mini", "embedding": "text-embedding-3-small"}.get(action, "search")
    fields: dict[str, Any] = {
        "action": action,
        "resource": resource,
        "at": 1_780_000_000.0,
        "agent": Agent(name="support", team="care", labels={"customer-data": "yes"}, status="active"),
        "subject": Subject(session="5e" * 16, external_id="thread-1", user="u-9", application="shop"),
        "run": "4a" * 16,
        "span": "3b" * 8,
        "args": copy.deepcopy(_ARGS.get(action, _RESULT)),
    }
    if action in ("tool.call", "tool.return"):
        fields["tool"] = Tool(name=resource, fingerprint="00aa11bb22cc33dd")
    if action in ("model.call", "model.return", "embedding"):
        fields["model"] = Model(name=resource, provider="openai", input_bytes=120, max_tokens=200, can_limit=True)
    return Request(**{**fields, **changes})


def oddities() -> Iterator[Request]:
    """Yield requests that are allowed to occur and are easily forgotten: nothing known, everything empty or huge."""
    for action in ACTIONS:
        yield request(action)
        yield request(action, tool=None, model=None, args={})
        yield request(action, agent=Agent(name=""), subject=Subject(session=""), run="", span="")
        yield request(action, "\u202e\x00n\u200bame \ud800" * 40, args={"deep": {"deeper": [{}, [], ""]}})
        yield request(action, at=0.0, depth=9, ancestors=(Agent(name="a"), Agent(name="b", status="suspended")))
    yield request("model.call", model=Model(name="", max_tokens=0, choices=0, input_bytes=0))
    yield request("model.call", model=Model(name="x", max_tokens=2**40, choices=10**6, input_bytes=2**50))
    offered = (Tool(name="web_search", provider=True), Tool(name="refund", status="changed"))
    yield request("model.call", model=Model(name="x", tools=offered, opaque_input=True))
    yield request("tool.call", tool=Tool(name="refund", status="new"), session={"cost_usd": 1.5, "calls": 3})


class PolicySuite:
    """The behaviours that the engine and the guard rely on. Subclass it as `Test...` and set `use` and `options`."""

    use: ClassVar[Any]
    """The policy class."""
    options: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """What a bundle could say under `with:`; each set is tested."""
    prices: ClassVar[Any] = None

    def policies(self) -> list[Any]:
        """Build one policy for each set of options."""
        context = Context(self.prices)
        return [self.use.build("suite", self.use.Options.model_validate(given), context) for given in self.options]

    def requests(self) -> list[Request]:
        """Give every kind of request; extend it by those that your policy is about."""
        return list(oddities())

    def test_is_a_policy(self) -> None:
        """It has what the protocol asks for."""
        for policy in self.policies():
            assert isinstance(policy, Policy), "a policy has phase, reach, evaluate and observe"
            assert policy.phase in PHASES, f"phase {policy.phase!r} is none of {PHASES}"
            assert isinstance(policy.reach, Reach), "reach is no Reach"

    def test_answers_every_request(self) -> None:
        """It never raises, answers a Verdict or None, and says why it does not allow."""
        for policy in self.policies():
            for asked in self.requests():
                verdict = policy.evaluate(asked, State())
                assert verdict is None or isinstance(verdict, Verdict), f"answers {verdict!r}, no Verdict and not None"
                if verdict is not None:
                    assert verdict.effect in EFFECTS, f"effect {verdict.effect!r} is none of {EFFECTS}"
                    assert verdict.reason or verdict.effect == "allow", "what is not allowed says why"
                    msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict)

    def test_is_silent_outside_its_reach(self) -> None:
        """The index may leave it out where its reach does not go."""
        for policy in self.policies():
            for asked in self.requests():
                if not _reached(policy.reach, asked):
                    assert policy.evaluate(asked, State()) is None, f"answers {asked.action} outside its reach"

    def test_gives_the_same_answer_twice(self) -> None:
        """The same request and memory get the same answer, also from another instance."""
        for first, second in zip(self.policies(), self.policies(), strict=True):
            for asked in self.requests():
                verdict = first.evaluate(asked, State())
                assert first.evaluate(asked, State()) == verdict, "answers otherwise the second time"
                assert second.evaluate(asked, State()) == verdict, "another instance of the policy answers otherwise"

    def test_leaves_the_request_alone(self) -> None:
        """Nothing of the request is changed in place."""
        for policy in self.policies():
            for asked in self.requests():
                before = _contents(asked)
                policy.evaluate(asked, State())
                assert _contents(asked) == before, f"changes the request of a {asked.action}"

    def test_memory_survives_as_json(self) -> None:
        """Sessions are spilled to disk: the memory is JSON, and answers stay the same after it."""
        for policy in self.policies():
            state, spilled = State(), State()
            for asked in self.requests():
                verdict = policy.evaluate(asked, state)
                assert policy.evaluate(asked, spilled) == verdict, "answers otherwise after its memory was spilled"
                for event in _told(asked, verdict):
                    policy.observe(event, state)
                    policy.observe(event, spilled)
                spilled = State(json.loads(json.dumps(spilled.memory)))
                assert spilled.memory == state.memory, "memory changes when it is written as JSON"

    def test_options_refuse_unknown_fields(self) -> None:
        """A misspelt option is the bundle's error, never silence."""
        from pydantic import ValidationError  # noqa: PLC0415 - the suite is importable without it

        for given in self.options:
            with pytest.raises(ValidationError, match="no_such_option"):
                self.use.Options.model_validate({**given, "no_such_option": 1})


def _reached(reach: Reach, asked: Request) -> bool:
    if reach.actions is not None and asked.action not in reach.actions:
        return False
    if reach.tools is None and not reach.tool_prefixes:
        return True
    name = asked.tool.name if asked.tool is not None else None
    return name is not None and (name in (reach.tools or ()) or name.startswith(reach.tool_prefixes))


def _contents(asked: Request) -> dict[str, Any]:
    """A copy of all that a request says; `view` is what the core keeps beside it."""
    return {name: copy.deepcopy(getattr(asked, name)) for name in asked.__struct_fields__ if name != "view"}


def _told(asked: Request, verdict: Verdict | None) -> Iterator[Event]:
    """The events that may follow a request."""
    where: dict[str, Any] = {"session": asked.subject.session, "run": asked.run, "span": asked.span}
    what: dict[str, Any] = {"at": asked.at, "action": asked.action, "resource": asked.resource}
    yield Decided(
        **what,
        **where,
        agent=asked.agent.key,
        effect="allow" if verdict is None else verdict.effect,
        verdicts=() if verdict is None else (msgspec.structs.replace(verdict, policy="suite"),),
    )
    yield Completed(**what, **where, duration_ms=1.0, usage=Usage(input=10, output=5), settled={"suite": 1})
    yield Failed(**what, **where, error="builtins.ValueError")
