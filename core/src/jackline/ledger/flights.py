"""Acts of this process whose calls were booked before they started: until they end, the calls can be given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.decision import Hold, Reservation

_MOST = 1 << 16
"""Acts that are remembered; where more never end, the calls of the oldest stay spent."""


class Flights:
    """What `reserve` booked of calls and no `settle` has ended. Used with the ledger's mutex held."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        """Calls in flight, by scope."""
        self._holds: dict[str, Sequence[Hold]] = {}

    def start(self, made: Reservation) -> None:
        """Remember a reservation of calls."""
        self._holds[made.id] = made.holds
        for hold in made.holds:
            self.calls[hold.scope] = self.calls.get(hold.scope, 0) + hold.held
        if len(self._holds) > _MOST:
            self.end(next(iter(self._holds)))

    def end(self, identifier: str) -> Sequence[Hold] | None:
        """Forget a reservation and say what it had booked; None where it is none of calls, or has ended."""
        holds = self._holds.pop(identifier, None)
        for hold in holds or ():
            left = self.calls.get(hold.scope, 0) - hold.held
            if left > 0:
                self.calls[hold.scope] = left
            else:
                self.calls.pop(hold.scope, None)
        return holds
