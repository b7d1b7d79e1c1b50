"""When a rule would have fired: it is put to work on events that are over, with the time that they had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jackline.bundle import load_bundle
from jackline.errors import BundleError, Problem
from jackline.events import AlertFired
from jackline_console.alerts.baselines import StoreBaselines
from jackline_console.alerts.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.alert_rules import AlertRule
    from jackline.events import AlertResolved

WARM_S = 3600.0
_STEP_S = 5.0
_STEPS = 20_000
"""How often time passes in one preview, at most."""
_IN_A_ROW = 720
"""How often it passes while nothing happens; after an hour of steps nothing changes by itself any more."""


class Preview(NamedTuple):
    """What became of rules."""

    edges: list[AlertFired | AlertResolved]
    evaluated: int
    """Events that they were shown."""


def rule_of(name: str, said: Mapping[str, Any]) -> AlertRule:
    """A rule as a bundle says it. Raises BundleError with everything that is wrong."""
    rules = {name: {key: value for key, value in said.items() if key not in ("enabled", "channels")}}
    bundle = {"jackline": 1, "policies": [], "alerts": {"defaults": False, "rules": rules}}
    try:
        data = msgspec.json.encode(bundle)
    except UnicodeEncodeError:
        message = "the rule has half of a character in a text"
        raise BundleError(problems=(Problem("rule", 1, 1, message, "write the whole one"),)) from None
    (rule,) = load_bundle(data, file="rule").alerts
    return rule


def preview(store: Any, rules: Sequence[AlertRule], since: float, until: float) -> Preview:
    """Show rules the events between two times (Unix seconds); of the latest 100,000 lines at most."""
    edges: list[AlertFired | AlertResolved] = []
    evaluator = Evaluator(StoreBaselines(store), edges.append)
    evaluator.use(rules, since)
    evaluator.muted = True
    rows = [
        row
        for row in store.events(after=store.position_at(since - WARM_S))
        if since - WARM_S <= row.at < until and row.kind in evaluator.kinds
    ]
    rows.sort(key=lambda row: row.at)  # journals come in one after another; within one, the order stays
    step, shown = max(_STEP_S, (until - since) / _STEPS), 0
    now = since - WARM_S
    for row in rows:
        if evaluator.muted and row.at >= since:
            _settle(evaluator, since)
        now = _pass(evaluator, now, row.at, step)
        evaluator.feed(row, row.at)
        shown += row.at >= since
    if evaluator.muted:
        _settle(evaluator, since)
    _pass(evaluator, max(now, since), until, step)
    return Preview(edges, shown)


def _settle(evaluator: Evaluator, now: float) -> None:
    evaluator.muted = False
    evaluator.settle((), now)


def _pass(evaluator: Evaluator, now: float, until: float, step: float) -> float:
    """Let time pass up to `until`."""
    for _ in range(_IN_A_ROW):
        if now + step > until:
            return now
        now += step
        evaluator.tick(now)
    return until


def alerts_of(edges: list[AlertFired | AlertResolved]) -> list[dict[str, Any]]:
    """What edges tell of alerts, the latest first, as the API shows them."""
    found: dict[str, dict[str, Any]] = {}
    for event in edges:
        if isinstance(event, AlertFired):
            names = ("alert", "rule", "severity", "state", "group", "value", "threshold", "unit", "message", "since")
            told = {name: getattr(event, name) for name in names}
            found[event.alert] = told | {"resolved": None, "last": event.at, "silenced_until": None, "sent": []}
        elif event.alert in found:
            found[event.alert] |= {"state": "resolved", "resolved": event.at, "last": event.at}
    return sorted(found.values(), key=lambda one: -one["since"])
