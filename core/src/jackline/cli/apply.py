"""`agents apply`: the registry says what a manifest in git says, and tells where reality differs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import inventory, output, state
from jackline.cli.agents import amend, changes_said
from jackline.cli.bundles import refuse
from jackline.errors import BundleError

if TYPE_CHECKING:
    from jackline.cli.manifest import Difference


def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The manifest, a YAML file with `agents:`.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 where anything differs.")] = False,
    why: Annotated[str, typer.Option(help="The reason, for the record.")] = "",
    as_json: output.Json = False,
) -> None:
    """Make the registry say what a manifest says, and report where agents differ from it.

    Applying it again changes nothing. In CI: jackline agents apply agents.yaml --check
    """
    from jackline.cli import manifest as manifests  # noqa: PLC0415 - pydantic and YAML only where a manifest is read

    try:
        manifest = manifests.load(file)
    except BundleError as error:
        raise refuse(file, error, as_json=as_json) from None
    entries = state.registry(ctx.obj).entries
    for agent in manifest.agents:
        if agent.managed:
            inventory.require_asking(entries.get(agent.name))
    wanted = {agent.name: manifests.changes(agent, entries.get(agent.name)) for agent in manifest.agents}
    wanted = {name: changes for name, changes in wanted.items() if changes}
    if wanted and not check:
        for name, changes in wanted.items():
            amend(ctx.obj, name, changes, why or f"manifest {file}")
        entries = state.registry(ctx.obj).entries
    drift = list(manifests.drift(manifest, entries))
    if as_json:
        found = [difference._asdict() for difference in drift]
        output.answer({"file": str(file), "applied": not check, "changes": wanted, "drift": found})
    else:
        _show(wanted, drift, check=check)
    if check and (wanted or drift):
        raise typer.Exit(1)


def _show(wanted: dict[str, dict[str, Any]], drift: list[Difference], *, check: bool) -> None:
    for name, changes in wanted.items():
        output.say(f"{name}: {'to change' if check else 'changed'}: {changes_said(changes)}")
    for difference in drift:
        output.say(f"{difference.agent}: drift: {difference.message}", style="yellow")
    if not wanted:
        output.say("nothing to change")
    if not drift:
        output.say("no drift: what was seen is what is declared")
