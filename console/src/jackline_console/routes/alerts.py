"""The page *Alerts*: what fires, the rules, a rule on past data, silences. A console that runs no alerts says so."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from jackline.events import AlertSilenced, AlertSilenceLifted
from jackline_console.access.gate import Operator, Viewer
from jackline_console.alerts.preview import alerts_of, preview, rule_of
from jackline_console.models.alerts import (
    Alerts,
    Preview,
    PreviewAsked,
    Rules,
    Silence,
    SilenceAsked,
    SilenceDone,
    Silences,
)
from jackline_console.models.basics import Because
from jackline_console.problems import ProblemError, unknown
from jackline_console.routes.asking import Here, Place, made, marked, place

if TYPE_CHECKING:
    from jackline.stores import AlertRow
    from jackline_console.console import Console

router = APIRouter(tags=["alerts"])
_MONTH = 31 * 86400
_turn = threading.BoundedSemaphore(2)
"""A rule is put to work on weeks of events: whoever tries many leaves threads for everything else."""


@router.get("/alerts", response_model=Alerts)
def alerts(
    here: Here,
    _who: Viewer,
    state: Literal["firing", "all"] = "firing",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Place = "",
) -> Response:
    """Alerts that are not over, or all; the latest first. Nothing where no alerts are run."""
    if not here.alerts.running:
        return made({"items": [], "next": None, "running": False, "problem": ""})
    after = place(cursor, float, str)
    wanted = (float(after[0]), after[1]) if after is not None else None
    rows = here.store.alerts(open_only=state == "firing", after=wanted, limit=limit + 1)
    further = marked(rows[limit - 1].since, rows[limit - 1].alert) if len(rows) > limit else None
    reported = here.subjects.reported(row.group for row in rows[:limit])
    items = [_told(here, row) | {"reported": one} for row, one in zip(rows, reported, strict=False)]
    return made({"items": items, "next": further, **_how(here)})


@router.get("/alerts/rules", response_model=Rules)
def rules(here: Here, _who: Viewer) -> Response:
    """The rules in force, and how many alerts of each are not over."""
    firing: dict[str, int] = {}
    if here.alerts.running:
        for (rule, _), count in here.store.open_alerts().items():
            firing[rule] = firing.get(rule, 0) + count
    items = [rule.plain() | {"firing": firing.get(rule.name, 0)} for rule in here.alert_rules()]
    return made({"items": items, "next": None})


@router.post("/alerts/rules/preview", response_model=Preview)
def try_rule(here: Here, _who: Viewer, given: PreviewAsked) -> Response:
    """When a rule would have fired, by the events of the past."""
    if not 0 < given.until - given.since <= _MONTH:
        raise ProblemError(
            422, "invalid", "a rule is tried over at most 31 days", what="until", expected="later than `since`"
        )
    rule = rule_of(given.name, given.rule)
    if not _turn.acquire(blocking=False):
        raise ProblemError(
            429, "too-many", "other rules are being tried", hint="try again in a moment", headers={"Retry-After": "5"}
        )
    try:
        found = preview(here.store, (rule,), given.since, given.until)
    finally:
        _turn.release()
    fired = alerts_of(found.edges)
    for one, reported in zip(fired, here.subjects.reported(one["group"] for one in fired), strict=True):
        one["reported"] = reported
    return made({"fired": fired, "evaluated": found.evaluated})


@router.get("/alerts/silences", response_model=Silences)
def silences(here: Here, _who: Viewer) -> Response:
    """What nobody is told of now; the latest first."""
    return made({"items": [_silence(one) for one in here.silences.held(here.clock())], "next": None})


@router.post("/alerts/silences")
def silence(here: Here, who: Operator, given: SilenceAsked) -> SilenceDone:
    """Have nobody told of some alerts for a time; they are looked for and shown all the same."""
    known = {rule.name for rule in here.alert_rules()}
    if given.rule and given.rule not in known:
        unknown("rule", given.rule, "the name of a rule in force", "GET /api/v1/alerts/rules lists them")
    now = here.clock()
    group = {str(name): value for name, value in given.group.items()}
    event = AlertSilenced(
        at=now,
        silence=secrets.token_hex(16),
        rule=given.rule,
        group=group,
        until=now + given.for_s,
        who=who.name,
        why=given.why,
    )
    here.record(event)
    here.silences.take(event)
    return SilenceDone(done="silenced", **_silence(event))


@router.post("/alerts/silences/{silence}/lift")
def lift(here: Here, who: Operator, silence: str, given: Because) -> SilenceDone:
    """End a silence before its time."""
    now = here.clock()
    found = next((one for one in here.silences.held(now) if one.silence == silence), None)
    if found is None:
        unknown("silence", silence, "the id of a silence in force", "GET /api/v1/alerts/silences lists them")
    event = AlertSilenceLifted(at=now, silence=silence, who=who.name, why=given.why)
    here.record(event)
    here.silences.take(event)
    return SilenceDone(done="lifted", **_silence(found) | {"who": who.name, "why": given.why, "at": now})


def _how(here: Console) -> dict[str, Any]:
    return {"running": True, "problem": here.alerts.problem}


def _silence(event: AlertSilenced) -> dict[str, Any]:
    return Silence.model_validate({name: getattr(event, name) for name in Silence.model_fields}).model_dump()


def _told(here: Console, row: AlertRow) -> dict[str, Any]:
    sent = [{"channel": s.channel, "at": s.at, "ok": s.ok, "error": s.error} for s in here.alerts.sent(row.alert)]
    until = here.silences.until(row.rule, row.group, here.clock()) if row.resolved is None else None
    told = row.plain()
    del told["signal"], told["resolved_message"]
    return told | {"silenced_until": until, "sent": sent}
