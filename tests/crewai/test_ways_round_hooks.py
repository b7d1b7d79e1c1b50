"""Traps of CrewAI's hooks and events: what is enforced and recorded here does not hang on them (C7 to C26)."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, asking, calling, crew, fake, final, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact, refuse
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent
from crewai.events.types.tool_usage_events import ToolUsageFinishedEvent, ToolUsageStartedEvent
from crewai.hooks import register_before_tool_call_hook, unregister_before_tool_call_hook
from crewai.tools import tool

import jackline_crewai
from jackline import Denied
from jackline.journal import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crew_harness import Guards

    from jackline.decision import Verdict
    from jackline.guard import Guard

NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)


def governing(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    jackline_crewai.enable(guard)
    return guard


def broken(*actions: str) -> Policy:
    """A policy that raises."""

    def answer(_request: Any) -> Verdict | None:
        raise ZeroDivisionError("no answer")

    return Policy(answer, *actions)


class Heard:
    """What a listener of CrewAI's bus is told of tools."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.finished: list[Any] = []

    def text(self) -> str:
        crewai_event_bus.flush()
        return "".join(event.model_dump_json(fallback=str) for event in self.finished)


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(ToolUsageStartedEvent)(lambda _source, event: found.started.append(event))
        crewai_event_bus.on(ToolUsageFinishedEvent)(lambda _source, event: found.finished.append(event))
        yield found


