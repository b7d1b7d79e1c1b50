"""What is told of one approval: who wants to do what, who may answer, and how; never what its arguments say."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.answers import REFUSING, AnswerError, verified
from jackline.journal.payloads import redact
from jackline.notices.target import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.answers import Answer, Approvers
    from jackline.approvals import Asked, Question

__all__ = ["KINDS", "Kind", "Notice", "told_of"]

_SHORT = 12
_ID_DIGITS = 32


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to one approval, as it is sent. Times are Unix seconds."""

    id: str
    """The same whenever the same thing is told again: 32 hex digits."""
    kind: Kind
    at: float
    approval: str
    """The digest of the exact act: 64 hex digits."""
    agent: str
    action: str
    resource: str
    """The tool, model or host."""
    policy: str
    rule: str = ""
    reason: str = ""
    """Why the policy asks."""
    session: str
    args: Any = None
    """The arguments with each string replaced by its length; left out where the bundle captures nothing."""
    expires: float
    needed: int
    """How many of them must agree."""
    to: tuple[str, ...] = ()
    """The approvers who may answer, by name."""
    command: str = ""
    """What an approver types to see it and to answer."""
    who: str = ""
    """Of an answer: who gave it."""
    say: str = ""
    """Of an answer: `approve`, `deny`, `edit` or `respond`."""
    why: str = ""
    """Of an answer: the reason that they gave."""
    refused: str = ""
    """Of an answer that does not count: why."""

    @property
    def about(self) -> str:
        """What is told of: the approval."""
        return self.approval

    @property
    def body(self) -> bytes:
        """What a webhook gets."""
        return msgspec.json.encode({"type": f"approval.{self.kind}", **msgspec.to_builtins(self)})

    @property
    def title(self) -> str:
        """One line for people."""
        act = f"{self.action} {self.resource}"
        said = {
            "asked": f"Approval needed: {self.agent} wants {act}",
            "answered": f"{self.who or 'somebody'} says {self.say or 'something'}: {act} of {self.agent}",
            "expired": f"Not approved in time: {act} of {self.agent}",
            "used": f"Done as approved: {act} of {self.agent}",
        }[self.kind]
        return f"Does not count: {said}" if self.refused else said

    @property
    def text(self) -> str:
        """The rest for people."""
        lines = [f"approval {self.approval[:_SHORT]}, session {self.session[:_SHORT]}"]
        lines.append(f"policy '{self.policy}' asks: {self.reason}")
        if self.args is not None:
            lines.append(f"arguments: {msgspec.json.encode(self.args).decode()}")
        if self.why or self.refused:
            lines.append(f"reason: {self.refused or self.why}")
        if self.kind == "asked":
            lines.append(
                f"{self.needed} of {', '.join(self.to) or 'nobody'} may approve it, until {_moment(self.expires)}"
            )
            lines.append(self.command)
        return "\n".join(lines)


def told_of(asked: Asked, approvers: Approvers, now: float, *, capture: str = "redacted") -> Iterator[Notice]:
    """Everything that has happened to one approval by now. Raises ApprovalError where it cannot be read.

    `approvers` are those of the bundle in force; whose answer does not count under it is said to be refused.
    """
    question = asked.question
    able = approvers.named(question.to, user=question.user)
    made = _Maker(question, asked.fingerprint, tuple(able), None if capture == "none" else redact(question.args))
    yield made.notice("asked", question.asked)
    for data in asked.said():
        try:
            answer = verified(data, approval=question.id, question=asked.fingerprint, approvers=able)
        except AnswerError as error:
            yield made.notice("answered", now, data, refused=str(error))
            continue
        yield made.answered(answer, data)
    ended = asked.closing()
    if ended is not None and ended.state in ("expired", "consumed"):
        yield made.notice("expired" if ended.state == "expired" else "used", ended.at)
    elif ended is None and now >= question.expires:
        yield made.notice("expired", question.expires)


class _Maker:
    """Makes the notices of one question."""

    def __init__(self, question: Question, fingerprint: str, able: tuple[str, ...], args: Any) -> None:
        self._fingerprint = fingerprint
        command = f"jackline approvals show {question.id[:_SHORT]}; jackline approvals approve {question.id[:_SHORT]}"
        self._same: dict[str, Any] = {
            "approval": question.id,
            "agent": question.agent,
            "action": question.action,
            "resource": question.resource,
            "policy": question.policy,
            "rule": question.rule,
            "reason": question.reason,
            "session": question.session,
            "args": args,
            "expires": question.expires,
            "needed": question.needed,
            "to": able,
            "command": command,
        }

    def notice(self, kind: Kind, at: float, data: bytes = b"", **more: Any) -> Notice:
        """One notice; its id is made of the question's file, the kind, and an answer's file."""
        told = f"{self._fingerprint} {kind} {hashlib.sha256(data).hexdigest() if data else ''}"
        name = hashlib.sha256(told.encode()).hexdigest()[:_ID_DIGITS]
        return Notice(id=name, kind=kind, at=at, **self._same, **more)

    def answered(self, answer: Answer, data: bytes) -> Notice:
        """What an approver said. What a response tells the agent may be anything, and stays here."""
        why = "" if answer.say in REFUSING and answer.say != "deny" else answer.why
        return self.notice("answered", answer.at, data, who=answer.who, say=answer.say, why=why)


def _moment(at: float) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - only where something is told to people

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
