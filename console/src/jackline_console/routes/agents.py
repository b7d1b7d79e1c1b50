"""The page *Agents*: the registry, its query box, and its controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from fastapi import APIRouter, Query
from starlette.convertors import PathConvertor, register_url_convertor

from jackline.condition import ConditionError
from jackline.condition.functions import FUNCTIONS
from jackline.condition.schema import Schema
from jackline.selection import agent_query, selects
from jackline_console.access.gate import Operator, Viewer
from jackline_console.models.agents import AgentChange, AgentDone, AgentList, AgentView, ConditionSchema, Known
from jackline_console.models.basics import Because
from jackline_console.problems import Fault, ProblemError, unknown
from jackline_console.reported import is_reported, refuse
from jackline_console.roster import Roster
from jackline_console.routes.asking import Days, Here

if TYPE_CHECKING:
    from jackline.condition import Condition
    from jackline_console.access.logins import Login
    from jackline_console.console import Console


class _Name(PathConvertor):
    """Any text, slashes and line ends too: whatever an agent calls itself, it can be looked at and suspended."""

    regex = "(?s:.*)"


register_url_convertor("name", _Name())
router = APIRouter(tags=["agents"])


@router.get("/agents")
def agents(here: Here, _who: Viewer, where: Annotated[str, Query(max_length=4000)] = "", days: Days = 7) -> AgentList:
    """The agents that were seen or declared; those that nobody registered first. `where`: a condition over `agent`."""
    condition = _condition(where) if where.strip() else None
    roster, unclear = Roster(here, days), list[str]()
    chosen = [
        agent for agent in roster.known.values() if condition is None or selects(condition, agent.versions, unclear)
    ]
    views = [roster.view(agent) for agent in chosen]
    views.sort(key=lambda view: (view.status != "seen", view.name))
    return AgentList(items=views, unclear=unclear)


@router.get("/agents/{name:name}")
def agent(here: Here, _who: Viewer, name: str, days: Days = 7) -> AgentView:
    """One agent."""
    roster = Roster(here, days)
    found = roster.known.get(name)
    if found is None:
        _unknown(name)
    return roster.view(found)


@router.get("/conditions/schema")
def condition_schema(_who: Viewer, root: Annotated[str, Query(max_length=40)] = "") -> ConditionSchema:
    """What conditions may name, for completion: of one root, or all."""
    schema = Schema.default()
    if root and root not in schema.roots:
        unknown("root", root, f"one of {', '.join(schema.roots)}", "leave it out for all")
    entries = (schema.only(root) if root else schema).entries()
    roots = [Known(path=one.path, type=str(one.type), summary=one.summary) for one in entries]
    return ConditionSchema(roots=roots, functions=sorted(FUNCTIONS))


@router.patch("/agents/{name:name}")
def amend(here: Here, who: Operator, name: str, given: AgentChange) -> AgentDone:
    """Change what the registry says of an agent; every process follows at its next request."""
    changes = given.model_dump(exclude={"why"}, exclude_none=True)
    changes = {key: value for key, value in changes.items() if value not in ({}, [])}
    if given.labels:
        changes["labels"] = given.labels  # an empty value takes a label away
    if not changes:
        raise ProblemError(
            422, "invalid", "there is nothing to change", expected="status, team, environment, labels, permit or forbid"
        )
    tools = [*changes.get("permit", ()), *changes.get("forbid", ())]
    return _amend(here, who, name, changes, given.why, tools)


@router.post("/agents/{name:name}/tools/{tool:name}/suspend")
def suspend_tool(here: Here, who: Operator, name: str, tool: str, given: Because) -> AgentDone:
    """Take a tool from an agent, whatever is permitted."""
    return _amend(here, who, name, {"tools": {tool: "suspended"}}, given.why, [tool])


@router.post("/agents/{name:name}/tools/{tool:name}/resume")
def resume_tool(here: Here, who: Operator, name: str, tool: str, given: Because) -> AgentDone:
    """Give a suspended tool back."""
    return _amend(here, who, name, {"tools": {tool: "active"}}, given.why, [tool])


@router.post("/agents/{name:name}/suspend")
def suspend(here: Here, who: Operator, name: str, given: Because) -> AgentDone:
    """Let an agent do nothing, in any process, until it is resumed."""
    return _amend(here, who, name, {"status": "suspended"}, given.why)


@router.post("/agents/{name:name}/resume")
def resume(here: Here, who: Operator, name: str, given: Because) -> AgentDone:
    """Let an agent act again."""
    return _amend(here, who, name, {"status": "active"}, given.why)


def _amend(
    here: Console, who: Login, name: str, changes: dict[str, Any], why: str, tools: list[str] | None = None
) -> AgentDone:
    roster = Roster(here, 1)
    known = roster.known.get(name)
    if known is None:
        _unknown(name)
    if (tools or changes.get("status") == "suspended") and is_reported(roster.entries.get(name)):
        refuse("agent", name)
    names = {one.name for one in known.tools}
    for one in tools or ():
        if one not in names:
            unknown("tool", one, f"a tool of agent '{name}'", "GET /api/v1/agents/NAME lists them")
    at = here.person(who).amend(name, changes, why)
    return AgentDone(agent=name, done="amended", changes=changes, who=who.name, why=why, at=at)


def _condition(where: str) -> Condition:
    try:
        return agent_query(where)
    except ConditionError as error:
        fault = Fault(
            place="query.where",
            message=error.message,
            line=error.line,
            column=error.column,
            value=where[:200],
            hint=f"did you mean {error.suggestion}?" if error.suggestion else "",
        )
        raise ProblemError(
            400,
            "condition",
            f"line {error.line}, column {error.column}: {error.message}",
            what="where",
            value=where,
            expected="a condition over `agent`, as in a bundle's `agents:`",
            hint=fault.hint or "GET /api/v1/conditions/schema?root=agent lists what may be named",
            errors=[fault],
        ) from error


def _unknown(name: str) -> NoReturn:
    unknown("agent", name, "an agent's name", "GET /api/v1/agents lists them")
