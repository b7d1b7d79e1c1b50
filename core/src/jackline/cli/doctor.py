"""`doctor`: whether policies would hold here, shown by a call that is denied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jackline.cli import output, status
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.cli.diagnosis import Patient, Remark

_STYLES = {"ok": "green", "note": "", "warning": "yellow", "problem": "red"}


def doctor(
    ctx: typer.Context,
    bundle: Annotated[Path, typer.Option(help="The bundle that agents are started with.")] = status.BUNDLE,
    recover: Annotated[bool, typer.Option("--recover", help="Book what dead processes hold as spent.")] = False,
    as_json: output.Json = False,
) -> None:
    """Examine this installation: home, bundle, adapters, ledger, journals; and make a call that must be denied.

    Exit code 1 where there is a problem. For example: jackline doctor --bundle policies/jackline.yaml
    """
    from jackline.cli.diagnosis import Patient  # noqa: PLC0415 - what it looks at is imported when it looks

    remarks = list(_examine(Patient(ctx.obj, bundle, recover)))
    problems = sum(remark.level == "problem" for remark in remarks)
    if as_json:
        output.answer({"ok": not problems, "remarks": [remark._asdict() for remark in remarks]})
    else:
        rows = [(output.text(remark.level, _STYLES[remark.level]), remark.about, remark.message) for remark in remarks]
        output.show(output.table(("", "about", "found"), rows, fold="found"))
    if problems:
        raise typer.Exit(1)


def _examine(patient: Patient) -> Iterator[Remark]:
    """Every remark; an examination that cannot be made is a problem of its own."""
    from jackline.cli.diagnosis import EXAMINATIONS, Remark  # noqa: PLC0415 - see doctor

    for examination in EXAMINATIONS:
        try:
            yield from examination(patient)
        except JacklineError as error:
            yield Remark(examination.__name__, "problem", str(error))
        except Exception as error:  # noqa: BLE001 - whatever is broken here is what doctor is asked about
            yield Remark(examination.__name__, "problem", f"{type(error).__name__}: {error}")
