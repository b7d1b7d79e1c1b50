"""What a file of policy cases may say: requests, and the decisions that are expected of a bundle."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema, create_model, model_validator

from jackline.decision import Effect  # noqa: TC001 - pydantic reads it
from jackline.events import Usage
from jackline.options import Duration, Options, wrong
from jackline.request import Action, Agent, AgentStatus, Model, Tool
from jackline.wording import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC).timestamp()
"""When a case begins unless it says otherwise: a Monday, 12:00 UTC."""


def mirrored(struct: type[msgspec.Struct], **types: Any) -> type[Options]:
    """Make the model of a record from the record's own fields; `types` replaces some of them."""
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        default = ... if field.default is msgspec.NODEFAULT else field.default
        if default is ... and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        fields[field.name] = types.get(field.name, (field.type, default))
    return create_model(struct.__name__, __base__=Options, **fields)


def _moment(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    try:
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong(f"{shown(value)} is not a time", 'write Unix seconds, or "2026-01-05T12:00:00Z"') from None
    if found.tzinfo is None:
        raise wrong(f"{shown(value)} has no time zone", f'write "{value}Z" for UTC')
    return found.timestamp()


AgentCase = mirrored(Agent, status=(AgentStatus, "active"))
ToolCase = mirrored(Tool)
ModelCase = mirrored(Model, tools=(tuple[ToolCase, ...], ()))  # type: ignore[valid-type]
UsageCase = mirrored(Usage)
Moment = Annotated[float, BeforeValidator(_moment), WithJsonSchema({"type": ["string", "number"]})]


class SessionCase(Options):
    """The session of a case: for whom it is, and what it has done before the case begins."""

    id: str = ""
    user: str = ""
    application: str = "cases"
    namespace: str = "default"
    labels: dict[str, str] = Field(default={})
    cost_usd: float | None = None
    calls: int | None = None
    model_calls: int | None = None
    tool_calls: int | None = None
    started: Moment | None = None

    def facts(self) -> dict[str, Any]:
        """What conditions are told instead of what the case itself has done."""
        names = ("cost_usd", "calls", "model_calls", "tool_calls", "started")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class RequestCase(Options):
    """One request. `tool:` alone means `tool.call`, `model:` alone `model.call`."""

    action: Action | None = None
    tool: ToolCase | None = None  # type: ignore[valid-type]
    model: ModelCase | None = None  # type: ignore[valid-type]
    resource: str | None = None
    """What the act is on, where it is no tool and no model: an agent's, retriever's or host's name."""
    args: dict[str, Any] = Field(default={})
    agent: AgentCase | None = None  # type: ignore[valid-type]
    """Who acts, where it is not the case's agent."""
    ancestors: tuple[AgentCase, ...] = ()  # type: ignore[valid-type]
    """The agents that spawned this one, outermost first."""
    call_id: str = ""
    http: dict[str, Any] | None = None
    """Of an `http.request`: host, method, scheme, path, port."""


class Expected(Options):
    """The decision that is expected; what is left out is not looked at. A text alone is the effect."""

    effect: Effect
    reason: str | None = None
    """Text that the reason contains."""
    policy: str | None = None
    """The policy that decided."""
    rule: str | None = None
    """Which line of its data answered."""
    would: Effect | None = None
    """What would have been decided, had the policies that only observe been enforced."""
    args: dict[str, Any] | None = None
    """The arguments after the policies changed them."""
    limits: dict[str, int] | None = None
    """Limits passed on, such as `max_tokens`."""
    findings: tuple[str, ...] | None = None
    """The kinds of all findings, in any order."""


class Outcome(Options):
    """What came of a permitted act. Without one, it ended well and told nothing."""

    result: Any = None
    usage: UsageCase | None = None  # type: ignore[valid-type]
    model: str = ""
    """The model that answered, where it is not the one asked."""
    error: str | None = None
    """The act failed with this error's name."""


class Step(Options):
    """A request and what is expected of it."""

    request: RequestCase
    expect: Expected
    outcome: Outcome = Outcome()
    at: Moment | None = None
    """When it is asked; otherwise a second after the step before."""
    after: Duration | None = None
    """How long after the step before."""
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often it is asked in a row; the decision is expected each time."""


class Case(Options):
    """One story in one session: a single request, or several steps."""

    name: str
    agent: AgentCase | None = None  # type: ignore[valid-type]
    session: SessionCase = SessionCase()
    said: str = ""
    """The user's own words before the case begins."""
    request: RequestCase | None = None
    expect: Expected | None = None
    outcome: Outcome = Outcome()
    at: Moment | None = None
    """When it begins."""
    steps: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _one_form(self) -> Case:
        if bool(self.steps) == (self.request is not None):
            raise wrong("a case has either `request` and `expect`, or `steps`", "write one of the two")
        if self.request is not None and self.expect is None:
            raise wrong("`expect` is missing", "write the effect: expect: deny")
        return self

    def asked(self) -> tuple[Step, ...]:
        """Give the steps; a single request is one."""
        if self.request is None or self.expect is None:
            return self.steps
        return (Step(request=self.request, expect=self.expect, outcome=self.outcome),)


class CaseFile(Options):
    """A whole file of cases for one bundle."""

    bundle: str
    """The bundle's path, relative to this file; or, with line breaks, its text."""
    agent: AgentCase | None = None  # type: ignore[valid-type]
    """Who acts, where a case does not say."""
    cases: tuple[Case, ...]


def expanded(data: Any) -> Any:
    """Write the short forms of a file of cases out: a name for a record, an effect for an expectation."""
    if not isinstance(data, dict):
        return data
    found = _each(data, {"agent": _named})
    return _each(found, {"cases": _list_of(_case)})


def _case(value: Any) -> Any:
    inner = {"agent": _named, "request": _request, "expect": _effect, "steps": _list_of(_case)}
    return _each(value, inner)


def _request(value: Any) -> Any:
    inner = {"tool": _named, "agent": _named, "model": _model, "ancestors": _list_of(_named)}
    return _each(value, inner)


def _model(value: Any) -> Any:
    return _each(_named(value), {"tools": _list_of(_named)})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _effect(value: Any) -> Any:
    return {"effect": value} if isinstance(value, str) else value


def _list_of(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [change(item) for item in value] if isinstance(value, list) else value


def _each(value: Any, changes: Mapping[str, Callable[[Any], Any]]) -> Any:
    """Change the parts of a map that are there."""
    if not isinstance(value, dict):
        return value
    return {key: changes[key](item) if key in changes else item for key, item in value.items()}
