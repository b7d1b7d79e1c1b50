"""The adapter suite finds what it promises to find: each behaviour is broken once, by an adapter that is almost right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from jackline.errors import Denied, JacklineError, Signal
from jackline.guard import Guard, permitted
from jackline.request import Model, Tool
from jackline.session import CURRENT
from jackline.testing import AdapterSuite, people
from jackline.testing.behaviours import behaviours_of
from jackline.testing.paths import MODEL, PROVIDER, USAGE, Job, Path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path as Folder

EVERYTHING = frozenset({"tools", "parallel", "sends", "model", "output", "stream", "spawn"})


class Adapter:
    """An adapter of a framework of twenty lines: a loop over a scripted model and its tools."""

    name = "sound"

    def gaps(self) -> Mapping[str, str]:
        return {"nowhere": "there is no such place"}


class Loop:
    """One agent of the framework, governed by hand; subclasses have one fault each."""

    name = "worker"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.guard = job.guard

    def run(self) -> str:
        boss, worker = self.guard.agent("boss"), self.guard.agent(self.name)
        with self.guard.session(id=self.job.session, agent=boss):
            asked = self.guard.request("agent.spawn", self.name, {"input": self.job.prompt})
            decision = self.guard.check(asked)
            self.spawned(decision)
            scope = self.guard.begin_run(worker, self.guard.scope(), span=asked.span)
            token = CURRENT.set(scope)
            try:
                return self.follow()
            finally:
                CURRENT.reset(token)
                self.end(scope, asked, decision)

    def end(self, scope: Any, asked: Any, decision: Any) -> None:
        self.guard.end_run(scope)
        if decision.permitted:
            self.guard.complete(asked, decision)

    def spawned(self, decision: Any) -> None:
        permitted(decision)

    def follow(self) -> str:
        job = self.job
        messages: list[Any] = [{"role": "user", "content": job.prompt}]
        job.history = messages
        for turn in range(len(job.steps)):
            step, text = self.ask(messages, turn)
            if not step.calls:
                return text
            messages.append({"role": "assistant", "content": [call._asdict() for call in step.calls]})
            results = [self.tool(call.tool, dict(call.args)) for call in step.calls]
            job.told += results
            messages += [{"role": "tool", "content": result} for result in results]
        return ""

    def ask(self, messages: list[Any], turn: int) -> tuple[Any, str]:
        guard, job = self.guard, self.job
        model = Model(name=MODEL, provider=PROVIDER, max_tokens=1000, input_bytes=5000)
        request = guard.request("model.call", MODEL, {"messages": messages}, model=model)
        decision = self.asked(request)
        sent = decision.args["messages"] if decision.args is not None else messages
        job.bodies.receive(str(sent))
        step = job.step(turn)
        self.answered(request, decision, step.text)
        text = self.judged(request, step.text)
        if not step.calls:
            text = self.handed_out(request, text)
            self.stream(request, text)
        return step, text

    def asked(self, request: Any) -> Any:
        return self.guard.require(request)

    def answered(self, request: Any, decision: Any, text: str) -> None:
        self.guard.complete(request, decision, text, usage=self.usage(), model=MODEL)

    def usage(self) -> Any:
        from jackline.events import Usage  # noqa: PLC0415 - beside its use

        return Usage(input=USAGE[0], output=USAGE[1])

    def judged(self, request: Any, text: str) -> str:
        return self.released(self.guard.returned(request, text), text)

    def handed_out(self, request: Any, text: str) -> str:
        asked = msgspec.structs.replace(
            request, action="output", model=None, args={"result": text}, original=None, view=None
        )
        return self.released(self.guard.check(asked), text)

    def released(self, answer: Any, text: str) -> str:
        if answer is None:
            return text
        permitted(answer)
        return answer.args["result"] if answer.args is not None else text

    def stream(self, request: Any, text: str) -> None:
        for word in text.split(" "):
            if not self.job.piece(f"{' ' if self.job.seen else ''}{word}"):
                return

    def tool(self, name: str, args: dict[str, Any]) -> str:
        guard = self.guard
        request = guard.request("tool.call", name, args, tool=Tool(name=name))
        decision = self.permit(request)
        if not decision.permitted and decision.effect != "halt":
            return self.refusal(decision)
        permitted(decision)
        result = self.job.bodies.run(name, **self.received(args, decision))
        self.did(request, decision, result)
        try:
            return self.released(guard.returned(request, result), result)
        except Denied as denied:
            return str(denied)

    def permit(self, request: Any) -> Any:
        return self.guard.check(request)

    def refusal(self, decision: Any) -> str:
        try:
            permitted(decision)
        except Signal as refusal:
            return str(refusal)
        raise AssertionError(decision)

    def received(self, args: dict[str, Any], decision: Any) -> dict[str, Any]:
        return decision.args if decision.args is not None else args

    def did(self, request: Any, decision: Any, result: str) -> None:
        self.guard.complete(request, decision, result)


class RunsDenied(Loop):
    def tool(self, name: str, args: dict[str, Any]) -> str:
        result = super().tool(name, args)
        if "Not permitted" in result:
            self.job.bodies.run(name, **args)
        return result


class TellsNothing(Loop):
    def refusal(self, decision: Any) -> str:
        return "Error"


class SendsDenied(Loop):
    def asked(self, request: Any) -> Any:
        decision = self.guard.check(request)
        if not decision.permitted:
            self.job.bodies.receive("anyway")
        return permitted(decision)


class GoesOnAfterHalt(Loop):
    def tool(self, name: str, args: dict[str, Any]) -> str:
        try:
            return super().tool(name, args)
        except Signal as signal:
            self.job.bodies.run("find", query="")
            return str(signal)


class ChangesHistory(Loop):
    def received(self, args: dict[str, Any], decision: Any) -> dict[str, Any]:
        if decision.args is not None:
            self.job.history.append(decision.args)
        return super().received(args, decision)


class IgnoresChanges(Loop):
    def received(self, args: dict[str, Any], decision: Any) -> dict[str, Any]:
        return args


class SendsUnchanged(Loop):
    def asked(self, request: Any) -> Any:
        return msgspec.structs.replace(super().asked(request), args=None)


class RunsEscalated(Loop):
    def tool(self, name: str, args: dict[str, Any]) -> str:
        result = super().tool(name, args)
        if "Approval" in result:
            self.job.bodies.run(name, **args)
        return result


class RunsApprovedTwice(Loop):
    def received(self, args: dict[str, Any], decision: Any) -> dict[str, Any]:
        if decision.approvals:
            self.job.bodies.run("pay", **args)
        return super().received(args, decision)


class RunsUnapproved(Loop):
    def tool(self, name: str, args: dict[str, Any]) -> str:
        result = super().tool(name, args)
        if name == "pay" and "Not permitted" in result:
            self.job.bodies.run(name, **args)
        return result


class NeverWaits(Loop):
    def permit(self, request: Any) -> Any:
        async def on_loop() -> Any:
            return self.guard.check(request)

        return asyncio.run(on_loop())


class ShowsResults(Loop):
    def did(self, request: Any, decision: Any, result: str) -> None:
        super().did(request, decision, result)
        self.job.seen.append(result)


class ShowsAnswers(Loop):
    def judged(self, request: Any, text: str) -> str:
        super().judged(request, text)
        return text


class ShowsOutputs(Loop):
    def handed_out(self, request: Any, text: str) -> str:
        super().handed_out(request, text)
        return text


class StreamsRaw(Loop):
    def judged(self, request: Any, text: str) -> str:
        self.stream(request, text)
        return super().judged(request, text)


class StreamsAtOnce(Loop):
    def stream(self, request: Any, text: str) -> None:
        self.job.piece(text)


class LeavesStreamsOpen(Loop):
    def end(self, scope: Any, asked: Any, decision: Any) -> None:
        if not self.job.few:
            super().end(scope, asked, decision)


class DecidesLate(Loop):
    def permit(self, request: Any) -> Any:
        self.job.bodies.entering(request.resource)
        return super().permit(request)


class ForgetsOutcomes(Loop):
    def did(self, request: Any, decision: Any, result: str) -> None:
        """Nothing."""


class MixesAgents(Loop):
    name = "somebody"


class CountsTwice(Loop):
    def usage(self) -> Any:
        return msgspec.structs.replace(super().usage(), input=2 * USAGE[0])


class AsksTwice(Loop):
    def permit(self, request: Any) -> Any:
        first = super().permit(request)
        if first.permitted:
            self.guard.complete(request, first, "asked only")
        return super().permit(msgspec.structs.replace(request, span=f"{request.span[:-1]}x", view=None))


class NamesArgumentsByPlace(Loop):
    def permit(self, request: Any) -> Any:
        args = {f"arg{place}": value for place, value in enumerate(request.args.values())}
        return super().permit(msgspec.structs.replace(request, args=args, view=None))


class FailsOpen(Loop):
    def permit(self, request: Any) -> Any:
        decision = super().permit(request)
        open_ = any(word in decision.reason for word in ("raised", "recorded", "calls per session"))
        return msgspec.structs.replace(decision, effect="allow") if open_ else decision


class RunsUnrecorded(Loop):
    def asked(self, request: Any) -> Any:
        decision = self.guard.check(request)
        if "recorded" in decision.reason:
            self.job.bodies.receive("anyway")
        return permitted(decision)

    def spawned(self, decision: Any) -> None:
        if "recorded" not in decision.reason:
            permitted(decision)


class NeedsTheStore(Loop):
    def run(self) -> str:
        if self.guard.home.index.exists() or self.guard.home.payloads.is_file():
            raise OSError("the store is locked")
        return super().run()


class ObservesTooMuch(Loop):
    def received(self, args: dict[str, Any], decision: Any) -> dict[str, Any]:
        return dict.fromkeys(args, "[hidden]") if decision.mode == "observe" else super().received(args, decision)


class SpawnsAnyway(Loop):
    def spawned(self, decision: Any) -> None:
        if not decision.permitted:
            self.job.bodies.receive("anyway")
        super().spawned(decision)


def suite(loop: type[Loop], **more: Any) -> Any:
    def drive(job: Job) -> str:
        return loop(job).run()

    class Suite(AdapterSuite):
        adapter = Adapter()

        @classmethod
        def paths(cls) -> list[Path]:
            fields: dict[str, Any] = {"name": "loop", "group": "sub-agent", "carries": EVERYTHING, "drive": drive}
            return [Path(**{**fields, "agent": "worker", "above": ("boss",), **more})]

    return Suite()


def proofs(identity: str) -> Callable[[Any, Any], None]:
    """The test of a behaviour, with every case of it in turn."""
    name = next(
        name
        for name, member in vars(AdapterSuite).items()
        if getattr(getattr(member, "behaviour", None), "id", "") == identity
    )
    cases: dict[str, list[Any]] = {}
    for mark in getattr(vars(AdapterSuite)[name], "pytestmark", ()):
        cases[mark.args[0]] = mark.args[1]

    def prove(made: Any, guards: Any) -> None:
        (path,) = made.paths()
        options = [{key: value} for key, values in cases.items() for value in values] or [{}]
        for option in options:
            getattr(made, name)(path=path, guards=guards, **option)

    return prove


@pytest.fixture
def guards(tmp_path: Folder) -> Iterator[Any]:
    from jackline.testing.scripted import Guards  # noqa: PLC0415 - with the pytest plugin's rewriting

    made = Guards(tmp_path)
    yield made
    made.close()


IDS = [row.id for row in behaviours_of(AdapterSuite)]


@pytest.mark.parametrize("identity", IDS)
def test_a_sound_adapter_passes(identity: str, guards: Any) -> None:
    proofs(identity)(suite(Loop), guards)


FAULTS = [
    (RunsDenied, "denied-tool-never-runs"),
    (TellsNothing, "told-and-goes-on"),
    (SendsDenied, "denied-call-never-sent"),
    (GoesOnAfterHalt, "halt-ends-session"),
    (IgnoresChanges, "modified-arguments"),
    (ChangesHistory, "modified-arguments"),
    (SendsUnchanged, "modified-prompt"),
    (RunsEscalated, "escalation-holds"),
    (RunsApprovedTwice, "approved-runs-once"),
    (RunsUnapproved, "unapproved-never-runs"),
    (IgnoresChanges, "edited-runs-as-edited"),
    (NeverWaits, "escalation-is-awaited"),
    (ShowsResults, "results-checked"),
    (ShowsAnswers, "answers-checked"),
    (ShowsOutputs, "outputs-checked"),
    (StreamsRaw, "streams-held-back"),
    (StreamsAtOnce, "streams-held-back"),
    (LeavesStreamsOpen, "broken-stream-is-closed"),
    (FailsOpen, "ceilings-hold"),
    (DecidesLate, "decided-before-act"),
    (ForgetsOutcomes, "decided-before-act"),
    (MixesAgents, "lineage"),
    (CountsTwice, "tokens-and-cost"),
    (AsksTwice, "same-record"),
    (NamesArgumentsByPlace, "same-record"),
    (CountsTwice, "same-record"),
    (ForgetsOutcomes, "same-record"),
    (FailsOpen, "failing-policy-denies"),
    (RunsUnrecorded, "unrecorded-never-runs"),
    (NeedsTheStore, "failing-store-is-harmless"),
    (ObservesTooMuch, "observing-changes-nothing"),
    (SpawnsAnyway, "spawn-is-judged"),
]


@pytest.mark.parametrize(("loop", "identity"), FAULTS)
def test_a_fault_is_found(loop: type[Loop], identity: str, guards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if loop is NeverWaits:  # an answer that comes before the loop goes on is waited for by nobody's merit
        monkeypatch.setattr(people, "_GLANCE", 60.0)
    with pytest.raises((AssertionError, ValueError)):
        proofs(identity)(suite(loop), guards)


def test_every_behaviour_is_broken_once() -> None:
    assert {identity for _, identity in FAULTS} == set(IDS)


def test_what_is_not_offered_must_be_refused(guards: Any, request: pytest.FixtureRequest) -> None:
    quiet = suite(Loop, gaps={"answers-checked": "nowhere"})
    (path,) = quiet.paths()
    row = next(row for row in behaviours_of(AdapterSuite) if row.id == "answers-checked")
    with pytest.raises(AssertionError):
        quiet.test_what_is_not_offered_is_refused((path, row), guards, request)

    def refusing(job: Job) -> str:
        raise JacklineError("answers cannot be changed here")

    honest = suite(Loop, gaps={"answers-checked": "nowhere"}, drive=refusing)
    (path,) = honest.paths()
    honest.test_what_is_not_offered_is_refused((path, row), guards, request)


class HalfAdapter(Adapter):
    """One that can change no prompt, and sees no embedding."""

    def gaps(self) -> Mapping[str, str]:
        return {**super().gaps(), "modify model.call": "prompts are frozen", "embedding": "nobody tells"}


def test_gaps_of_the_whole_adapter_are_refused_to_policies_that_need_them(
    guards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = suite(Loop)
    half.adapter = HalfAdapter()
    half.test_a_policy_that_needs_a_gap_is_refused(guards)
    monkeypatch.setattr(Guard, "govern", lambda *_: None)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        half.test_a_policy_that_needs_a_gap_is_refused(guards)


def test_a_gap_without_a_reason_is_an_error() -> None:
    with pytest.raises(KeyError, match="no such gap"):
        suite(Loop, gap="no such gap").test_every_cell_has_an_answer(lambda *_: None)


def test_the_guard_of_a_job_is_a_real_one(guards: Any) -> None:
    assert isinstance(guards(), Guard)
