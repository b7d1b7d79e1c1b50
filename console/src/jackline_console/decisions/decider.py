"""What the Decision API does: a check becomes the guard's decision, a record the outcome of what was permitted."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec

from jackline.asking import Waiting
from jackline.errors import LedgerError
from jackline.events import CallerRefused, Http, Usage
from jackline.facts import host
from jackline.journal.refusals import Refusals
from jackline.plain import MAX_DEPTH, MAX_NODES, canonical, fingerprint, plain, words
from jackline.request import RETURNS, Agent, Model, Tool
from jackline.rewriting import rewrite
from jackline_console.decisions.act_log import ActLog
from jackline_console.decisions.bodies import Answer, Recorded
from jackline_console.decisions.jobs import Jobs
from jackline_console.decisions.open_acts import OpenAct, OpenActs
from jackline_console.problems import ProblemError
from jackline_console.reported import is_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Request
    from jackline_console.access.users import AgentToken
    from jackline_console.decisions.bodies import Check, Record

FRAMEWORK = "decision-api"
"""What the registry says of an agent whose token names no framework."""
_RETURNS = {action: act for act, action in RETURNS.items()}
_HIDDEN = (b'"$deep":', b'"$large":')
"""How `plain` marks what it leaves out; a key of the caller's that looks like one has a second `$`."""
_SAID = 300
_VALUE = re.compile(r"(?<=enum value) .*(?= - at )", re.DOTALL)
"""What a caller sent, in words of msgspec's: the caller is told, and it is no matter of the record."""
_ADOPT_S = 5.0
"""Seconds between two looks for what servers left that have ended."""
UNKNOWN = "outcome unknown"
MOST_TOOL_BYTES = 64 * 1024
"""Of what describes a tool."""
_MOST_NAME = 256
"""Characters of a tool's or model's name: registries of all guards remember it."""
MODEL_ACTS = ("model.call", "embedding")


