"""`jackline serve`: the Decision API, and the tokens of the agents that may ask it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jackline.cli import output, state
from jackline.errors import JacklineError
from jackline_console.settings import is_loopback

if TYPE_CHECKING:
    from jackline.home import Home
    from jackline_console.access.users import Users

PORT = 8471
_HOUR = 3600.0
Why = Annotated[str, typer.Option(help="The reason, for the record.")]


def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Beyond this machine it needs https.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for one that is free.")] = PORT,
    bundle: Annotated[Path, typer.Option(help="The bundle that decides.")] = Path("jackline.yaml"),
    name: Annotated[list[str] | None, typer.Option("--name", help="A host name by which agents call it.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate, for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    behind_https: Annotated[
        bool, typer.Option("--behind-https", help="Something before it speaks https with the agents.")
    ] = False,
    body_seconds: Annotated[float, typer.Option(min=0.1, help="How long a request's body may take.")] = 30.0,
) -> None:
    """Serve the Decision API: agents in any language ask before they act, and record what came of it.

    For example: jackline serve --bundle jackline.yaml
    """
    if ctx.invoked_subcommand is not None:
        return
    secure = behind_https or tls_cert is not None
    if not is_loopback(host) and not secure:
        raise JacklineError(
            f"on {host} tokens would cross the network in the clear: give --tls-cert and --tls-key, "
            "or --behind-https where something before it speaks https"
        )
    from jackline.guard import Guard  # noqa: PLC0415 - only where something is served
    from jackline_console.decisions.serving import serve as run  # noqa: PLC0415
    from jackline_console.settings import Settings  # noqa: PLC0415

    settings = Settings(
        home=ctx.obj,
        host=host,
        port=port,
        bundle=bundle,
        names=tuple(name or ()),
        secure=secure,
        body_s=body_seconds,
    )
    with Guard.load(bundle, home=ctx.obj.path, application="decision-api") as guard:
        run(guard, settings, cert=tls_cert, key=tls_key)


def add_token(
    ctx: typer.Context,
    agent: Annotated[str, typer.Argument(help="The agent: what comes with this token is its.")],
    version: Annotated[str, typer.Option(help="Its version.")] = "",
    framework: Annotated[str, typer.Option(help="What it is made with, for the registry.")] = "",
    hours: Annotated[
        float | None, typer.Option(min=0, help="How long the token holds; for ever where left out.")
    ] = None,
    why: Why = "added on the command line",
    as_json: output.Json = False,
) -> None:
    """Make a token for an agent. It is printed this once.

    For example: jackline serve tokens add billing --version 3.1
    """
    from jackline.events import AccessAmended  # noqa: PLC0415 - only where something is changed
    from jackline_console.access.users import AgentToken  # noqa: PLC0415

    if not agent.strip() or not agent.isprintable():
        raise typer.BadParameter("an agent's name has letters that can be seen, and no line ends")
    home: Home = ctx.obj
    now, who = time.time(), state.person()
    expires = None if hours is None else now + hours * _HOUR
    made = AgentToken(
        id=secrets.token_hex(8),
        agent=agent,
        created=now,
        digest="",
        version=version,
        framework=framework,
        expires=expires,
    )
    event = AccessAmended(at=now, subject=f"token of agent {agent}", who=who, why=why, changes={"created": True})
    home.make()
    text = _users(home).issue_agent(made, lambda: state.record(home, event))
    if as_json:
        output.answer({"id": made.id, "agent": agent, "version": version, "token": text, "expires": expires})
        return
    output.note(f"token {made.id} of agent {agent}; it is not shown again:")
    output.say(text)


def list_tokens(ctx: typer.Context, as_json: output.Json = False) -> None:
    """List which agents have tokens; the tokens themselves are nowhere.

    For example: jackline serve tokens list
    """
    rows = sorted(_users(ctx.obj).agents().values(), key=lambda one: (one.agent, one.created))
    if as_json:
        keys = ("id", "agent", "version", "framework", "created", "expires")
        output.answer({"tokens": [{key: getattr(one, key) for key in keys} for one in rows]})
        return
    if not rows:
        output.say("no agent has a token: nobody can ask the Decision API")
        return
    shown = [(one.id, one.agent, one.version, output.moment(one.created), output.moment(one.expires)) for one in rows]
    output.show(output.table(("id", "agent", "version", "since", "until"), shown))


def revoke_token(
    ctx: typer.Context,
    identity: Annotated[str, typer.Argument(help="The token's id, as the list has it.")],
    why: Why = "revoked on the command line",
    as_json: output.Json = False,
) -> None:
    """Take a token away, from the next request on.

    For example: jackline serve tokens revoke 4f1d8a2b9c3e7d60
    """
    from jackline.events import AccessAmended  # noqa: PLC0415 - only where something is changed

    home: Home = ctx.obj
    now, who = time.time(), state.person()
    token = _users(home).revoke_agent(
        identity,
        lambda one: state.record(
            home,
            AccessAmended(at=now, subject=f"token of agent {one.agent}", who=who, why=why, changes={"revoked": True}),
        ),
    )
    if as_json:
        output.answer({"id": token.id, "agent": token.agent, "who": who, "why": why})
    else:
        output.say(f"token {token.id} of agent {token.agent} is revoked")


def _users(home: Home) -> Users:
    from jackline_console.access.users import Users  # noqa: PLC0415 - only commands about tokens read them

    return Users(home.path / "console")
