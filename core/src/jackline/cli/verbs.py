"""The core's own verbs, registered through the hook that third parties use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jackline.cli import (
    agents,
    apply,
    approvals,
    bundles,
    control,
    demo,
    discover,
    doctor,
    new_pack,
    notify,
    plugins,
    proof,
    sessions,
    status,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_POLICIES = "Policies"
_AGENTS = "Agents and what they do"
_RECORD = "The record and this installation"


def register(cli: typer.Typer) -> None:
    """Add every verb of the core to the command line."""
    panels: list[tuple[str, dict[str, Callable[..., None]]]] = [
        (_POLICIES, {"check": bundles.check, "test": bundles.cases, "schema": bundles.schema}),
        (_POLICIES, {"new-pack": new_pack.new_pack}),
        (_AGENTS, {"sessions": sessions.sessions, "trace": trace.trace}),
        (_AGENTS, {"stop": control.stop, "pause": control.pause, "reopen": control.reopen}),
        (_RECORD, {"status": status.status, "doctor": doctor.doctor, "plugins": plugins.plugins}),
        (_RECORD, {"verify": proof.verify, "ingest": proof.ingest, "demo": demo.demo}),
    ]
    for panel, verbs in panels:
        for name, verb in verbs.items():
            cli.command(name, rich_help_panel=panel)(verb)
    family = typer.Typer(no_args_is_help=True, help="The registry: who runs here, with what, what people say of it.")
    family.command("list")(agents.list_)
    family.command("show")(agents.show)
    family.command("set")(agents.set_)
    family.command("discover")(discover.discover)
    family.command("apply")(apply.apply)
    cli.add_typer(family, name="agents", rich_help_panel=_AGENTS)
    family = typer.Typer(no_args_is_help=True, help="What waits for people, and what they say to it.")
    family.command("list")(approvals.list_)
    for name in ("show", "approve", "deny", "edit", "respond", "key"):
        family.command(name)(getattr(approvals, name))
    family.command("notify")(notify.notify)
    family.command("prune")(notify.prune)
    cli.add_typer(family, name="approvals", rich_help_panel=_AGENTS)
