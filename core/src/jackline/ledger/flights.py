"""Acts of this process whose calls were booked before they started: until they end, the calls can be given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.decision import Hold, Reservation

_MOST = 1 << 16
"""Acts that are remembered; where more never end, the calls of the oldest stay spent."""


class Flight(NamedTuple):
    """Calls that one act took."""

    holds: Sequence[Hold]
    turns: Sequence[int]
    """For each of them, which part of a rolling window it was booked in; 0 for any other scope."""


class Flights:
    """What `reserve` booked of calls and no `settle` has ended. Used with the ledger's mutex held."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        """Calls in flight, by scope."""
        self._flights: dict[str, Flight] = {}

    def start(self, made: Reservation, turns: Sequence[int]) -> None:
        """Remember a reservation of calls."""
        self._flights[made.id] = Flight(made.holds, turns)
        for hold in made.holds:
            self.calls[hold.scope] = self.calls.get(hold.scope, 0) + hold.held
        if len(self._flights) > _MOST:
            self.end(next(iter(self._flights)))

    def end(self, identifier: str) -> Flight | None:
        """Forget a reservation and say what it had booked; None where it is none of calls, or has ended."""
        flight = self._flights.pop(identifier, None)
        for hold in flight.holds if flight is not None else ():
            left = self.calls.get(hold.scope, 0) - hold.held
            if left > 0:
                self.calls[hold.scope] = left
            else:
                self.calls.pop(hold.scope, None)
        return flight
