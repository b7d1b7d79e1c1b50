"""`approvals`: what agents want to do and may not before people agree, and what people say to it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from jackline.cli import output, state
from jackline.cli.notify import given_up
from jackline.errors import JacklineError
from jackline.wording import counted

if TYPE_CHECKING:
    from jackline.answers import Say
    from jackline.approvals import Approvals, Asked
    from jackline.home import Home
    from jackline.stores import ApprovalRow

Id = Annotated[str, typer.Argument(metavar="ID", help="An approval's id, or at least six digits of its beginning.")]
Why = Annotated[str, typer.Option(help="The reason, for the record; the agent is told it.")]
As = Annotated[str, typer.Option("--as", help="The approver whose key signs; needed where you have several.")]
Under = Annotated[Path, typer.Option("--bundle", help="The bundle that says who may answer.")]

_BUNDLE = Path("jackline.yaml")
_COLUMNS = ("approval", "state", "agent", "wants to", "policy", "asked", "lapses in", "answers")
_STYLES = {"pending": "yellow", "denied": "red", "expired": "red", "consumed": "green"}
_DONE = {"approve": "approved", "deny": "denied", "edit": "approved with other arguments", "respond": "answered"}


def list_(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: output.Json = False,
) -> None:
    """List what waits for people, the oldest first.

    For example: jackline approvals list
    """
    now = time.time()
    rows = [(one, _state(one, now)) for one in sorted(_readable(ctx.obj), key=lambda one: one.question.asked)]
    rows = [(one, how) for one, how in rows if all_ or how == "pending"]
    gone = _gone(ctx.obj, {one.folder.name for one, _ in rows}) if all_ else []
    if as_json:
        output.answer({"approvals": [*map(_told, gone), *(_plain(one, how) for one, how in rows)]})
        return
    if rows or gone:
        shown = [*(_row_of_index(row, now) for row in gone), *(_row(one, how, now) for one, how in rows)]
        output.show(output.table(_COLUMNS, shown))
    else:
        output.say("nothing waits for people")
    dead, _ = given_up(ctx.obj)
    if dead:
        output.note(f"{counted(dead, 'notice was', 'notices were')} given up; see: jackline approvals notify")


def show(ctx: typer.Context, approval: Id, as_json: output.Json = False) -> None:
    """Show one question in full: the exact arguments, who may answer, and what was answered.

    For example: jackline approvals show 4f1c2a
    """
    one = _approvals(ctx.obj).named(approval)
    told = _plain(one, _state(one, time.time()))
    if as_json:
        output.answer(told)
        return
    question = one.question
    lines = {
        "approval": question.id,
        "state": told["state"],
        "agent": output.safe(question.agent),
        "wants": output.safe(f"{question.action} '{question.resource}'"),
        "because": output.safe(f"policy '{question.policy}' asks: {question.reason}"),
        "session": question.session,
        "for": output.safe(question.user or "nobody named"),
        "asked": output.moment(question.asked),
        "lapses": output.moment(question.expires),
        "needs": f"{question.needed} of {', '.join(question.to) or 'all approvers'}",
        "arguments": json.dumps(question.args, indent=2, ensure_ascii=False),
    }
    for said in told["answers"]:
        lines[f"{said['who']} says"] = f"{said['say']}: {said['why'] or 'no reason given'} (not verified here)"
    output.show(output.table(("", ""), list(lines.items())))


def approve(
    ctx: typer.Context,
    approval: Id,
    why: Why = "",
    as_: As = "",
    bundle: Under = _BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Agree to an act exactly as it was asked about. It may be done once, until the question lapses.

    For example: jackline approvals approve 4f1c2a --why "known customer"
    """
    _answer(ctx.obj, approval, "approve", why, as_, bundle, as_json=as_json)


