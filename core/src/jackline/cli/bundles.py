"""`check`, `test` and `schema`: what is said of a bundle before any agent runs under it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import output, self_approval
from jackline.errors import BundleError, JacklineError, screen

if TYPE_CHECKING:
    from jackline.bundle import Bundle
    from jackline.errors import Problem
    from jackline.home import Home
    from jackline.policy_cases import CaseResult, Results


def check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The bundle.")] = Path("jackline.yaml"),
    as_json: output.Json = False,
) -> None:
    """Say what is wrong with a bundle, each with its place and what would be right.

    Exit code 1 where something is; nothing is loaded anywhere. In CI: jackline check jackline.yaml
    """
    try:
        bundle = load(file, ctx.obj)
    except BundleError as error:
        raise refuse(file, error, as_json=as_json) from None
    alone = self_approval.possible(bundle, ctx.obj)
    if as_json:
        more = {
            "unverified": _plain(bundle.unverified),
            "unanswered": _plain(bundle.unanswered),
            "self_approval": alone,
        }
        output.answer({"ok": True, "file": str(file), **told(bundle), **more})
        return
    output.say(f"{file}: ok, mode {bundle.mode}, revision {bundle.revision[:12]}")
    rows = [(entry.name, entry.use, entry.mode, _selected(entry)) for entry in bundle.entries]
    output.show(output.table(("policy", "use", "mode", "agents"), rows, fold="agents"))
    output.say(standing(bundle))
    if bundle.unverified:
        output.say(screen(bundle.unverified), style="yellow")
    if bundle.unanswered:
        output.say(screen(bundle.unanswered), style="yellow")
    if alone:
        output.note(alone)


def schema(as_json: output.Json = False) -> None:  # noqa: ARG001 - it prints JSON either way
    """Print the JSON Schema of bundles, with the options of every installed policy, for editors.

    For example: jackline schema > jackline.schema.json
    """
    from jackline.bundle_schema import bundle_schema  # noqa: PLC0415 - pydantic only where it is needed
    from jackline.plugins import installed_plugins  # noqa: PLC0415

    output.answer(bundle_schema(installed_plugins()))


def cases(
    folder: Annotated[Path, typer.Argument(help="A folder of case files, or one of them.")],
    junit: Annotated[Path | None, typer.Option(help="Also write the results as JUnit XML, for CI.")] = None,
    as_json: output.Json = False,
) -> None:
    """Run policy cases: requests, and the decisions that are expected of a bundle.

    Exit code 1 where one differs, or where there is none. For example: jackline test policies --junit results.xml
    """
    from jackline.policy_cases import run  # noqa: PLC0415 - a guard and pydantic only where cases run

    if not folder.exists():
        raise JacklineError(f"there is no file or folder {folder}")
    results = run(folder)
    if junit is not None:
        _write_junit(junit, results)
    if as_json:
        told = [case._asdict() for case in results.cases]
        output.answer({"passed": results.passed, "cases": told, "failed": len(results.failed), "total": len(told)})
    else:
        _show_cases(results)
    if not results.passed:
        raise typer.Exit(1)


def load(file: Path, home: Home) -> Bundle:
    """Load a bundle as a guard of this home would: its registry knows the arguments of tools. Raises BundleError."""
    from jackline.bundle import load_bundle  # noqa: PLC0415 - pydantic and YAML only where a bundle is read
    from jackline.opening import known_schemas  # noqa: PLC0415 - the same

    return load_bundle(file, tool_schemas=known_schemas(home))


def refuse(file: Path, error: BundleError, *, as_json: bool) -> typer.Exit:
    """Print every problem of a file (as many as fit on a screen) and give the exit that ends the verb."""
    if as_json:
        output.answer({"ok": False, "file": str(file), "problems": _plain(error.problems)})
    else:
        output.say(screen(error.problems))
    return typer.Exit(1)


def told(bundle: Bundle) -> dict[str, Any]:
    """What JSON answers say of a bundle."""
    return {
        "revision": bundle.revision,
        "mode": bundle.mode,
        "unregistered": bundle.unregistered,
        "unmanaged": bundle.unmanaged,
        "capture": bundle.capture,
        "policies": [
            {"name": entry.name, "use": entry.use, "mode": entry.mode, "agents": _selected(entry)}
            for entry in bundle.entries
        ],
    }


def standing(bundle: Bundle) -> str:
    """The bundle's defaults in a line: what happens where no policy says anything."""
    return (
        f"agents that nobody registered: {bundle.unregistered}; those that only report: {bundle.unmanaged}; "
        f"payloads: {bundle.capture}"
    )


def _selected(entry: Any) -> str:
    return entry.agents.source if entry.agents is not None else "all"


def _plain(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [problem._asdict() for problem in problems]


def _write_junit(path: Path, results: Results) -> None:
    from jackline.junit import junit  # noqa: PLC0415 - only for CI

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(junit(results), encoding="utf-8")
    except OSError as error:
        raise JacklineError(f"cannot write {path}: {error.strerror}") from error


def _show_cases(results: Results) -> None:
    rows = [
        (_word(case), case.name, f"{case.file}:{case.line}", f"{case.seconds * 1000:.0f}") for case in results.cases
    ]
    output.show(output.table(("", "case", "where", "ms"), rows, right=("ms",), fold="case"))
    for case in results.failed:
        output.say(case, style="red")
    count = len(results.cases)
    failed = len(results.failed)
    output.say(f"{count} cases, {failed} failed" if failed else f"{count} cases, all passed")


def _word(case: CaseResult) -> Any:
    if not case.problem:
        return output.text("passed", "green")
    return output.text("broken" if case.broken else "failed", "red")
