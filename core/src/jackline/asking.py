"""Where a policy escalates: the question is put to people, and their answer becomes the decision."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from jackline.approvals import ApprovalError, Approvals, daily
from jackline.approvals.edits import misfit
from jackline.closing import Closing
from jackline.decision import Decision, Verdict
from jackline.engine import combine
from jackline.events import ApprovalAnswerRefused, ApprovalConsumed, ApprovalExpired, ApprovalRequested
from jackline.request import RETURNS
from jackline.waiting import on_event_loop

if TYPE_CHECKING:
    from jackline.answers import Approver
    from jackline.approvals import Asked, Standing
    from jackline.lifecycle import Active
    from jackline.request import Action, Request
    from jackline.session import Session

EXPIRES = 3600.0
"""Seconds until a question lapses whose policy does not say."""
_ANSWERS: frozenset[Action] = frozenset({*RETURNS.values(), "output"})
"""What was done when it is judged: it cannot be made again."""
_EDITS = 4
"""How often one act's arguments are judged anew because an approver changed them: policies that each ask in turn."""
_TRIES = 4
"""How often a question is looked at again because somebody ended it at the same moment."""


LOOK = 0.1
"""Seconds between two looks at what people said."""


class Manner(NamedTuple):
    """How a check goes on where people are asked."""

    following: frozenset[str] = frozenset()
    """The questions that it has been waiting for."""
    on_loop: bool = False
    """It runs on an event loop, which waits for no disk: come again in a thread."""


FIRST = Manner()


class Waiting(NamedTuple):
    """A check that waits for people: nothing is on record yet but the question."""

    asked: tuple[tuple[Asked, tuple[bool, int]], ...]
    """The questions, each with its mark as it was before it was looked at."""
    until: float
    epoch: int
    args: dict[str, Any] | None = None
    """The arguments as they may be shown meanwhile; None where no policy changed them."""

    @property
    def following(self) -> frozenset[str]:
        """The ids of the questions."""
        return frozenset(one.question.id for one, _ in self.asked)

    def over(self, now: float, epoch: int) -> bool:
        """Whether it is worth to look again: an answer, an expiry, or something that people did to the session."""
        return now >= self.until or epoch != self.epoch or any(one.mark() != mark for one, mark in self.asked)


class Put(NamedTuple):
    """One question of an act, and how it stands."""

    asked: Asked
    mark: tuple[bool, int]
    standing: Standing


class Answered(NamedTuple):
    """What people's answers make of a decision."""

    decision: Decision
    granted: tuple[Put, ...] = ()
    """Approvals to use up if the act goes on."""
    pending: tuple[Put, ...] = ()
    block: bool = False
    """A pending one asks to be waited for."""


class Asking(Closing):
    """The approvals of a guard."""

    @property
    def approvals(self) -> Approvals:
        """What waits for people in this home."""
        return Approvals(self.home.approvals)

    def _to_people(
        self, active: Active, session: Session, request: Request, decision: Decision, manner: Manner, epoch: int
    ) -> Answered | Waiting | None:
        """Put an escalated act to people. None: on an event loop; Waiting: come again after `over`.

        `epoch`: what people had done to sessions up to it was looked at; what came since is seen by who waits.
        """
        if manner.on_loop:
            return None
        patient = not on_event_loop()
        found = _Round(self, active, session, manner.following, patient=patient).answered(request, decision)
        if found.decision.effect == "escalate" and found.block and patient:
            marks = tuple((each.asked, each.mark) for each in found.pending)
            until = min(each.asked.question.expires for each in found.pending)
            return Waiting(marks, until, epoch, found.decision.args)
        return found

    def _after(self, waiting: Waiting, request: Request) -> Manner:
        """Wait until it is worth to look again."""
        while not waiting.over(self.clock(), self.control.epoch):
            time.sleep(LOOK)
        request.at = self.clock()
        return Manner(waiting.following)

    async def _aafter(self, waiting: Waiting, request: Request) -> Manner:
        """As `_after`, on an event loop: what it looks at are two entries of a folder, as the kernel has them."""
        from asyncio import sleep  # noqa: PLC0415 - it runs, so it is loaded

        while not waiting.over(self.clock(), self.control.epoch):  # noqa: ASYNC110 - other processes answer
            await sleep(LOOK)
        request.at = self.clock()
        return Manner(waiting.following)

    def _used(self, granted: tuple[Put, ...], request: Request) -> bool:
        """Use up the approvals of an act that is about to start; whether nobody else had."""
        now = self.clock()
        for each in granted:
            question = each.asked.question
            if each.standing.begun:
                if not each.asked.go_on(now):
                    return False
                continue
            if now >= question.expires or each.asked.close("consumed", now) is not None:
                return False
            self.recorder.note(
                ApprovalConsumed(
                    at=now,
                    approval=question.id,
                    session=question.session,
                    span=request.span,
                    by=each.standing.by,
                    edited=each.standing.args is not None,
                )
            )
        return True