class Decider:
    """One guard for every agent that asks. Used on one event loop."""

    def __init__(self, guard: Guard, clock: Callable[[], float] = time.time) -> None:
        self.guard = guard
        self.clock = clock
        log = ActLog(guard.home.path / "open_acts", guard.recorder.lose)
        self.acts = OpenActs(log, self._lapsed, self._book_what_crashed)
        self.acts.adopt()
        self._adopted = clock()
        self._jobs = Jobs(guard)
        self._agents: dict[str, Agent] = {}
        self._refusals: dict[str, Refusals] = {}

    def agent(self, token: AgentToken) -> Agent:
        """The agent of a token: as the registry knows it, or from now on as one that nothing stands in front of."""
        known = self._agents.get(token.digest)
        if known is None:
            registry = self.guard.registry
            registry.refresh()  # another process may have seen it since
            entry = registry.entries.get(token.agent)
            if entry is not None and token.version in entry.versions and not is_reported(entry):
                known = entry.facts(token.version)
            else:
                seen = Agent(
                    name=token.agent,
                    version=token.version,
                    framework=token.framework or FRAMEWORK,
                    labels={"source": FRAMEWORK},
                    managed=False,
                )
                known = registry.agent(seen, revision=self.guard.revision)
            self._agents[token.digest] = known
        return known

    def refused(self, error: ProblemError, agent: str = "", address: str = "") -> None:
        """Put on record that something could not be taken; floods of one kind are counted only."""
        problem = error.problem
        kind = problem.type.rpartition(":")[2]
        refusals = self._refusals.get(kind)
        if refusals is None:
            refusals = self._refusals[kind] = Refusals(self.guard.recorder.note)
        refusals.tell(
            CallerRefused(
                at=self.clock(),
                by=FRAMEWORK,
                what=kind,
                detail=_VALUE.sub("", problem.detail)[:_SAID],
                agent=agent,
                address=address,
            )
        )

    async def check(self, agent: Agent, asked: Check, size: int) -> Answer:
        """Decide; on record when this returns. `size`: bytes of the body. Raises ProblemError."""
        self.acts.sweep(self.clock())
        if asked.action in _RETURNS:
            return await self._check_return(agent, asked)
        self.acts.require_room(size)
        request, scope = self._request(agent, asked)
        decision = await self.guard.aasked(request)
        if isinstance(decision, Waiting):
            return _pending(request, decision)
        if not decision.permitted:
            return answer(request, decision)
        changed = self._changed(request, decision, asked.args)
        if isinstance(changed, str):
            return _unchangeable(request, decision, changed)
        if asked.action == "output":
            return answer(request, decision, args=changed)
        act = OpenAct(request, decision, scope, size, self.clock() + asked.lease_s)
        self.acts.add(act)
        judged = self.guard.judges_return(request)
        return answer(request, decision, args=changed, act=act, judge_return=judged)

    def record(self, agent: Agent, told: Record) -> Recorded:
        """Put an outcome on record, once. Raises ProblemError."""
        self.acts.sweep(self.clock())
        act = self.acts.find(told.decision, agent.name)
        guard, request, decision = self.guard, act.request, act.decision
        _require_fitting(told, act)
        usage = Usage(**msgspec.structs.asdict(told.usage)) if told.usage is not None else None
        http = Http(status=told.status) if request.action == "http.request" else None
        if told.outcome == "completed":
            result = told.result if told.digest is None else {"sha256": told.digest}
            guard.complete(request, decision, result, usage=usage, model=told.model, cached=told.cached, http=http)
        elif told.outcome == "failed":
            guard.fail(request, decision, told.error or "failed", usage=usage, http=http)
        else:
            guard.abandon(request, decision, told.error or "its agent says that it did not start")
        self.acts.end(act)
        self._end_children(act)
        return Recorded(decision=act.id)

    def sweep(self) -> None:
        """End what has outlived its lease, here or at a server that has ended since."""
        now = self.clock()
        if abs(now - self._adopted) > _ADOPT_S:
            self._adopted = now
            self.acts.adopt()
        self.acts.sweep(now)

    def close(self) -> None:
        """Leave what is open to the next server of the home. What is held for it counts as spent."""
        self.acts.sweep(self.clock())
        for act in self.acts.leave():
            if act.decision.reservation is not None:
                self.guard.book(act.decision.reservation)
            self._end_children(act)
        self._jobs.close()

    async def _check_return(self, agent: Agent, asked: Check) -> Answer:
        assert asked.decision is not None
        act = self.acts.find(asked.decision, agent.name)
        request = act.request
        if RETURNS.get(request.action) != asked.action:
            detail = f"the decision is about a {request.action}, which gives back no {asked.action}"
            raise ProblemError(422, "invalid", detail, what="action", value=asked.action)
        self.acts.start(act)
        if not self.guard.judges_return(request):
            return Answer(effect="allow", permitted=True, session=request.subject.session, span=request.span)
        result = _whole(asked.result, "result")
        returned = msgspec.structs.replace(
            request, action=asked.action, args={"result": result}, original=None, view=None, at=self.guard.clock()
        )
        decision = await self.guard.aasked(returned)
        if isinstance(decision, Waiting):
            return _pending(returned, decision)
        if not decision.permitted or decision.args is None:
            return answer(returned, decision)
        try:
            changed = rewrite(asked.result, result, decision.args["result"])
        except Exception as error:  # noqa: BLE001 - what cannot be said is withheld, whatever went wrong
            return _unchangeable(returned, decision, words(error))
        return answer(returned, decision, result=changed)

    def _request(self, agent: Agent, asked: Check) -> tuple[Request, Any]:
        args = _whole(asked.args, "args")
        if asked.parent is not None:
            act = self.acts.peek(asked.parent)
            if act is None:
                raise self.acts.gone(asked.parent)
            scope = self._jobs.within(act, agent)
            self.acts.start(act)
        else:
            scope = self._jobs.scope(agent, asked)
        resource = host(asked.resource) if asked.action == "http.request" else asked.resource
        request = self.guard.request(
            asked.action,
            resource,
            args,
            scope=scope,
            tool=_tool(asked) if asked.action == "tool.call" else None,
            model=_model(asked, args) if asked.action in MODEL_ACTS else None,
            call_id=asked.call_id,
            facts=_http(asked, resource, scope.action) if asked.action == "http.request" else None,
        )
        return request, scope

    def _changed(self, request: Request, decision: Decision, args: dict[str, Any]) -> dict[str, Any] | str | None:
        """The arguments as the decision wants them, None where they stay; a text says why they cannot be had."""
        if decision.args is None:
            return None
        try:
            return cast("dict[str, Any]", rewrite(args, request.args, decision.args))
        except Exception as error:  # noqa: BLE001 - as for a result
            if request.action != "output":
                self.guard.abandon(request, decision, "its arguments cannot be changed as policy asks")
            return words(error)

    def _book_what_crashed(self) -> None:
        try:
            self.guard.book_what_crashed()
        except LedgerError as error:  # the holds stay, and count as spent
            self.guard.recorder.lose(error)

    def _lapsed(self, act: OpenAct) -> None:
        self.guard.fail(act.request, act.decision, UNKNOWN)
        self._end_children(act)

    def _end_children(self, act: OpenAct) -> None:
        for scope in act.children.values():
            self.guard.end_run(scope)


def incomplete(asked: Sequence[Check]) -> str:
    """What is missing in checks, or too much, which no single field can say; empty where nothing is."""
    for place, one in enumerate(asked):
        where = f"[{place}]: " if len(asked) > 1 else ""
        if one.action in _RETURNS:
            if one.decision is None:
                return f"{where}`{one.action}` needs the `decision` whose result it is"
            continue
        if not one.resource:
            return f"{where}`{one.action}` needs a `resource`"
        if (one.action == "tool.call" or one.action in MODEL_ACTS) and len(one.resource) > _MOST_NAME:
            return f"{where}the name of a tool or model has at most {_MOST_NAME} characters"
        if one.decision is not None or one.result is not None:
            return f"{where}`decision` and `result` are of a return, and `{one.action}` is none"
        if bool(one.session) == (one.parent is not None):
            return f"{where}one of `session` and `parent` is needed, and not both"
    return ""


