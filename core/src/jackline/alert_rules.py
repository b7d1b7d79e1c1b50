"""What a bundle may say of alerts: kinds of signals, their thresholds, and the rules that there are by default.

Thresholds are Jackline's proposals, no standard: see docs/alerts.md for where each comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field

from jackline.options import Duration, Money, Names, Options

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["info", "warning", "critical"]
By = Literal["session", "agent", "tool", "all"]

Share = Annotated[float, Field(gt=0, le=1)]
Times = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class SessionCost(Options):
    """What a session has spent, against its budget."""

    warn: Share = 0.5
    """The share of the session's ceiling from which the alert is a warning."""
    fire: Share = 0.8
    """The share from which it fires."""
    limit: Money | None = None
    """The budget of sessions that no `budget` policy holds a ceiling for; without it, those are not looked at."""


class CostRate(Options):
    """What is spent in a minute, over one minute and over five."""

    per_minute: Money = 1_000_000
    """Fires from so much a minute, over both."""
    calls: Count = 3
    """Fewer model calls in the longer window say nothing."""


class BurnRate(Options):
    """How many times faster than evenly a session spends its budget, over a long and a short window together."""

    fast: Times = 6.0
    """Fires from this rate over a twelfth of the period and a twelfth of that."""
    slow: Times = 2.0
    """Fires from this rate over a third of the period and a twelfth of that."""
    period: Annotated[Duration, Field(ge=60, le=7 * 86400)] = 3600.0
    """The time in which a session may spend its whole budget."""
    calls: Count = 3
    """Fewer model calls in the long window say nothing."""
    limit: Money | None = None
    """The budget of sessions without a ceiling; without it, those are not looked at."""


class Exhaustion(Options):
    """When a session's budget will be spent, at the rate of the last minutes."""

    within: Annotated[Duration, Field(gt=0)] = 120.0
    """Fires where it will be in less."""
    spent: Share = 0.5
    """While less of the budget is spent, a rate is no trend."""
    calls: Count = 3
    """Fewer model calls in the last five minutes say nothing."""
    limit: Money | None = None
    """The budget of sessions without a ceiling; without it, those are not looked at."""


class ToolFailureRate(Options):
    """The share of a tool's calls that failed; denied ones are no calls."""

    above: Share = 0.2
    """Fires above this share."""
    baseline: Times = 3.0
    """Fires also above so many times the share of the last 24 hours."""
    calls: Count = 10
    """Fewer calls in the window say nothing."""
    failures: Count = 3
    """Fewer failures in the window say nothing."""
    window: Annotated[Duration, Field(ge=10, le=86400)] = 300.0
    """How far back calls count."""


class ConsecutiveFailures(Options):
    """Failures of one tool in one session, one after another."""

    times: Annotated[int, Field(ge=2, le=1000)] = 5
    """Fires from so many."""


class SessionDuration(Options):
    """How long a session has been running, against those of the same version of its agent."""

    times: Times = 3.0
    """Fires above so many times the 95th percentile."""
    sessions: Count = 50
    """Fewer known sessions of that version say nothing."""


class Loop(Options):
    """Calls that come round again with the same results."""

    repeats: Annotated[int, Field(ge=2, le=10)] = 3
    """Fires where one call is made so often among the last ten, with no new result."""
    cycles: Annotated[int, Field(ge=2, le=6)] = 3
    """Fires where two to four calls come round so often."""


class DenialBurst(Options):
    """How often acts are denied."""

    above: Count = 5
    """Fires above so many."""
    window: Annotated[Duration, Field(ge=10, le=86400)] = 300.0
    """How far back denials count."""


class ApprovalAge(Options):
    """How long people have been asked for something."""

    older: Annotated[Duration, Field(gt=0)] = 300.0
    """Fires from this age of the oldest open question."""


class SilentSession(Options):
    """A running session that nothing is heard of; one that waits for people is not silent."""

    after: Annotated[Duration, Field(ge=1)] = 120.0
    """Fires after so long."""


class Happened(Options):
    """Something that should not happen, counted."""

    count: Count = 1
    """Fires from so many."""
    window: Annotated[Duration, Field(ge=10, le=86400)] = 3600.0
    """How far back it counts; the alert is resolved after as long without."""


class Unregistered(Options):
    """An agent that nobody has registered."""


class Kind(NamedTuple):
    """One signal that rules can be made of."""

    when: type[Options]
    by: tuple[By, ...]
    """By what it can be told apart, the usual one first."""
    severity: Severity
    about: str


