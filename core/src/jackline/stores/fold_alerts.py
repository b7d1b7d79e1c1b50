"""What each kind of event says of alerts: that one fired, how, and that it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline import events

if TYPE_CHECKING:
    from jackline.stores.rollups import Batch

GROUP = ("agent", "session", "tool")


def fold_alert(batch: Batch, event: Any, stamp: str) -> None:
    """Take an event of an alert into the batch; any other changes nothing."""
    if isinstance(event, events.AlertFired):
        names = ("state", "value", "threshold", "unit", "message")
        part = {name: getattr(event, name) for name in names} | {"fired_by": stamp, "fired_at": event.at}
    elif isinstance(event, events.AlertResolved):
        part = {"resolved_by": stamp, "resolved_at": event.at, "resolved_message": event.message}
    else:
        return
    same = {name: getattr(event, name) for name in ("rule", "signal", "severity", "since")}
    group = {name: event.group.get(name, "") for name in GROUP}
    batch.add("alerts", (event.alert,), same | group | part)
