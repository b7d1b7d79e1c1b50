"""Personal data in an agent's own words, its tools' arguments and results: nobody is shown it, in whatever stream."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from desk import CALLS, TASK, THREAD
from fakes import AsyncStreaming, Bodies, Scripted, Streaming, ai
from harness import Governed
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from jackline.answers import public_text
from jackline.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAIL, CARD, ASKED = "ann.smith@acme.com", "4111 1111 1111 1111", "bob.jones@initech.com"
BUNDLE = """\
jackline: 1
approvers: {{ana: {{key: '{key}'}}}}
policies:
  - name: no-pii
    use: pii
    with: {{entities: [EMAIL, CREDIT_CARD], action: redact}}
  - name: mail-needs-a-human
    use: rule
    on: tool.call
    when: tool.name == 'mail' && args.wait
    effect: escalate
    with: {{to: ana, wait: pause}}
"""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    path = tmp_path / "jackline.yaml"
    path.write_text(BUNDLE.format(key=public_text(Ed25519PrivateKey.generate())))
    made = Guard.load(path, home=tmp_path / "home", application="app")
    yield made
    made.close()


@pytest.fixture(params=["handler", "process", "attach", "middleware"])
def way(request: pytest.FixtureRequest) -> Governed:
    return Governed(request.param, None)  # type: ignore[arg-type]


MODES = ["values", "updates", "messages", "tasks", "checkpoints", "debug", "custom"]
TALK = {"messages": [("user", f"write to ann, whom {ASKED} knows, and tell me her card")]}


def mail(bodies: Bodies) -> Any:
    @tool
    def mail(to: str, text: str, wait: bool = False) -> str:
        """Write to somebody."""
        bodies.enter("mail", to=to, text=text)
        return f"sent to {MAIL}, whose card is {CARD}"

    return mail


SCRIPT = (
    ai(f"I write to {MAIL} now", ("mail", {"to": MAIL, "text": f"your card is {CARD}"}, "c1")),
    ai(f"done: {MAIL} has {CARD}"),
)


def _stream(agent: Any, mode: Any) -> Any:
    return list(agent.stream(TALK, THREAD, stream_mode=mode))


def _astream(agent: Any, mode: Any) -> Any:
    async def gather() -> Any:
        return [part async for part in agent.astream(TALK, THREAD, stream_mode=mode)]

    return asyncio.run(gather())


def _events(version: str) -> Callable[[Any, Any], Any]:
    def events(agent: Any, mode: Any) -> Any:
        async def gather() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of v1
                return [part async for part in agent.astream_events(TALK, THREAD, version=version)]

        return asyncio.run(gather())

    return events


def _events_v3(agent: Any, mode: Any) -> Any:
    if not hasattr(agent, "stream_events"):
        pytest.skip("this LangGraph has no stream_events")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental
        try:
            return [str(part) for part in agent.stream_events(TALK, THREAD, version="v3")]
        except TypeError:
            pytest.skip("this LangGraph has no stream_events version 3")


def _log(agent: Any, mode: Any) -> Any:
    async def gather() -> Any:
        return [part async for part in agent.astream_log(TALK, THREAD)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return asyncio.run(gather())


CASES = [
    *((_stream, mode) for mode in [*MODES, ["messages", "updates", "values"]]),
    *((_astream, mode) for mode in [*MODES, ["messages", "updates", "values"]]),
    (_events("v1"), "events v1"),
    (_events("v2"), "events v2"),
    (_events_v3, "events v3"),
    (_log, "log"),
    (lambda agent, mode: agent.invoke(TALK, THREAD), "invoke"),
    (lambda agent, mode: asyncio.run(agent.ainvoke(TALK, THREAD)), "ainvoke"),
]


@pytest.mark.parametrize("model", [Streaming, AsyncStreaming])
@pytest.mark.parametrize(("read", "mode"), CASES, ids=lambda case: getattr(case, "__name__", str(case)))
def test_what_policies_took_away_is_in_no_stream(guard: Guard, way: Governed, read: Any, mode: Any, model: Any) -> None:
    """P56: neither in the model's words, nor in the arguments of its calls, nor in what they gave back."""
    bodies, saver, provider = Bodies(), InMemorySaver(), model(*SCRIPT)
    agent = way.agent(guard, provider, [mail(bodies)], checkpointer=saver, name="desk")
    seen = repr(read(agent, mode))
    assert bodies.got == [("mail", {"to": "[EMAIL]", "text": "your card is [CREDIT_CARD]"})]
    kept = agent.agent if way.way == "handler" else agent
    held = repr([*kept.get_state_history(THREAD)])
    for raw in (MAIL, CARD, "ann.smith", "1111 1111"):
        assert raw not in seen
        assert raw not in held
    assert "done: [EMAIL] has [CREDIT_CARD]" in held
    assert "[EMAIL]" in seen or mode == "custom"
    assert ASKED not in repr(provider.seen)
    assert "whom [EMAIL] knows" in repr(provider.seen)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_people_are_asked_shows_what_would_be_done(guard: Guard, way: Governed, call: Any) -> None:
    """P56: the interrupt and the question hold the arguments as policies left them."""
    bodies = Bodies()
    asking = ai("", ("mail", {"to": MAIL, "text": f"your card is {CARD}", "wait": True}, "c1"))
    agent = way.agent(guard, Scripted(asking, ai("done")), [mail(bodies)], checkpointer=InMemorySaver(), name="desk")
    (shown,) = call(agent, TASK, THREAD)
    assert shown.value["args"] == {"to": "[EMAIL]", "text": "your card is [CREDIT_CARD]", "wait": True}
    (asked,) = guard.approvals.all()
    assert asked.question.args == shown.value["args"]
    assert bodies.got == []
