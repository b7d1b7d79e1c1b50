"""What `doctor` looks at, one function for each subject; every remark says what to do about it."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from importlib import metadata
from typing import TYPE_CHECKING, Literal, NamedTuple

from jackline.cli import self_approval, state, status
from jackline.errors import BundleError
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jackline.home import Home
    from jackline.ledger import Recovered

Level = Literal["ok", "note", "warning", "problem"]
_TOGETHER = 0o077
_TOLD = 0.5
"""From which share of its cells on the ledger is told to be filling up."""
_CLAUSE = re.compile(r"(>=|<=|==|!=|>|<)\s*([0-9][0-9.]*)")
_LIBRARY = re.compile(r"([A-Za-z][\w.-]*)((?:[\s,]*(?:>=|<=|==|!=|>|<)\s*[0-9][0-9.]*)*)")
"""One of the libraries that an adapter supports, with all that is said of its version."""


class Remark(NamedTuple):
    """One thing that was looked at."""

    about: str
    level: Level
    """`problem` makes doctor exit with 1."""
    message: str


class Patient(NamedTuple):
    """What is examined."""

    home: Home
    bundle: Path
    recover: bool


def home(patient: Patient) -> Iterator[Remark]:
    """Whether state can be kept."""
    path = patient.home.path
    try:
        patient.home.make()
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        told = f"{path} cannot be written: {error.strerror}; set JACKLINE_HOME to a folder that this user can write"
        yield Remark("home", "problem", told)
        return
    mode = path.stat().st_mode & _TOGETHER
    if mode:
        yield Remark("home", "warning", f"{path} can be entered by other users of this host; chmod 700 {path}")
    else:
        yield Remark("home", "ok", f"{path} can be written, by this user only")


def sqlite(_: Patient) -> Iterator[Remark]:
    """Whether this Python's SQLite is a sound one."""
    import sqlite3  # noqa: PLC0415 - only doctor looks at it

    from jackline.stores.sqlite import sqlite_warning  # noqa: PLC0415 - SQLAlchemy only where it is needed

    warning = sqlite_warning()
    yield Remark("sqlite", "warning" if warning else "ok", warning or f"SQLite {sqlite3.sqlite_version}")


def bundle(patient: Patient) -> Iterator[Remark]:
    """What would hold for agents started here."""
    loaded = status.found(patient.bundle, patient.home)
    told = status.line(patient.bundle, loaded)
    if loaded is None:
        required = os.environ.get("JACKLINE_REQUIRE_BUNDLE") == "1"
        yield Remark("bundle", "problem" if required else "warning", told)
        return
    if isinstance(loaded, BundleError):
        yield Remark("bundle", "problem", told)
        return
    yield Remark("bundle", "ok" if loaded.mode == "enforce" else "warning", told)
    observed = [entry.name for entry in loaded.entries if entry.mode == "observe"]
    if observed and loaded.mode == "enforce":
        yield Remark("bundle", "warning", f"only observed, never enforced: {', '.join(observed)}")
    if loaded.unregistered == "allow":
        told = "agents that nobody registered may act; `unregistered: deny` stops them until `jackline agents set`"
        yield Remark("bundle", "note", told)
    if loaded.capture == "full":
        yield Remark("bundle", "warning", "capture: full keeps every prompt, argument and result as it is")


def plugins(_: Patient) -> Iterator[Remark]:
    """Whether everything installed could be used, and fits the frameworks that are here."""
    from jackline.adapters import FRAMEWORKS, of_framework  # noqa: PLC0415 - assembly, once
    from jackline.plugins import installed_plugins  # noqa: PLC0415

    found = installed_plugins().registrations
    for failure in found.failures:
        yield Remark("plugins", "problem", f"{failure.distribution or failure.plugin} failed: {failure.reason}")
    missing: dict[str, list[str]] = {}
    for module, distribution in FRAMEWORKS.items():
        if of_framework(module) is None and importlib.util.find_spec(module) is not None:
            missing.setdefault(distribution, []).append(module)
    for distribution, modules in missing.items():
        told = f"{', '.join(modules)} installed without adapter: its agents act ungoverned; pip install {distribution}"
        yield Remark("adapters", "warning", told)
    for target in found.targets("adapter"):
        supports = str(target.facts.get("supports", ""))
        for name, clauses in _LIBRARY.findall(supports):
            yield _supported(target.name, name, f"{name}{clauses}".strip(" ,"))