def deny(
    ctx: typer.Context,
    approval: Id,
    why: Why,
    as_: As = "",
    bundle: Under = _BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Refuse an act: one no is enough.

    For example: jackline approvals deny 4f1c2a --why "no receipt"
    """
    _answer(ctx.obj, approval, "deny", why, as_, bundle, as_json=as_json)


def edit(
    ctx: typer.Context,
    approval: Id,
    args: Annotated[str, typer.Option(help="All arguments, as JSON: those to use in place of the agent's.")],
    why: Why = "",
    as_: As = "",
    bundle: Under = _BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Agree to the act with other arguments. They are judged again like any others.

    For example: jackline approvals edit 4f1c2a --args '{"order": "A-1", "amount": 450}'
    """
    try:
        given = json.loads(args)
    except ValueError as error:
        raise typer.BadParameter(f"--args is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise typer.BadParameter('--args is no map: write all arguments by name, such as {"amount": 450}')
    _answer(ctx.obj, approval, "edit", why, as_, bundle, as_json=as_json, args=given)


def respond(
    ctx: typer.Context,
    approval: Id,
    text: Annotated[str, typer.Option(help="What the agent is told in place of a result.")],
    as_: As = "",
    bundle: Under = _BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Answer the agent in the act's place: the act is not done.

    For example: jackline approvals respond 4f1c2a --text "offer a voucher instead"
    """
    _answer(ctx.obj, approval, "respond", text, as_, bundle, as_json=as_json)


def key(
    name: Annotated[str, typer.Argument(help="The approver's name, as the bundle will have it.")],
    as_json: output.Json = False,
) -> None:
    """Make your key, and print the line that the bundle pins. The private half stays in your configuration folder.

    For example: jackline approvals key ana
    """
    from jackline.cli import keys  # noqa: PLC0415 - only approvers have keys

    path, public, new = keys.made(name)
    if as_json:
        output.answer({"name": name, "key": public, "file": str(path), "new": new})
        return
    output.note(f"{'made' if new else 'found'} {path}; keep it to yourself. Under `approvers:` of the bundle:")
    output.say(keys.pinned(name, public))


def _answer(
    home: Home,
    approval: str,
    say: Say,
    why: str,
    as_: str,
    bundle: Path,
    *,
    as_json: bool,
    args: dict[str, Any] | None = None,
) -> None:
    from jackline import person  # noqa: PLC0415 - only where somebody answers
    from jackline.answers import REFUSING  # noqa: PLC0415
    from jackline.cli import keys  # noqa: PLC0415
    from jackline.cli.status import found  # noqa: PLC0415

    if say in REFUSING and not why.strip():
        raise JacklineError("say why: the agent is told it, and it stands in the record")
    one = _approvals(home).named(approval)
    question = one.question
    person.refuse_late(one, person.standing(one, time.time()))
    if bundle != _BUNDLE and not bundle.exists():
        raise JacklineError(f"there is no bundle {bundle}; nothing was signed")
    key, under = keys.load(as_), person.Under(found(bundle, home), str(bundle))
    doubt = state.somebody(home).answer(one, say, why, key, under, args).doubt
    who, alone = key[0], person.alone(one)
    if as_json:
        told = {"approval": question.id, "done": say, "who": who, "why": why}
        output.answer({**told, "self_approval_possible": alone, "unverified": doubt})
        return
    output.say(f"approval {question.id[:12]} {_DONE[say]} by {who}{f': {why}' if why else ''}")
    if doubt:
        output.note(f"whether a guard counts it was not looked at: {doubt}; name the agents' bundle: --bundle FILE")
    if alone:
        output.note(
            "self-approval possible: the agent runs as the same user as you, and can read your key; "
            "run agents as a user of their own"
        )


def _readable(home: Home) -> list[Asked]:
    """Every question that can be read. One that cannot be is told beside them: it hides no other."""
    found = []
    for one in _approvals(home).all():
        try:
            one.question, one.ended()
        except JacklineError as error:
            output.note(str(error))
        else:
            found.append(one)
    return found


def _approvals(home: Home) -> Approvals:
    from jackline.approvals import Approvals  # noqa: PLC0415 - only these verbs read them

    return Approvals(home.approvals)


def _state(one: Asked, now: float) -> str:
    from jackline.person import standing  # noqa: PLC0415 - only these verbs ask

    return standing(one, now)


def _gone(home: Home, known: set[str]) -> list[ApprovalRow]:
    """Those that the journals tell of and whose files are removed, the oldest first."""
    if not any(home.journals.glob("*.jsonl")):
        return []
    with state.index(home) as found:
        found.tell()
        rows = found.store.approvals()
    return [row for row in reversed(rows) if row.approval not in known]


def _told(row: ApprovalRow) -> dict[str, Any]:
    """As `_plain` of one whose files are there; `removed`: they are not, and only a digest is left of its arguments."""
    names = ("asked", "expires", "action", "resource", "agent", "session", "policy", "rule", "reason", "to", "needed")
    told = {name: getattr(row, name) for name in (*names, "run", "span")}
    say = {"denied": "respond" if row.responded else "deny"}.get(row.state, "edit" if row.edited else "approve")
    answers = [{"who": who, "say": say, "at": row.ended, "why": row.why} for who in row.by]
    return {"id": row.approval, "state": row.state, **told, "answers": answers, "removed": True}


def _row_of_index(row: ApprovalRow, now: float) -> tuple[Any, ...]:
    told = _told(row)
    answers = ", ".join(f"{said['who']}: {said['say']}" for said in told["answers"])
    how = output.text(row.state, _STYLES.get(row.state, ""))
    left = output.span(row.expires - now) if row.state == "pending" and row.expires > now else ""
    act = f"{row.action} {row.resource}"
    return (row.approval[:12], how, row.agent, act, row.policy, output.moment(row.asked), left, answers)


def _plain(one: Asked, how: str) -> dict[str, Any]:
    return {"state": how, **msgspec.to_builtins(one.question), "answers": one.claims()}


def _row(one: Asked, how: str, now: float) -> tuple[Any, ...]:
    question = one.question
    answers = ", ".join(f"{said['who']}: {said['say']}" for said in one.claims())
    return (
        question.id[:12],
        output.text(how, _STYLES.get(how, "")),
        question.agent,
        f"{question.action} {question.resource}",
        question.policy,
        output.moment(question.asked),
        output.span(question.expires - now) if how == "pending" else "",
        answers,
    )
