"""What a person does to agents, whoever asks for it: each act is on record with who and why, and then in force.

The command line and the console do the same through this module; only the journal that they write to differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from jackline.answers import REFUSING, Answer, sign
from jackline.control import Control
from jackline.entitlement import entitlement
from jackline.errors import BundleError, JacklineError
from jackline.events import (
    AgentAmended,
    ApprovalAnswerRefused,
    ApprovalApproved,
    ApprovalDenied,
    BundleChanged,
    Event,
    SessionReopened,
    SessionStopped,
)
from jackline.locks import in_turn
from jackline.opening import known_schemas, open_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from jackline.answers import Say
    from jackline.approvals import Asked, Question
    from jackline.bundle import Bundle
    from jackline.home import Home


class StandingError(JacklineError):
    """What was asked for does not fit how things stand: there is nothing to lift, it is too late, it was changed."""


class MisfitError(JacklineError):
    """Arguments that a person gave in place of an agent's are none that the tool takes."""


class StrangerError(JacklineError):
    """Somebody who may not answer tried to: nothing was signed, and the attempt is on record."""


class Under(NamedTuple):
    """The bundle by which it is looked at who may answer."""

    bundle: Bundle | BundleError | None
    """Why it does not load, where it does not; None where there is none."""
    path: str
    """Its file, as the person knows it."""


class Answered(NamedTuple):
    """An answer that was given."""

    at: float
    """Unix seconds."""
    doubt: str
    """Why nobody could tell here whether it counts; empty where somebody could."""


class Changed(NamedTuple):
    """A bundle that a person put in place."""

    bundle: Bundle
    previous: str
    """The revision that was there before; empty where there was none."""
    widened: tuple[str, ...]


