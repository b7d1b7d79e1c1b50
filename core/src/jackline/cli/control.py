"""`stop`, `pause` and `reopen`: a person ends a session, or lifts its end; every process follows at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from jackline.cli import output, state
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from jackline.home import Home

Session = Annotated[str, typer.Argument(help="A session's id, the beginning of it, or its external id.")]
Why = Annotated[str, typer.Option(help="The reason, for the record.")]
_ID = re.compile(r"[0-9a-f]{32}")


def stop(ctx: typer.Context, session: Session, why: Why, as_json: output.Json = False) -> None:
    """End a session: no act of it starts any more, in any process, until somebody reopens it.

    For example: jackline stop 4f1c --why "spends without end"
    """
    _stop(ctx.obj, session, why, pause=False, as_json=as_json)


def pause(ctx: typer.Context, session: Session, why: Why, as_json: output.Json = False) -> None:
    """Hold a session until it is reopened: as stop, with the reason `paused`.

    For example: jackline pause job-17 --why "waiting for finance"
    """
    _stop(ctx.obj, session, why, pause=True, as_json=as_json)


def reopen(ctx: typer.Context, session: Session, why: Why, as_json: output.Json = False) -> None:
    """Lift the end of a session, whether a policy or a person ended it.

    For example: jackline reopen job-17 --why "budget raised in PR 12"
    """
    home: Home = ctx.obj
    found, somebody = _id(home, session, why), state.somebody(home)
    somebody.reopen(found, why)
    _tell(found, "reopened", somebody.who, why, as_json=as_json)


def _stop(home: Home, session: str, why: str, *, pause: bool, as_json: bool) -> None:
    found, somebody = _id(home, session, why), state.somebody(home)
    somebody.stop(found, why, pause=pause)
    _tell(found, "paused" if pause else "stopped", somebody.who, why, as_json=as_json)


def _id(home: Home, session: str, why: str) -> str:
    """The whole id. One that is whole is taken at its word: the index may not know the session yet."""
    if not why.strip():
        raise JacklineError("say why: the reason stands in the record")
    if _ID.fullmatch(session):
        return session
    with state.index(home) as found:
        return state.session_named(found, session).session


def _tell(session: str, what: str, who: str, why: str, *, as_json: bool) -> None:
    if as_json:
        output.answer({"session": session, "done": what, "who": who, "why": why})
    else:
        output.say(f"session {session} {what} by {who}: {why}")
