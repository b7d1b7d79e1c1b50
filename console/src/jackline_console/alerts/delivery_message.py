"""An edge of an alert as it is sent: to people in words, to programs in JSON, to an Alertmanager in its own shape."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.notices.target import Edge
from jackline_console.alerts.delivery import AlertEvent, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

STANDS_S = 900.0
"""For how long an Alertmanager holds what it was told; it is told again sooner, for as long as the alert fires."""
_TITLE, _LINE, _TEXT = 160, 300, 4000
REPORTED = "it is only reported, over OTLP: nothing here can hold it"
_CALLS = re.compile(r"@(?=everyone|here|channel|all\b)", re.IGNORECASE)
_INERT = str.maketrans("<>", "\u2039\u203a")
"""Chats take `<!channel>`, `<http://...|text>` and `@everyone` for more than text."""
_BLANK = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
"""Line ends, control characters and what turns text around: names are agents' to choose, and stand in headers."""


class AlertNotice(msgspec.Struct, frozen=True, kw_only=True):
    """One edge. Times are Unix seconds."""

    id: str
    """The same whenever the same edge is told again: 32 hex digits."""
    kind: Edge
    alert: str
    rule: str
    signal: str
    severity: Severity
    state: str
    group: dict[str, str]
    value: float | None
    threshold: float | None
    unit: str
    message: str
    since: float
    at: float
    reported: bool = False

    @property
    def about(self) -> str:
        """What is told of: the alert."""
        return self.alert

    @property
    def title(self) -> str:
        """One line for people."""
        state = "resolved" if self.kind == "resolved" else self.severity
        return _inert(f"[{state}] {self.rule}: {self.message}", _TITLE)

    @property
    def text(self) -> str:
        """The rest for people."""
        lines = [_inert(self.message), *(f"{name}: {_inert(value)}" for name, value in self.group.items())]
        if self.value is not None:
            bound = f", threshold {_number(self.threshold)}" if self.threshold is not None else ""
            lines.append(f"value: {_number(self.value)} {self.unit}{bound}")
        if self.reported:
            lines.append(REPORTED)
        lines.append(f"since {_moment(self.since)}; alert {self.alert[:12]}")
        return "\n".join(lines)[:_TEXT]

    @property
    def body(self) -> bytes:
        """What a webhook gets."""
        return msgspec.json.encode({"type": f"alert.{self.kind}", **msgspec.to_builtins(self)})

    def posted(self, now: float) -> dict[str, Any]:
        """The alert as an Alertmanager's API takes it. Its labels are who it is: they stay the same to its end."""
        labels = {"alertname": self.rule, "severity": self.severity, "job": "jackline", **self.group}
        if self.reported:
            labels["reported"] = "yes"
        facts = {"summary": self.message, "state": self.state, "signal": self.signal, "jackline_alert": self.alert}
        if self.value is not None:
            facts["value"] = f"{_number(self.value)} {self.unit}".strip()
        if self.threshold is not None:
            facts["threshold"] = f"{_number(self.threshold)} {self.unit}".strip()
        ends = self.at if self.kind == "resolved" else now + STANDS_S
        return {
            "labels": _texts(labels),
            "annotations": _texts(facts),
            "startsAt": _stamp(self.since),
            "endsAt": _stamp(max(ends, self.since + 0.001)),
        }


def noticed(alert: AlertEvent) -> AlertNotice:
    """An edge as it will be sent."""
    facts = msgspec.structs.asdict(alert)
    return AlertNotice(id=alert.id, kind=facts.pop("edge"), **facts)


def decoded(body: bytes) -> AlertNotice:
    """One that an outbox kept."""
    return msgspec.json.decode(body, type=AlertNotice)


def tried(channel: str, who: str, why: str, now: float) -> AlertNotice:
    """What a channel is told when a person tries it; nothing fires."""
    name = _line(f"{who} tries the channel '{channel}' ({why}): nothing fires", _LINE)
    digits = f"{int(now * 1e6):032x}"[-32:]
    return AlertNotice(
        id=digits,
        kind="resolved",
        alert=digits,
        rule="channel-test",
        signal="test",
        severity="info",
        state="resolved",
        group={},
        value=None,
        threshold=None,
        unit="",
        message=name,
        since=now,
        at=now,
    )


def _texts(values: Mapping[str, str]) -> dict[str, str]:
    """Without what is empty: an Alertmanager takes an empty label for one that is not there."""
    return {name: value for name, text in values.items() if (value := _line(text))}


def _line(text: str, longest: int = _LINE) -> str:
    line = _BLANK.sub(" ", text).strip().encode(errors="replace").decode()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _inert(text: str, longest: int = _LINE) -> str:
    """A line for people that pings nobody and links nowhere."""
    return _CALLS.sub("\uff20", _line(text, longest).translate(_INERT))


def _number(value: float | None) -> str:
    return f"{value:g}" if value is not None else ""


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
