"""Alerts of one home: fed by the tail, each edge on record before anybody is told, once, over restarts as well."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.alert_rules import default_rules
from jackline.errors import JacklineError
from jackline.events import AlertFired, AlertResolved
from jackline.journal import Journal
from jackline_console.alerts.baselines import StoreBaselines
from jackline_console.alerts.delivery import AlertEvent, NoDelivery
from jackline_console.alerts.evaluator import Evaluator
from jackline_console.alerts.place import OnlyOne, Place, keep, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jackline.alert_rules import AlertRule
    from jackline.home import Home
    from jackline.stores import EventRow
    from jackline_console.alerts.delivery import Delivery, Sent
    from jackline_console.alerts.silences import Silences

TICK_S = 1.0
WARM_S = 3600.0
"""How much of the past fills windows after a start."""
_AHEAD_S = 5.0
"""How far the clock of an event may be ahead of this one's."""
_RECENT_S = 7 * 86400.0
"""The longest cooldown."""

_SLICE = 5000
"""Lines of a backlog that are looked at before the tail goes on."""
_JOURNALS = 1000
"""Of so many journals the last line that was looked at is kept; of others their time tells."""
_OWN = ("alert_fired", "alert_resolved")

_log = logging.getLogger(__name__)


class Alerts:
    """The alerter. The tail's thread feeds it; `running`, `rules` and `sent` may be asked from any."""

    def __init__(
        self,
        home: Home,
        store: Any,
        silences: Silences,
        *,
        rules: Callable[[], Sequence[AlertRule] | None] = lambda: None,
        delivery: Delivery | None = None,
        reported: Callable[[Iterable[Mapping[str, str]]], list[bool]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rules` are those in force, None where the bundle cannot tell now; `reported` tells groups that are."""
        self._home, self._store, self._silences, self._clock = home, store, silences, clock
        self._asked, self._delivery = rules, delivery if delivery is not None else NoDelivery()
        self._reported = reported
        self._only = OnlyOne(home.path)
        self._journal: Journal | None = None
        self._evaluator = Evaluator(StoreBaselines(store), self._edge)
        self._rules: tuple[AlertRule, ...] = tuple(default_rules().values())
        self._channels: dict[str, tuple[str, ...]] = {}
        self._edges: list[AlertFired | AlertResolved] = []
        """What is not on record yet."""
        self._withheld: dict[str, AlertFired] = {}
        """Alerts that nobody was told of because they were silenced."""
        self._epoch, self._position, self._at = "", 0, clock()
        self._seen: dict[str, int] = {}
        """The last line of each journal that was looked at."""
        self._kept: tuple[str, int] = ("", -1)
        self._due = 0.0
        self._passed: Place | None = None
        """After the index was made anew: what was looked at before; those lines come in again."""
        self._caught_up = False
        self.running = False
        """Whether this process looks for alerts."""
        self.problem = ""

    @property
    def rules(self) -> tuple[AlertRule, ...]:
        """Those in force."""
        return self._rules

    def sent(self, alert: str) -> Sequence[Sent]:
        """What channels were told of an alert."""
        return self._delivery.sent(alert)

    def feed(self, epoch: str, rows: Sequence[EventRow]) -> None:
        """Take in events as they came into the index, in the order of positions; others are looked up in `turn`."""
        if not self._caught_up or epoch != self._epoch:
            return
        latest = self._clock() + _AHEAD_S
        for row in rows:
            if row.position > self._position:
                self._take(row, min(row.at, latest))
        if rows:
            self._record()

    def turn(self, epoch: str, last: int, *, whole: bool = True) -> None:
        """Once for each look of the tail: begin, catch up, let time pass. `last`: the position told so far.

        `whole`: the index has all that journals had a moment ago. Before that nothing begins: alerts that are on record
        and not in the index would fire again.
        """
        now = self._clock()
        due = not 0 < self._due - now <= TICK_S
        if not self.running and (not due or not whole or not self._begin(epoch, last, now)):
            self._due = now + TICK_S if due else self._due
            return
        if epoch != self._epoch:
            self._rebased(epoch, Place(self._epoch, self._position, self._at, self._seen))
        if (self._position < last or not self._caught_up) and not self._catch_up(last, now):
            return  # a backlog is looked at slice by slice, and time does not pass before its end
        if due:
            self._due = now + TICK_S
            self._follow_rules(now)
            self._evaluator.tick(now)
            self._record()
            self._unsilence(now)
            self._keep()

    def close(self) -> None:
        """Let go of the journal and the lock."""
        if self._journal is not None:
            self._journal.close()
        if self.running:
            self._keep()
        self.running = self._caught_up = False
        self._only.free()

    def _begin(self, epoch: str, last: int, now: float) -> bool:
        """Take up where it was left: windows from the last hour, alerts and questions from the record."""
        if not self._only.held():
            return False
        self._follow_rules(now)
        left = load(self._home.path) or Place(epoch, min(last, self._store.position_at(self._at)), self._at)
        self._epoch, self._position, self._at, self._seen = epoch, left.position, left.at, dict(left.seen)
        same = left.epoch == epoch
        self._warm(left if same else Place("", last, left.at, left.seen), now)
        self._evaluator.settle(self._store.alerts(since=now - _RECENT_S, limit=100_000), now)
        if not same:
            self._rebased(epoch, left)
        self.running = True
        return True

    def _know(self, now: float) -> None:
        """Take up, once everything was looked at, what is known only of before: long sessions, questions, silences."""
        live = [row for row in self._store.live(now - WARM_S, 5000) if row.state in ("running", "open")]
        acts = self._store.running([row.session for row in live if row.running])
        self._evaluator.memory.load(live, acts, self._store.approvals())
        for row in self._store.alerts(open_only=True):
            if row.state != "no_data":
                told = {name: getattr(row, name) for name in AlertFired.__struct_fields__ if hasattr(row, name)}
                self._hand(AlertFired(**told | {"at": row.last}), now)

    def _warm(self, left: Place, now: float) -> None:
        """Fill windows from what was looked at before; nothing is emitted."""
        start = self._store.position_at(min(now, left.at) - WARM_S)
        self._evaluator.muted = True
        try:
            for row in self._store.events(after=start):
                if row.position > left.position:
                    break
                if left.epoch or left.passed(row.journal, row.seq, row.at):
                    self._evaluator.feed(row, min(row.at, now))
        finally:
            self._evaluator.muted = False

    def _rebased(self, epoch: str, left: Place) -> None:
        """The index was made anew: positions are others; what was looked at is known by its journals' lines."""
        self._passed, self._epoch, self._position, self._caught_up = left, epoch, 0, False

    def _catch_up(self, last: int, now: float) -> bool:
        """Look at what came in meanwhile, so much at a time; gives whether that is all of it."""
        shown = 0
        for row in self._store.events(after=self._position, limit=_SLICE):
            if row.position > last:
                break
            self._take(row, min(row.at, now + _AHEAD_S))
            shown += 1
        self._record()
        if shown == _SLICE:
            self._caught_up = False
            self._keep()
            return False
        self._position = last
        if not self._caught_up:
            self._caught_up = True
            self._know(now)
        return True

    def _take(self, row: EventRow, at: float) -> None:
        self._position = row.position
        if self._passed is not None and self._passed.passed(row.journal, row.seq, row.at):
            return
        self._seen[row.journal] = row.seq
        self._at = max(self._at, at)
        if row.kind in _OWN:
            event = row.event
            if isinstance(event, (AlertFired, AlertResolved)):
                self._hand(event, self._clock())
            return
        try:
            self._evaluator.feed(row, at)
        except Exception:  # noqa: BLE001 - alerts never stand in the way of what is shown; the next event is looked at all the same
            _log.exception("an event was not looked at: %s %s", row.journal, row.seq)
            self.problem = f"line {row.seq} of journal {row.journal} was not looked at"

    def _follow_rules(self, now: float) -> None:
        try:
            found = self._asked()
        except JacklineError as error:
            self.problem = str(error)
            return
        rules = self._rules if found is None else tuple(found)
        if rules != self._rules or not self._evaluator.signals:
            self._rules = rules
            self._channels |= {rule.name: rule.channels for rule in rules}
            self._evaluator.use(rules, now)

    def _edge(self, event: AlertFired | AlertResolved) -> None:
        self._edges.append(event)

    def _record(self) -> None:
        """Put edges on record; they come back with the tail, and are handed on then."""
        try:
            while self._edges:
                if self._journal is None:
                    self._journal = Journal.open(self._home.journals, writer="alerter", clock=self._clock)
                self._journal.append(msgspec.structs.replace(self._edges[0], at=self._clock()))
                del self._edges[0]
                self.problem = ""
        except JacklineError as error:
            self.problem = str(error)

    def _hand(self, event: AlertFired | AlertResolved, now: float) -> None:
        """Hand an edge that is on record to those who send; nobody is told of silenced ones."""
        if isinstance(event, AlertFired) and event.state == "no_data":
            return
        if self._silences.until(event.rule, event.group, now) is not None:
            if isinstance(event, AlertFired):
                self._withheld[event.alert] = event
                return
            self._withheld.pop(event.alert, None)
            return
        self._withheld.pop(event.alert, None)
        try:
            reported = self._reported is not None and any(self._reported([event.group]))
            self._delivery.deliver(told(event, reported=reported), self._channels.get(event.rule, ()))
        except Exception:  # noqa: BLE001 - whoever sends has a fault; the alert is on record all the same
            _log.exception("an alert was not handed over: %s", event.alert)
            self.problem = f"alert {event.alert} could not be handed to its channels"

    def _unsilence(self, now: float) -> None:
        for event in list(self._withheld.values()):
            if self._silences.until(event.rule, event.group, now) is None:
                self._hand(event, now)

    def _keep(self) -> None:
        """Note how far it was looked; not past what is not on record yet."""
        if (self._epoch, self._position) != self._kept and not self._edges:
            if len(self._seen) > _JOURNALS:
                places = self._store.positions()
                kept = sorted(self._seen, key=lambda name: places[name].clock if name in places else 0.0)[-_JOURNALS:]
                self._seen = {name: self._seen[name] for name in kept}
            keep(self._home.path, Place(self._epoch, self._position, self._at, self._seen))
            self._kept = (self._epoch, self._position)


def told(event: AlertFired | AlertResolved, *, reported: bool = False) -> AlertEvent:
    """An edge as those who send are handed it."""
    fired = event if isinstance(event, AlertFired) else None
    return AlertEvent(
        alert=event.alert,
        edge="fired" if fired else "resolved",
        rule=event.rule,
        signal=event.signal,
        severity=event.severity,
        state="resolved" if fired is None else "warning" if fired.state == "warning" else "firing",
        group=event.group,
        reported=reported,
        value=fired.value if fired else None,
        threshold=fired.threshold if fired else None,
        unit=fired.unit if fired else "",
        message=event.message,
        since=event.since,
        at=event.at,
    )
