"""What a framework brings to the demo: an agent that follows a script and uses real tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.adapter import Adapter

MODEL = "gpt-4o"
PROVIDER = "openai"
BYTES_PER_TOKEN = 4
"""What English text has on average; the scripted model counts its usage from the bytes that it really received."""


class Turn(NamedTuple):
    """What the scripted model answers: text, and tool calls as (name, arguments)."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


class Job(NamedTuple):
    """One session of one agent."""

    session: str
    agent: str
    system: str
    task: str
    tools: Sequence[Callable[..., Any]]
    script: Callable[[int], Turn]
    """The answer to the model call with this number, from 0."""


class Ran(NamedTuple):
    """How a job ended."""

    answer: str
    """The final text; empty where the session was ended."""
    usage: list[tuple[int, int]]
    """Input and output tokens of each model call, as the model reported them."""
    ended: str = ""
    """What ended it before its answer."""


class Agents(Protocol):
    """One framework's agents."""

    def adapter(self) -> Adapter:
        """The adapter that governs them."""

    def run(self, job: Job) -> Ran:
        """Run a real agent of the framework through the job."""


def tokens(size: int) -> int:
    """The tokens of so many bytes of English text."""
    return -(-size // BYTES_PER_TOKEN)
