"""A path is one way to run a framework: it follows a script, and bodies count what really happened."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jackline.errors import ApprovalPending, Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.guard import Guard
    from jackline.request import Action

Carries = Literal["tools", "parallel", "sends", "model", "output", "stream", "spawn"]
CARRIES: Mapping[Carries, str] = {
    "tools": "no tool is called",
    "parallel": "its calls are made one after another",
    "sends": "nothing is sent to a model, a library, an embedding or a host",
    "model": "no model is asked",
    "output": "it is no agent, whose answer would go outside",
    "stream": "nobody is handed pieces before the end",
    "spawn": "the framework starts no agent for another",
}
"""What a path can carry, each with the reason why a behaviour that needs it does not apply where it is missing."""

Group = Literal["sync", "async", "stream", "parallel", "sub-agent", "direct call"]
GROUPS: tuple[Group, ...] = ("sync", "async", "stream", "parallel", "sub-agent", "direct call")

MODEL = "gpt-4o-mini"
PROVIDER = "openai"
"""What scripted models say they are: every price table knows it."""
USAGE = (1000, 200)
"""Input and output tokens that a scripted model reports for each answer."""


class Call(NamedTuple):
    """A tool call that the scripted model asks for (or that the path makes where there is no model)."""

    tool: str
    args: dict[str, Any]


class Step(NamedTuple):
    """One answer of the scripted model: words, or calls that it wants made, in parallel where the path can."""

    text: str = ""
    calls: tuple[Call, ...] = ()


class Bodies:
    """The bodies of tools and providers. What they count is what happened, whatever anybody says of it."""

    def __init__(self, results: Mapping[str, str] | None = None) -> None:
        self.ran: Counter[str] = Counter()
        """How often each tool's body was entered."""
        self.got: list[tuple[str, dict[str, Any]]] = []
        """What each received."""
        self.sent: list[str] = []
        """What each call of a model, library or embedding received, as one text."""
        self.entering: Callable[[str], None] = lambda _: None
        """Called first in every body, with the tool's name or an empty text."""
        self._results = dict(results or {})
        self._lock = threading.Lock()

    def run(self, tool: str, /, **received: Any) -> str:
        """The body of a tool: count, keep what came in, give its result."""
        with self._lock:
            self.entering(tool)
            self.ran[tool] += 1
            self.got.append((tool, received))
        return self._results.get(tool, f"{tool} is done")

    def receive(self, text: str) -> None:
        """The body of a model, a library or an embedding: count, keep what came in."""
        with self._lock:
            self.entering("")
            self.sent.append(text)


@dataclass
class Job:
    """What a path is to do once, and where it puts what it saw."""

    guard: Guard
    bodies: Bodies
    steps: tuple[Step, ...]
    prompt: str
    session: str
    """The external id of the session."""
    few: bool = False
    """Whether the consumer of a stream stops after the first piece."""
    told: list[str] = field(default_factory=list)
    """What the model was told of each tool call; where there is no model, what the caller got."""
    seen: list[str] = field(default_factory=list)
    """The pieces that the consumer of a stream was handed, in order."""
    history: Any = None
    """The caller's own input, and the tool calls as the conversation keeps them, afterwards."""

    def call(self, body: Callable[[], Any]) -> None:
        """Make one direct call; a refusal is told to the caller, who goes on. A halt is raised."""
        try:
            self.told.append(str(body()))
        except (Denied, ApprovalPending) as refusal:
            self.told.append(str(refusal))

    def piece(self, text: str) -> bool:
        """Take a piece of a stream; whether the consumer wants more."""
        if text:
            self.seen.append(text)
        return not (self.few and self.seen)

    def step(self, answers: int) -> Step:
        """What the scripted model says after so many answers."""
        return self.steps[min(answers, len(self.steps) - 1)]


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    text: str | None
    """The last word; None where there is none."""
    error: BaseException | None
    job: Job

    @property
    def words(self) -> str:
        """Everything that reached anybody: answer, error, what was told and what was streamed."""
        return "\n".join([self.text or "", str(self.error or ""), *self.job.told, "".join(self.job.seen)])


@dataclass(frozen=True, kw_only=True)
class Path:
    """A named way to run the framework, and what it can carry."""

    name: str
    """Unique in its suite, and stable: it names a row of the support matrix."""
    group: Group
    carries: frozenset[Carries]
    drive: Callable[[Job], str | None]
    """Do the job, with the framework's objects made anew; answer the last word, raise what the framework raises."""
    action: Action = "tool.call"
    """The first kind of act that the script leads to: what is refused where a behaviour refuses something."""
    agent: str = ""
    """Who acts, as the record names it; empty where it is the program itself."""
    above: tuple[str, ...] = ()
    """The agents that started it, outermost first."""
    times: int = 1
    """How often the script is followed in one job (batches)."""
    gap: str = ""
    """Not offered at all: the key of the reason in the adapter's `gaps()`."""
    gaps: Mapping[str, str] = field(default_factory=dict)
    """Behaviour -> key of the reason in the adapter's `gaps()`: not offered on this path, and refused."""

    def lacks(self, needs: Sequence[Carries]) -> str:
        """Why what needs all of these does not apply here; empty where it does."""
        return "; ".join(CARRIES[need] for need in needs if need not in self.carries)

    def do(self, job: Job) -> Outcome:
        """Do a job and tell what became of it, however it ended."""
        try:
            return Outcome(self.drive(job), None, job)
        except Exception as error:  # noqa: BLE001 - the outcome is judged by each behaviour
            return Outcome(None, error, job)
