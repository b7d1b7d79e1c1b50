"""What more than one page uses."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Item = TypeVar("Item")
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Asked(BaseModel):
    """What a client sends: nothing that is not known."""

    model_config = ConfigDict(extra="forbid")


class Because(Asked):
    """Why something is done."""

    why: Why


class Page(BaseModel, Generic[Item]):
    """A list, and where it goes on."""

    items: list[Item]
    next: str | None = None


class JournalProblem(BaseModel):
    """Why a journal could not be ingested to its end."""

    journal: str
    seq: int
    problem: str


class Behind(BaseModel):
    """By how much the index runs behind the journals."""

    bytes: int
    events: int
    journals: int
    problems: list[JournalProblem]
    ingesting: Literal["here", "elsewhere", "nowhere"]
    last: float | None


class StreamEvent(BaseModel):
    """One line of one journal; `event` is null where it is too long for a list, or no JSON."""

    position: int
    journal: str
    seq: int
    at: float
    kind: str
    session: str
    agent: str
    event: dict[str, Any] | None


class Events(Page[StreamEvent]):
    """Lines in their order."""


class Done(BaseModel):
    """What a person did."""

    done: str
    who: str
    why: str
    at: float


class Count(BaseModel):
    """A number of something at a time."""

    at: float
    verdicts: int = Field(ge=0)
