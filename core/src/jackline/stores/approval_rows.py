"""From a SQL store's rows to approvals as people see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.stores.fold_approvals import SEPARATOR
from jackline.stores.rows import ApprovalRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.stores.rows import ApprovalState


def approval_row(row: Mapping[str, Any]) -> ApprovalRow:
    """One approval. An end counts where it came after the question: it may be asked anew once the first is removed."""
    state, ended = _state(row)
    facts: dict[str, Any] = {"by": (), "why": "", "edited": False}
    if state == "consumed":
        facts = {"by": _names(row["used_by"]), "why": row["yes_why"], "edited": bool(row["used_edited"])}
    elif state == "denied":
        facts |= {"by": (row["no_who"],), "why": row["no_why"]}
    elif row["yes"] and row["yes_at"] >= row["asked_at"]:
        facts = {"by": (row["yes_who"],), "why": row["yes_why"], "edited": bool(row["yes_edited"])}
    same = {name: row[name] for name in ApprovalRow.__struct_fields__ if name in row}
    derived = {
        "state": state,
        "to": _names(row["approvers"]),
        "asked": row["asked_at"],
        "ended": ended,
        "responded": state == "denied" and bool(row["responded"]),
        "used_span": row["used_span"] if state == "consumed" else "",
    }
    return ApprovalRow(**same | facts | derived)


def _state(row: Mapping[str, Any]) -> tuple[ApprovalState, float | None]:
    ends: tuple[tuple[ApprovalState, str, str], ...] = (
        ("consumed", "used_by_line", "used_at"),
        ("denied", "no_by", "no_at"),
        ("expired", "expired_by", "expired_at"),
    )
    for state, line, at in ends:
        if row[line] and row[at] >= row["asked_at"]:
            return state, row[at]
    return "pending", None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(SEPARATOR)) if text else ()
