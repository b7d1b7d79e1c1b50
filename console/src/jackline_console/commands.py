"""`jackline console` and `jackline up`, and who may use them from other machines."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jackline.cli import keys, output, state
from jackline.errors import JacklineError
from jackline_console.access.roles import ROLES
from jackline_console.decisions import commands as decision_commands
from jackline_console.settings import PORT, is_loopback

if TYPE_CHECKING:
    from jackline.home import Home
    from jackline_console.access.roles import Role
    from jackline_console.access.users import Users
    from jackline_console.settings import OIDC, Settings

_PANEL = "The console"
Host = Annotated[str, typer.Option(help="The address to listen on. Beyond this machine it needs users and https.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for one that is free.")]
Bundle = Annotated[Path, typer.Option(help="The bundle that the page shows and changes.")]
NoOpen = Annotated[bool, typer.Option("--no-open", help="Open no browser; the link is printed either way.")]
Names = Annotated[list[str] | None, typer.Option("--name", help="A host name by which browsers call it.")]
Cert = Annotated[Path | None, typer.Option(help="The certificate, for https.")]
CertKey = Annotated[Path | None, typer.Option(help="Its private key.")]
Behind = Annotated[bool, typer.Option("--behind-https", help="Something before it speaks https with the browsers.")]
Issuer = Annotated[str, typer.Option(help="An OpenID provider at which users may log in.")]
Client = Annotated[str, typer.Option(help="This console's client id there; its secret is in JACKLINE_OIDC_SECRET.")]
Claim = Annotated[str, typer.Option(help="The claim that is the user's name here.")]
Why = Annotated[str, typer.Option(help="The reason, for the record.")]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    family = typer.Typer()
    family.callback(invoke_without_command=True)(console)
    users = typer.Typer(no_args_is_help=True, help="Who may use the console from other machines.")
    users.command("add")(add_user)
    users.command("list")(list_users)
    family.add_typer(users, name="users")
    cli.add_typer(family, name="console", rich_help_panel=_PANEL)
    cli.command("up", rich_help_panel=_PANEL)(up)
    serving = typer.Typer()
    serving.callback(invoke_without_command=True)(decision_commands.serve)
    tokens = typer.Typer(
        no_args_is_help=True,
        help="Which agents may ask the Decision API.\n\nFor example: jackline serve tokens add billing",
    )
    tokens.command("add")(decision_commands.add_token)
    tokens.command("list")(decision_commands.list_tokens)
    tokens.command("revoke")(decision_commands.revoke_token)
    serving.add_typer(tokens, name="tokens")
    cli.add_typer(serving, name="serve", rich_help_panel=_PANEL)


def console(  # noqa: PLR0917 - each is an option
    ctx: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    bundle: Bundle = Path("jackline.yaml"),
    no_open: NoOpen = False,
    link: Annotated[bool, typer.Option("--link", help="Print another link of the console that runs here.")] = False,
    no_ingest: Annotated[bool, typer.Option("--no-ingest", help="Another process fills the index.")] = False,
    name: Names = None,
    tls_cert: Cert = None,
    tls_key: CertKey = None,
    behind_https: Behind = False,
    oidc_issuer: Issuer = "",
    oidc_client: Client = "",
    oidc_claim: Claim = "email",
) -> None:
    """Serve the console on this machine, and print a link that lets you in once.

    For example: jackline console --no-open
    """
    if ctx.invoked_subcommand is not None:
        return
    home: Home = ctx.obj
    if link:
        from jackline_console import running  # noqa: PLC0415 - only where another console is asked

        output.say(running.link(home))
        return
    oidc = _oidc(oidc_issuer, oidc_client, oidc_claim)
    ingest = not no_ingest
    _serve(home, host, port, bundle, no_open, ingest, name, tls_cert, tls_key, behind_https, oidc, alerts=False)


def up(
    ctx: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    bundle: Bundle = Path("jackline.yaml"),
    no_open: NoOpen = False,
    name: Names = None,
    tls_cert: Cert = None,
    tls_key: CertKey = None,
    behind_https: Behind = False,
    oidc_issuer: Issuer = "",
    oidc_client: Client = "",
    oidc_claim: Claim = "email",
) -> None:
    """Run all that Jackline runs by itself: fill the index as agents write, look for alerts, serve the console.

    For example: jackline up
    """
    oidc = _oidc(oidc_issuer, oidc_client, oidc_claim)
    _serve(ctx.obj, host, port, bundle, no_open, True, name, tls_cert, tls_key, behind_https, oidc, alerts=True)  # noqa: FBT003


def add_user(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The name to log in with; an approver's is that of the bundle.")],
    role: Annotated[str, typer.Option(help="reporter, viewer, approver, operator or admin.")] = "viewer",
    password: Annotated[str | None, typer.Option(help="Asked for where it is left out.")] = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="They log in at the provider only.")] = False,
    why: Why = "added on the command line",
    as_json: output.Json = False,
) -> None:
    """Let somebody log in, or give them another role and password.

    For example: jackline console users add ana --role approver
    """
    from jackline.events import AccessAmended  # noqa: PLC0415 - only where something is changed
    from jackline_console.access.keys import prepared  # noqa: PLC0415
    from jackline_console.access.passwords import hashed  # noqa: PLC0415
    from jackline_console.access.users import User  # noqa: PLC0415

    if role not in ROLES:
        raise typer.BadParameter(f"--role {role!r}: expected one of {', '.join(ROLES)}")
    held: Role = role
    home: Home = ctx.obj
    users, now, who = _users(home), time.time(), state.person()
    if password is None and not no_password:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    user = User(name=name, role=held, created=now, hash=hashed(password) if password is not None else "")
    changes = {"created": name not in users.users(), "role": role}
    state.record(home, AccessAmended(at=now, subject=name, who=who, why=why, changes=changes))
    users.put(user)
    public = prepared(name, held)
    if as_json:
        output.answer({"name": name, "role": role, "who": who, "key": public})
        return
    output.say(f"{name} may log in as {role}")
    if public:
        output.note("for their answers to count, under `approvers:` of the bundle:")
        output.say(keys.pinned(name, public))


def list_users(ctx: typer.Context, as_json: output.Json = False) -> None:
    """List who may log in.

    For example: jackline console users list
    """
    rows = [_users(ctx.obj).users()[name] for name in sorted(_users(ctx.obj).users())]
    if as_json:
        told = [{"name": one.name, "role": one.role, "disabled": one.disabled, "created": one.created} for one in rows]
        output.answer({"users": told})
        return
    if not rows:
        output.say("no users: the console serves this machine only")
        return
    shown = [(one.name, one.role, "disabled" if one.disabled else "", output.moment(one.created)) for one in rows]
    output.show(output.table(("name", "role", "", "since"), shown))


def _serve(
    home: Home,
    host: str,
    port: int,
    bundle: Path,
    no_open: bool,
    ingest: bool,
    names: list[str] | None,
    cert: Path | None,
    key: Path | None,
    behind_https: bool,
    oidc: OIDC | None,
    *,
    alerts: bool,
) -> None:
    from jackline_console.serving import serve  # noqa: PLC0415 - FastAPI and uvicorn only where something is served
    from jackline_console.settings import Settings  # noqa: PLC0415

    secure = behind_https or cert is not None
    settings = Settings(
        home=home,
        host=host,
        port=port,
        bundle=bundle,
        names=tuple(names or ()),
        secure=secure,
        ingest=ingest,
        alerts=alerts,
        oidc=oidc,
    )
    if not is_loopback(host):
        _require_access(settings, home)
    serve(settings, browser=not no_open, cert=cert, key=key)


def _oidc(issuer: str, client: str, claim: str) -> OIDC | None:
    from jackline_console.settings import OIDC  # noqa: PLC0415 - only where something is served

    if bool(issuer) != bool(client):
        raise typer.BadParameter("--oidc-issuer and --oidc-client go together")
    secret = os.environ.get("JACKLINE_OIDC_SECRET", "")
    return OIDC(issuer=issuer, client=client, secret=secret, claim=claim) if issuer else None


def _require_access(settings: Settings, home: Home) -> None:
    """Refuse to serve other machines without users, or in the clear."""
    admins = [one for one in _users(home).users().values() if one.role == "admin" and not one.disabled]
    admins = [one for one in admins if one.hash or settings.oidc is not None]
    if not admins:
        raise JacklineError(
            f"on {settings.host} other machines reach the console, and there is no admin who could log in; "
            "add one: jackline console users add NAME --role admin. Or serve this machine only: --host 127.0.0.1"
        )
    if not settings.secure:
        raise JacklineError(
            f"on {settings.host} passwords would cross the network in the clear: give --tls-cert and --tls-key, "
            "or --behind-https where something before it speaks https"
        )


def _users(home: Home) -> Users:
    from jackline_console.access.users import Users  # noqa: PLC0415 - only commands about users read them

    return Users(home.path / "console")
