"""`verify` and `ingest`: the record is what was written, and the index holds all of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from jackline.cli import output, state
from jackline.errors import JacklineError, StoreError
from jackline.home import Home
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.ingest import IngestReport
    from jackline.journal import Head, Report


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A head as `--heads-out` writes it: the last line's number and the SHA-256 of the whole line."""

    seq: int
    hash: str


def verify(
    ctx: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="A journal, a folder of journals, or a home.")] = None,
    against: Annotated[Path | None, typer.Option(help="Also compare with heads that --heads-out wrote before.")] = None,
    heads_out: Annotated[Path | None, typer.Option(help="Write each journal's last line's number and hash.")] = None,
    as_json: output.Json = False,
) -> None:
    """Prove that journals are what was written: no line changed, missing, added, moved or cut off.

    The heads that the index stored show a tail that was cut off after an ingest; heads kept on another machine show it
    even where somebody rewrote the index as well. Exit code 1 names the first bad line.

    For example: jackline verify --heads-out heads.json, and later: jackline verify --against heads.json
    """
    where = _journals(path, ctx.obj)
    external = _read_heads(against) if against is not None else None
    stored, unusable = _stored_heads(where)
    reports = _reports(where, stored or {}, external or {})
    if not reports:
        state.require_journals(Home(where.parent))
    sound = all(report.ok for report in reports) and not unusable
    if heads_out is not None and sound:
        _write_heads(heads_out, reports)
    if as_json:
        compared = {"index": _count(stored), "against": _count(external), "index_error": unusable}
        found = [_told(report) for report in reports]
        output.answer({"ok": sound, "path": str(where), "compared": compared, "journals": found})
    else:
        _show(reports, where)
        _show_compared(stored, external, unusable)
    if heads_out is not None and not sound:
        output.note(f"{heads_out} was not written: heads are kept of a sound record only")
    if not sound:
        raise typer.Exit(1)


def ingest(
    ctx: typer.Context,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Empty the index first; the journals hold everything.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Bring what is new in the journals into the index; the reading verbs do this by themselves.

    Exit code 1 where a journal is broken: it is ingested up to there. For example: jackline ingest --rebuild
    """
    from jackline import ingest as ingesting  # noqa: PLC0415 - only where it is asked for

    home: Home = ctx.obj
    state.require_journals(home)
    with state.opened_store(home) as store:
        report = (ingesting.rebuild if rebuild else ingesting.ingest)(home.path, store)
        found = state.Index(store, ingesting.lag(home.path, store), report)
    if as_json:
        counts = {"events": report.events, "journals": report.journals, "busy": report.busy}
        output.answer({**counts, **found.standing()})
    else:
        output.say(_ingested(report))
        found.tell()
    if report.problems:
        raise typer.Exit(1)


def _ingested(report: IngestReport) -> str:
    if report.busy:
        return "another process is filling the index: nothing was done here"
    return f"{counted(report.events, 'event')} of {counted(report.journals, 'journal')} ingested"


def _journals(path: Path | None, home: Home) -> Path:
    """The folder (or the one journal) that was meant."""
    if path is None:
        return home.journals
    if not path.exists():
        raise JacklineError(f"there is no journal or folder {path}")
    return path / "journals" if (path / "journals").is_dir() else path


def _stored_heads(where: Path) -> tuple[Mapping[str, Head] | None, str]:
    """What the index beside these journals has seen; None where there is none, and why it cannot be used."""
    folder = where if where.is_dir() else where.parent
    home = Home(folder.parent)
    if folder.name != home.journals.name or not home.index.exists():
        return None, ""
    try:
        with state.opened_store(home) as store:
            return store.heads(), ""
    except StoreError as error:
        return None, str(error)


def _reports(where: Path, stored: Mapping[str, Head], external: Mapping[str, Head]) -> list[Report]:
    """Hold each journal to both; where both find something, the earlier line is named."""
    from jackline.journal import verify as prove  # noqa: PLC0415 - only where it is asked for

    found = {report.journal: report for report in prove(where, stored)}
    for report in prove(where, external) if external else ():
        before = found.get(report.journal)
        if before is None or (not report.ok and (before.ok or _first(report) < _first(before))):
            found[report.journal] = report
    return [found[journal] for journal in sorted(found)]


def _first(report: Report) -> int:
    return report.first_bad or 0


def _read_heads(path: Path) -> dict[str, Head]:
    from jackline.journal import Head  # noqa: PLC0415 - only where heads are compared

    try:
        kept = msgspec.json.decode(path.read_bytes(), type=dict[str, _Kept])
    except (OSError, msgspec.MsgspecError) as error:
        raise JacklineError(f"{path} holds no heads: {error}; write some with: jackline verify --heads-out") from error
    return {journal: Head(head.seq, head.hash) for journal, head in kept.items()}


def _write_heads(path: Path, reports: Sequence[Report]) -> None:
    heads = {report.journal: report.head._asdict() for report in reports if report.head is not None}
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(heads), indent=1) + b"\n")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise JacklineError(f"cannot write {path}: {error.strerror}") from error


def _show(reports: Sequence[Report], where: Path) -> None:
    rows = [(report.journal, _verdict(report), report.lines, _end(report)) for report in reports]
    output.show(output.table(("journal", "", "lines", "end"), rows, right=("lines",)))
    for report in reports:
        if not report.ok:
            output.say(f"{report.journal}: first bad line {report.first_bad}: {report.problem}", style="red")
    lines = sum(report.lines for report in reports)
    bad = sum(not report.ok for report in reports)
    count = f"{counted(len(reports), 'journal')} in {where}, {counted(lines, 'good line')}"
    output.say(f"{count}: {bad} not as written" if bad else f"{count}: all as written")


def _told(report: Report) -> dict[str, Any]:
    """A report as JSON: `journal`, `ok`, `first_bad`, `problem`, `lines`, `head` (seq, hash), `closed`, `torn_tail`."""
    head = report.head._asdict() if report.head is not None else None
    return {**msgspec.structs.asdict(report), "head": head}


def _show_compared(stored: Mapping[str, Head] | None, external: Mapping[str, Head] | None, unusable: str) -> None:
    """Say what the journals were held to: alone, a chain does not show that its end was cut off."""
    told = [f"{counted(len(stored), 'head')} of the index"] if stored is not None else []
    told += [f"{counted(len(external), 'head')} kept elsewhere"] if external is not None else []
    if told:
        output.say(f"compared with {' and '.join(told)}")
    else:
        output.say("compared with nothing: a tail that was cut off does not show (see --against)", style="yellow")
    if unusable:
        output.say(f"not compared with the index: {unusable}", style="red")


def _count(heads: Mapping[str, Head] | None) -> int | None:
    return len(heads) if heads is not None else None


def _verdict(report: Report) -> Any:
    return output.text("ok", "green") if report.ok else output.text(f"bad at {report.first_bad}", "red")


def _end(report: Report) -> str:
    if report.closed:
        return "closed"
    return "torn last line, never acknowledged" if report.torn_tail else "open"
