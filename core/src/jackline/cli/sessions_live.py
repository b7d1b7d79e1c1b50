"""`sessions --live`: what runs now, told anew as events come in."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from jackline.approvals import Approvals
from jackline.cli import output, state
from jackline.cli.live import RECENT_S, LiveSessions, pending
from jackline.ingest import ingest, lag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.text import Text

    from jackline.home import Home
    from jackline.stores import Store

LOOK_S = 0.1
CHANGED_S = 0.5
"""How soon after the one before another picture is made, where events came in."""
QUIET_S = 1.0
"""The same where none did: ages go on."""
STEP_LINES = 2000
"""Lines of a backlog that come in between two pictures."""
_SHOWN = ("running", "halted", "crashed")
_COLUMNS = ("session", "id", "agent", "age", "spent", "", "$/min", "now", "waiting", "state")
_NUMBERS = ("age", "spent", "$/min", "waiting")
_WIDTH = 10
_NEAR = 0.8
_FRAME = 3
"""Lines of the screen that no session has: the heading, what is not shown, and the cursor's."""


class Watch:
    """Follows the journals of a home, and tells its sessions."""

    def __init__(self, home: Home, store: Store, agent: str, limit: int) -> None:
        self._home, self._store, self._agent, self._limit = home, store, agent, limit
        approvals = Approvals(home.approvals)
        self._live = LiveSessions(home.make(), store, lambda: pending(approvals, time.time()), time.time)
        self._epoch, self._position = "", 0
        self._sizes: dict[str, int] = {}
        self._more = True

    def close(self) -> None:
        """Let go of the control folder."""
        self._live.close()

    def has_news(self) -> bool:
        """Whether a journal grew since the last picture, or a person asked for a stop."""
        sizes = dict(_sizes(self._home))
        found = self._more or sizes != self._sizes
        self._sizes = sizes
        return found

    def picture(self) -> dict[str, Any]:
        """Bring in what is new, where nobody else is at it, and tell what runs; the longest running first."""
        report = ingest(self._home.path, self._store, lines=STEP_LINES)
        self._more = report.more
        self._feed()
        found = self._live.sessions(self._agent, self._limit)
        sessions = sorted((one for one in found if _is_shown(one)), key=lambda one: (one["started"], one["session"]))
        standing = state.Index(self._store, lag(self._home.path, self._store), report).standing()
        return {"at": time.time(), "running": sum(one["state"] == "running" for one in sessions),
                "sessions": sessions, **standing}  # fmt: skip

    def _feed(self) -> None:
        """What was spent since the last picture; of the last five minutes where there was none."""
        now, (epoch, _) = time.time(), self._store.head()
        if epoch != self._epoch:
            self._epoch, self._position = epoch, self._store.position_at(now - RECENT_S)
        for row in self._store.events(after=self._position):
            self._live.pulse.feed(row)
            self._position = row.position
        self._live.pulse.prune(now)


def watch(home: Home, *, agent: str, limit: int, as_json: bool) -> None:
    """Show what runs until somebody ends it; once where nobody looks on, and a line for each picture as JSON."""
    state.require_journals(home)
    with state.opened_store(home) as store, contextlib.closing(Watch(home, store, agent, limit)) as watched:
        if not as_json and not output.terminal().is_terminal:
            _print_once(watched)
            return
        with contextlib.suppress(KeyboardInterrupt), _ended_by_terminate():
            if as_json:
                _write_lines(watched)
            else:
                _show(watched)


def _print_once(watched: Watch) -> None:
    told = watched.picture()
    while watched.has_news() and told["behind"]["bytes"]:
        told = watched.picture()
    output.show(_table(told, output.terminal(), len(told["sessions"])))


def _write_lines(watched: Watch) -> None:
    try:
        for told in _pictures(watched):
            output.line(told)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end


def _show(watched: Watch) -> None:
    from rich.live import Live  # noqa: PLC0415 - only where people look on

    console = output.terminal()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        for told in _pictures(watched):
            screen.update(_table(told, console, max(1, console.height - _FRAME)), refresh=True)


