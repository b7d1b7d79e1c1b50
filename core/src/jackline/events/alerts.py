"""What was noticed and told, when it was over, and which people wanted not to be told of it."""

from __future__ import annotations

from typing import Literal

from jackline.events.record import Event


class AlertFired(Event, frozen=True, kw_only=True, omit_defaults=True, tag="alert_fired"):
    """A rule holds for a group, more severely than before, or again; the same alert until it is resolved."""

    alert: str
    """The alert's id, 32 hex digits: of one rule, one group and one time."""
    rule: str
    """The rule's name in the bundle, or among the defaults."""
    signal: str
    """What the rule looks at: `session_cost`, `loop`, ..."""
    severity: Literal["info", "warning", "critical"]
    """As the rule says."""
    state: Literal["warning", "firing", "no_data"]
    """`no_data`: it fired, and since then there is too little to judge by."""
    group: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """Of what: `agent`, `session`, `tool`, as far as the rule tells them apart."""
    value: float | None = None
    """What was measured; null where the rule counts nothing."""
    threshold: float | None = None
    """What it was compared with, in the same unit."""
    unit: str = ""
    """Of value and threshold: `micro_usd`, `micro_usd/min`, `x`, `s`, `calls`, `share`; empty for plain counts."""
    message: str
    """A sentence for a person; it never holds arguments, results or prompts."""
    since: float
    """Unix seconds: when the alert fired first."""


class AlertResolved(Event, frozen=True, kw_only=True, omit_defaults=True, tag="alert_resolved"):
    """An alert is over."""

    alert: str
    """As it fired."""
    rule: str
    """The rule's name in the bundle, or among the defaults."""
    signal: str
    """What the rule looks at."""
    severity: Literal["info", "warning", "critical"]
    """As the rule says."""
    group: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """As it fired."""
    message: str
    """Why it is over, in a sentence for a person."""
    since: float
    """Unix seconds: when the alert fired first."""


class AlertSilenced(Event, frozen=True, kw_only=True, omit_defaults=True, tag="alert_silenced"):
    """A person wants nobody to be told of some alerts for a time; they are looked for and recorded all the same."""

    silence: str
    """The silence's id, 32 hex digits."""
    rule: str = ""
    """Of this rule; empty for every rule."""
    group: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """Of groups that have these values; empty for every group."""
    until: float
    """Unix seconds."""
    who: str
    why: str


class AlertSilenceLifted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="alert_silence_lifted"):
    """A person ended a silence before its time."""

    silence: str
    """As in the event that began it."""
    who: str
    why: str


class AlertChannelTried(Event, frozen=True, kw_only=True, omit_defaults=True, tag="alert_channel_tried"):
    """A person had a channel told something, whether anything fires or not."""

    channel: str
    """Its name under `notify:` of the bundle."""
    how: Literal["test", "again"]
    """`test`: that nothing fires; `again`: what it was not told in the end."""
    who: str
    why: str
