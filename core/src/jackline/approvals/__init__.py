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

from jackline.approvals.asked import Asked
from jackline.approvals.question import ApprovalError, Closed, End, Question, Standing, State, digest
from jackline.approvals.retention import KEEP_S, Pruned, daily, prune
from jackline.approvals.store import Approvals

__all__ = [
    "KEEP_S",
    "ApprovalError",
    "Approvals",
    "Asked",
    "Closed",
    "End",
    "Pruned",
    "Question",
    "Standing",
    "State",
    "daily",
    "digest",
    "prune",
]
