"""The bundle, its revisions, and what its policies answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from jackline_console.models.basics import Asked, Because, Count, Done, Page

Text = Annotated[str, StringConstraints(max_length=1024 * 1024)]


class Place(BaseModel):
    """Something that is wrong, or that nobody could check."""

    line: int
    column: int
    message: str
    hint: str


class PolicyView(BaseModel):
    """One policy of a bundle."""

    name: str
    use: str
    mode: Literal["enforce", "observe"]
    agents: str
    on_error: str
    line: int
    verdicts_7d: dict[str, int]


class ApproverView(BaseModel):
    """Who may answer; `console`: with this console's key."""

    name: str
    user: str
    console: bool


class InForce(BaseModel):
    """A running process, and the revision that it has."""

    journal: str
    pid: int
    host: str
    revision: str
    since: float


class BundleView(BaseModel):
    """The file as it is now."""

    source: str
    revision: str
    mode: str
    unregistered: str
    unmanaged: str
    capture: str
    text: str
    editable: bool
    problems: list[Place]
    unverified: list[Place]
    policies: list[PolicyView]
    approvers: list[ApproverView]
    in_force: list[InForce]


class Revision(BaseModel):
    """One revision that was in force, or that somebody put in place."""

    revision: str
    source: str
    mode: str
    first: float
    last: float
    who: str | None
    why: str
    policies: list[str]
    widened: list[str]
    kept: bool
    current: bool
    in_force: int


class RevisionList(Page[Revision]):
    """Revisions, the latest first."""


class RevisionText(Revision):
    """A revision with its text."""

    text: str


class Line(BaseModel):
    """One line of a comparison."""

    op: Literal["same", "add", "remove"]
    from_: Annotated[int | None, Field(alias="from")]
    to: int | None
    text: str

    model_config = {"populate_by_name": True}


class Difference(BaseModel):
    """How two revisions differ."""

    from_: Annotated[str, Field(alias="from")]
    to: str
    lines: list[Line]
    added: list[str]
    removed: list[str]
    changed: list[str]
    widened: list[str]

    model_config = {"populate_by_name": True}


class Draft(Asked):
    """A bundle that is being written."""

    text: Text


class Checked(BaseModel):
    """What is said of a draft."""

    ok: bool
    revision: str
    problems: list[Place]
    unverified: list[Place]
    policies: list[PolicyView]
    widened: list[str]


class Cursor(Draft):
    """A draft, and where its writer is; both count from 1."""

    line: Annotated[int, Field(ge=1, le=100_000)]
    column: Annotated[int, Field(ge=1, le=100_000)]


class Completion(BaseModel):
    """One thing that may stand here."""

    label: str
    insert: str
    kind: Literal["key", "value", "root", "function"]
    detail: str
    documentation: str


class Completions(BaseModel):
    """What may stand here, in place of the columns `from` to `to` of the line."""

    items: list[Completion]
    from_: Annotated[int, Field(alias="from")]
    to: int

    model_config = {"populate_by_name": True}


class Activation(Because):
    """A bundle to put in place of the revision `previous`; empty where there is no file yet."""

    text: Text
    previous: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class Activated(Done):
    """What a person put in place."""

    revision: str
    previous: str
    widened: list[str]


class RuleUsage(BaseModel):
    """What one rule answered."""

    policy: str
    rule: str
    effect: str
    mode: str
    verdicts: int
    decisions: int
    series: list[Count]


class RuleUsageList(Page[RuleUsage]):
    """What the rules answered, the most frequent first."""
