"""What verbs print: JSON alone on stdout, or text for people that no agent's words can play tricks with."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_JSON = "jackline.json"
_HUNDREDTH = 0.01
_MINUTE = 60
_WIDE = 20_000
"""Columns where nobody's terminal sets a limit: in a file or a pipe nothing is cut or wrapped."""


def _remember(ctx: typer.Context, value: bool) -> bool:
    if value:
        ctx.find_root().meta[_JSON] = True
    return value


Json = Annotated[bool, typer.Option("--json", help="Print JSON only.", callback=_remember, is_eager=True)]


def answer(value: Any) -> None:
    """Print JSON, in ASCII: what agents say cannot steer a terminal."""
    typer.echo(json.dumps(value, indent=2))


def line(value: Any) -> None:
    """Print JSON on a line of its own: one of many answers."""
    typer.echo(json.dumps(value))


def asked_for_json(ctx: typer.Context) -> bool:
    """Whether `--json` stands in the command."""
    return bool(ctx.find_root().meta.get(_JSON))


def fail(ctx: typer.Context, message: str) -> None:
    """Say why a verb could not do what it was asked: on stderr, or as JSON where JSON was asked for."""
    if asked_for_json(ctx):
        answer({"error": message})
    else:
        note(message)


def note(message: str) -> None:
    """Print a line beside the answer, on stderr."""
    typer.echo(safe(message, lines=True), err=True)


def safe(text: object, *, lines: bool = False) -> str:
    """Replace what a terminal would obey or hide (escapes, marks of direction) by its code; `lines` keeps line ends."""
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else f"\\u{ord(char):04x}" for char in str(text)
    )


def say(*parts: object, style: str = "") -> None:
    """Print a line of text as it is, never as markup."""
    show(text(" ".join(str(part) for part in parts), style))


def show(renderable: RenderableType) -> None:
    """Print a table, a tree or a text; in a file or a pipe without the blanks that fill a row up."""
    console = terminal()
    if console.is_terminal:
        # A table that is wider than the screen is wrapped by the terminal as a whole, not cell by cell.
        unbound = console.options.update(max_width=_WIDE)
        console.width = max(console.width, console.measure(renderable, options=unbound).minimum)
        console.print(renderable)
        return
    with console.capture() as caught:
        console.print(renderable)
    typer.echo("\n".join(line.rstrip() for line in caught.get().splitlines()))


def text(value: object, style: str = "") -> Text:
    """Make a safe text for a table or a tree."""
    from rich.text import Text  # noqa: PLC0415 - a quarter of the start-up time, and only for people

    return Text(safe(value, lines=True), style=style)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = (), fold: str = ""
) -> Table:
    """Make a plain table. The columns of `right` hold numbers; that of `fold` holds prose, which may take more lines.

    Cells are safe texts or are made so.
    """
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415

    texts = [[cell if isinstance(cell, Text) else text(cell) for cell in row] for row in rows]
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, show_header=any(columns))
    for place, column in enumerate(columns):
        justify: Literal["right", "left"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", min_width=_width(column, place, texts, fold))
    for cells in texts:
        made.add_row(*cells)
    return made


def _width(column: str, place: int, texts: Sequence[Sequence[Text]], fold: str) -> int | None:
    """The least width of a column: all of it, but for prose."""
    if column and column == fold:
        return None
    widths = [line.cell_len for cells in texts for line in cells[place].split()]
    return max([len(column), *widths])


def terminal() -> Console:
    """The console on stdout, in its width; wide where it is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - as above

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def usd(micro: int | None) -> str:
    """Micro-dollars as dollars, to the last digit that is there: `$0.47`, `$0.000013`."""
    if micro is None:
        return ""
    whole, _, rest = f"{micro / 1_000_000:.6f}".partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}"


def cost(micro: int, unpriced: int) -> str:
    """What was spent, and how many calls have no known price: they are not in the sum."""
    return f"{usd(micro)} + {unpriced} unpriced" if unpriced else usd(micro)


def moment(at: float | None) -> str:
    """A Unix time on this machine's clock, to the second; empty for None."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def span(seconds: float | None) -> str:
    """A length of time: `0.42 ms`, `12 ms`, `3.4 s`, `5m 02s`, `2h 05m`, `3d 04h`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{round(seconds * 1000, 2 if seconds < _HUNDREDTH else 0):g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    units = ((60, "m", 1, "s"), (3600, "h", 60, "m"), (86400, "d", 3600, "h"))
    large, first, small, second = next((unit for unit in reversed(units) if seconds >= unit[0]), units[0])
    return f"{int(seconds) // large}{first} {int(seconds) % large // small:02d}{second}"