KINDS: dict[str, Kind] = {
    "session_cost": Kind(SessionCost, ("session",), "warning", "a session has spent much of its budget"),
    "cost_rate": Kind(CostRate, ("session", "agent", "all"), "warning", "much is spent in a minute"),
    "burn_rate": Kind(BurnRate, ("session",), "warning", "a session's budget goes faster than its time"),
    "exhaustion": Kind(Exhaustion, ("session",), "critical", "a session's budget will soon be spent"),
    "tool_failure_rate": Kind(ToolFailureRate, ("tool", "agent"), "warning", "a tool fails often"),
    "consecutive_failures": Kind(ConsecutiveFailures, ("session",), "warning", "a tool fails again and again"),
    "session_duration": Kind(SessionDuration, ("session",), "warning", "a session runs for long"),
    "loop": Kind(Loop, ("session",), "critical", "a session goes round in circles"),
    "denial_burst": Kind(DenialBurst, ("agent", "session"), "warning", "acts are denied again and again"),
    "approval_age": Kind(ApprovalAge, ("session", "agent", "all"), "warning", "people let an agent wait"),
    "silent_session": Kind(SilentSession, ("session",), "warning", "nothing is heard of a running session"),
    "unpriced_calls": Kind(Happened, ("agent", "session", "all"), "warning", "model calls have no known price"),
    "unregistered_agent": Kind(Unregistered, ("agent",), "info", "an agent acts that nobody registered"),
    "new_tool": Kind(Happened, ("tool",), "info", "a known agent has a tool that it had not"),
    "changed_tool": Kind(Happened, ("tool",), "warning", "a known agent's tool is another than before"),
    "lost_events": Kind(Happened, ("all",), "critical", "observations could not be written"),
    "widened_bundle": Kind(Happened, ("all",), "warning", "a new bundle permits more"),
}
DEFAULTS: dict[str, str] = {
    "session-cost": "session_cost",
    "cost-rate": "cost_rate",
    "session-burn": "burn_rate",
    "session-exhaustion": "exhaustion",
    "tool-failures": "tool_failure_rate",
    "failing-tool": "consecutive_failures",
    "long-session": "session_duration",
    "loop": "loop",
    "denials": "denial_burst",
    "waiting-approval": "approval_age",
    "silent-session": "silent_session",
    "unpriced-calls": "unpriced_calls",
    "unregistered-agent": "unregistered_agent",
    "new-tool": "new_tool",
    "changed-tool": "changed_tool",
    "lost-events": "lost_events",
    "widened-bundle": "widened_bundle",
}
"""The rules that there are unless a bundle says otherwise, by name, each with its kind's thresholds."""


class RuleEntry(Options):
    """One rule of alerts; `when` is its kind's to check."""

    kind: str | None = None
    """What it looks at; may be left out where the rule has the name of a default."""
    enabled: bool = True
    """`false`: nothing is looked at; so a default is switched off."""
    severity: Severity | None = None
    """How bad it is; the kind's unless said."""
    when: dict[str, Any] = Field(default={})
    """Its thresholds; each has a default."""
    for_: Annotated[Duration, Field(alias="for", le=86400)] = 0.0
    """For how long it must hold before it fires."""
    by: By | None = None
    """What is told apart; the kind's first unless said."""
    cooldown: Annotated[Duration, Field(le=7 * 86400)] = 600.0
    """For how long after it was resolved it does not fire again for the same group."""
    channels: Names = ()
    """Who is told, by the names under `notify:`; without it, all of those that take alerts."""


class AlertsSection(Options):
    """What is alerted on."""

    defaults: bool = True
    """Whether the default rules are in force; a rule with the name of one replaces it either way."""
    rules: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")], Any] = Field(default={})
    """Rules by name; see `RuleEntry`."""


class AlertRule(NamedTuple):
    """One rule in force. Times are seconds."""

    name: str
    kind: str
    severity: Severity
    when: Any
    """The thresholds: an instance of the kind's class."""
    for_s: float
    by: By
    cooldown_s: float
    channels: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As the API shows it: durations in seconds, money in micro-dollars."""
        return {
            "rule": self.name,
            "kind": self.kind,
            "severity": self.severity,
            "when": self.when.model_dump(mode="json"),
            "for_s": self.for_s,
            "group": "" if self.by == "all" else self.by,
            "cooldown_s": self.cooldown_s,
            "channels": list(self.channels),
        }


def made(name: str, kind: str, entry: RuleEntry, when: Any) -> AlertRule:
    """The rule that an entry makes, with what its kind says where it is silent."""
    known = KINDS[kind]
    by, severity = entry.by or known.by[0], entry.severity or known.severity
    return AlertRule(name, kind, severity, when, entry.for_, by, entry.cooldown, entry.channels)


def default_rules() -> dict[str, AlertRule]:
    """The rules where no bundle says anything."""
    return {name: made(name, kind, RuleEntry(), KINDS[kind].when()) for name, kind in DEFAULTS.items()}


def in_force(section: AlertsSection, said: Mapping[str, AlertRule | None]) -> tuple[AlertRule, ...]:
    """The defaults where they are wanted, and what is said by name in their place; None: switched off."""
    rules: dict[str, AlertRule | None] = dict(default_rules()) if section.defaults else {}
    rules |= said
    return tuple(rule for rule in rules.values() if rule is not None)
