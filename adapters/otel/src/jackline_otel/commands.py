"""`jackline otel export`: what is on record, to an OTLP endpoint."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from jackline.cli import output
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from jackline.home import Home
    from jackline_otel.export import Exported, Exporter

_EVERY_S = 2.0
Url = Annotated[str, typer.Option("--endpoint", help="The OTLP endpoint; else OTEL_EXPORTER_OTLP_ENDPOINT.")]
Header = Annotated[list[str] | None, typer.Option(help="A header, as NAME=VALUE; again for more.")]
Signal = Annotated[list[str] | None, typer.Option(help="Send only this: logs, traces or metrics; again for more.")]
Follow = Annotated[bool, typer.Option("--follow", help="Go on with what is recorded later, until interrupted.")]
Older = Annotated[bool, typer.Option("--older", help="Write the older names of the conventions besides.")]
OpenInference = Annotated[bool, typer.Option("--openinference", help="Write OpenInference's names besides.")]


def register(cli: typer.Typer) -> None:
    """Add the command."""
    family = typer.Typer(no_args_is_help=True, help="OpenTelemetry.")
    family.callback()(_family)
    family.command("export")(export)
    cli.add_typer(family, name="otel", rich_help_panel="The record")


def _family() -> None:
    """OpenTelemetry: what is on record, to where you look at traces."""


def export(
    ctx: typer.Context,
    url: Url = "",
    header: Header = None,
    signal: Signal = None,
    follow: Follow = False,
    older: Older = False,
    openinference: OpenInference = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Export what is not exported yet, with the OpenTelemetry conventions for generative AI.

    For example: jackline otel export --endpoint http://127.0.0.1:4318
    """
    from jackline_otel.export import SIGNALS, Exporter  # noqa: PLC0415 - protobuf only where something is exported
    from jackline_otel.sender import Endpoint  # noqa: PLC0415 - the same
    from jackline_otel.translate import Dialect  # noqa: PLC0415 - the same

    home: Home = ctx.obj
    endpoint = Endpoint.of_environment(url, dict(_header(one) for one in header or ()))
    exporter = Exporter(home, endpoint, Dialect(older=older, openinference=openinference), signals=signal or SIGNALS)
    try:
        wrong = _told(exporter.run(), endpoint.url, as_json=as_json)
        while follow:
            _follow(exporter, endpoint.url, as_json=as_json)
    except KeyboardInterrupt:
        return
    finally:
        exporter.close()
    if wrong:
        raise typer.Exit(1)


def _follow(exporter: Exporter, url: str, *, as_json: bool) -> None:
    """Once more after a while; what cannot be sent now is tried again, and said."""
    threading.Event().wait(_EVERY_S)
    try:
        done = exporter.run()
    except JacklineError as error:
        output.note(str(error))
        return
    if done.events or done.problems:
        _told(done, url, as_json=as_json)


def _told(done: Exported, url: str, *, as_json: bool) -> bool:
    if as_json:
        output.say(msgspec.json.encode(done).decode())
    else:
        output.say(f"exported {done.events} events, {done.spans} spans and {done.metrics} metrics to {url}")
        for problem in done.problems:
            output.note(problem)
    return bool(done.problems)


def _header(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise typer.BadParameter(f"'{text}' is no header; expected NAME=VALUE")
    return name.strip(), value.strip()
