"""Sessions that go round in circles: the same calls with the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_console.alerts.signals.signal import Signal, whose
from jackline_console.alerts.states import FIRING, OK, Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline_console.alerts.lines import Outcome
    from jackline_console.alerts.memory import Act, Session

FAILED = "!"
"""What the result of a call that failed begins with."""
BROKEN_OFF = "~"
"""The result of one that was cancelled, or that nothing is known of."""
_LAST = 10
"""Among so many calls repeats are looked for; after so many others, a loop is over."""
_PERIODS = (2, 3, 4)


class Loop(Signal):
    """Judged when a call has its result."""

    def outcome(self, session: Session, act: Act | None, line: Outcome, at: float, failed: bool | None) -> None:
        """Look at the session's last calls."""
        if act is None or act.call is None:
            return
        session.made += 1
        told = "" if failed or failed is None else self._found(session, act.call, line.resource)
        key = (session.id,)
        if told:
            session.looped = session.made
            facts = Facts(None, None, "", f"{whose(session)} {told}")
            self.states.judge(key, FIRING, at, lambda: facts)
        elif key in self.states.on and session.made - session.looped >= _LAST:
            self.states.judge(key, OK, at, why="its last ten calls were others")

    def _found(self, session: Session, call: list[str], tool: str) -> str:
        calls = session.calls
        count = repeats(calls, call)
        if count >= self.when.repeats:
            return f"made the same call of '{tool}' {count} times, with nothing new"
        period = cycle(calls, self.when.cycles)
        return f"makes the same {period} calls in turn, for the {self.when.cycles}. time" if period else ""


def repeats(calls: Sequence[Sequence[str]], call: Sequence[str]) -> int:
    """How often a call was made among the last ten with the result that it has now, with nothing new in between."""
    name, result = call
    before = len(calls) - _LAST
    if sum(each[0] == name for each in calls) < 2:  # noqa: PLR2004 - most calls are made once
        return 1
    seen: set[str] = set()
    count, new = 0, False
    for place, (other, given) in enumerate(calls):
        if other == name:
            if given == result:
                count = (0 if new else count) + (place >= before)
            elif given and not given.startswith((FAILED, BROKEN_OFF)):
                count = 0
            new = False
        elif given and not given.startswith((FAILED, BROKEN_OFF)):
            new = new or given not in seen
        seen.add(given)
    return count


def cycle(calls: Sequence[Sequence[str]], times: int) -> int:
    """How many calls come round, with the same results, so many times up to now; 0: none."""
    size = len(calls)
    for period in _PERIODS:
        length = period * times
        if size < length or calls[-1][0] != calls[-1 - period][0]:
            continue
        last = [tuple(each) for each in calls][-length:]
        first = last[:period]
        if last == first * times and len({each[0] for each in first}) > 1 and all(each[1] for each in first):
            return period
    return 0
