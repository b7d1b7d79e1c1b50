"""Escalations that wait for a human: durable, bound to the exact action, used once.

A folder for each question, below one for its action: `approvals/<action>/<id>/` holds `question.json` (written once),
`answers/` (signed; any number, what does not verify does not count) and, at the end, `closed.json`. Each file is
written aside, synced and linked to its name, which the kernel lets one process do: so a question is asked once, and
denied, expired or consumed once, whoever races and whoever is killed meanwhile. There is no lock and no database.

The id is the SHA-256 over action, resource, the tool's fingerprint, canonical arguments, agent, session, the asking
policy and rule, and a nonce: the framework's call id, so that a replayed step is the same question and what was used
is never used again. Where a framework has none the nonce counts: a question that is over is followed by a new one.
Other arguments are another id. Whom the answers may come from, and how many are needed, is what the bundle in force
says when an approval is used, not what it said when it was asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.answers import REFUSING, Answer, AnswerError, Say, claimed, verified
from jackline.errors import JacklineError
from jackline.plain import canonical
from jackline.request import Action  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jackline.answers import Approver
    from jackline.request import Request

State = Literal["pending", "approved", "denied", "expired", "consumed"]
End = Literal["denied", "expired", "consumed"]
_HEX = re.compile(r"[0-9a-f]{6,64}")
_ACTION_DIGITS = 32
_COUNTED = "~"
"""Begins the nonce of a question whose framework names no calls."""


class ApprovalError(JacklineError):
    """An approval cannot be read, found or answered; what waits for it is not done."""


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """May this exact act be done? As the approver sees it, and as it is kept."""

    id: str
    asked: float
    """Unix seconds."""
    expires: float
    """Unix seconds; from then on the answer is no."""
    action: Action
    resource: str
    fingerprint: str = ""
    args: dict[str, Any]
    agent: str
    session: str
    user: str = ""
    """For whom the agent acts: this person may not answer."""
    policy: str
    rule: str = ""
    reason: str = ""
    nonce: str
    to: tuple[str, ...] = ()
    """Whom the bundle names; empty for every approver."""
    needed: int = 1
    """How many must say yes."""
    told: bool = False
    """Whether the agent was told that it is pending: then its next try, under another call id, is this question's."""
    run: str = ""
    span: str = ""
    revision: str = ""

    @property
    def binding(self) -> dict[str, Any]:
        """What the id is made of."""
        return {name: getattr(self, name) for name in _BOUND}


_BOUND = ("action", "resource", "fingerprint", "args", "agent", "session", "policy", "rule", "nonce")


class Closed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a question ended."""

    state: End
    at: float
    answer: str = ""
    """The signed answer that denied it."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a question stands."""

    state: State
    by: tuple[str, ...] = ()
    """Who said so."""
    why: str = ""
    args: dict[str, Any] | None = None
    """The arguments that were approved, where they are others than those asked about."""
    say: Say | None = None
    """With `denied`: whether an approver denied it or responded in its place."""
    refused: tuple[tuple[str, str], ...] = ()
    """Answers that do not count: the file's name, and why."""


_decode_question = msgspec.json.Decoder(Question).decode
_decode_closed = msgspec.json.Decoder(Closed).decode


def digest(binding: Mapping[str, Any]) -> str:
    """The id of a question."""
    return hashlib.sha256(b"jackline approval v1\n" + canonical(dict(binding))).hexdigest()


