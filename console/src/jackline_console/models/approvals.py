"""Questions to people, and what they say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from jackline_console.models.basics import Asked, Done, Page, StreamEvent, Why

State = Literal["pending", "approved", "denied", "expired", "consumed"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]


class AnswerView(BaseModel):
    """What one approver said; `counts` is null where nobody can tell any more."""

    who: str
    say: str
    at: float
    why: str
    args: dict[str, Any] | None = None
    counts: bool | None
    problem: str


class Approval(BaseModel):
    """One question: the exact act, who asks, who may answer, how it stands."""

    approval: str
    state: State
    asked: float
    expires: float
    agent: str
    action: str
    resource: str
    fingerprint: str
    args: dict[str, Any]
    size: int
    session: str
    external_id: str
    user: str
    run: str
    span: str
    policy: str
    rule: str
    reason: str
    to: list[str]
    needed: int
    may_answer: list[str]
    agreed: list[str]
    answers: list[AnswerView]
    session_cost_micro_usd: int
    as_: Annotated[list[str], Field(alias="as")]
    cannot: str
    self_approval_possible: bool
    ended: float | None

    model_config = {"populate_by_name": True}


class ApprovalWhole(Approval):
    """A question, and the last events of its session."""

    context: list[StreamEvent]


class ApprovalList(Page[Approval]):
    """Questions."""


class Given(Asked):
    """What every answer may say."""

    as_: Annotated[Name | None, Field(alias="as")] = None


class Yes(Given):
    """Agreement."""

    why: Reason = ""


class No(Given):
    """Refusal: the agent is told why."""

    why: Why


class Edit(Given):
    """Agreement with other arguments."""

    args: dict[str, Any]
    why: Reason = ""


class Response(Given):
    """What the agent is told in place of a result."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class ApprovalDone(Done):
    """What became of a question by an answer."""

    approval: str
    state: State
    agreed: list[str]
    needed: int
    self_approval_possible: bool
