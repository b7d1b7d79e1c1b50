"""A progress bar while the stories run, then the difference as a table."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jackline.demo.stories import Told

_ROWS = {
    "cost_usd": "cost of the worst session, USD",
    "tools_shown": "tools shown to it before anybody knew it",
    "tool_runs": "tool bodies that ran",
    "added_tool_runs": "... of the tool that was added",
    "rows_lost": "customers deleted",
    "databases_lost": "databases deleted",
    "secrets_lost": "secrets given away",
    "decisions": "decisions on record",
    "proven": "acts with a decision before and one outcome",
    "denied": "denied",
    "halted": "sessions ended",
    "finished": "sessions with an answer",
}


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows how far a telling is; on stderr, and not at all where `quiet`."""
    if quiet:
        yield lambda _what, _done, _of: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where somebody looks
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TextColumn("sessions"))
    with Progress(*columns, console=Console(file=sys.stderr)) as bars:
        tasks = {}

        def advance(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done)

        yield advance


def table(told: Sequence[Told]) -> None:
    """Print each story's difference and whether it holds."""
    from rich.console import Console  # noqa: PLC0415 - only where somebody looks
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    for story in told:
        shown = Table(title=story.scenario, title_justify="left", title_style="bold")
        shown.add_column("")
        shown.add_column("without Jackline", justify="right")
        shown.add_column("with Jackline", justify="right")
        for key, label in _ROWS.items():
            if key in story.governed:
                shown.add_row(label, str(story.ungoverned.get(key, "")), str(story.governed[key]))
        console.print(shown)
        marks = ("[red]✗[/red]", "[green]✓[/green]") if console.encoding == "utf-8" else ("no: ", "yes:")
        for claim, so in story.claims.items():
            console.print(f"{marks[so]} {escape(claim)}", soft_wrap=True)
        if story.record:
            record = story.record.encode(console.encoding, "replace").decode(console.encoding)
            console.print(f"\n{escape(record)}", soft_wrap=True, style="dim", highlight=False)
        mark = "[green]holds[/green]" if story.holds else "[red]does not hold[/red]"
        console.print(f"{mark}: {story.why}\n", soft_wrap=True)
