"""One question in its folder: what was said to it, and how it stands by that."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.answers import REFUSING, Answer, AnswerError, claimed, verified
from jackline.approvals.files import put
from jackline.approvals.question import ApprovalError, Closed, Question, Standing, digest
from jackline.plain import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jackline.answers import Approver, Say
    from jackline.approvals.question import End

_decode_question = msgspec.json.Decoder(Question).decode
_decode_closed = msgspec.json.Decoder(Closed).decode


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

    def readable(self) -> bool:
        """Whether the question can be read."""
        try:
            return bool(self.question)
        except ApprovalError:
            return False

    def ended(self) -> End | None:
        """How it ended; None while it is open."""
        closed = self.closing()
        return closed.state if closed is not None else None

    def closing(self) -> Closed | None:
        """How and when it ended; None while it is open."""
        path = self.folder / "closed.json"
        try:
            return _decode_closed(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:  # nothing is done on its word
            raise ApprovalError(f"how the question in {self.folder} ended cannot be read: {error}") from error

    def standing(self, approvers: Mapping[str, Approver], needed: int, now: float) -> Standing:
        """How it stands by the answers of these approvers, of whom `needed` must agree."""
        question = self.question
        closed = self.closing()
        begun = closed is not None and closed.state == "consumed" and self._interrupted()
        if closed is not None and not begun:
            return self._ended(closed, approvers)
        if now >= question.expires and not begun:
            return Standing(state="expired")
        refused: list[tuple[str, str]] = []
        latest: dict[str, Answer] = {}
        for name, data in self._answers():
            try:
                answer = self._verified(data, approvers)
            except AnswerError as error:
                refused.append((name, str(error)))
                continue
            before = latest.get(answer.who)
            if answer.say not in REFUSING and (before is None or _order(before) < _order(answer)):
                latest[answer.who] = answer
        most = _agreed(latest.values(), max(1, needed))
        names = tuple(sorted(answer.who for answer in most))
        return Standing(
            state="approved" if len(most) >= max(1, needed) else "consumed" if begun else "pending",
            begun=begun,
            by=names,
            why="; ".join(answer.why for answer in most if answer.why),
            args=most[0].args if most else None,
            refused=tuple(refused),
        )

    def claims(self) -> list[dict[str, Any]]:
        """What the answers here say of themselves (`who`, `say`, `why`, `args`): a guard looks at the signatures."""
        return [answer for answer in map(claimed, self.said()) if answer is not None]

    def said(self) -> list[bytes]:
        """Every answer as it was given, whoever gave it."""
        closed = self.closing()
        found = [data for _, data in self._answers()]
        return [*found, closed.answer.encode()] if closed is not None and closed.answer else found

    def answer(self, data: bytes, say: Say, now: float) -> End | None:
        """Keep a signed answer; a refusing one ends the question. How it had ended, where it came too late."""
        if say in REFUSING:
            return self.close("denied", now, data.decode())
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.json"
        if self.ended() is None:
            put(self.folder / "answers" / name, data)
        return self.ended()

    def close(self, state: End, now: float, answer: str = "") -> End | None:
        """End the question. None where this call did it, else how it had ended before."""
        end = Closed(state=state, at=now, answer=answer)
        while not put(self.folder / "closed.json", msgspec.json.encode(end)):
            before = self.ended()
            if before is not None:
                return before
        return None

    def interrupted(self, now: float) -> None:
        """Note that the act which used it up was interrupted: whoever makes the same call again may go on, once."""
        self._note("interrupted", self._noted("interrupted"), now)

    def go_on(self, now: float) -> bool:
        """Take up an act that was interrupted; whether this call did it, and nobody else had."""
        gone_on = self._noted("gone-on")  # before the other: whoever is faster has taken this number
        return self._noted("interrupted") > gone_on and self._note("gone-on", gone_on, now)

    def mark(self) -> tuple[bool, int]:
        """Something that is another one after every answer: cheap enough to look at often."""
        with contextlib.suppress(OSError):
            return (self.folder / "closed.json").exists(), (self.folder / "answers").stat().st_mtime_ns
        return (self.folder / "closed.json").exists(), 0

    def _interrupted(self) -> bool:
        return self._noted("interrupted") > self._noted("gone-on")

    def _noted(self, what: str) -> int:
        return sum(1 for _ in self.folder.glob(f"{what}.*.json"))

    def _note(self, what: str, number: int, now: float) -> bool:
        return put(self.folder / f"{what}.{number}.json", msgspec.json.encode({"at": now}))

    def _verified(self, data: bytes, approvers: Mapping[str, Approver]) -> Answer:
        question = self.question
        return verified(data, approval=question.id, question=self.fingerprint, approvers=approvers)

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


def _order(answer: Answer) -> tuple[float, str, bytes]:
    """Answers by when they were given; those of one moment by who gave them, never by what a file is called."""
    return answer.at, answer.who, canonical(answer.args)


def _agreed(answers: Iterable[Answer], needed: int) -> list[Answer]:
    """Those who agree on the same arguments: of several such groups, the one that was large enough first.

    So what is approved does not change any more by what others say later. Where none is large enough, the largest.
    """
    agreed: dict[bytes, list[Answer]] = {}
    for answer in sorted(answers, key=_order):
        agreed.setdefault(canonical(answer.args), []).append(answer)
    enough = [group for group in agreed.values() if len(group) >= needed]
    if enough:
        return min(enough, key=lambda group: _order(group[needed - 1]))
    return max(agreed.values(), key=len, default=[])


def asked_in(folder: Path) -> Iterator[Asked]:
    """The questions of one action; one that is taken away meanwhile is passed over."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for each in sorted(folder.iterdir()):
            asked = Asked(each)
            if (each / "question.json").exists() and (asked.readable() or each.exists()):
                yield asked