class _Round:
    """One look at the questions of one act."""

    def __init__(
        self, guard: Asking, active: Active, session: Session, following: frozenset[str], *, patient: bool
    ) -> None:
        """`patient`: whoever asks can wait where it is asked to."""
        self.guard, self.active, self.session = guard, active, session
        self.following, self.patient = following, patient
        self.granted: dict[str, Put] = {}
        self.used: dict[str, Put] = {}
        self.pending: list[Put] = []
        self.refused: list[Put] = []
        self.block = False

    def answered(self, request: Request, decision: Decision) -> Answered:
        """The decision as people's answers make it. Arguments that they changed are judged again."""
        current, edit = request, None
        for _ in range(_EDITS):
            self.pending = []
            verdicts, changed = self._verdicts(current, decision)
            if changed is None:
                break
            edit = Verdict(
                effect="modify", policy=changed.policy, rule="edit", reason=changed.reason, args=changed.args
            )
            current = replace(request, args=changed.args, original=request.args, view=None)
            decision = self.active.engine.decide(current, self.session.states)
        else:
            reason = f"its arguments were changed by approvers {_EDITS} times, and a policy still asks"
            verdicts = [Verdict(effect="deny", policy="jackline", rule="edit", reason=reason)]
        if edit is not None:
            verdicts = [edit, *verdicts]
        args = decision.args if decision.args is not None else (edit.args if edit is not None else None)
        made = combine(verdicts, decision.evaluated, request, revision=decision.revision, mode=decision.mode, args=args)
        asked = tuple(self.refused or self.pending or self.used.values())
        made = replace(made, approvals=tuple(each.asked.question.id for each in asked))
        return Answered(made, tuple(self.used.values()), tuple(self.pending), self.block)

    def _verdicts(self, request: Request, decision: Decision) -> tuple[list[Verdict], Verdict | None]:
        """The verdicts with people's in place of those that escalate; the first that changes the arguments."""
        found: list[Verdict] = []
        judged = request if decision.args is None else replace(request, args=decision.args, view=None)
        for verdict in decision.verdicts:
            if verdict.effect != "escalate" or verdict.mode != "enforce":
                found.append(verdict)
                continue
            granted = self.granted.get(verdict.policy)
            if granted is not None and self._enough(granted, request, verdict):
                found.append(_allowed(verdict, granted))
                continue
            answer, put = self._fitting(request, *self._asked(judged, verdict))
            found.append(answer)
            if answer.effect == "deny" and put is not None:
                self.refused.append(put)
            if answer.effect == "allow" and put is not None:
                self.granted[verdict.policy] = put
                self.used[put.asked.question.id] = put
                if put.standing.args is not None:
                    return found, replace(answer, args=put.standing.args)
        return found, None

    @staticmethod
    def _fitting(request: Request, answer: Verdict, put: Put | None) -> tuple[Verdict, Put | None]:
        """The answer, or a refusal where the arguments that approvers gave do not fit the tool."""
        given = put.standing.args if put is not None else None
        if answer.effect != "allow" or put is None or given is None or request.tool is None:
            return answer, put
        wrong = misfit(given, request.tool.parameters)
        if not wrong:
            return answer, put
        who = " and ".join(put.standing.by)
        return _refused(answer, "edit", f"{who} changed its arguments, and they do not fit the tool: {wrong}"), put

    def _terms(self, request: Request, verdict: Verdict) -> tuple[tuple[str, ...], dict[str, Approver], int]:
        """Whom a verdict asks, who of them may answer, and how many must agree."""
        assert self.active.bundle is not None
        to = tuple(map(str, verdict.detail.get("to", ())))
        approvers = self.active.bundle.approvers.named(to, user=request.subject.user)
        return to, approvers, max(1, int(verdict.detail.get("approvals", 1)))

    def _enough(self, granted: Put, request: Request, verdict: Verdict) -> bool:
        """Whether those who changed the arguments are who would have to agree to what they made of them."""
        _, approvers, needed = self._terms(request, verdict)
        return len(approvers.keys() & set(granted.standing.by)) >= needed

    def _asked(self, request: Request, verdict: Verdict) -> tuple[Verdict, Put | None]:
        """Ask about one verdict, or see how the question stands."""
        detail = verdict.detail
        to, approvers, needed = self._terms(request, verdict)
        expires = float(detail.get("expires", EXPIRES))
        wait = detail.get("wait")
        block = wait == "block"
        kept = wait == "pause" and request.pausable and request.action not in _ANSWERS
        if len(approvers) < needed:
            reason = f"{verdict.reason} ({needed} of {', '.join(approvers) or 'nobody'} would have to approve it)"
            return _refused(verdict, "approvers", reason), None
        waits = (block and self.patient) or kept
        for _ in range(_TRIES):
            put = self._put(request, verdict, approvers, needed, {"to": to, "told": not waits}, expires)
            state = put.standing.state
            if state == "expired" and not self._expire(put):
                continue
            if state == "consumed" and put.asked.question.nonce != request.call_id:
                continue  # another call used it up since it was found: this one asks anew
            if state == "pending":
                self.pending.append(put)
                self.block = self.block or block
                question = put.asked.question
                return replace(verdict, detail={**detail, "approval": question.id, "until": question.expires}), put
            return _answer(verdict, put), put
        raise RuntimeError("its approval was ended by others again and again")

    def _put(
        self,
        request: Request,
        verdict: Verdict,
        approvers: dict[str, Approver],
        needed: int,
        terms: dict[str, Any],
        expires: float,
    ) -> Put:
        now = self.guard.clock()
        asked, first = self.guard.approvals.ask(
            request,
            policy=verdict.policy,
            rule=verdict.rule,
            now=now,
            following=self.following,
            expires=now + expires,
            needed=needed,
            reason=verdict.reason,
            revision=self.active.engine.revision,
            **terms,
        )
        if first:
            self._note_question(asked)
            self._tidy(now)
        mark = asked.mark()
        standing = asked.standing(approvers, needed, now)
        for name, why in standing.refused:
            self._note_refused(asked, name, why)
        return Put(asked, mark, standing)

    def _tidy(self, now: float) -> None:
        """Once a day, whoever asks ends what has lapsed and removes what is old; that it cannot disturbs no act."""
        try:
            expired = daily(self.guard.approvals, now).expired
        except (ApprovalError, OSError) as error:
            self.guard.recorder.lose(error)
            return
        for question in expired:
            self.guard.recorder.note(ApprovalExpired(at=now, approval=question.id, session=question.session))

    def _expire(self, put: Put) -> bool:
        """End a question whose time is over; whether it had not ended otherwise meanwhile."""
        now = self.guard.clock()
        before = put.asked.close("expired", now)
        if before is None:
            question = put.asked.question
            self.guard.recorder.note(ApprovalExpired(at=now, approval=question.id, session=question.session))
        return before in (None, "expired")

    def _note_question(self, asked: Asked) -> None:
        question = asked.question
        self.guard.recorder.note(
            ApprovalRequested(
                at=question.asked,
                approval=question.id,
                session=question.session,
                run=question.run,
                span=question.span,
                agent=question.agent,
                action=question.action,
                resource=question.resource,
                policy=question.policy,
                rule=question.rule,
                reason=question.reason,
                to=question.to,
                needed=question.needed,
                expires=question.expires,
                args=self.guard.recorder.keep(question.args)[0],
            )
        )

    def _note_refused(self, asked: Asked, name: str, why: str) -> None:
        """Once for each answer and guard: it lies there until somebody takes it away."""
        question = asked.question
        seen = self.guard.refused_answers
        if (question.id, name) not in seen:
            seen.add((question.id, name))
            self.guard.recorder.note(
                ApprovalAnswerRefused(at=self.guard.clock(), approval=question.id, session=question.session, why=why)
            )


