"""On and off: by one line, by init, object by object; off means off, and leaves LlamaIndex as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Boss, Library, Provider, Vectors, async_tools, tools
from llama_harness import acts, agent, job_of, run
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool, calling
from llama_index.core.tools.types import BaseTool, ToolMetadata, ToolOutput
from llama_index.core.workflow import Workflow
from llama_index_instrumentation.dispatcher import Dispatcher

import jackline
import jackline_llamaindex
from jackline.errors import Denied, JacklineError
from jackline.testing.paths import Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import on_record, refusing
from jackline.testing.story import FIND, NO
from jackline.wrapping import family
from jackline_llamaindex import LlamaIndexAdapter
from jackline_llamaindex.wraps import WRAPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.testing.scripted import Guards

ONCE = (Step(calls=(FIND,)), Step("all is done"))
ROOTS = (BaseWorkflowAgent, AgentWorkflow, BaseTool, BaseLLM, BaseRetriever, BaseEmbedding)


def state() -> dict[tuple[Any, str], Any]:
    """Every attribute of everything that could be wrapped."""
    owners = {kind for root in ROOTS for kind in family(root)} | {Workflow, Dispatcher, CallbackManager}
    found = {
        (owner, name): item for owner in owners for name, item in vars(owner).items() if not name.startswith("_abc")
    }
    return found | {(calling, name): item for name, item in vars(calling).items()}


@pytest.fixture
def clean() -> Iterator[dict[tuple[Any, str], Any]]:
    """What LlamaIndex is without Jackline: before each test, and after it."""
    assert not WRAPS.on
    before = state()
    yield before
    assert not WRAPS.on
    after = state()
    assert {key: after[key] for key in before} == before


def no_find() -> Any:
    return refusing("tool.call", NO, agent="", tool="find")


def test_off_means_off_p50(guards: Guards, clean: dict[tuple[Any, str], Any]) -> None:
    guard = guards(no_find())
    job = job_of(guard, ONCE)
    made = agent(job)
    jackline_llamaindex.enable(guard)
    assert state() != clean
    assert run(made) == "all is done"
    assert not job.bodies.ran
    jackline_llamaindex.disable(guard)
    assert state() == clean
    before = len(on_record(guard))
    assert run(made) == "all is done"
    assert tools(job)[1](query="q").content == "find is done"
    assert job.bodies.ran == {"find": 2}
    assert len(on_record(guard)) == before
    jackline_llamaindex.disable(guard)
    jackline_llamaindex.disable()


def test_closing_the_guard_is_off_too_p50(guards: Guards, clean: dict[tuple[Any, str], Any]) -> None:
    guard = guards(no_find())
    guard.enable(LlamaIndexAdapter())
    guard.enable(LlamaIndexAdapter())
    guard.close()
    assert state() == clean
    job = job_of(guards(), ONCE)
    assert tools(job)[1](query="q").content == "find is done"


def test_what_was_attached_is_off_with_its_guard_p50(guards: Guards, clean: dict[tuple[Any, str], Any]) -> None:
    guard = guards(no_find())
    job = job_of(guard, ONCE)
    made = guard.attach(agent(job))
    with pytest.raises(Denied):
        guard.attach(tools(job)[1])(query="q")
    guard.close()
    assert state() == clean
    assert run(made) == "all is done"
    assert job.bodies.ran == {"find": 1}


def test_the_last_guard_takes_the_wraps_with_it(guards: Guards, clean: dict[tuple[Any, str], Any]) -> None:
    first, second = guards(), guards(no_find())
    for guard in (first, second):
        guard.enable(LlamaIndexAdapter())
    job = job_of(first, ONCE)
    with pytest.raises(Denied):
        tools(job)[1](query="q")
    assert acts(first)[0][2] == "allow"
    assert acts(second)[0][2] == "deny"
    second.close()
    assert WRAPS.on
    assert tools(job)[1](query="q").content == "find is done"
    first.close()
    assert state() == clean
    for guard in (first, second):
        assert_accounted(guard)


@pytest.mark.usefixtures("clean")
def test_classes_that_come_later_are_governed_and_left_clean(guards: Guards) -> None:
    guard = guards(no_find())
    guard.enable(LlamaIndexAdapter())
    ran: list[str] = []

    class Later(BaseTool):
        @property
        def metadata(self) -> ToolMetadata:
            return ToolMetadata(name="find", description="Later.")

        def __call__(self, input: Any) -> ToolOutput:  # noqa: A002 - LlamaIndex's name
            ran.append(input)
            return ToolOutput(content="x", tool_name="find", raw_input={}, raw_output="x")

    class Overriding(FunctionTool):
        def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
            ran.append("call")
            return super().call(*args, **kwargs)

        async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
            ran.append("acall")
            return await super().acall(*args, **kwargs)

    with pytest.raises(Denied):
        Later()("q")
    job = job_of(guard, ONCE)
    own = Overriding.from_defaults(tools(job)[1].fn)
    for call in (lambda: own(query="q"), lambda: own.call(query="q"), lambda: asyncio.run(own.acall(query="q"))):
        with pytest.raises(Denied):
            call()
    assert run(agent(job, [own])) == "all is done"
    assert ran == []
    assert not job.bodies.ran
    guard.close()
    assert "jackline" not in Later.__dict__["__call__"].__code__.co_filename
    assert Later()("q").content == "x"
    assert own(query="q").content == "find is done"
    assert ran == ["q", "call"]


def test_a_wrap_that_somebody_else_wrapped_stays_and_does_nothing(guards: Guards, clean: dict[Any, Any]) -> None:
    guard = guards(no_find())
    guard.enable(LlamaIndexAdapter())
    ours = FunctionTool.__dict__["call"]

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    FunctionTool.call = theirs  # type: ignore[method-assign]
    try:
        guard.close()
        assert FunctionTool.__dict__["call"] is theirs
        assert tools(job_of(guards(), ONCE))[1].call(query="q").content == "find is done"
    finally:
        FunctionTool.call = clean[FunctionTool, "call"]  # type: ignore[method-assign]


@pytest.mark.usefixtures("clean")
def test_agents_tools_models_libraries_and_embeddings_can_be_attached(guards: Guards) -> None:
    guard = guards()
    job = job_of(guard, (Step("all is done"),))
    accepted = [
        agent(job),
        AgentWorkflow(agents=[agent(job)]),
        ReActAgent(llm=Provider(job), tools=tools(job)),
        CodeActAgent(lambda code: code, llm=Provider(job)),
        *tools(job),
        Provider(job),
        Library(job),
        Vectors(job),
    ]
    for native in accepted:
        assert guard.attach(native) is native
    assert not LlamaIndexAdapter().accepts(object())
    with pytest.raises(JacklineError, match="No adapter accepts"):
        guard.attach(ChatMessage("x"))


@pytest.mark.usefixtures("clean")
def test_what_an_attached_agent_does_inside_is_governed_with_it(guards: Guards) -> None:
    guard = guards(no_find())
    job = job_of(guard, ONCE)
    worker = agent(job)

    async def delegate(task: str) -> str:
        """Hand it on."""
        return str(await worker.run(user_msg=task))

    made = guard.attach(FunctionAgent(name="boss", llm=Boss(job), tools=[delegate]))
    assert run(made) == "all is done"
    assert not job.bodies.ran
    assert ("agent.spawn", "worker", "allow") in acts(guard)
    guard.close()
    assert_accounted(guard)


@pytest.mark.usefixtures("clean")
def test_a_run_that_is_open_when_its_guard_closes_goes_on_and_nothing_hangs(guards: Guards) -> None:
    guard = guards()
    guard.enable(LlamaIndexAdapter())
    job = job_of(guard)
    pay, find = async_tools(job)

    async def closing(order: str, amount: float) -> str:
        """Close the guard in the middle."""
        guard.close()
        return job.bodies.run("pay", order=order, amount=amount)

    own = FunctionTool.from_defaults(async_fn=closing, name="pay")
    assert run(agent(job, [own, find])) == "all is done"
    assert job.bodies.ran == {"pay": 1, "find": 1}
    assert pay.metadata.name == "pay"


@pytest.mark.parametrize("when", ["before", "after"])
def test_init_governs_what_was_imported_before_and_after_it(tmp_path: Path, when: str) -> None:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(
        "jackline: 1\npolicies:\n"
        "  - {name: no-find, use: rule, on: tool.call, when: \"tool.name == 'find'\", effect: deny, reason: no}\n"
    )
    program = textwrap.dedent("""
        import sys
        import jackline

        before = sys.argv[1] == "before"
        if not before:
            jackline.init("jackline.yaml", home="home")
        from llama_index.core.tools import FunctionTool
        if before:
            jackline.init("jackline.yaml", home="home")

        def find(query: str) -> str:
            raise SystemExit("it ran")

        tool = FunctionTool.from_defaults(find)
        try:
            tool(query="q")
        except jackline.Denied as denied:
            print(denied)
        jackline.close()
        try:
            tool(query="q")
        except SystemExit as ran:
            print(ran)
    """)
    command = [sys.executable, "-c", program, when]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "Not permitted by policy 'no-find': no\nit ran\n", done.stderr


def test_the_public_names_are_the_promised_ones() -> None:
    assert jackline_llamaindex.LlamaIndexAdapter is LlamaIndexAdapter
    assert LlamaIndexAdapter.name == "llamaindex"
    assert jackline.Denied is Denied
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        _ = jackline_llamaindex.anything
