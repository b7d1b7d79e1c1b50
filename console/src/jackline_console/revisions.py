"""Which bundles there were: what journals say of activations and changes, and the texts that this console kept."""

from __future__ import annotations

import difflib
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from jackline.events import BundleActivated, BundleChanged
from jackline.widening import widened
from jackline_console.models.policies import Difference, InForce, Line, Revision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jackline.bundle import Bundle
    from jackline.stores import AuditRow
    from jackline_console.console import Console

_SEARCHED = 4_000_000
"""Pairs of lines among which those are looked for that are alike; of larger differences all is taken for new."""
_LOOKED = 5000
"""The latest activations that are looked at: each process writes one for each revision."""


def in_force(here: Console) -> list[InForce]:
    """The running processes, and the revision that each has."""
    alive = here.store.living()
    found: dict[str, InForce] = {}
    for row in here.store.audits(["bundle_activated"], _LOOKED):
        event = row.event
        if row.journal in alive and row.journal not in found and isinstance(event, BundleActivated):
            pid, host = alive[row.journal]
            found[row.journal] = InForce(
                journal=row.journal, pid=pid, host=host, revision=event.revision, since=event.at
            )
    return sorted(found.values(), key=lambda one: one.since, reverse=True)


def revisions(here: Console) -> list[Revision]:
    """Every revision that is known, the latest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in reversed(here.store.audits(["bundle_activated", "bundle_changed"], _LOOKED)):
        _take(found, row)
    bundle = here.bundles.found()
    current = bundle.revision if bundle is not None and bundle.data else ""
    if current and current not in found:
        found[current] = _blank(current, str(here.bundles.path), here.clock())
    kept, running = set(here.bundles.kept()), [one.revision for one in in_force(here)]
    made = [
        Revision(**facts, kept=name in kept, current=name == current, in_force=sum(one == name for one in running))
        for name, facts in found.items()
    ]
    return sorted(made, key=lambda one: (one.last, one.current), reverse=True)


def _take(found: dict[str, dict[str, Any]], row: AuditRow) -> None:
    event = row.event
    if isinstance(event, BundleActivated):
        facts = found.setdefault(event.revision, _blank(event.revision, event.source, event.at))
        facts |= {"mode": event.mode, "policies": list(event.policies), "last": max(facts["last"], event.at)}
    elif isinstance(event, BundleChanged):
        facts = found.setdefault(event.revision, _blank(event.revision, event.source, event.at))
        facts |= {"who": event.who, "why": event.why, "widened": list(event.widened), "last": event.at}


def _blank(revision: str, source: str, at: float) -> dict[str, Any]:
    told = {"revision": revision, "source": source, "mode": "", "first": at, "last": at, "who": None, "why": ""}
    return told | {"policies": [], "widened": []}


def difference(before: tuple[str, bytes, Bundle | None], after: tuple[str, bytes, Bundle | None]) -> Difference:
    """How two revisions differ: their lines, their policies, and how the second permits more."""
    old, new = before[2], after[2]
    lines = _lines(before[1].decode(errors="replace").splitlines(), after[1].decode(errors="replace").splitlines())
    was = {entry.name: _facts(entry) for entry in old.entries} if old is not None else {}
    now = {entry.name: _facts(entry) for entry in new.entries} if new is not None else {}
    return Difference(
        from_=before[0],
        to=after[0],
        lines=list(lines),
        added=[name for name in now if name not in was],
        removed=[name for name in was if name not in now],
        changed=[name for name in now if name in was and was[name] != now[name]],
        widened=list(widened(old, new)) if old is not None and new is not None else [],
    )


def _facts(entry: Any) -> tuple[Any, ...]:
    agents = entry.agents.source if entry.agents is not None else ""
    return repr(entry.options), entry.use, entry.mode, entry.on_error, agents


def _lines(old: list[str], new: list[str]) -> Iterable[Line]:
    """Every line of both. What begins and ends alike is left out of the search, whose time grows with the product."""
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    yield from (Line(op="same", from_=n + 1, to=n + 1, text=old[n]) for n in range(head))
    yield from _between(old, new, head, len(old) - tail, len(new) - tail)
    ends = zip(range(len(old) - tail, len(old)), range(len(new) - tail, len(new)), strict=True)
    yield from (Line(op="same", from_=a + 1, to=c + 1, text=old[a]) for a, c in ends)


def _alike(old: list[str], new: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _between(old: list[str], new: list[str], start: int, old_end: int, new_end: int) -> Iterable[Line]:
    search = (old_end - start) * (new_end - start) <= _SEARCHED
    found = difflib.SequenceMatcher(None, old[start:old_end], new[start:new_end], autojunk=False) if search else None
    whole = [("replace", 0, old_end - start, 0, new_end - start)]
    for tag, *ends in found.get_opcodes() if found is not None else whole:
        a, b, c, d = (start + end for end in ends)
        if tag == "equal":
            yield from (Line(op="same", from_=a + n + 1, to=c + n + 1, text=old[a + n]) for n in range(b - a))
        else:
            yield from (Line(op="remove", from_=n + 1, to=None, text=old[n]) for n in range(a, b))
            yield from (Line(op="add", from_=None, to=n + 1, text=new[n]) for n in range(c, d))
