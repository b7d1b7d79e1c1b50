"""What every adapter must guarantee, as tests of behaviour x path: subclass `AdapterSuite` in your adapter's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jackline.errors import ApprovalPending, Halted
from jackline.events import Usage
from jackline.testing import same_record
from jackline.testing.behaviours import behaviour
from jackline.testing.cells import Cells
from jackline.testing.paths import MODEL, PROVIDER, USAGE, Bodies, Call, Outcome, Step
from jackline.testing.people import EXPIRES, LATE, Ana
from jackline.testing.records import (
    assert_accounted,
    assert_lineage,
    assert_nothing_after_halt,
    assert_stored,
    locked_store,
    permitted_before,
    unrecordable,
)
from jackline.testing.scripted import Guards, at_most, failing, on_record, refusing, replacing
from jackline.testing.story import FIND, HIDDEN, LEAK, LEAKING, MANY, NO, PAY, SECRET, STORY

if TYPE_CHECKING:
    from jackline.testing.paths import Job, Path


class AdapterSuite(Cells):
    """Subclass it as `Test...`, give `adapter` and `paths`; every behaviour is then a test on every path.

    A path makes the framework's objects anew, governs them with `job.guard` in its own way, lets tools `pay` (order,
    amount) and `find` (query) end in `job.bodies.run`, lets models, libraries and embeddings call `job.bodies.receive`,
    and answers with `job.step(...)`. See `jackline.testing.paths`.
    """

    @behaviour("denied-tool-never-runs", "A denied tool's body runs 0 times; others run.", "tools")
    def test_denied_tool_never_runs(self, path: Path, guards: Guards) -> None:
        """Counted where the side effect is, on every way to call a tool (P1, P2)."""
        job = self.job(path, guards(self.refusing(path)))
        path.do(job)
        assert job.bodies.ran == {FIND.tool: path.times}
        effects = {event.effect for event in on_record(job.guard, "decided") if event.resource == PAY.tool}
        assert effects == {"deny"}

    @behaviour(
        "told-and-goes-on", "The model (or the caller) is told which policy refused and why, and goes on.", "tools"
    )
    def test_told_and_goes_on(self, path: Path, guards: Guards) -> None:
        """Nothing is raised into an agent that can be told."""
        job = self.job(path, guards(self.refusing(path)))
        outcome = path.do(job)
        assert outcome.error is None
        assert job.told[-2] == f"Not permitted by policy 'p0': {NO}"
        assert job.told[-1] == "find is done"
        if "model" in path.carries:
            assert outcome.text == STORY[-1].text

    @behaviour("denied-call-never-sent", "A denied model call, retrieval, embedding or request sends nothing.", "sends")
    def test_denied_call_never_sent(self, path: Path, guards: Guards) -> None:
        """The provider is not asked."""
        action = "model.call" if "model" in path.carries else path.action
        job = self.job(path, guards(refusing(action, NO, agent=path.agent)))
        outcome = path.do(job)
        assert job.bodies.sent == []
        assert not job.bodies.ran
        assert NO in outcome.words

    @behaviour("halt-ends-session", "A halt ends the session: nothing starts after it, in a later run neither.")
    def test_halt_ends_session(self, path: Path, guards: Guards) -> None:
        """Sticky, for whoever comes with the same session."""
        guard = guards(self.refusing(path, effect="halt"))
        job = self.job(path, guard)
        outcome = path.do(job)
        assert isinstance(outcome.error, Halted), outcome.error
        assert f"Session ended by policy 'p0': {NO}" in str(outcome.error)
        assert not job.bodies.ran
        sent = len(job.bodies.sent)
        assert sent <= path.times * ("tools" in path.carries)
        again = path.do(self.job(path, guard, job.bodies))
        assert isinstance(again.error, Halted), again.error
        assert not job.bodies.ran
        assert len(job.bodies.sent) == sent
        guard.close()
        assert_nothing_after_halt(guard)
        assert_accounted(guard)

    @behaviour("modified-arguments", "Changed arguments are what the tool receives; the history is untouched.", "tools")
    def test_modified_arguments(self, path: Path, guards: Guards) -> None:
        """The conversation keeps what the model asked for."""
        job = self.job(path, guards(replacing("tool.call", SECRET, HIDDEN, agent=path.agent)))
        outcome = path.do(job)
        assert outcome.error is None
        assert job.bodies.got.count((FIND.tool, {"query": f"who knows {HIDDEN}"})) == path.times
        assert SECRET not in str(job.bodies.got)
        assert SECRET in str(job.history)
        assert HIDDEN not in str(job.history)

    @behaviour(
        "modified-prompt", "A changed prompt, query or request is what is sent; the caller's own is untouched.", "sends"
    )
    def test_modified_prompt(self, path: Path, guards: Guards) -> None:
        """No message is written over."""
        action = "model.call" if "model" in path.carries else path.action
        job = self.job(path, guards(replacing(action, SECRET, HIDDEN, agent=path.agent)))
        outcome = path.do(job)
        assert outcome.error is None
        assert job.bodies.sent
        assert all(HIDDEN in text and SECRET not in text for text in job.bodies.sent)
        assert SECRET in str(job.history)
        assert HIDDEN not in str(job.history)

    @behaviour("escalation-holds", "An escalated act does not run; the model or the caller is told that it waits.")
    def test_escalation_holds(self, path: Path, guards: Guards) -> None:
        """Nobody can answer yet: it stays held."""
        job = self.job(path, guards(self.refusing(path, effect="escalate")))
        outcome = path.do(job)
        assert PAY.tool not in job.bodies.ran
        if "tools" not in path.carries:
            assert job.bodies.sent == []
            assert isinstance(outcome.error, ApprovalPending), outcome.error
        assert f"Approval needed by policy 'p0': {NO}" in outcome.words
        decided = [event.effect for event in on_record(job.guard, "decided") if event.action == path.action]
        assert "escalate" in decided

    @behaviour("approved-runs-once", "An escalated act that a human approved is done once, however often it is tried.")
    def test_approved_runs_once(self, path: Path, guards: Guards) -> None:
        """P25: after the answer the very act runs, and nothing runs twice (told, and tried again)."""
        ana, job = self._asking(path, guards)
        asked = ana.says(job.guard, "approve")
        assert 1 <= asked <= path.times
        for _ in range(2):
            path.do(self.job(path, job.guard, job.bodies))
            assert self._done(path, job.bodies) == asked
        assert len(on_record(job.guard, "approval_consumed")) == asked
        job.guard.close()
        assert_accounted(job.guard)

    @behaviour("unapproved-never-runs", "An escalated act that a human denied, or nobody answers in time, is not done.")
    @pytest.mark.parametrize("how", ["deny", "respond", "expire"])
    def test_unapproved_never_runs(self, path: Path, guards: Guards, how: Any) -> None:
        """P26: silence is a no. The model or the caller is told who said what."""
        ana, job = self._asking(path, guards)
        if how == "expire":
            ana.late = EXPIRES + 1
        else:
            assert ana.says(job.guard, how, why=NO) >= 1
        outcome = path.do(self.job(path, job.guard, job.bodies))
        said = {"deny": f"ana denied it: {NO}", "respond": f"ana answers: {NO}"}.get(how, LATE)
        assert any(said in event.reason for event in on_record(job.guard, "decided"))
        assert said in outcome.words or path.times > 1  # where one lapses, who comes after it asks anew
        assert self._done(path, job.bodies) == 0
        job.guard.close()
        assert_accounted(job.guard)

    @behaviour("edited-runs-as-edited", "Where a human changes the arguments, the tool receives those.", "tools")
    def test_edited_runs_as_edited(self, path: Path, guards: Guards) -> None:
        """Once, and never as the model asked for it."""
        ana, job = self._asking(path, guards)
        edited = {**PAY.args, "amount": 4.0}
        asked = ana.says(job.guard, "edit", args=edited)
        for _ in range(2):
            path.do(self.job(path, job.guard, job.bodies))
            assert [got for tool, got in job.bodies.got if tool == PAY.tool] == [edited] * asked

    def _asking(self, path: Path, guards: Guards) -> tuple[Ana, Job]:
        """A job that was done as far as nobody has to be asked, and whom it asked."""
        ana = Ana()
        job = self.job(path, guards(self.refusing(path, effect="escalate", detail=ana.terms()), people=ana))
        path.do(job)
        assert self._done(path, job.bodies) == 0
        return ana, job

    @behaviour("escalation-is-awaited", "Where an escalated act is to wait, it is held until a human has answered.")
    @pytest.mark.parametrize("say", ["approve", "deny"])
    def test_escalation_is_awaited(self, path: Path, guards: Guards, say: Any) -> None:
        """Also on an event loop; then the job goes on with the answer."""
        ana = Ana()
        guard = guards(self.refusing(path, effect="escalate", detail=ana.terms("block")), people=ana)
        job = self.job(path, guard)
        with ana.answering(guard, say, why=NO) as asked:
            outcome = path.do(job)
        assert 1 <= len(asked) <= path.times
        assert self._done(path, job.bodies) == (len(asked) if say == "approve" else 0)
        if say == "deny":
            assert f"ana denied it: {NO}" in outcome.words
        elif path.times == 1:
            self._is_whole(path, outcome)
        guard.close()
        assert_accounted(guard)

    @behaviour("results-checked", "A tool's result is changed or withheld before anyone sees it.", "tools")
    @pytest.mark.parametrize("effect", ["modify", "deny"])
    def test_results_checked(self, path: Path, guards: Guards, effect: str) -> None:
        """The act stays on record: it has happened."""
        policy = (
            replacing("tool.return", LEAK, HIDDEN)
            if effect == "modify"
            else refusing("tool.return", NO, agent="", tool=FIND.tool)
        )
        job = self.job(path, guards(policy), Bodies({FIND.tool: f"it is {LEAK} indeed"}))
        outcome = path.do(job)
        assert job.bodies.ran[FIND.tool] == path.times
        assert "violet" not in outcome.words
        assert "violet" not in str(job.bodies.sent)
        assert (HIDDEN if effect == "modify" else NO) in job.told[-1]
        done = [event for event in on_record(job.guard, "completed") if event.resource == FIND.tool]
        assert len(done) == path.times

    @behaviour("answers-checked", "A model's answer is changed or withheld before anyone sees it.", "model")
    @pytest.mark.parametrize("effect", ["modify", "deny"])
    def test_answers_checked(self, path: Path, guards: Guards, effect: str) -> None:
        """As `model.return`."""
        self._answers(path, guards, "model.return", effect)

    @behaviour("outputs-checked", "What an agent hands out is changed or withheld before anyone sees it.", "output")
    @pytest.mark.parametrize("effect", ["modify", "deny"])
    def test_outputs_checked(self, path: Path, guards: Guards, effect: str) -> None:
        """As `output`."""
        self._answers(path, guards, "output", effect)

    def _answers(self, path: Path, guards: Guards, action: Any, effect: str) -> None:
        policy = replacing(action, LEAK, HIDDEN) if effect == "modify" else refusing(action, NO, agent=path.agent)
        job = self.job(path, guards(policy), steps=(Step(f"it is {LEAK} indeed"),))
        outcome = path.do(job)
        assert "violet" not in outcome.words
        assert (f"it is {HIDDEN} indeed" if effect == "modify" else NO) in outcome.words
        assert len(job.bodies.sent) >= 1
        job.guard.close()
        assert_accounted(job.guard)

    @behaviour(
        "streams-held-back", "A stream is held back where a policy looks at it, and flows where none does.", "stream"
    )
    def test_streams_held_back(self, path: Path, guards: Guards) -> None:
        """No piece leaves before the whole was judged."""
        action: Any = "model.return" if "model" in path.carries else "tool.return"
        results = {} if "model" in path.carries else {FIND.tool: f"it is {LEAK} indeed"}
        held = self.job(path, guards(replacing(action, LEAK, HIDDEN)), Bodies(results), LEAKING)
        path.do(held)
        held.guard.close()
        seen = "".join(held.seen)
        assert f"it is {HIDDEN} indeed" in seen
        assert "violet" not in seen
        flowing = self.job(path, guards(), Bodies(results), LEAKING)
        path.do(flowing)
        assert f"it is {LEAK} indeed" in "".join(flowing.seen)
        assert len([piece for piece in flowing.seen if piece in f"it is {LEAK} indeed"]) > 1

    @behaviour("broken-stream-is-closed", "A stream that its consumer leaves is on record with its outcome.", "stream")
    def test_broken_stream_is_closed(self, path: Path, guards: Guards) -> None:
        """Whatever was open is closed once."""
        job = self.job(path, guards(), steps=LEAKING, few=True)
        path.do(job)
        assert len(job.seen) == 1
        job.guard.close()
        assert_accounted(job.guard)
        runs = [on_record(job.guard, kind) for kind in ("run_started", "run_ended")]
        assert {event.run for event in runs[0]} == {event.run for event in runs[1]}

    @behaviour(
        "ceilings-hold",
        "Of calls that are made at once, no more run than the ceiling lets through.",
        "tools",
        "parallel",
    )
    def test_ceilings_hold(self, path: Path, guards: Guards) -> None:
        """Reserved one at a time, however many ask."""
        calls = tuple(Call(FIND.tool, {"query": f"q{number}"}) for number in range(MANY))
        job = self.job(path, guards(at_most(2, "tool.call", FIND.tool)), steps=(Step(calls=calls), Step("done")))
        outcome = path.do(job)
        assert outcome.error is None
        assert job.bodies.ran == {FIND.tool: 2}
        refusals = [text for text in job.told if "2 calls per session" in text]
        assert len(refusals) >= MANY - 2
        balances = [entry.spent for entry in job.guard.ledger.balances()]
        assert balances == [2]

    @behaviour("decided-before-act", "Every act has an earlier decision on record, and one outcome.")
    def test_decided_before_act(self, path: Path, guards: Guards) -> None:
        """The journal is read from inside the bodies."""
        job = self.job(path, guards())
        early = permitted_before(job, path)
        outcome = path.do(job)
        self._is_whole(path, outcome)
        assert early == []
        job.guard.close()
        assert_accounted(job.guard)

    @behaviour("lineage", "Every act is on record under its session, agent, run and parent.")
    def test_lineage(self, path: Path, guards: Guards) -> None:
        """From the act up to the session."""
        job = self.job(path, guards())
        self._is_whole(path, path.do(job))
        job.guard.close()
        assert_lineage(job.guard, path, job.session)

    @behaviour("tokens-and-cost", "Tokens, model and cost of each model call are right, streamed or not.", "model")
    def test_tokens_and_cost(self, path: Path, guards: Guards) -> None:
        """To the micro-dollar, in the journal and in the store."""
        job = self.job(path, guards())
        path.do(job)
        guard = job.guard
        own = {event.span for event in on_record(guard, "decided") if event.agent == (path.agent or guard.application)}
        done = [e for e in on_record(guard, "completed") if e.action == "model.call" and e.span in own]
        assert len(done) == len(job.bodies.sent)
        usage = Usage(input=USAGE[0], output=USAGE[1])
        price = guard.prices.cost(MODEL, PROVIDER, usage, guard.clock())
        assert price is not None
        assert price.micro_usd > 0
        for event in done:
            assert (event.usage, event.cost.micro_usd, event.model) == (usage, price.micro_usd, MODEL)
        guard.close()
        assert_stored(guard, job.session, sum(e.cost.micro_usd for e in on_record(guard, "completed") if e.cost))

    @behaviour(
        "same-record",
        "The same bundle and the same calls leave the same record in every framework: decisions, reasons, order, cost.",
    )
    def test_same_record(self, path: Path, guards: Guards) -> None:
        """See `jackline.testing.same_record` for what is compared."""
        job = self.job(path, same_record.guard(guards), same_record.bodies(), same_record.steps(path))
        outcome = path.do(job)
        assert outcome.error is None, outcome.error
        job.guard.close()
        assert same_record.observed(job.guard, path) == same_record.expected(path)

    @behaviour("failing-policy-denies", "A policy that raises denies; the error is told.")
    def test_failing_policy_denies(self, path: Path, guards: Guards) -> None:
        """Enforcement fails closed."""
        job = self.job(path, guards(failing(path.action, agent=path.agent)))
        outcome = path.do(job)
        assert not job.bodies.ran
        assert "raised ZeroDivisionError" in outcome.words
        if "tools" not in path.carries:
            assert job.bodies.sent == []

    @behaviour("unrecorded-never-runs", "What cannot be put on record does not run.")
    def test_unrecorded_never_runs(self, path: Path, guards: Guards) -> None:
        """The journal's disk is full."""
        job = self.job(path, guards())
        with unrecordable(job.guard):
            outcome = path.do(job)
        assert not job.bodies.ran
        assert job.bodies.sent == []
        assert "could not be recorded" in outcome.words

    @behaviour("failing-store-is-harmless", "A store that is locked, damaged or gone does not disturb the agent.")
    @pytest.mark.parametrize("fault", ["locked", "damaged", "unwritable payloads"])
    def test_failing_store_is_harmless(self, path: Path, guards: Guards, fault: str) -> None:
        """It is made again from the journals."""
        job = self.job(path, guards())
        with locked_store(job.guard, fault):
            self._is_whole(path, path.do(job))
        job.guard.close()
        assert_stored(job.guard, job.session)

    @behaviour(
        "observing-changes-nothing", "In observe mode nothing is changed, held or ended; what would be is recorded."
    )
    def test_observing_changes_nothing(self, path: Path, guards: Guards) -> None:
        """As without policies."""
        actions: tuple[Any, ...] = ("tool.call", "model.call", "retrieval", "embedding")
        policies = [replacing(action, SECRET, HIDDEN) for action in actions]
        policies += [refusing(action, NO, agent="") for action in ("tool.return", "model.return", "output")]
        job = self.job(path, guards(*policies, self.refusing(path, effect="halt"), mode="observe"))
        self._is_whole(path, path.do(job))
        assert "halt" in {event.would for event in on_record(job.guard, "decided")}

    @behaviour("spawn-is-judged", "A sub-agent that may not be started asks no model and runs no tool.", "spawn")
    def test_spawn_is_judged(self, path: Path, guards: Guards) -> None:
        """Its parent is told, or the call ends."""
        job = self.job(path, guards(refusing("agent.spawn", NO, agent="")))
        outcome = path.do(job)
        assert not job.bodies.ran
        assert job.bodies.sent == []
        assert NO in outcome.words

    def _done(self, path: Path, bodies: Bodies) -> int:
        """How often the act that `refusing` refuses was done."""
        return bodies.ran[PAY.tool] if "tools" in path.carries else len(bodies.sent)

    def _is_whole(self, path: Path, outcome: Outcome) -> None:
        """The job ran as it would without a guard."""
        job = outcome.job
        assert outcome.error is None, outcome.error
        if "tools" in path.carries:
            assert job.bodies.ran == {PAY.tool: path.times, FIND.tool: path.times}
            assert {"pay is done", "find is done"} <= set(job.told)
            assert (FIND.tool, FIND.args) in job.bodies.got
        if "model" in path.carries:
            assert outcome.text == STORY[-1].text
        if "sends" in path.carries:
            assert len(job.bodies.sent) == path.times * (len(STORY) if "tools" in path.carries else 1)
            assert all(SECRET in text for text in job.bodies.sent)
