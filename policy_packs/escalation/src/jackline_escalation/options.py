"""What a bundle may say under `with:` of an `escalation` policy."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from jackline.options import Gate, Names, Options, wrong

MOST = 1000
"""The largest risk that one thing adds, and the highest threshold."""

Points = Annotated[int, Field(ge=0, le=MOST)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise wrong(f"{text!r} names no argument", "write an argument's name, or a way within one: customer.iban")
    return text


def _paths(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_path, texts))


def _hours(text: str) -> str:
    if not _HOURS.fullmatch(text) or text[:5] >= text[6:]:
        raise wrong(f"{text!r} are no hours of a day", "write from and to: 08:00-18:00")
    return text


def _zone(text: str) -> str:
    if text == "UTC":  # known where the system has no zones
        return text
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong(f"{text!r} is no time zone", "write its name as in Europe/Berlin, or UTC") from None
    return text


class Added(Options):
    """A condition that adds risk."""

    when: str
    """The condition; one that cannot be evaluated adds as well."""
    add: Points
    """How much."""
    why: str = ""
    """What people are told; without it, the condition itself."""


class Declared(Options):
    """What tools declare about themselves, in a label."""

    label: str = "risk"
    """The label's name."""
    add: dict[str, Points]
    """How much each value adds; a value that is not listed adds as much as the dearest."""
    undeclared: Points = 0
    """What a tool without the label adds."""


class Step(Options):
    """From an amount on, so much."""

    above: float
    add: Points


class Amount(Options):
    """The largest of some arguments; one that is there and is no number counts as the highest step."""

    of: Annotated[Names, AfterValidator(_paths)]
    """The arguments, by name."""
    steps: Annotated[list[Step], Field(min_length=1)]
    """What an amount adds; the highest step that it passes counts."""


class Destination(Options):
    """Where something goes that no permitted act of this session has gone to."""

    of: Annotated[Names, AfterValidator(_paths)]
    """The arguments that name destinations. An outgoing request's host is one as well."""
    add: Points
    known: list[str] = Field(default_factory=list)
    """Destinations that are never new, as patterns with `*`, which passes no white space and no `,`, `;` or `|`."""


class OffHours(Options):
    """Outside of these hours and days."""

    add: Points
    hours: Annotated[str, AfterValidator(_hours)] = "08:00-18:00"
    days: list[Day] = Field(default=["mon", "tue", "wed", "thu", "fri"])
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class GateAt(Gate):
    """People who are asked from a threshold on."""

    at: Annotated[int, Field(ge=1, le=MOST)]
    """The risk from which this gate stands in the way; of several that are reached the highest counts."""


class EscalationOptions(Options):
    """What adds risk, and who is asked from where on."""

    gates: Annotated[list[GateAt], Field(min_length=1)]
    """Who is asked, from which risk on."""
    rules: list[Added] = Field(default_factory=list)
    """Conditions that add risk."""
    declared: Declared | None = None
    """What tools declare."""
    amount: Amount | None = None
    """How much is at stake."""
    new_destination: Destination | None = None
    """Where it goes."""
    new_tool: Points = 0
    """What a tool adds that appeared, or changed, after its agent was first seen."""
    off_hours: OffHours | None = None
    """When it is done."""
