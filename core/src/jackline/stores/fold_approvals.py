"""What each kind of event says of approvals: who was asked, what was said to it, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.stores.rollups import Batch

SEPARATOR = "\n"
"""Between names: a bundle's names have no line break in them."""


def _requested(event: events.ApprovalRequested) -> dict[str, Any]:
    names = ("run", "span", "agent", "action", "resource", "policy", "rule", "reason", "needed", "expires", "args")
    told = {name: getattr(event, name) for name in names}
    return told | {"asked_at": event.at, "approvers": SEPARATOR.join(event.to)}


def _approved(event: events.ApprovalApproved) -> dict[str, Any]:
    return {"yes": 1, "yes_at": event.at, "yes_who": event.who, "yes_why": event.why, "yes_edited": int(event.edited)}


def _denied(event: events.ApprovalDenied) -> dict[str, Any]:
    return {"no_at": event.at, "no_who": event.who, "no_why": event.why, "responded": int(event.responded)}


def _expired(event: events.ApprovalExpired) -> dict[str, Any]:
    return {"expired_at": event.at}


def _consumed(event: events.ApprovalConsumed) -> dict[str, Any]:
    by = SEPARATOR.join(event.by)
    return {"used_at": event.at, "used_by": by, "used_span": event.span, "used_edited": int(event.edited)}


def _refused(event: events.ApprovalAnswerRefused) -> dict[str, Any]:
    return {"refused": 1, "refused_why": event.why}


_PARTS: dict[type[events.Event], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    events.ApprovalRequested: ("asked_by", _requested),
    events.ApprovalApproved: ("yes_by", _approved),
    events.ApprovalDenied: ("no_by", _denied),
    events.ApprovalExpired: ("expired_by", _expired),
    events.ApprovalConsumed: ("used_by_line", _consumed),
    events.ApprovalAnswerRefused: ("refused_by", _refused),
}
KINDS = tuple(str(kind.__struct_config__.tag) for kind in _PARTS)
"""The kinds that say something of an approval."""


def fold_approval(batch: Batch, event: Any, stamp: str) -> None:
    """Take one of these events into the batch."""
    name, part = _PARTS[type(event)]
    batch.add("approvals", (event.approval,), {name: stamp, "session": event.session, **part(event)})


def is_approval(event: Any) -> bool:
    """Whether an event says something of an approval."""
    return type(event) in _PARTS
