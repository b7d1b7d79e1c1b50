"""What is over does not stay for ever: lapsed questions are ended, old ones are taken away, and what a kill left."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from jackline.approvals.files import put
from jackline.approvals.question import DAY, ApprovalError
from jackline.locks import only_one

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from jackline.approvals.question import Question
    from jackline.approvals.store import Approvals

KEEP_S = 30 * DAY
"""How long a question that is over is kept after it would have lapsed, where nobody says."""
_GONE = ".gone-"
_MARK = ".pruned"


class Pruned(NamedTuple):
    """What one pass did."""

    expired: tuple[Question, ...] = ()
    """Those whose time was over and that this pass ended: the caller puts that on record."""
    removed: int = 0
    unreadable: int = 0
    """Those that cannot be read: they stay, for people to look at."""
    busy: bool = False
    """Another process is at it: nothing was done here."""


def prune(approvals: Approvals, now: float, keep: float = KEEP_S) -> Pruned:
    """End what has lapsed, and remove what is over for longer than `keep` seconds, a day at least.

    Whoever asks, answers or uses an approval meanwhile is not disturbed: what is removed could not be answered or used
    any more, and answers to it fit no later question. The journal keeps what was asked and answered.
    """
    with _alone(approvals.directory) as alone:
        if not alone:
            return Pruned(busy=True)
        _sweep(approvals.directory)
        expired: list[Question] = []
        removed = unreadable = 0
        for asked in approvals.all():
            try:
                question = asked.question
                if now >= question.expires and asked.ended() is None and asked.close("expired", now) is None:
                    expired.append(question)
                if now >= question.expires + max(keep, DAY) and asked.ended() is not None:
                    _remove(asked.folder, approvals.directory)
                    removed += 1
            except (ApprovalError, OSError):
                unreadable += 1
        return Pruned(tuple(expired), removed, unreadable)


def daily(approvals: Approvals, now: float) -> Pruned:
    """As `prune`, where that was not done for a day; else nothing."""
    mark = approvals.directory / _MARK
    with contextlib.suppress(OSError, ValueError):
        if abs(now - float(mark.read_text())) < DAY:
            return Pruned()
    pruned = prune(approvals, now)
    if not pruned.busy:
        with contextlib.suppress(OSError, ApprovalError):
            mark.unlink(missing_ok=True)
            put(mark, str(now).encode())
    return pruned


def _sweep(directory: Path) -> None:
    """Take away what a kill left: what was being removed, drafts without a question, folders with nothing in them."""
    if not directory.is_dir():
        return
    old = time.time() - DAY
    for folder in list(directory.iterdir()):
        with contextlib.suppress(OSError):
            if folder.name.startswith(_GONE):
                shutil.rmtree(folder)
            elif folder.is_dir():
                for each in list(folder.iterdir()):
                    if not (each / "question.json").exists() and each.stat().st_mtime < old:
                        _remove(each, directory)
                folder.rmdir()


def _remove(folder: Path, directory: Path) -> None:
    """Take a question away whole: readers see all of it, or nothing."""
    gone = directory / f"{_GONE}{os.urandom(8).hex()}"
    folder.rename(gone)
    shutil.rmtree(gone)
    with contextlib.suppress(OSError):  # others are in it
        folder.parent.rmdir()


def _alone(directory: Path) -> AbstractContextManager[bool]:
    """The folder's lock: whether nobody else is at it."""
    return only_one(directory) if directory.is_dir() else contextlib.nullcontext(enter_result=True)
