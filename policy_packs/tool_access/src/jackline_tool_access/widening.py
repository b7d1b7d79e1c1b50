"""How one revision's options permit more than another's: what a reload must announce."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jackline_tool_access.options import Destination, EgressOptions, Entry, ToolAccessOptions


def widened(new: ToolAccessOptions, old: ToolAccessOptions) -> tuple[str, ...]:
    """Say each way in which `new` may permit what `old` did not. Errs on the side of saying too much."""
    return (
        *_tools(new, old),
        *_switches(new, old),
        *_others(new, old),
        *_egress(new.egress, old.egress),
    )


def _tools(new: ToolAccessOptions, old: ToolAccessOptions) -> Iterator[str]:
    if old.governs_tools and not new.governs_tools:
        yield "tools: no list governs them any more"
    if old.governs_tools:
        yield from _gained("allow", new.allow, old.allow)
        if new.delegate is not None or old.delegate is not None:
            yield from _gained("delegate", new.handed_on, old.handed_on)
    yield from _gained("deny", old.deny, new.deny, "lost")


def _switches(new: ToolAccessOptions, old: ToolAccessOptions) -> Iterator[str]:
    if old.read_only and not new.read_only:
        yield "read_only: was true"
    for name in ("new_tools", "changed_tools"):
        if getattr(new, name) == "allow" and getattr(old, name) == "deny":
            yield f"{name}: was deny"


def _others(new: ToolAccessOptions, old: ToolAccessOptions) -> Iterator[str]:
    if old.closes_provider_tools:
        now = (new.provider_tools or []) if new.closes_provider_tools else None
        yield from _longer("provider_tools", now, old.provider_tools or [])
    yield from _longer("models", new.models, old.models)
    yield from _longer("spawn", new.spawn, old.spawn)


def _egress(new: EgressOptions | None, old: EgressOptions | None) -> Iterator[str]:
    if old is None:
        return
    if new is None:
        yield "egress: not governed any more"
        return
    yield from _more("egress.allow: gained", new.allow, old.allow)
    yield from _more("egress.deny: lost", old.deny, new.deny)
    yield from _longer("egress.methods", new.methods, old.methods)
    yield from _longer("egress.schemes", new.schemes, old.schemes)
    if (old.others, new.others) == ("deny", "record"):
        yield "egress.others: was deny"
    if (old.model_hosts, new.model_hosts) == ("listed", "allow"):
        yield "egress.model_hosts: was listed"


def _more(what: str, new: Sequence[Destination] | None, old: Sequence[Destination] | None) -> Iterator[str]:
    known = {_place(entry) for entry in old or ()}
    yield from (f"{what} {_place(entry)}" for entry in new or () if _place(entry) not in known)


def _place(entry: Destination) -> str:
    return f"{entry.host} for {', '.join(sorted(entry.methods))}" if entry.methods else entry.host


def _gained(
    section: str, new: Sequence[Entry] | None, old: Sequence[Entry] | None, verb: str = "gained"
) -> Iterator[str]:
    known = {_shown(entry) for entry in old or ()}
    yield from (f"{section}: {verb} {_shown(entry)}" for entry in new or () if _shown(entry) not in known)


def _longer(section: str, new: Sequence[str] | None, old: Sequence[str] | None) -> Iterator[str]:
    """None means that nothing is governed, which permits the most."""
    if old is None:
        return
    if new is None:
        yield f"{section}: not governed any more"
        return
    yield from (f"{section}: gained {name}" for name in new if name not in old)


def _shown(entry: Entry) -> str:
    pin = f" with fingerprint {entry.fingerprint}" if entry.fingerprint else ""
    when = f" when {entry.when}" if entry.when else ""
    return f"{entry.tool}{pin}{when}"
