"""What a detector is: it finds personal data or secrets of one kind in a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Match(NamedTuple):
    """Where something was found: offsets into the text, the end exclusive."""

    start: int
    end: int
    confidence: float = 1.0
    """0 to 1: what is checked by a checksum is near 1, what only has the shape and no context near 0."""
    note: str = ""
    """What else is known, such as the rule that matched; never the value."""


@runtime_checkable
class Detector(Protocol):
    """Finds one kind of data. A class registered by `jackline_register_detectors` is made without arguments.

    A policy names it in upper case: what registers as `badge` is `entities: [BADGE]`. The text that it is given
    is normalised: digits and letters that only look different are ASCII, invisible characters are gone.
    """

    def find(self, text: str) -> Iterable[Match]:
        """Find every place. It must take time linear in the text's length, keep nothing and do no I/O."""