@NATIVE
def test_c7_a_guard_that_comes_after_the_first_kickoff_governs_the_next(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    llm = fake(native=native)
    made = crew(llm, bodies.mail())
    made.kickoff()
    guard = governing(guards, refuse("model.call"))
    with pytest.raises(Denied):
        made.kickoff()
    assert llm.calls == 1
    assert acts(guard) == [("model.call", "gpt-4o-mini", "deny")]


@NATIVE
@MODE
def test_c12_a_policy_that_raises_denies_the_tool(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    governing(guards, broken("tool.call"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    run(crew(llm, bodies.mail()), mode)
    assert bodies.ran == {}
    assert "raised ZeroDivisionError" in llm.seen[-1]


@NATIVE
@MODE
def test_c12_a_policy_that_raises_denies_the_model_call(guards: Guards, native: bool, mode: str) -> None:
    governing(guards, broken("model.call"))
    llm = fake(native=native)
    with pytest.raises(Denied, match="raised ZeroDivisionError"):
        run(crew(llm, Bodies().mail()), mode)
    assert llm.calls == 0


@NATIVE
def test_c12_a_hook_of_somebody_elses_that_raises_opens_nothing(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail"))

    def hook(_context: Any) -> None:
        raise RuntimeError("swallowed by CrewAI")

    register_before_tool_call_hook(hook)
    try:
        run(crew(fake(asking(native, "send_mail", {"to": "x"}), native=native), bodies.mail()))
    finally:
        unregister_before_tool_call_hook(hook)
    assert bodies.ran == {}


@NATIVE
@MODE
def test_c13_the_reason_of_a_denial_reaches_the_model(guards: Guards, native: bool, mode: str) -> None:
    governing(guards, deny("send_mail", reason="mail is for humans"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    run(crew(llm, Bodies().mail()), mode)
    assert "Not permitted by policy 'p0': mail is for humans" in llm.seen[-1]


@NATIVE
@MODE
def test_c15_a_policy_on_results_that_raises_withholds_them(
    guards: Guards, native: bool, mode: str, heard: Heard
) -> None:
    bodies = Bodies()
    guard = governing(guards, broken("tool.return"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    out = run(crew(llm, bodies.mail()), mode)
    assert bodies.ran["send_mail"] == 1
    assert "abc" not in "".join(llm.seen)
    assert "=abc" not in out.model_dump_json()
    assert "KEY=abc" not in heard.text()
    assert_accounted(guard)


@NATIVE
@MODE
@pytest.mark.parametrize("effect", ["deny", "escalate"])
def test_c16_a_refused_model_call_is_asked_for_once_and_not_again(
    guards: Guards, native: bool, mode: str, effect: str
) -> None:
    guard = governing(guards, refuse("model.call", effect=effect, reason="not now"))
    llm = fake(native=native)
    with pytest.raises((Denied, jackline_crewai.signals.PendingCall), match="not now"):
        run(crew(llm, Bodies().mail()), mode)
    assert llm.calls == 0
    assert acts(guard) == [("model.call", "gpt-4o-mini", effect)]


def test_c20_the_record_has_what_the_body_received_not_what_the_event_told(guards: Guards, heard: Heard) -> None:
    bodies = Bodies()
    guard = governing(guards, redact("tool.call", old="sesame", new="[gone]"))
    run(crew(fake(calling(("send_mail", {"to": "sesame"}))), bodies.mail()))
    crewai_event_bus.flush()
    assert [event.tool_args for event in heard.started] == [{"to": "sesame"}]
    assert bodies.got == [("send_mail", {"to": "[gone]", "body": ""})]
    (decided,) = [event for event in on_record(guard, "decided") if event.resource == "send_mail"]
    assert decided.effect == "modify"


@NATIVE
@MODE
def test_c21_no_event_shows_a_result_that_is_redacted(guards: Guards, native: bool, mode: str, heard: Heard) -> None:
    governing(guards, redact("tool.return"))
    run(crew(fake(asking(native, "send_mail", {"to": "x"}), native=native), Bodies().mail()), mode)
    assert "KEY=[gone]" in heard.text()
    assert "KEY=abc" not in heard.text()


@NATIVE
def test_c22_a_refused_call_is_on_record_whatever_events_there_are(guards: Guards, native: bool) -> None:
    guard = governing(guards, deny("send_mail"))
    run(crew(fake(asking(native, "send_mail", {"to": "x"}), native=native), Bodies().mail()))
    (decided,) = [event for event in on_record(guard, "decided") if event.resource == "send_mail"]
    assert (decided.effect, decided.reason, decided.agent) == ("deny", "not that one", "worker")


@NATIVE
def test_c23_a_model_that_tells_of_no_call_is_on_record_with_its_tokens(guards: Guards, native: bool) -> None:
    told: list[Any] = []
    guard = governing(guards)
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(LLMCallCompletedEvent)(lambda _source, event: told.append(event))
        run(crew(fake(asking(native, "look", {"what": "x"}), native=native), Bodies().look()))
        crewai_event_bus.flush()
    assert told == []
    done = [event for event in on_record(guard, "completed") if event.action == "model.call"]
    assert [(event.usage.input, event.usage.output) for event in done] == [(10, 5), (10, 5)]


@NATIVE
def test_c24_a_process_that_is_cut_off_has_everything_on_record(tmp_path: Path, native: bool) -> None:
    script = f"""
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import conftest
        from crew_fakes import *
        from crew_harness import Guards
        import jackline_crewai
        from pathlib import Path

        guard = Guards(Path({str(tmp_path)!r}))()
        jackline_crewai.enable(guard)
        crew(fake(asking({native}, "look", {{"what": "x"}}), native={native}), Bodies().look()).kickoff()
        os._exit(7)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=os.environ, capture_output=True, timeout=50, check=False
    )
    assert ended.returncode == 7, ended.stderr.decode()
    lines = [line for path in sorted(tmp_path.rglob("journals/*.jsonl")) for line in read(path)]
    kinds = [(line.kind, getattr(line.event, "action", "")) for line in lines]
    assert [action for kind, action in kinds if kind == "completed"] == ["model.call", "tool.call", "model.call"]
    assert [action for kind, action in kinds if kind == "decided"] == ["model.call", "tool.call", "model.call"]


def test_c25_calls_of_one_model_at_once_have_each_its_own_tokens(guards: Guards) -> None:
    guard = governing(guards)
    together = threading.Barrier(4)

    class Counting(type(fake())):  # type: ignore[misc]
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            number = int(messages[-1]["content"])
            together.wait(20)
            self._track_token_usage_internal({"prompt_tokens": number, "completion_tokens": 1})
            together.wait(20)
            return str(number)

    llm = fake(kind=Counting)
    threads = [
        threading.Thread(target=llm.call, args=([{"role": "user", "content": str(number)}],))
        for number in (1, 20, 300, 4000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    done = [event for event in on_record(guard, "completed") if event.action == "model.call"]
    assert sorted(event.usage.input for event in done) == [1, 20, 300, 4000]


@NATIVE
@MODE
def test_c26_an_escalated_call_does_not_run_and_nobody_reads_the_console(
    guards: Guards, native: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def ask(*args: Any) -> str:
        asked.append(args)
        raise EOFError

    monkeypatch.setattr(builtins, "input", ask)
    bodies = Bodies()
    guard = governing(guards, deny("send_mail", effect="escalate", reason="ask finance"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    run(crew(llm, bodies.mail()), mode)
    assert bodies.ran == {}
    assert asked == []
    assert "Approval needed by policy 'p0': ask finance" in llm.seen[-1]
    assert ("tool.call", "send_mail", "escalate") in acts(guard)


def test_a_listener_that_raises_disturbs_nothing(guards: Guards) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(ToolUsageStartedEvent)(lambda _source, _event: 1 / 0)
        run(crew(fake(calling(("send_mail", {"to": "x"}), ("look", {"what": "y"}))), bodies.mail(), bodies.look()))
        crewai_event_bus.flush()
    assert bodies.ran == {"look": 1}
    assert_accounted(guard)


@NATIVE
def test_c12_an_error_of_ours_denies(guards: Guards, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be judged is not permitted; what goes wrong is counted."""
    bodies = Bodies()
    guard = governing(guards)
    request = guard.request

    def broken_request(action: str, *args: Any, **kwargs: Any) -> Any:
        if action == "tool.call":
            raise TypeError("ours")
        return request(action, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(guard, "request", broken_request)
    llm = fake(asking(native, "send_mail", {"to": "x"}), "fine" if native else final("fine"), native=native)
    assert run(crew(llm, bodies.mail())).raw == "fine"
    assert bodies.ran == {}
    assert "could not be judged: TypeError: ours" in llm.seen[-1]
    assert guard.recorder.lost + len(on_record(guard, "events_lost")) > 0


def test_what_is_on_record_of_a_result_is_what_was_let_through(guards: Guards) -> None:
    @tool("structured")
    def structured(what: str) -> dict[str, Any]:
        """Give a structure."""
        return {"key": "abc", "of": [what, "abc"]}

    governing(guards, redact("tool.return"))
    llm = fake(calling(("structured", {"what": "x"})))
    run(crew(llm, structured))
    assert "abc" not in "".join(llm.seen)
    assert json.dumps("[gone]")[1:-1] in llm.seen[-1]