def _pictures(watched: Watch) -> Iterator[dict[str, Any]]:
    pause, last = threading.Event(), 0.0
    while True:
        since = time.monotonic() - last
        if since >= (CHANGED_S if watched.has_news() else QUIET_S) or not last:
            last = time.monotonic()
            yield watched.picture()
        pause.wait(LOOK_S)


@contextlib.contextmanager
def _ended_by_terminate() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: the terminal gets its cursor back."""

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sizes(home: Home) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError), os.scandir(home.journals) as entries:
        for entry in entries:
            yield entry.name, entry.stat().st_size
    for folder in ("stops", "halted"):
        with contextlib.suppress(OSError):
            yield folder, (home.control / folder).stat().st_mtime_ns


def _is_shown(one: dict[str, Any]) -> bool:
    return one["state"] in _SHOWN or bool(one["waiting"])


def _table(told: dict[str, Any], console: Console, most: int) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - as above

    sessions = told["sessions"]
    heading = f"{told['running']} running at {output.moment(told['at'])}"
    if told["behind"]["events"]:
        heading += f", {told['behind']['events']:,} events are not read yet"
    parts: list[RenderableType] = [output.text(heading, "bold")]
    if sessions:
        rows = [_row(one, told["at"], console) for one in sessions[:most]]
        table = output.table(_COLUMNS, rows, right=_NUMBERS)
        for column in table.columns if console.is_terminal else ():
            column.no_wrap, column.overflow, column.min_width = True, "ellipsis", None  # a line for each session
        parts.append(table)
    if len(sessions) > most:
        parts.append(output.text(f"and {len(sessions) - most} more: a higher window shows them"))
    return Group(*parts)


def _row(one: dict[str, Any], now: float, console: Console) -> tuple[object, ...]:
    rate = one["micro_usd_per_min"]
    return (
        one["session"][:12],
        _short(one["external_id"], 20),
        _short(", ".join(one["agents"]), 30),
        output.span(max(0.0, now - one["started"])),
        _spent(one),
        _bar(one["ceiling"], console),
        output.usd(round(rate, -2)) if rate else "",
        _short(_now(one, now), 40),
        len(one["waiting"]) or "",
        _state(one),
    )


def _spent(one: dict[str, Any]) -> str:
    """What it cost, and of how much: in the ceiling's own unit."""
    ceiling, cost = one["ceiling"], output.cost(one["cost_micro_usd"], one["unpriced"])
    if ceiling is None:
        return cost
    if ceiling["unit"] != "usd":
        return f"{cost}, {ceiling['spent'] + ceiling['held']}/{ceiling['cap']} {ceiling['unit']}"
    if ceiling["session"]:
        return f"{cost} of {output.usd(ceiling['cap'])}"
    return f"{cost}, shared {output.usd(ceiling['spent'])} of {output.usd(ceiling['cap'])}"


def _bar(ceiling: dict[str, Any] | None, console: Console) -> Text:
    """The part of the ceiling that is spent or held."""
    if ceiling is None or ceiling["cap"] <= 0:
        return output.text("")
    share = min(1.0, (ceiling["spent"] + ceiling["held"]) / ceiling["cap"])
    full, rest = ("#", "-") if console.options.ascii_only else ("\N{FULL BLOCK}", "\N{LIGHT SHADE}")
    count = min(_WIDTH, max(int(share > 0), int(share * _WIDTH)))
    style = "red" if share >= 1 else "yellow" if share >= _NEAR else "green"
    return output.text(full * count + rest * (_WIDTH - count), style)


def _now(one: dict[str, Any], now: float) -> str:
    """What runs: the latest act, and how many others."""
    acts = one["now"]
    if not acts:
        return ""
    others = f" (+{one['running'] - 1})" if one["running"] > 1 else ""
    return f"{acts[-1]['kind']} {acts[-1]['name']} {output.span(max(0.0, now - acts[-1]['started']))}{others}"


def _state(one: dict[str, Any]) -> Text:
    if one["paused"]:
        return output.text("paused", "yellow")
    if one["stop"] is not None and not one["halted"]:
        return output.text(f"stop asked by {one['stop']['who']}", "red")
    told = f"halted: {_short(one['halt_reason'], 40)}" if one["halted"] else one["state"]
    return output.text(told, {"running": "green", "crashed": "yellow"}.get(told, "red"))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
