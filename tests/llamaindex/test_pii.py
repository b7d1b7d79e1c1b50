"""Personal data in agents, with the real pack: what leaves is clean, and so is the record and whatever is shown (P56)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import tools
from llama_harness import everything
from llama_ways import agent, agent_as_tool, asked, enable, handoff, react, single_workflow

import jackline
import jackline_llamaindex
from jackline.testing.paths import Bodies, Call, Job, Step
from jackline.testing.records import assert_accounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT, ARGUMENT, RESULT, ANSWER = "dora@example.org", "4111 1111 1111 1111", "carl@example.net", "bob@example.com"
MADE = (ARGUMENT, RESULT, ANSWER)
"""What the model and the tool bring in; the prompt is the caller's own, who has it anyway."""
STEPS = (Step(calls=(Call("find", {"query": f"who has card {ARGUMENT}"}),)), Step(f"write to {ANSWER} about it"))
BUNDLE = """
jackline: 1
policies:
  - name: no-pii
    use: pii
    with: {entities: [EMAIL, CREDIT_CARD], action: redact}
"""
SHAPES: dict[str, Any] = {
    "FunctionAgent": agent,
    "FunctionAgent, not streaming": partial(agent, streaming=False),
    "FunctionAgent, sync tools": partial(agent, tools_of=tools),
    "ReActAgent": react,
    "AgentWorkflow": single_workflow,
    "hand-off": handoff,
    "agent as tool": agent_as_tool,
}


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[jackline.Guard]:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(BUNDLE)
    made = jackline.Guard.load(bundle, home=tmp_path / "home", application="tests")
    yield made
    made.close()


def job_of(guard: jackline.Guard) -> Job:
    return Job(guard, Bodies({"find": f"{RESULT} knows"}), STEPS, f"ask {PROMPT}", "job-1")


def on_disk(home: Path) -> str:
    """Everything in a home, its database and what waits to go there among it."""
    return "\n".join(path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file())


def outside(seen: list[str]) -> str:
    """What others see but for the inside of the tool itself, which has what it says itself."""
    return "\n".join(text for text in seen if "FunctionTool" not in text)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_leaves_what_is_shown_and_what_is_kept_is_clean(guard: jackline.Guard, shape: str) -> None:
    """P56: model input, arguments, results, answers and streams; each is counted where it arrives."""
    jackline_llamaindex.enable(guard)
    job = job_of(guard)
    seen, answer = asyncio.run(everything(SHAPES[shape](job), job.prompt))
    assert answer == "write to [EMAIL] about it"
    assert job.bodies.got == [("find", {"query": "who has card [CREDIT_CARD]"})]
    assert job.told[-1].strip() == "[EMAIL] knows"
    assert len(job.bodies.sent) == 2
    assert all("[EMAIL]" in sent for sent in job.bodies.sent)
    assert [value for value in (PROMPT, *MADE) if value in "\n".join(job.bodies.sent)] == []
    assert len(seen) > 10
    assert [value for value in MADE if value in outside(seen)] == []
    guard.close()
    assert_accounted(guard)
    kept = on_disk(guard.home.path)
    assert '"policy":"no-pii"' in kept
    assert [value for value in (PROMPT, *MADE) if value in kept] == []


@pytest.mark.parametrize("shape", SHAPES)
def test_without_the_policy_all_of_it_is_there_to_be_seen(guard: jackline.Guard, shape: str) -> None:
    """So that the test above can fail."""
    job = job_of(guard)
    seen, answer = asyncio.run(everything(SHAPES[shape](job), job.prompt))
    assert answer == f"write to {ANSWER} about it"
    assert [value for value in MADE if value in outside(seen)] == list(MADE)
    assert PROMPT in "\n".join(job.bodies.sent)


METHODS = (
    "chat",
    "achat",
    "stream_chat",
    "astream_chat",
    "complete",
    "acomplete",
    "stream_complete",
    "astream_complete",
)


@pytest.mark.parametrize("method", METHODS)
def test_no_piece_of_a_stream_shows_what_is_replaced(guard: jackline.Guard, method: str) -> None:
    """P56: also in pieces, of which each by itself is clean."""
    job = Job(guard, Bodies(), (Step("his card is 4111 1111 1111 1111 or so"),), f"ask {PROMPT}", "job-1")
    assert asked(enable, method)(job) == "his card is [CREDIT_CARD] or so"
    assert "1111" not in "".join(job.seen)
    assert "ask [EMAIL]" in job.bodies.sent[0]
