"""What is asked and answered, as msgspec reads and writes it; a field that is not here is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from jackline.decision import Effect, Finding
from jackline.request import Action

MOST = 100
"""Checks or records in one body."""
LEASE_S = 300.0
_SAFE = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, Meta(max_length=256, pattern=_SAFE)]
Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="32 hex digits, as an answer gave them.")]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Texts = Annotated[dict[Word, Annotated[str, Meta(max_length=1024)]], Meta(max_length=64)]
Labels = Annotated[dict[Word, Annotated[str, Meta(max_length=1024)]], Meta(max_length=16)]


class UsageFacts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Tokens of a model call. Input includes cached tokens, output includes reasoning."""

    input: Count = 0
    output: Count = 0
    cache_read: Count = 0
    cache_write: Count = 0
    reasoning: Count = 0


class ToolFacts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the agent knows of the tool; name and these make its fingerprint."""

    description: str = ""
    parameters: dict[str, Any] = {}
    read_only: bool | None = None
    labels: Texts = {}


class ModelFacts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the model is asked with, for budgets: what is not said is taken from the arguments."""

    provider: Word = ""
    max_tokens: Count | None = None
    choices: Annotated[int, Meta(ge=1, le=128)] = 1
    input_bytes: Count = 0
    """Bytes of the request as it is sent; the size of `args` where that is more."""
    opaque_input: bool = False
    """Images, audio or files are sent."""
    can_limit: bool = False
    """The agent passes `limits.max_tokens` of the answer on."""


class HttpFacts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a request goes; its host is `resource`."""

    method: Annotated[str, Meta(max_length=16)] = "GET"
    scheme: Annotated[str, Meta(max_length=16)] = "https"
    port: Annotated[int, Meta(ge=1, le=65535)] = 443
    path: Annotated[str, Meta(max_length=4096)] = "/"


class Check(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """May the agent of the token do this? Or, for `tool.return` and `model.return`: may it see this result?"""

    action: Action
    resource: Annotated[str, Meta(max_length=1024)] = ""
    """The tool's, model's, agent's, retriever's or host's name. Not said of a return."""
    args: dict[str, Any] = {}
    """As the body will receive them. `output`: `{"result": ...}`; `model.call`: `{"messages": [...]}`."""
    session: Annotated[str, Meta(max_length=256, pattern=_SAFE)] = ""
    """The agent's own name of the job. Not said with `parent`, nor of a return."""
    run: Word = ""
    """The agent's own name of one invocation within the session."""
    parent: Id | None = None
    """The decision within which this happens; for an agent that was spawned, that of its `agent.spawn`."""
    decision: Id | None = None
    """Of a return: the decision about the act whose result it is."""
    result: Any = None
    """Of a return."""
    user: Word = ""
    labels: Labels = {}
    call_id: Word = ""
    """The agent's own id of the call, the same when it asks again."""
    tool: ToolFacts | None = None
    model: ModelFacts | None = None
    http: HttpFacts | None = None
    lease_s: Annotated[float, Meta(ge=1, le=86400)] = LEASE_S
    """Seconds within which the outcome is recorded. Afterwards it is unknown, and all that is held is spent."""


class Answer(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What was decided. Only `permitted: true` lets the act go on, with `args` where they are there."""

    effect: Effect
    permitted: bool
    session: str
    span: str
    decision: str = ""
    """To be recorded under, 32 hex digits; empty where there is nothing to record."""
    pending: bool = False
    """People were asked: ask again with the same `call_id`."""
    reason: str = ""
    policy: str = ""
    rule: str = ""
    revision: str = ""
    mode: Literal["enforce", "observe"] = "enforce"
    would: Effect | None = None
    args: dict[str, Any] | None = None
    """With `modify`: the arguments to use instead."""
    result: Any = msgspec.UNSET
    """With `modify` of a return: the result to use instead."""
    limits: dict[str, int] = {}
    approvals: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    judge_return: bool = False
    """A policy looks at what the act gives back: check `tool.return` or `model.return` before anyone sees it."""
    expires: float | None = None
    """Until when the outcome can be recorded, Unix seconds."""


class Record(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What came of an act that was permitted: once."""

    decision: Id
    outcome: Literal["completed", "failed", "not_started"]
    result: Any = None
    """What the act gave back, for its digest and for provenance; or `digest`."""
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of what the act gave back, where that is to stay with the agent."""
    error: Annotated[str, Meta(max_length=256, pattern=_SAFE)] = ""
    """Of a failure: its kind, such as the name of an exception's class."""
    usage: UsageFacts | None = None
    """Of a model call; all that is held is booked where it is left out."""
    model: Word = ""
    """The model that answered, as the provider says."""
    cached: bool = False
    status: Annotated[int, Meta(ge=0, le=999)] = 0
    """Of an `http.request`."""


class Recorded(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """That it is on record."""

    decision: str
    recorded: bool = True
    error: str = ""
    """In a batch: why this one is not (`recorded`, `expired`, `unknown-decision`, ...)."""
    detail: str = ""


Checks = Check | Annotated[list[Check], Meta(min_length=1, max_length=MOST)]
Records = Record | Annotated[list[Record], Meta(min_length=1, max_length=MOST)]
