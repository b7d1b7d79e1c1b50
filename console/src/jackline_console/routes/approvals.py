"""The page *Approvals*: what waits for people, and their answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import msgspec
from fastapi import APIRouter, Query

from jackline.person import StrangerError
from jackline.plain import canonical
from jackline_console.access.gate import Approver, Viewer
from jackline_console.asked import cannot, context, readable, view
from jackline_console.models.approvals import (
    Approval,
    ApprovalDone,
    ApprovalList,
    ApprovalWhole,
    Edit,
    Given,
    No,
    Response,
    Yes,
)
from jackline_console.problems import ProblemError
from jackline_console.routes.asking import Here, Place, marked, place

if TYPE_CHECKING:
    from jackline.answers import Say
    from jackline.approvals import Asked
    from jackline_console.access.logins import Login
    from jackline_console.console import Console

router = APIRouter(tags=["approvals"])
_DONE = {"approve": "approved", "deny": "denied", "edit": "edited", "respond": "answered"}


@router.get("/approvals")
def approvals(
    here: Here,
    who: Viewer,
    state: Literal["pending", "all"] = "pending",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Place = "",
) -> ApprovalList:
    """What waits for people, the oldest first; with `state=all` also what is over, the latest first."""
    found = place(cursor, float, str)
    every = [asked for asked in here.questions.approvals.all() if readable(asked)]
    if state == "pending":
        every = [asked for asked in every if asked.ended() is None and here.clock() < asked.question.expires]
    every.sort(key=_order, reverse=state == "all")
    if found is not None:
        after = (float(found[0]), found[1])
        every = [asked for asked in every if (_order(asked) < after if state == "all" else _order(asked) > after)]
    names = here.signing_keys(who)
    items = [view(here, who, asked, names) for asked in every[:limit]]
    following = marked(*_order(every[limit - 1])) if len(every) > limit else None
    return ApprovalList(items=items, next=following)


@router.get("/approvals/{approval}")
def approval(here: Here, who: Viewer, approval: str) -> ApprovalWhole:
    """One question, with the last events of its session before it was asked."""
    asked = here.questions.approvals.named(approval)
    told: Approval = view(here, who, asked, here.signing_keys(who))
    return ApprovalWhole(**told.model_dump(), context=context(here, asked))


@router.post("/approvals/{approval}/approve")
def approve(here: Here, who: Approver, approval: str, given: Yes) -> ApprovalDone:
    """Agree to an act exactly as it was asked about. It may be done once, until the question lapses."""
    return _answer(here, who, approval, "approve", given, given.why)


@router.post("/approvals/{approval}/deny")
def deny(here: Here, who: Approver, approval: str, given: No) -> ApprovalDone:
    """Refuse an act: one no is enough."""
    return _answer(here, who, approval, "deny", given, given.why)


@router.post("/approvals/{approval}/edit")
def edit(here: Here, who: Approver, approval: str, given: Edit) -> ApprovalDone:
    """Agree to the act with other arguments: all of them, by name. They are judged again."""
    _require_plain(given.args)
    return _answer(here, who, approval, "edit", given, given.why, given.args)


@router.post("/approvals/{approval}/respond")
def respond(here: Here, who: Approver, approval: str, given: Response) -> ApprovalDone:
    """Answer the agent in the act's place: the act is not done."""
    return _answer(here, who, approval, "respond", given, given.text)


def _answer(
    here: Console, who: Login, approval: str, say: Say, given: Given, why: str, args: dict[str, Any] | None = None
) -> ApprovalDone:
    asked = here.questions.approvals.named(approval)
    names = here.signing_keys(who)
    told = view(here, who, asked, names)
    if told.state not in ("pending", "approved"):
        raise ProblemError(
            409,
            "too-late",
            f"approval {told.approval[:12]} is {told.state}: it is too late for an answer",
            what="approval",
            value=told.approval,
            expected="one that is pending",
        )
    own = told.as_ if given.as_ is None or given.as_ in told.as_ else []
    if not own:
        _refuse(here, who, asked, given, told)
    if given.as_ is None and len(own) > 1 and who.name not in own:
        raise ProblemError(
            422, "invalid", "say as whom", what="as", expected=f"one of {', '.join(own)}", hint='send "as"'
        )
    name = given.as_ or (who.name if who.name in own else own[0])
    try:
        at = here.person(who).answer(asked, say, why, (name, names[name]), here.bundles.under(), args).at
    except StrangerError as error:  # the bundle was changed meanwhile
        raise _stranger(str(error), name, told) from error
    now = here.questions.standing(asked, here.clock())
    return ApprovalDone(
        approval=told.approval,
        done=_DONE[say],
        who=name,
        why=why,
        at=at,
        state=now.state,
        agreed=list(now.by),
        needed=told.needed,
        self_approval_possible=told.self_approval_possible,
    )


def _refuse(here: Console, who: Login, asked: Asked, given: Given, told: Approval) -> NoReturn:
    """Say why a user may not answer; the first attempt of each is on record, however often they try."""
    reason = cannot(here, who, asked, told.as_, told.state) or f"'{given.as_}' cannot be answered as here"
    if here.questions.first_refused(told.approval, who.name):
        try:
            here.person(who).refuse(asked.question, reason)
        except StrangerError as error:
            reason = str(error)
    raise _stranger(reason, given.as_ or who.name, told)


def _stranger(reason: str, name: str, told: Approval) -> ProblemError:
    expected = ", ".join(told.may_answer)
    hint = "the bundle's `approvers:` say who may answer, and with which key"
    return ProblemError(403, "not-an-approver", reason, what="approver", value=name, expected=expected, hint=hint)


def _require_plain(args: dict[str, Any]) -> None:
    """Refuse what cannot be signed as it is: no number, half a character, more than 64 bits."""
    try:
        json.dumps(args, allow_nan=False, ensure_ascii=False).encode()
        canonical(args)
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        expected = "numbers that are numbers, integers of at most 64 bits, whole characters"
        raise ProblemError(422, "invalid", f"body.args: {error}", what="body.args", expected=expected) from error


def _order(asked: Asked) -> tuple[float, str]:
    return asked.question.asked, asked.question.id