def _answer(verdict: Verdict, put: Put) -> Verdict:
    """What people's answer makes of a verdict; only an approval permits."""
    standing, name = put.standing, put.asked.question.id[:12]
    who = " and ".join(standing.by)
    if standing.state == "approved":
        return _allowed(verdict, put)
    if standing.state == "consumed":
        return _refused(
            verdict, "used", f"approval {name} was used already: a step that is run again does nothing twice"
        )
    if standing.state == "expired":
        return _refused(verdict, "expired", f"nobody approved it in time (approval {name}): {verdict.reason}")
    if standing.say == "respond":
        return _refused(verdict, "respond", f"{who} answers: {standing.why}")
    return _refused(verdict, "denied", f"{who or 'somebody'} denied it: {standing.why or 'no reason given'}")


def _allowed(verdict: Verdict, put: Put) -> Verdict:
    standing, question = put.standing, put.asked.question
    why = f": {standing.why}" if standing.why else ""
    reason = f"approved by {' and '.join(standing.by)}{why}"
    detail = {**verdict.detail, "approval": question.id, "by": list(standing.by)}
    return replace(verdict, effect="allow", rule="approved", reason=reason, detail=detail)


def _refused(verdict: Verdict, rule: str, reason: str) -> Verdict:
    return replace(verdict, effect="deny", rule=rule, reason=reason)