class Approvals:
    """The approvals of a home, shared by all its processes. Raises ApprovalError where they cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ask(
        self,
        request: Request,
        *,
        policy: str,
        rule: str,
        now: float,
        following: frozenset[str] = frozenset(),
        **more: Any,
    ) -> tuple[Asked, bool]:
        """The question about this act, and whether this call asked it first.

        `more` are the other fields of `Question`, without those that the request gives. `following`: ids that the
        caller has been waiting for; how they ended is its answer, where a caller that comes later asks anew.
        """
        binding: dict[str, Any] = {
            "action": request.action,
            "resource": request.resource,
            "fingerprint": request.tool.fingerprint if request.tool is not None else "",
            "args": request.args,
            "agent": request.agent.key,
            "session": request.subject.session,
            "policy": policy,
            "rule": rule,
        }
        folder = self.directory / digest(binding)[:_ACTION_DIGITS]
        known = list(_asked_in(folder))
        for one in known:
            if one.question.id in following and one.ended() not in (None, "consumed"):
                return one, False
        if request.call_id:
            for one in known:
                if one.question.nonce == request.call_id:
                    return one, False
        for one in known:
            adopted = one.question.told or not request.call_id
            if adopted and (one.ended() is None or _still_denied(one, now)):
                return one, False
        counted = sum(one.question.nonce.startswith(_COUNTED) for one in known)
        nonce = request.call_id or f"{_COUNTED}{counted}"
        made = Question(
            id=digest({**binding, "nonce": nonce}),
            asked=now,
            user=request.subject.user,
            run=request.run,
            span=request.span,
            nonce=nonce,
            **binding,
            **more,
        )
        asked = Asked(folder / made.id)
        first = _put(asked.folder / "question.json", msgspec.json.encode(made))
        return asked, first

    def all(self) -> Iterator[Asked]:
        """Every question, in no order."""
        if self.directory.is_dir():
            for folder in sorted(self.directory.iterdir()):
                yield from _asked_in(folder)

    def named(self, name: str) -> Asked:
        """The question with this id, or an id that begins so. Raises ApprovalError."""
        if not _HEX.fullmatch(name):
            raise ApprovalError(
                f"{name!r} is no approval's id: 6 to 64 hex digits were expected; see: jackline approvals"
            )
        found = [one for one in self.all() if one.folder.name.startswith(name)]
        if len(found) != 1:
            what = "no approval has" if not found else f"{len(found)} approvals have"
            raise ApprovalError(f"{what} an id that begins with '{name}'; see: jackline approvals list")
        return found[0]


class Asked:
    """One question and what became of it, as its folder says at the time of each call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._question: Question | None = None
        self.fingerprint = ""
        """SHA-256 of the question's file: what answers are signed for."""

    @property
    def question(self) -> Question:
        """The question. Raises ApprovalError where the file is not what its id says."""
        if self._question is None:
            try:
                data = (self.folder / "question.json").read_bytes()
                question = _decode_question(data)
            except (OSError, msgspec.MsgspecError) as error:
                raise ApprovalError(f"the question in {self.folder} cannot be read: {error}") from error
            if question.id != self.folder.name or digest(question.binding) != question.id:
                raise ApprovalError(f"the question in {self.folder} was changed: it is not what its id is made of")
            self._question, self.fingerprint = question, hashlib.sha256(data).hexdigest()
        return self._question

    def ended(self) -> End | None:
        """How it ended; None while it is open."""
        closed = self._closed()
        return closed.state if closed is not None else None

    def standing(self, approvers: Mapping[str, Approver], needed: int, now: float) -> Standing:
        """How it stands by the answers of these approvers, of whom `needed` must agree."""
        question = self.question
        closed = self._closed()
        if closed is not None:
            return self._ended(closed, approvers)
        if now > question.expires:
            return Standing(state="expired")
        refused: list[tuple[str, str]] = []
        latest: dict[str, Answer] = {}
        for name, data in self._answers():
            try:
                answer = self._verified(data, approvers)
            except AnswerError as error:
                refused.append((name, str(error)))
                continue
            if answer.say not in REFUSING and (answer.who not in latest or latest[answer.who].at < answer.at):
                latest[answer.who] = answer
        agreed: dict[bytes, list[Answer]] = {}
        for answer in latest.values():
            agreed.setdefault(canonical(answer.args), []).append(answer)
        most = max(agreed.values(), key=len, default=[])
        names = tuple(sorted(answer.who for answer in most))
        return Standing(
            state="approved" if len(most) >= max(1, needed) else "pending",
            by=names,
            why="; ".join(answer.why for answer in most if answer.why),
            args=most[0].args if most else None,
            refused=tuple(refused),
        )

    def claims(self) -> list[dict[str, Any]]:
        """What the answers here say of themselves (`who`, `say`, `why`, `args`): a guard looks at the signatures."""
        closed = self._closed()
        found = [data for _, data in self._answers()]
        found += [closed.answer.encode()] if closed is not None and closed.answer else []
        return [answer for answer in map(claimed, found) if answer is not None]

    def answer(self, data: bytes, say: Say, now: float) -> End | None:
        """Keep a signed answer; a refusing one ends the question. How it had ended, where it came too late."""
        if say in REFUSING:
            return self.close("denied", now, data.decode())
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.json"
        if self.ended() is None:
            _put(self.folder / "answers" / name, data)
        return self.ended()

    def close(self, state: End, now: float, answer: str = "") -> End | None:
        """End the question. None where this call did it, else how it had ended before."""
        end = Closed(state=state, at=now, answer=answer)
        while not _put(self.folder / "closed.json", msgspec.json.encode(end)):
            before = self.ended()
            if before is not None:
                return before
        return None

    def mark(self) -> tuple[bool, int]:
        """Something that is another one after every answer: cheap enough to look at often."""
        with contextlib.suppress(OSError):
            return (self.folder / "closed.json").exists(), (self.folder / "answers").stat().st_mtime_ns
        return (self.folder / "closed.json").exists(), 0

    def _verified(self, data: bytes, approvers: Mapping[str, Approver]) -> Answer:
        question = self.question
        return verified(data, approval=question.id, question=self.fingerprint, approvers=approvers)

    def _closed(self) -> Closed | None:
        """A file that cannot be read has ended the question: nothing is done on its word."""
        path = self.folder / "closed.json"
        try:
            return _decode_closed(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ApprovalError(f"how the question in {self.folder} ended cannot be read: {error}") from error

    def _ended(self, closed: Closed, approvers: Mapping[str, Approver]) -> Standing:
        if closed.state != "denied":
            return Standing(state=closed.state)
        try:
            answer = self._verified(closed.answer.encode(), approvers)
        except AnswerError as error:  # whoever wrote it can only refuse
            return Standing(state="denied", say="deny", refused=(("closed.json", str(error)),))
        say = answer.say if answer.say in REFUSING else "deny"
        return Standing(state="denied", by=(answer.who,), why=answer.why, say=say)

    def _answers(self) -> Iterator[tuple[str, bytes]]:
        folder = self.folder / "answers"
        if folder.is_dir():
            for path in sorted(folder.glob("*.json")):
                yield path.name, path.read_bytes()


def _still_denied(one: Asked, now: float) -> bool:
    """A no holds for as long as the question would have: asking again does not wear people down."""
    return one.ended() == "denied" and now <= one.question.expires


def _asked_in(folder: Path) -> Iterator[Asked]:
    if folder.is_dir():
        for each in sorted(folder.iterdir()):
            if (each / "question.json").exists():
                yield Asked(each)


def _put(path: Path, data: bytes) -> bool:
    """Write a file whole, on disk, under a name that nobody has taken; whether this call took it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(6).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        _sync(path.parent)
    except OSError as error:
        raise ApprovalError(f"{path} cannot be written: {error}. Free space or mend its rights.") from error
    finally:
        with contextlib.suppress(OSError):  # a kill leaves one as well; nobody reads it
            draft.unlink()
    return True


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
