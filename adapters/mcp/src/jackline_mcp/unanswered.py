"""Requests that were sent and got no answer: under an id that was used again, a late answer would be another's."""

from __future__ import annotations

from typing import Any

LONG = 256
"""Characters that an id may have."""
KEPT = 1000
"""Ids of one end that are kept."""


class Unanswered:
    """Ids of one end's requests, until their answers come after all.

    Whoever cancels gets no answer, as the protocol has it, so that they only become more. Of whole numbers the lowest
    are given up together: a number not above one of them counts as used, so that who counts up may go on for ever.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._texts: set[str] = set()
        self._given_up: int | None = None

    def __contains__(self, request: Any) -> bool:
        if isinstance(request, str):
            return request in self._texts
        return request in self._numbers or (self._given_up is not None and request <= self._given_up)

    def __len__(self) -> int:
        """How many there are that cannot be given up."""
        return len(self._texts)

    def __bool__(self) -> bool:
        return bool(self._texts or self._numbers or self._given_up is not None)

    def add(self, request: Any) -> None:
        """Keep the id of a request that is not waited for any more."""
        if isinstance(request, str):
            self._texts.add(request)
            return
        self._numbers.add(request)
        if len(self._numbers) > KEPT:
            self._given_up = min(self._numbers)
            self._numbers.remove(self._given_up)

    def came(self, request: Any) -> None:
        """An answer came that nobody waits for: its id is free again."""
        (self._texts if isinstance(request, str) else self._numbers).discard(request)
