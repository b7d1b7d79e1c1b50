"""From "it holds" and "it does not" to alerts: once each, when `for` is over, and not again before the cooldown."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from jackline.events import AlertFired, AlertResolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.alert_rules import AlertRule
    from jackline.stores import AlertRow
    from jackline_console.alerts.windows import Key

OK, WARNING, FIRING = 0, 1, 2
NO_DATA = -1
"""Too little to judge by: what fires stays, marked as such, for a while."""
NO_DATA_S = 900.0
MOST = 20_000
"""Groups of one rule that can be on at once."""
_NAMES = {WARNING: "warning", FIRING: "firing", NO_DATA: "no_data"}


class Facts(NamedTuple):
    """What is said of an alert."""

    value: float | None
    threshold: float | None
    unit: str
    message: str


class On:
    """A group for which a rule holds."""

    __slots__ = ("alert", "due", "facts", "firm", "key", "level", "named", "since", "told", "unknown")

    def __init__(self, key: Key, since: float, due: float) -> None:
        self.key, self.since, self.due = key, since, due
        self.alert = ""
        self.level = self.told = OK
        self.facts: Callable[[], Facts] | None = None
        self.named: dict[str, str] = {}
        self.firm = 0.0
        """What happened up to then was looked at when it fired, by a process that is gone: it resolves nothing."""
        self.unknown = 0.0
        """Since when there was too little to judge by; 0: there is enough."""


class States:
    """One rule's alerts."""

    def __init__(
        self, rule: AlertRule, names: tuple[str, ...], emit: Callable[[AlertFired | AlertResolved], None]
    ) -> None:
        """`names`: what the parts of a group's key are called. `emit` is handed each edge."""
        self.rule, self._names, self._emit = rule, names, emit
        self.on: dict[Key, On] = {}
        self._over: dict[Key, float] = {}
        """When a group's last alert was resolved."""

    def judge(self, key: Key, level: int, at: float, facts: Callable[[], Facts] | None = None, why: str = "") -> None:
        """Say how a rule stands for a group at a time (Unix seconds); `why` it is over, where it is."""
        on = self.on.get(key)
        if on is None:
            if level <= OK or at <= (over := self._over.get(key, -1.0)) or len(self.on) >= MOST:
                return
            cooled = over + self.rule.cooldown_s if over >= 0 else 0.0
            on = self.on[key] = On(key, at, max(at + self.rule.for_s, cooled))
        if level > OK:
            on.level, on.facts = level, facts
            if on.unknown:
                on.unknown = 0.0
                self._fire(on, at, on.told)
            if (not on.told and at >= on.due) or (on.told and level > on.told):
                self._fire(on, at, level)
        elif not on.told:
            del self.on[key]
        elif level == OK:
            if why or at > on.firm:
                self._resolve(on, at, why or "it does not hold any more")
        elif not on.unknown:
            on.unknown = at
            self._fire(on, at, NO_DATA)

    def tick(self, now: float) -> None:
        """Fire what has held for long enough; end what nothing is known of any more."""
        for on in list(self.on.values()):
            if not on.told and now >= on.due:
                self._fire(on, now, on.level)
            elif on.unknown and now - on.unknown >= NO_DATA_S:
                self._resolve(on, now, "too little happens to judge by")
        cooled = now - max(self.rule.cooldown_s, 1.0)
        for key in [key for key, at in self._over.items() if at < cooled]:
            del self._over[key]

    def clear(self) -> None:
        """Forget every alert, before those on record are restored."""
        self.on.clear()
        self._over.clear()

    def close(self, now: float, why: str) -> None:
        """Resolve everything."""
        for on in list(self.on.values()):
            self.judge(on.key, OK, now, why=why)

    def restore(self, row: AlertRow) -> bool:
        """Take up an alert that is on record; gives False where its group is not of this rule's kind any more."""
        key = tuple(row.group.get(name, "") for name in self._names)
        if set(row.group) != set(self._names):
            return False
        if row.resolved is not None:
            self._over[key] = max(self._over.get(key, 0.0), row.resolved)
            return True
        on = self.on[key] = On(key, row.since, row.since)
        on.alert, on.named, on.firm = row.alert, row.group, row.last
        on.level = on.told = WARNING if row.state == "warning" else FIRING
        on.unknown = row.last if row.state == "no_data" else 0.0
        kept = Facts(row.value, row.threshold, row.unit, row.message)
        on.facts = lambda: kept
        return True

    def _fire(self, on: On, at: float, level: int) -> None:
        facts = on.facts() if on.facts is not None else Facts(None, None, "", "")
        if not on.alert:
            on.alert = alert_id(self.rule.name, on.key, on.since)
            on.named = dict(zip(self._names, on.key, strict=True))
        if level > OK:
            on.told = level
        self._emit(
            AlertFired(
                at=at,
                alert=on.alert,
                rule=self.rule.name,
                signal=self.rule.kind,
                severity=self.rule.severity,
                state=_NAMES[level],  # type: ignore[arg-type]
                group=on.named,
                value=facts.value,
                threshold=facts.threshold,
                unit=facts.unit,
                message=facts.message,
                since=on.since,
            )
        )

    def _resolve(self, on: On, at: float, why: str) -> None:
        del self.on[on.key]
        self._over[on.key] = at
        rule = self.rule
        same = {"alert": on.alert, "rule": rule.name, "signal": rule.kind, "severity": rule.severity}
        self._emit(AlertResolved(at=at, group=on.named, message=why, since=on.since, **same))  # type: ignore[arg-type]


def alert_id(rule: str, key: Key, since: float) -> str:
    """32 hex digits for one rule, one group and one time: the same whenever the same events are looked at."""
    return hashlib.sha256("\0".join((rule, *key, repr(since))).encode("utf-8", "surrogatepass")).hexdigest()[:32]