def _supported(adapter: str, name: str, supports: str) -> Remark:
    """Compare a library's version with what the adapter says it supports of it, such as `langchain-core>=1.2.1`."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Remark("adapters", "note", f"{adapter}: {name} is not installed here")
    if all(_compare(version, sign, bound) for sign, bound in _CLAUSE.findall(supports)):
        return Remark("adapters", "ok", f"{adapter}: {name} {version} ({supports})")
    return Remark("adapters", "problem", f"{adapter}: {name} {version} is installed, {supports} is supported")


def _compare(version: str, sign: str, bound: str) -> bool:
    left, right = _release(version), _release(bound)
    return {
        ">=": left >= right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        ">": left > right,
        "<": left < right,
    }[sign]


def _release(version: str) -> tuple[int, ...]:
    """The numbers before any suffix, without trailing zeros: `1.2.0rc1` counts as 1.2."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    parts = [int(part) for part in found[0].split(".")] if found is not None else [0]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def ledger(patient: Patient) -> Iterator[Remark]:
    """Whether what was spent is known, and whether dead processes still hold something."""
    if not patient.home.ledger.exists():
        yield Remark("ledger", "ok", "nothing metered yet")
        return
    from jackline.ledger import Ledger  # noqa: PLC0415 - only where there is one

    opened = Ledger.open(patient.home.ledger)
    try:
        problems = opened.audit()
        yield from (Remark("ledger", "problem", problem) for problem in problems)
        dead = opened.recover(book=patient.recover)
        if dead:
            yield Remark("ledger", "ok" if patient.recover else "warning", _holds(dead, booked=patient.recover))
        if not problems and not dead:
            yield Remark("ledger", "ok", f"{len(opened.balances())} scopes, no hold of a dead process")
        room = opened.room()
        if room.used >= room.capacity * _TOLD:
            share = f"{room.used:,} of about {room.capacity:,} cells are used ({room.used * 100 // room.capacity} %)"
            yield Remark("ledger", "warning", f"{share}; a full ledger refuses: jackline budget prune")
    finally:
        opened.close()


def _holds(dead: list[Recovered], *, booked: bool) -> str:
    pids = ", ".join(str(pid) for pid in sorted({hold.pid for hold in dead}))
    if booked:
        return f"{len(dead)} holds of dead processes ({pids}) were booked as spent: what they did is unknown"
    told = "count against every limit and are not yet booked as spent; jackline doctor --recover"
    return f"{len(dead)} holds of dead processes ({pids}) {told}"


def journals(patient: Patient) -> Iterator[Remark]:
    """Whether a process died in the middle of its work."""
    from jackline.cli.writers import dead_writers  # noqa: PLC0415 - only doctor asks

    dead = dead_writers(patient.home.journals)
    if not dead:
        yield Remark("journals", "ok", "every journal was closed by its process, or its process runs")
    for writer in dead:
        told = f"{writer.journal} was not closed and its process ({writer.pid}) is gone"
        yield Remark("journals", "note", f"{told}: acts without an outcome in it are 'outcome unknown'")


def prices(patient: Patient) -> Iterator[Remark]:
    """Whether model calls can be priced."""
    from jackline.opening import load_prices  # noqa: PLC0415 - the guard's own way

    found = load_prices(patient.home)
    found.warm(wait=5)
    if found.problem:
        yield Remark("prices", "warning", f"{found.problem}; a call without a known price is denied by dollar budgets")
    else:
        yield Remark("prices", "ok", "model calls can be priced")


def notices(patient: Patient) -> Iterator[Remark]:
    """Whether people were told of what waits for them."""
    from jackline.cli.notify import given_up  # noqa: PLC0415 - only where there is an outbox

    dead, errors = given_up(patient.home)
    if dead:
        told = f"{counted(dead, 'notice was', 'notices were')} given up: {'; '.join(errors)}"
        yield Remark("notices", "warning", f"{told}; jackline approvals notify --again")


def approvers(patient: Patient) -> Iterator[Remark]:
    """Whether agents could answer what people are asked."""
    loaded = status.found(patient.bundle, patient.home)
    if loaded is None or isinstance(loaded, BundleError) or not loaded.approvers:
        return
    alone = self_approval.possible(loaded, patient.home)
    kept = f"'{state.person()}' runs no agents here, or has no approver's key"
    yield Remark("approvers", "warning" if alone else "ok", alone or kept)


def users(_: Patient) -> Iterator[Remark]:
    """Who could change the record, or answer for themselves."""
    told = (
        f"agents that run as '{state.person()}' can change what this user can: self-approval possible, and the record "
        "is proved only against heads kept elsewhere (jackline verify --heads-out)"
    )
    yield Remark("user", "note", told)


def denying(_: Patient) -> Iterator[Remark]:
    """Whether a denied call is really not run."""
    from jackline.cli.self_check import self_check  # noqa: PLC0415 - a guard only where one is made

    outcome = self_check()
    told = (
        f"a denied call was made through a real guard: its body ran {outcome.denied_ran} times, "
        f"the body of an allowed one {outcome.allowed_ran} times"
    )
    if outcome.holds:
        yield Remark("self-check", "ok", f"{told}; both are on record")
        return
    what = "Denied was raised" if outcome.raised else "Denied was not raised"
    yield Remark("self-check", "problem", f"{told}; {what}; {'' if outcome.recorded else 'not '}on record")


EXAMINATIONS: tuple[Callable[[Patient], Iterator[Remark]], ...] = (
    home,
    bundle,
    plugins,
    denying,
    ledger,
    journals,
    prices,
    sqlite,
    notices,
    approvers,
    users,
)
