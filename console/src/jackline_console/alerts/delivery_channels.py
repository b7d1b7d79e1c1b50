"""The channels that alerts are sent to: an outbox on disk, and a thread for each, so that none waits for another."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from jackline.notices.courier import alone
from jackline.notices.message import Counts, Tried
from jackline.notices.outbox import Outbox
from jackline.notices.target import EDGES, NoticeError
from jackline_console.alerts.delivery import AlertEvent, Sent
from jackline_console.alerts.delivery_courier import AlertCourier
from jackline_console.alerts.delivery_message import decoded, noticed, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from jackline.home import Home
    from jackline.notices.target import Target

LOOK_S = 0.5
"""How often a thread looks for what is to be tried again, and the bundle for other channels."""
REPEAT_S = 60.0
"""How often an Alertmanager is told again what fires."""
KEEP_S = 90 * 86400.0
"""How long what was sent is remembered, so that it is not sent again."""
_FORGET_S = 3600.0
_JOIN_S = 2.0

_log = logging.getLogger(__name__)


class Channel(NamedTuple):
    """How one channel stands."""

    target: Target
    last: Tried | None
    counts: Counts


class Channels:
    """The channels of a home: alerts are handed over at once, and sent when their threads come to it.

    Any process may hand over; one of them sends, who holds the outbox's lock.
    """

    def __init__(
        self,
        home: Home,
        targets: Callable[[], Sequence[Target]],
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`targets` gives those of the bundle as it is now; `environ` has the secrets that they refer to."""
        self.path = home.path / "alerts-outbox.db"
        self._targets, self._clock = targets, clock
        self._courier = AlertCourier(environ, clock, chance)
        self._outbox: Outbox | None = None
        self._opening = threading.Lock()
        self._sends: Callable[[], bool] = lambda: False
        self._ending = threading.Event()
        self._threads: dict[str, _Thread] = {}
        self._leader: threading.Thread | None = None
        self._tests: dict[str, Tried] = {}

    def deliver(self, alert: AlertEvent, channels: tuple[str, ...]) -> None:
        """Keep an edge on disk, and wake who sends it; an edge that is known is not kept again."""
        message = noticed(alert)
        named = [target for target in self._targets() if target.name in channels] if channels else self._targets()
        takers = [target._replace(on=frozenset(EDGES)) if channels else target for target in named]
        if self.outbox.take([message], takers):
            for thread in list(self._threads.values()):
                thread.wake.set()

    def sent(self, alert: str) -> Sequence[Sent]:
        """What became of an alert: the latest of each channel."""
        if self._outbox is None and not self.path.exists():
            return ()
        try:
            told = self.outbox.told(alert)
        except NoticeError:  # what fires is shown all the same
            return ()
        return [Sent(channel=one.target, at=one.at, ok=not one.error, error=one.error) for one in told]

    def listed(self) -> list[Channel]:
        """Every channel of the bundle that takes alerts, or was told of some."""
        there = self._outbox is not None or self.path.exists()
        counts = self.outbox.counts_by_target() if there else {}
        last = self.outbox.told_last() if there else {}
        for name, one in self._tests.items():
            if name not in last or last[name].at < one.at:
                last[name] = one
        return [Channel(each, last.get(each.name), counts.get(each.name, Counts(0, 0))) for each in self._targets()]

    def test(self, name: str, who: str, why: str) -> Tried | None:
        """Tell a channel something harmless, now; what it said to it. None: the bundle has no such channel."""
        target = self._named(name)
        if target is None:
            return None
        now, error = self._clock(), ""
        try:
            self._courier.deliver(tried(name, who, why, now), target)
        except NoticeError as failed:
            error = str(failed)
        self._tests[name] = Tried(name, now, error)
        return self._tests[name]

    def again(self, name: str) -> int | None:
        """Try anew what a channel was not told in the end; how many. None: the bundle has no such channel."""
        if self._named(name) is None:
            return None
        count = self.outbox.again(self._clock(), name)
        for thread in list(self._threads.values()):
            thread.wake.set()
        return count

    def start(self, sends: Callable[[], bool] = lambda: True) -> None:
        """Begin to send, in daemon threads, as soon as `sends` says so and no other process does."""
        self._sends = sends
        self._leader = threading.Thread(target=self._lead, name="jackline-alerts", daemon=True)
        self._leader.start()

    def stop(self) -> None:
        """End the threads; what they did not send stays in the outbox."""
        self._ending.set()
        if self._leader is not None:
            self._leader.join(_JOIN_S * 2)
        if self._outbox is not None and not any(thread.is_alive() for thread in self._threads.values()):
            self._outbox.close()

    @property
    def outbox(self) -> Outbox:
        """The outbox, opened when it is first asked for. Raises NoticeError."""
        with self._opening:
            if self._outbox is None:
                self._outbox = _opened(self.path, self._clock())
            return self._outbox

    def _named(self, name: str) -> Target | None:
        return next((target for target in self._targets() if target.name == name), None)

    def _lead(self) -> None:
        """Wait for the lock, then keep a thread for each channel that there is."""
        while not self._sends() or (held := _held(self.path)) is None:
            if self._ending.wait(LOOK_S):
                return
        with held:
            forgot = -_FORGET_S
            while True:
                try:
                    self._follow()
                    if time.monotonic() - forgot > _FORGET_S:
                        forgot = time.monotonic()
                        self.outbox.forget_before(self._clock() - KEEP_S)
                except Exception:  # noqa: BLE001 - whatever went wrong, it is tried again
                    _log.exception("alerts are sent again in a moment")
                if self._ending.wait(LOOK_S):
                    break
            for thread in self._threads.values():
                thread.end()
            for thread in self._threads.values():
                thread.join(_JOIN_S)

    def _follow(self) -> None:
        """A thread for each channel; one whose channel is gone ends."""
        targets = {target.name: target for target in self._targets()}
        for name, target in targets.items():
            thread = self._threads.get(name)
            if thread is None or not thread.is_alive():
                thread = self._threads[name] = _Thread(self.outbox, self._courier, target)
                thread.start()
            thread.target = target
        for name in self._threads.keys() - targets.keys():
            self._threads.pop(name).end()


