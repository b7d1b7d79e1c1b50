"""`plugins`: who brought what, and what could not be used."""

from __future__ import annotations

from typing import Any

import typer

from jackline.cli import output


def plugins(as_json: output.Json = False) -> None:
    """List what is registered, by which distribution, and which plugins failed with the reason.

    Exit code 1 where one failed. For example: jackline plugins --json
    """
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - assembly, once
    from jackline.registrations import KINDS  # noqa: PLC0415

    plugged = installed_plugins()
    found = plugged.registrations
    targets = [*(target for kind in KINDS for target in found.targets(kind)), *plugged.commands()]
    failures = [failure._asdict() for failure in found.failures]
    if as_json:
        output.answer({"registered": [_told(target) for target in targets], "failures": failures})
    else:
        rows = [(target.kind, target.name, target.origin, target.target, _supports(target)) for target in targets]
        output.show(output.table(("kind", "name", "from", "target", "supports"), rows))
        for failure in found.failures:
            name = failure.distribution or f"plugin '{failure.plugin}'"
            output.say(f"failed: {name}: {failure.reason}", style="red")
    if failures:
        raise typer.Exit(1)


def _told(target: Any) -> dict[str, Any]:
    return {
        "kind": target.kind,
        "name": target.name,
        "target": target.target,
        "plugin": target.plugin,
        "distribution": target.distribution,
        "roots": list(target.facts.get("roots", ())),
        "supports": _supports(target),
    }


def _supports(target: Any) -> str:
    return str(target.facts.get("supports", ""))
