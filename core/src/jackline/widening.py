"""How a new bundle permits more than the one before: what a reload says in its event and its alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jackline.policy import Granting
from jackline.request import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.bundle import Bundle, Entry
    from jackline.policy import Policy


@runtime_checkable
class Comparable(Protocol):
    """A policy that can say how it permits more than an earlier one of the same class."""

    def widens(self, previous: Policy) -> tuple[str, ...]:
        """Say each way in a few words; empty where it permits no more."""


def widened(old: Bundle, new: Bundle) -> tuple[str, ...]:
    """Say each way in which `new` permits more than `old`. Where it cannot be told, that is said as well."""
    return tuple(_widened(old, new))


def _widened(old: Bundle, new: Bundle) -> Iterator[str]:
    if old.mode == "observe":
        return
    if new.mode == "observe":
        yield "the whole bundle only observes"
        return
    if (old.unregistered, new.unregistered) == ("deny", "allow"):
        yield "agents that are not registered may act"
    if (old.unmanaged, new.unmanaged) == ("deny", "allow"):
        yield "agents that only report may act"
    yield from _answering(old, new)
    yield from _trusting(old, new)
    after = {entry.name: entry for entry in new.entries}
    for before in old.entries:
        if before.mode == "enforce":
            yield from (f"policy '{before.name}': {what}" for what in _entry(before, after.get(before.name)))
    before_names = set(old.policies)
    if any(isinstance(entry.policy, Granting) for entry in old.entries):
        for entry in new.entries:
            if entry.name not in before_names and isinstance(entry.policy, Granting):
                yield f"policy '{entry.name}': new, and can permit what the others do not"


def _trusting(old: Bundle, new: Bundle) -> Iterator[str]:
    """Tools whose results may now name whom an act is for."""
    for name in new.trusted_tools:
        if name not in old.trusted_tools:
            yield f"'{name}' is trusted with what it gives"


def _answering(old: Bundle, new: Bundle) -> Iterator[str]:
    """Who may answer what is escalated, that could not before."""
    was, now = old.approvers, new.approvers
    for name, one in now.people.items():
        before = was.people.get(name)
        if before is None:
            yield f"approver '{name}' is new"
        elif before.key != one.key:
            yield f"approver '{name}' has another key"
        elif before.user != one.user:
            yield f"approver '{name}' is another user"
    for group, members in now.groups.items():
        added = sorted(set(members) - set(was.groups.get(group, ())))
        if group in was.groups and added:
            yield f"group '{group}' has {', '.join(added)} as well"


def _entry(old: Entry, new: Entry | None) -> Iterator[str]:
    if new is None:
        yield "removed"
        return
    if new.mode == "observe":
        yield "only observes"
        return
    if old.on_error != "skip" == new.on_error:
        yield "skipped when it fails"
    if new.use != old.use:
        yield f"uses {new.use} instead of {old.use}"
        return
    yield from _selection(old, new)
    if isinstance(new.policy, Comparable):
        yield from _asked(old, new)
    elif new.options != old.options:
        yield f"other options, and {new.use} cannot say whether it permits more"


def _asked(old: Entry, new: Entry) -> Iterator[str]:
    try:
        yield from new.policy.widens(old.policy)  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - a pack's fault must not hide the other ways
        yield f"{new.use} cannot say whether it permits more: {type(error).__name__}: {error}"


def _selection(old: Entry, new: Entry) -> Iterator[str]:
    """Fewer agents or actions are reached; a changed query may select fewer."""
    if new.agents is not None and (old.agents is None or new.agents.source != old.agents.source):
        yield f"other agents are selected: {new.agents.source}"
    lost = _actions(old) - _actions(new)
    if lost:
        yield f"no longer asked on {', '.join(sorted(lost))}"


def _actions(entry: Entry) -> frozenset[str]:
    actions = entry.policy.reach.actions
    return frozenset(ACTIONS) if actions is None else frozenset(actions)
