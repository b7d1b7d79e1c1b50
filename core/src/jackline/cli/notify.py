"""`approvals notify`: the worker that tells people of what waits, and `approvals prune`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import output, state, status
from jackline.errors import BundleError, JacklineError
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.bundle import Bundle
    from jackline.home import Home
    from jackline.notices.sender import Round, Sender


def notify(
    ctx: typer.Context,
    bundle: Annotated[Path, typer.Option(help="The bundle whose `notify:` says who is told.")] = status.BUNDLE,
    watch: Annotated[bool, typer.Option("--watch/--once", help="Go on until interrupted; or one round.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two rounds.")] = 2.0,
    again: Annotated[bool, typer.Option("--again", help="Also try what was given up.")] = False,
    as_json: output.Json = False,
) -> None:
    """Tell people of questions, answers and expiries: once for each, and again until they took it.

    Exit code 1 where something was given up. For example: jackline approvals notify --watch
    """
    home: Home = ctx.obj
    senders = _senders(home, bundle)
    sender = next(senders)
    if again:
        _retry(home)
    done = sender.round()
    _tell(done, home, as_json=as_json)
    while watch:
        try:
            time.sleep(every)
        except KeyboardInterrupt:
            return
        sender = next(senders)
        before, done = done, sender.round()
        if done.new or done.sent or done.failed or (done.waiting, done.dead) != (before.waiting, before.dead):
            _tell(done, home, as_json=as_json)
    if done.dead:
        raise typer.Exit(1)


def prune(
    ctx: typer.Context,
    older: Annotated[str, typer.Option(help="Only those that lapsed so long ago; a day at least.")] = "30d",
    as_json: output.Json = False,
) -> None:
    """Remove approvals that are over, and end those that have lapsed. The journals keep what was asked and answered.

    For example: jackline approvals prune --older 90d
    """
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - only where a time is given

    from jackline.approvals import Approvals  # noqa: PLC0415 - only these verbs read them
    from jackline.approvals import prune as prune_  # noqa: PLC0415
    from jackline.events import ApprovalExpired  # noqa: PLC0415
    from jackline.options import duration  # noqa: PLC0415

    home: Home = ctx.obj
    try:
        keep = duration(older)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"--older: {error}") from None
    now = time.time()
    done = prune_(Approvals(home.approvals), now, keep)
    if done.busy:
        raise JacklineError("another process removes old approvals now: try again when it has ended")
    if done.expired:
        state.record(home, *(ApprovalExpired(at=now, approval=one.id, session=one.session) for one in done.expired))
    if as_json:
        output.answer({"expired": len(done.expired), "removed": done.removed, "unreadable": done.unreadable})
        return
    output.say(f"{counted(done.removed, 'approval')} removed, {len(done.expired)} ended that had lapsed")
    if done.unreadable:
        output.note(f"{counted(done.unreadable, 'approval')} in {home.approvals} cannot be read: look at them")


def given_up(home: Home) -> tuple[int, list[str]]:
    """How many notices nobody took, and why, one line for each target."""
    if not home.outbox.exists():
        return 0, []
    from jackline.notices.outbox import Outbox  # noqa: PLC0415 - only where there is one

    outbox = Outbox(home.outbox, time.time())
    try:
        return outbox.counts().dead, [f"{target}: {error} ({many})" for target, error, many in outbox.errors()]
    finally:
        outbox.close()


def _senders(home: Home, path: Path) -> Iterator[Sender]:
    """The sender for the bundle as the file is; a file that is broken later leaves the last good one in force."""
    from jackline.bundle import read_bundle  # noqa: PLC0415 - pydantic and YAML only where a bundle is read

    data = read_bundle(path)
    sender = _sender(home, data, path)
    while True:
        yield sender
        try:
            now = read_bundle(path)
            if now != data:
                data = now
                sender = _sender(home, data, path)
        except JacklineError as error:
            output.note(f"the bundle before stays in force: {error}")


def _sender(home: Home, data: bytes, path: Path) -> Sender:
    from jackline.notices.sender import Sender  # noqa: PLC0415 - only this verb sends

    loaded = _loaded(home, data, path)
    if not loaded.notify:
        raise JacklineError(f"{path} names nobody to be told; write `notify:` into it, as `approvers:` stands there")
    return Sender(home, loaded.notify, loaded.approvers, environ=os.environ, capture=loaded.capture)


def _loaded(home: Home, data: bytes, path: Path) -> Bundle:
    from jackline.bundle import load_bundle  # noqa: PLC0415 - as above

    try:
        return load_bundle(data, file=str(path), tool_schemas=state.registry(home).schemas())
    except BundleError as error:
        raise JacklineError(str(error)) from error


def _retry(home: Home) -> None:
    from jackline.notices.outbox import Outbox  # noqa: PLC0415 - as above

    outbox = Outbox(home.outbox, time.time())
    try:
        output.note(f"{counted(outbox.again(time.time()), 'delivery', 'deliveries')} tried anew")
    finally:
        outbox.close()


def _tell(done: Round, home: Home, *, as_json: bool) -> None:
    if done.busy:
        output.note("another process tells people already")
    if as_json:
        told: dict[str, Any] = {**done._asdict(), "errors": given_up(home)[1] if done.waiting or done.dead else []}
        output.answer(told)
        sys.stdout.flush()
        return
    output.say(f"{done.new} new, {done.sent} sent, {done.failed} failed; {done.waiting} wait, {done.dead} given up")
    sys.stdout.flush()
    for line in given_up(home)[1] if done.waiting or done.dead else []:
        output.note(line)