class Person:
    """Somebody at the controls of one home. Raises JacklineError where something cannot be done or recorded."""

    def __init__(
        self, home: Home, who: str, record: Callable[[Event], object], clock: Callable[[], float] = time.time
    ) -> None:
        """`record` puts an event on record; it raises where it cannot, and nothing is done then."""
        self.home = home
        self.who = who
        self._record = record
        self._clock = clock

    def stop(self, session: str, why: str, *, pause: bool = False) -> float:
        """End a session (its whole id), or hold it, until somebody reopens it; gives when (Unix seconds)."""
        why = _said(why)
        with self._alone(), self._control() as control:
            at = self._clock()
            self._record(SessionStopped(at=at, session=session, who=self.who, why=why, pause=pause))
            control.stop(session, self.who, why, pause=pause)
        return at

    def reopen(self, session: str, why: str) -> float:
        """Lift the end of a session, whether a policy or a person ended it. Raises StandingError."""
        why = _said(why)
        with self._alone(), self._control() as control:
            at = self._clock()
            if control.halted(session) is None and session not in control.stops():
                raise StandingError(f"session {session} was not halted, stopped or paused: there is nothing to lift")
            self._record(SessionReopened(at=at, session=session, who=self.who, why=why))
            control.reopen(session, self.who, why)
        return at

    def amend(self, agent: str, changes: dict[str, Any], why: str = "") -> float:
        """Change what the registry says of an agent (`changes` as in AgentAmended); every process follows."""
        with self._alone(), self._control() as control:
            at = self._clock()
            self._record(AgentAmended(at=at, agent=agent, who=self.who, why=why, changes=changes))
            registry = open_registry(self.home, at)
            registry.amend(agent, self.who, changes, why)
            if registry.lost:
                raise JacklineError(
                    f"{registry.path} cannot be written; the change is on record and in force once it is mended"
                )
            control.bump()
        return at

    def answer(
        self,
        asked: Asked,
        say: Say,
        why: str,
        key: tuple[str, Ed25519PrivateKey],
        under: Under,
        args: dict[str, Any] | None = None,
    ) -> Answered:
        """Answer a question as the approver whose name and key are given.

        Raises StandingError where it is too late, StrangerError where no guard would count it, MisfitError where `args`
        do not fit the tool. Whether the answer counts, the guard decides.
        """
        if say in REFUSING and not why.strip():
            raise JacklineError("say why: the agent is told it, and it stands in the record")
        now, question = self._clock(), asked.question
        refuse_late(asked, standing(asked, now))
        who, private = key
        refusal, doubt = entitlement(question, who, private, under.bundle, under.path)
        if refusal:
            self.refuse(question, refusal)
        if args is not None:
            self._refuse_misfit(question, args)
        given = Answer(approval=question.id, question=asked.fingerprint, say=say, who=who, at=now, why=why, args=args)
        told: dict[str, Any] = {"at": now, "approval": question.id, "session": question.session, "who": who, "why": why}
        if say in REFUSING:
            self._record(ApprovalDenied(**told, responded=say == "respond"))
        else:
            self._record(ApprovalApproved(**told, edited=say == "edit"))
        before = asked.answer(sign(given, private), say, now)
        if before is not None:  # somebody was faster, between the look at it and this
            self._note_refused(question, f"the answer of '{who}' came too late: it was {before} already")
            refuse_late(asked, before)
        return Answered(now, doubt)

    def refuse(self, question: Question, why: str) -> NoReturn:
        """Put on record that somebody tried who may not answer. Raises StrangerError."""
        self._note_refused(question, why)
        raise StrangerError(f"{why}; nothing was signed, and the attempt is on record")

    def _note_refused(self, question: Question, why: str) -> None:
        at, session = self._clock(), question.session
        self._record(ApprovalAnswerRefused(at=at, approval=question.id, session=session, why=why, who=self.who))

    def activate(self, path: Path, data: bytes, why: str, *, previous: str) -> Changed:
        """Put another bundle in the place of the one in `path`; running processes follow within a second.

        `previous` is the revision that the person changed (empty: there was none). Raises BundleError with every
        problem where `data` is no bundle, StandingError where the file is not that revision any more.
        """
        from jackline.bundle import load_bundle  # noqa: PLC0415 - pydantic and YAML only where a bundle is read

        at, why = self._clock(), _said(why)
        schemas = known_schemas(self.home)
        bundle = load_bundle(data, file=str(path), tool_schemas=schemas)
        with self._alone():
            before = _bytes_of(path)
            found = hashlib.sha256(before).hexdigest() if before is not None else ""
            if found != previous:
                now = f"it is revision {found[:12]}" if found else "it is gone"
                raise StandingError(f"{path} was changed by somebody else: {now}, not {previous[:12] or 'missing'}")
            widened = _widened(before, bundle, schemas)
            self._record(
                BundleChanged(
                    at=at,
                    revision=bundle.revision,
                    source=str(path),
                    who=self.who,
                    why=why,
                    previous=previous,
                    widened=widened,
                )
            )
            _replace(path, data)
        with self._control() as control:
            control.reload()
        return Changed(bundle, previous, widened)

    def _alone(self) -> AbstractContextManager[None]:
        """Of two who do something at once, the second sees what the first did, and the record's last word holds."""
        path = self.home.make().path / "people.lock"

        def refused(error: OSError) -> JacklineError:
            return JacklineError(f"{path} cannot be made: {error.strerror}; nothing was changed")

        return in_turn(path, refused)

    def _refuse_misfit(self, question: Question, args: dict[str, Any]) -> None:
        """Arguments that the tool cannot take are not signed; the guard looks again when they are used."""
        from jackline.approvals.edits import misfit  # noqa: PLC0415 - only where somebody changes arguments

        roster = open_registry(self.home).roster
        entry = roster.entries.get(roster.parts(question.agent)[0])
        known = entry.tools.get(question.resource) if entry is not None else None
        if known is None or known.tool.fingerprint != question.fingerprint:
            return
        wrong = misfit(args, known.tool.parameters)
        if wrong:
            raise MisfitError(f"the arguments do not fit the tool '{question.resource}': {wrong}; nothing was signed")

    @contextlib.contextmanager
    def _control(self) -> Iterator[Control]:
        self.home.make()
        control = Control(self.home.control, clock=self._clock)
        try:
            yield control
        finally:
            control.close()


def standing(asked: Asked, now: float) -> str:
    """How a question stands without a bundle: whether enough have agreed, a guard tells, which knows whose count."""
    return asked.ended() or ("expired" if now >= asked.question.expires else "pending")


def refuse_late(asked: Asked, how: str) -> None:
    """Raise StandingError where a question is over."""
    if how != "pending":
        raise StandingError(f"approval {asked.question.id[:12]} is {how}: it is too late for an answer")


def alone(asked: Asked) -> bool:
    """Whether the agent that asked runs as this process's user: then it could answer in this process's name."""
    return (asked.folder / "question.json").stat().st_uid == os.getuid() if hasattr(os, "getuid") else True


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JacklineError(f"the bundle {path} cannot be read: {error.strerror}") from error


def _said(why: str) -> str:
    if not why.strip():
        raise JacklineError("say why: the reason stands in the record")
    return why


def _widened(before: bytes | None, bundle: Bundle, schemas: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    from jackline.bundle import load_bundle  # noqa: PLC0415 - as above
    from jackline.widening import widened  # noqa: PLC0415 - the same

    if before is None:
        return ()
    try:
        return widened(load_bundle(before, file=bundle.source, tool_schemas=schemas), bundle)
    except BundleError:
        return ("the bundle before could not be read: what it permitted is not known",)


def _replace(path: Path, data: bytes) -> None:
    """Write a file aside and give it its name, with the mode of the one before: no reader sees half of it."""
    target = path.resolve()  # a link stays a link
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise JacklineError(f"the bundle {path} cannot be written: {error.strerror}; nothing was changed") from error
