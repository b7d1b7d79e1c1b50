"""`jackline mcp`: one server wrapped, or many behind one address."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jackline.cli import output
from jackline.guard import Guard

if TYPE_CHECKING:
    from jackline.home import Home
    from jackline_mcp.relay import Client, Options

Care = Literal["allow", "alert", "deny"]
_PANEL = "Agents that others built"
Bundle = Annotated[Path, typer.Option(help="The bundle that decides.")]
Agent = Annotated[str, typer.Option(help="The agent's name; otherwise mcp/NAME, with what the client calls itself.")]
Prefix = Annotated[str, typer.Option("--name", help="A name for the server: its tools are then NAME.TOOL in policies.")]
User = Annotated[str, typer.Option(help="For whom the agent acts.")]
New = Annotated[Care, typer.Option(help="What is done about tools that appear later.")]
Changed = Annotated[Care, typer.Option(help="What is done about tools whose description or schema changed.")]
Poisoned = Annotated[Care, typer.Option(help="What is done about tools whose description hides or commands.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds that a call waits for people without a word to its client.")]
WaitLong = Annotated[float, typer.Option(min=0, help="The same where the client is told of progress.")]
Silence = Annotated[float, typer.Option(min=0.1, help="Seconds that a server may say nothing of a request.")]
Frame = Annotated[int, typer.Option(min=1, max=1024, help="The largest message, in MiB.")]
Command = Annotated[list[str], typer.Argument(help="The server's command, after --.")]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    family = typer.Typer(no_args_is_help=True, help="A gateway in front of MCP servers.")
    family.command("wrap")(wrap)
    family.command("serve")(serve)
    family.command("token")(token)
    family.command("certificate")(certificate)
    cli.add_typer(family, name="mcp", rich_help_panel=_PANEL)


def wrap(  # noqa: PLR0917 - each is an option
    ctx: typer.Context,
    command: Command,
    bundle: Bundle = Path("jackline.yaml"),
    agent: Agent = "",
    name: Prefix = "",
    user: User = "",
    new: New = "alert",
    changed: Changed = "deny",
    poisoned: Poisoned = "deny",
    wait: Wait = 45.0,
    wait_with_progress: WaitLong = 300.0,
    silence: Silence = 600.0,
    frame: Frame = 16,
) -> None:
    """Run one stdio server, and judge what its client asks of it.

    For example: jackline mcp wrap --agent support -- python files_server.py
    """
    from jackline_mcp.catalogue import Cares  # noqa: PLC0415 - where it is run
    from jackline_mcp.relay import Client, Options  # noqa: PLC0415

    home: Home = ctx.obj
    options = Options(Cares(new, changed, poisoned), wait, wait_with_progress, silence=silence)
    with Guard.load(bundle, home=home.path, application="jackline-mcp") as guard:
        try:
            why = asyncio.run(_wrapped(guard, command, name, Client(agent, user), options, frame))
        except asyncio.CancelledError:
            why = "it was told to end"
    if why:
        output.note(why)
        raise typer.Exit(1)


async def _wrapped(guard: Guard, command: list[str], name: str, client: Client, options: Options, frame: int) -> str:
    from jackline_mcp.frames import MIB, Child, EndError, own_lines  # noqa: PLC0415 - where it is run
    from jackline_mcp.relay import Relay  # noqa: PLC0415

    ours = asyncio.current_task()
    assert ours is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ours.cancel)
    try:
        back = await Child.start(command, env=dict(os.environ), limit=frame * MIB)
    except EndError as error:
        return str(error)
    front = await own_lines(frame * MIB)
    server = name or Path(command[0]).name
    relay = Relay(guard, front, back, server=server, prefix=f"{name}." if name else "", options=options)
    try:
        await relay.run(client)
    except EndError as error:
        return str(error)
    finally:
        await back.close()
        await front.close()
    return relay.ended


def serve(
    ctx: typer.Context, config: Annotated[Path, typer.Argument(help="Servers and callers.")] = Path("jackline-mcp.yaml")
) -> None:
    """Serve many servers behind one address, each at /mcp/NAME, to callers with tokens, certificates or OAuth clients.

    Changed `callers:` and `revoked:` come into force by themselves. For example: jackline mcp serve jackline-mcp.yaml
    """
    from jackline_mcp.config import filled, load  # noqa: PLC0415 - where it is run
    from jackline_mcp.running import serve as running  # noqa: PLC0415

    home: Home = ctx.obj
    found = load(config)
    for server in found.servers.values():
        filled({**server.env, **server.headers})
    with Guard.load(config.parent / found.bundle, home=home.path, application="jackline-mcp") as guard:
        asyncio.run(running(guard, config, found, output.note))


def token() -> None:
    """Make a token for a caller: the token for the caller, its SHA-256 for `callers:` of the configuration.

    For example: jackline mcp token
    """
    made = secrets.token_urlsafe(32)
    output.say(f"token: {made}")
    output.say(f"token_sha256: {hashlib.sha256(made.encode()).hexdigest()}")


def certificate(file: Annotated[Path, typer.Argument(help="A client's certificate, PEM or DER.")]) -> None:
    """Say how `callers:` of the configuration may name the holder of a certificate.

    For example: jackline mcp certificate client.pem
    """
    from jackline_mcp.certificates import certificate_in  # noqa: PLC0415 - where it is run

    for mark in certificate_in(file).marks:
        output.say(f"certificate: {json.dumps(mark, ensure_ascii=False)}")
