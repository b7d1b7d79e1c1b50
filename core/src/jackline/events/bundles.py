"""Which policies are in force."""

from __future__ import annotations

from jackline.decision import Mode  # noqa: TC001 - msgspec reads them
from jackline.events.record import Event


class BundleActivated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_activated"):
    """A bundle came into force in this process."""

    revision: str
    source: str
    mode: Mode = "enforce"
    policies: tuple[str, ...] = ()
    previous: str = ""
    widened: tuple[str, ...] = ()
    """How the new revision permits more than the one before."""


class BundleRejected(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_rejected"):
    """A changed bundle could not be loaded; the last good one stays in force."""

    source: str
    error: str
    revision: str = ""
    """The revision that stays in force."""


class BundleChanged(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_changed"):
    """A person put another bundle in the place of the one there was; each process follows by itself."""

    revision: str
    source: str
    who: str
    why: str
    previous: str = ""
    """The revision that was there before; empty where there was none that could be read."""
    widened: tuple[str, ...] = ()
    """How it permits more than the one before."""


class BundleQuestioned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="bundle_questioned"):
    """A tool appeared whose arguments a condition of the bundle does not fit."""

    revision: str
    tool: str
    problems: tuple[str, ...]
    """`file:line:column: what is wrong`. Such a condition counts as true where it refuses, as false where it allows."""