class _Thread(threading.Thread):
    """Sends one channel what is due to it."""

    def __init__(self, outbox: Outbox, courier: AlertCourier, target: Target) -> None:
        super().__init__(name=f"jackline-alerts-{target.name}", daemon=True)
        self.target = target
        self.wake = threading.Event()
        self.ready = threading.Event()
        self._outbox, self._courier = outbox, courier
        self._ending = False

    def end(self) -> None:
        """Send nothing more."""
        self._ending = True
        self.wake.set()

    def run(self) -> None:
        """Send what is due, and repeat what fires, until the end."""
        self._courier.prepare(self.target)
        self.ready.set()
        repeat = time.monotonic() + REPEAT_S
        while not self._ending:
            try:
                self._courier.drain(self._outbox, self.target)
                if self.target.alertmanager and time.monotonic() >= repeat:
                    repeat = time.monotonic() + REPEAT_S
                    self._repeat()
            except NoticeError as error:
                _log.warning("%s", error)
                self.wake.wait(1.0)
            self.wake.wait(LOOK_S)
            self.wake.clear()

    def _repeat(self) -> None:
        fires = [message for message in self._outbox.standing(self.target.name) if message.kind == "fired"]
        if fires:
            self._courier.repeat(fires, self.target)


def _opened(path: Path, now: float) -> Outbox:
    """The outbox; one that a crash of the machine broke is moved away, since what fires is told anew."""
    try:
        return Outbox(path, now, decoded, durable=False)
    except NoticeError as error:
        if "malformed" not in str(error) and "not a database" not in str(error):
            raise
        aside = path.with_name(f"{path.name}.broken-{int(now)}")
        path.rename(aside)
        _log.warning("%s; it is in %s now", error, aside)
        return Outbox(path, now, decoded, durable=False)


def _held(path: Path) -> contextlib.ExitStack | None:
    """The lock, until what is given is closed; None where another has it."""
    with contextlib.ExitStack() as stack:
        try:
            if stack.enter_context(alone(path)):
                return stack.pop_all()
        except NoticeError as error:
            _log.warning("%s", error)
    return None
