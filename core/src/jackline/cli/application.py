"""The typer application: global options, every plugin's commands, and errors said in one line."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jackline._version import __version__
from jackline.cli import output
from jackline.errors import JacklineError
from jackline.home import Home
from jackline.plugins import Plugins, installed_plugins


class Commands(TyperGroup):
    """The verbs; what Jackline raises ends any of them with one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        try:
            return super().invoke(ctx)
        except JacklineError as error:
            output.fail(ctx, str(error))
            raise typer.Exit(1) from error
        except typer.BadParameter as error:
            if not output.asked_for_json(ctx):
                raise
            output.fail(ctx, error.format_message())
            raise typer.Exit(2) from error


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"jackline {__version__}")
        raise typer.Exit


def _globals(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="Where the state lives.", envvar="JACKLINE_HOME", show_default="the user's data folder"),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", help="Say the version and end.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Policy for AI agents, enforced before the act: check bundles, see what agents did, prove the record."""
    ctx.obj = Home(home)


def build(plugins: Plugins) -> typer.Typer:
    """Make the application from the commands that plugins bring, the core's own among them."""
    app = typer.Typer(
        name="jackline",
        cls=Commands,
        callback=_globals,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    plugins.add_commands(app)
    return app


@functools.cache
def application() -> typer.Typer:
    """The application with this environment's plugins."""
    return build(installed_plugins())
