"""`status`: where the state lives, which policies would hold here, and how far the index is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline._version import __version__
from jackline.cli import bundles, output, state
from jackline.errors import BundleError

if TYPE_CHECKING:
    from jackline.bundle import Bundle
    from jackline.home import Home

BUNDLE = Path("jackline.yaml")


def status(
    ctx: typer.Context,
    bundle: Annotated[Path, typer.Option(help="The bundle that agents are started with.")] = BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Say which home and bundle are meant, what is permitted by default, and how far the index is behind.

    For example: jackline status --json
    """
    home: Home = ctx.obj
    loaded = found(bundle, home)
    behind = _behind(home)
    error = str(loaded) if isinstance(loaded, BundleError) else ""
    if as_json:
        told = (
            None
            if loaded is None or isinstance(loaded, BundleError)
            else {"source": loaded.source, **bundles.told(loaded)}
        )
        answer = {
            "jackline": __version__,
            "home": str(home.path),
            "bundle": told,
            "bundle_error": error,
            "behind": behind,
        }
        output.answer(answer)
        return
    output.say(f"jackline {__version__}")
    output.say(f"home: {home.path}{'' if home.path.exists() else ' (not there yet)'}")
    output.say(f"bundle: {line(bundle, loaded)}", style="red" if error else "yellow" if loaded is None else "")
    if behind is None:
        output.say("index: nothing recorded yet")
    else:
        output.say(f"index: {behind['events']} events ({behind['bytes']:,} bytes) behind the journals")


def found(path: Path, home: Home) -> Bundle | BundleError | None:
    """The bundle of a file, why it is none, or None where there is no file."""
    if not path.exists():
        return None
    try:
        return bundles.load(path, home)
    except BundleError as error:
        return error


def line(path: Path, loaded: Bundle | BundleError | None) -> str:
    """What holds here, in a line or two; without a bundle it says so plainly."""
    if loaded is None:
        return f"none ({path} is not in {Path.cwd()}): agents are registered and traced, nothing is refused"
    if isinstance(loaded, BundleError):
        return f"invalid, nothing of it is in force\n{loaded}"
    only = ": nothing is refused, what would have been is recorded" if loaded.mode == "observe" else ""
    names = ", ".join(loaded.policies) or "none"
    told = f"{loaded.source}, mode {loaded.mode}{only}, revision {loaded.revision[:12]}, policies: {names}"
    return f"{told}\n{bundles.standing(loaded)}"


def _behind(home: Home) -> dict[str, Any] | None:
    """How far the index is behind, as it stands: status ingests nothing."""
    import msgspec  # noqa: PLC0415 - light, and only here

    from jackline.ingest import lag  # noqa: PLC0415

    if not any(home.journals.glob("*.jsonl")):
        return None
    with state.opened_store(home) as store:
        told: dict[str, Any] = msgspec.to_builtins(lag(home.path, store))
    return told
