"""A question as the page *Approvals* shows it to one user: how it stands, and whether they may answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jackline.answers import AnswerError, claimed, verified
from jackline.approvals import ApprovalError
from jackline.person import alone
from jackline.plain import canonical
from jackline_console.access.roles import suffices
from jackline_console.models.approvals import AnswerView, Approval
from jackline_console.models.basics import StreamEvent
from jackline_console.tail import item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.answers import Approver
    from jackline.approvals import Asked
    from jackline_console.access.logins import Login
    from jackline_console.console import Console

CONTEXT = 5


def view(here: Console, who: Login, asked: Asked, names: Mapping[str, Any]) -> Approval:
    """One question; `names` are those that this login has keys for."""
    question = asked.question
    approvers = here.questions.approvers(asked)
    standing = asked.standing(approvers, question.needed, here.clock())
    row = here.store.named([question.session])
    closing = asked.closing()
    own = sorted(name for name in names if name in approvers)
    answers = [_answer(asked, data, approvers) for data in asked.said()]
    return Approval(
        approval=question.id,
        state=standing.state,
        asked=question.asked,
        expires=question.expires,
        agent=question.agent,
        action=question.action,
        resource=question.resource,
        fingerprint=question.fingerprint,
        args=question.args,
        size=len(canonical(question.args)),
        session=question.session,
        external_id=row[0].external_id if row else "",
        user=question.user,
        run=question.run,
        span=question.span,
        policy=question.policy,
        rule=question.rule,
        reason=question.reason,
        to=list(question.to),
        needed=question.needed,
        may_answer=sorted(approvers),
        agreed=list(standing.by) if standing.state in ("pending", "approved") else [],
        answers=[one for one in answers if one is not None],
        session_cost_micro_usd=row[0].cost_micro_usd if row else 0,
        as_=own,
        cannot=cannot(here, who, asked, own, standing.state),
        self_approval_possible=alone(asked),
        ended=closing.at if closing is not None else None,
    )


def cannot(here: Console, who: Login, asked: Asked, own: list[str], state: str) -> str:
    """Why a user cannot answer a question; empty where they can."""
    question = asked.question
    if state not in ("pending", "approved"):
        return f"it is {state}"
    if not suffices(who.role, "approver"):
        return f"the role '{who.role}' only reads; 'approver' was expected"
    if own:
        return ""
    people = here.bundles.approvers()
    if not people:
        return "the bundle names no approvers: see `approvers:` in docs/policies.md"
    everybody = people.named(question.to)
    able = people.named(question.to, user=question.user)
    if any(name not in able and who.name in (name, one.user) for name, one in everybody.items()):
        return f"the agent acts for '{question.user}', who may not approve it"
    if who.name in everybody:
        return f"the bundle pins another key for '{who.name}': answer where that key is, or pin this console's"
    return f"the bundle asks {', '.join(sorted(everybody)) or 'nobody'}; there is no key here for any of them"


def context(here: Console, asked: Asked) -> list[StreamEvent]:
    """The last events of a question's session before it was asked."""
    question = asked.question
    rows = here.store.lines(question.session, until=question.asked, last=CONTEXT)
    return [StreamEvent.model_validate(json.loads(item(row).data)) for row in rows]


def readable(asked: Asked) -> bool:
    """Whether a question can be shown."""
    try:
        asked.ended()
        return bool(asked.question)
    except ApprovalError:
        return False


def _answer(asked: Asked, data: bytes, approvers: Mapping[str, Approver]) -> AnswerView | None:
    said = claimed(data)
    if said is None:
        return None
    question = asked.question
    try:
        verified(data, approval=question.id, question=asked.fingerprint, approvers=approvers)
    except AnswerError as error:
        return AnswerView(**said, counts=False, problem=str(error))
    return AnswerView(**said, counts=True, problem="")