def _require_fitting(told: Record, act: OpenAct) -> None:
    """Raises ProblemError for an outcome that cannot be that of the act."""
    action = act.request.action
    if action not in MODEL_ACTS:
        for what in ("usage", "model", "cached"):
            if value := getattr(told, what):
                detail = f"`{what}` is of a model call, and the decision is about a {action}"
                raise ProblemError(422, "invalid", detail, what=what, value=str(value), expected="nothing")
    if told.outcome == "not_started" and act.started:
        detail = "the act has started: its result was judged, or something was asked for within it"
        raise ProblemError(422, "started", detail, what="outcome", value="not_started", expected="completed or failed")


def answer(
    request: Request,
    decision: Decision,
    *,
    args: dict[str, Any] | None = None,
    result: Any = msgspec.UNSET,
    act: OpenAct | None = None,
    judge_return: bool = False,
) -> Answer:
    """A decision as callers are told it."""
    return Answer(
        effect=decision.effect,
        permitted=decision.permitted,
        session=request.subject.session,
        span=request.span,
        decision=act.id if act is not None else "",
        pending=decision.effect == "escalate" and bool(decision.approvals),
        reason=decision.reason,
        policy=decision.policy,
        rule=decision.rule,
        revision=decision.revision,
        mode=decision.mode,
        would=decision.would,
        args=args,
        result=result,
        limits=decision.limits,
        approvals=decision.approvals,
        findings=decision.findings,
        judge_return=judge_return,
        expires=act.expires if act is not None else None,
    )


def refusal(error: ProblemError) -> Answer:
    """One check of a batch that could not be judged, as a denial."""
    problem = error.problem
    kind = problem.type.rpartition(":")[2]
    return Answer(
        effect="deny", permitted=False, session="", span="", reason=problem.detail, policy="jackline", rule=kind
    )


def _pending(request: Request, waiting: Waiting) -> Answer:
    return Answer(
        effect="escalate",
        permitted=False,
        pending=True,
        session=request.subject.session,
        span=request.span,
        reason="people were asked; ask again with the same call_id",
        approvals=tuple(sorted(waiting.following)),
    )


def _unchangeable(request: Request, decision: Decision, why: str) -> Answer:
    reason = f"it cannot be changed as policy asks: {why}"
    changes = {"effect": "deny", "policy": "jackline", "rule": "changed", "reason": reason, "args": None}
    return answer(request, msgspec.structs.replace(decision, **changes))


def _whole(value: Any, what: str) -> Any:
    """A value as policies see it. Raises ProblemError where they would see only a part of it."""
    shown = plain(value)
    if shown is not value:
        data = canonical(shown)
        if any(mark in data for mark in _HIDDEN):
            expected = f"at most {MAX_DEPTH} levels and {MAX_NODES} values"
            detail = f"`{what}` is too deep or has too many values to be judged as a whole"
            raise ProblemError(422, "unjudgeable", detail, what=what, expected=expected)
    return shown


def _tool(asked: Check) -> Tool:
    told = asked.tool
    if told is None:
        return Tool(name=asked.resource)
    parameters = plain(told.parameters)
    size = len(canonical(parameters)) + len(told.description.encode())
    if size > MOST_TOOL_BYTES:  # it is written and remembered whatever is decided
        detail = "`parameters` and `description` of the tool are too large"
        expected = f"at most {MOST_TOOL_BYTES} bytes together"
        raise ProblemError(422, "invalid", detail, what="tool", value=f"{size} bytes", expected=expected)
    return Tool(
        name=asked.resource,
        fingerprint=fingerprint({"parameters": parameters, "description": told.description}),
        read_only=told.read_only,
        parameters=parameters,
        labels=told.labels,
    )


def _model(asked: Check, args: dict[str, Any]) -> Model:
    size = len(canonical(args))
    told = asked.model
    if told is None:
        return Model(name=asked.resource, input_bytes=size)
    return Model(
        name=asked.resource,
        provider=told.provider,
        max_tokens=told.max_tokens,
        choices=told.choices,
        input_bytes=max(size, told.input_bytes),
        opaque_input=told.opaque_input,
        can_limit=told.can_limit,
    )


def _http(asked: Check, name: str, inside: str) -> dict[str, Any]:
    told = asked.http
    facts: dict[str, Any] = {"host": name, "proxy": "", "inside": inside}
    if told is None:
        return {"http": {**facts, "method": "GET", "scheme": "https", "port": 443, "path": "/"}}
    path = told.path.partition("?")[0] or "/"
    return {
        "http": {**facts, "method": told.method.upper(), "scheme": told.scheme.lower(), "port": told.port, "path": path}
    }
