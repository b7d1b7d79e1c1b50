"""What an adapter is: it translates one framework's calls into requests and enforces the decisions there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from jackline.condition import EvaluationError
from jackline.errors import BundleError
from jackline.request import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jackline.bundle import Bundle, Entry
    from jackline.guard import Guard

T = TypeVar("T")

CHANGING = "modify "
"""In front of an action's name: the key of a gap where acts of that kind are judged, but never changed."""


@runtime_checkable
class Adapter(Protocol):
    """One framework. An instance is made without arguments and holds no state of a call.

    One whose agents all have the same few values of `agent.framework` may list them as `frameworks`: a policy whose
    `agents:` query selects none of these needs nothing of it.
    """

    name: str

    def accepts(self, agent: object) -> bool:
        """Whether `attach` knows this object."""

    def attach(self, guard: Guard, agent: T) -> T:
        """Govern one agent; the answer is of the same type."""

    def enable(self, guard: Guard) -> None:
        """Govern every agent of the process, those built earlier included."""

    def disable(self, guard: Guard) -> None:
        """Undo `enable`: off means off."""

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path, with the reason: the empty cells of the support matrix.

        A key that is an action (`embedding`) says that its acts are never judged, one such as `modify model.call` that
        they are never changed: a policy that needs it is then refused. What other keys name, the adapter itself refuses
        where it meets it.
        """


class Gaps:
    """What the adapters in use cannot offer: policies that need it are refused, at once and at every reload."""

    def __init__(self) -> None:
        self._adapters: dict[str, Adapter] = {}

    def take(self, adapter: Adapter, bundle: Bundle | None) -> None:
        """Use an adapter from now on; raises BundleError where `bundle` needs what it cannot offer."""
        _refuse_all(bundle, (adapter,))
        self._adapters[adapter.name] = adapter

    def check(self, bundle: Bundle | None) -> None:
        """Raises BundleError where a policy needs what an adapter in use cannot offer."""
        _refuse_all(bundle, self._adapters.values())


def refuse(bundle: Bundle | None, who: str, gaps: Mapping[str, str], frameworks: Sequence[str] = ()) -> None:
    """Raises BundleError where a policy that is enforced needs one of the gaps of `who`.

    Adapters call it for objects that cannot offer what their framework else does; keys are those of `Adapter.gaps`.
    """
    if bundle is None or bundle.mode != "enforce":
        return
    found = [
        f"policy '{entry.name}' needs {_said(need)}, which {who} cannot offer: {gaps[need]}; {_HINT}"
        for entry in bundle.entries
        if entry.mode == "enforce" and _may_select(entry, frameworks)
        for need in needs(entry)
        if need in gaps
    ]
    if found:
        raise BundleError("\n".join(found))


def policy_gaps(gaps: Mapping[str, str]) -> list[str]:
    """The keys of gaps that say what no policy can have: see `Adapter.gaps`."""
    return [key for key in gaps if key.removeprefix(CHANGING) in ACTIONS]


_HINT = "narrow its `on:` or `agents:`, or let it observe (`mode: observe`)"


def _refuse_all(bundle: Bundle | None, adapters: Iterable[Adapter]) -> None:
    for adapter in adapters:
        who = f"the adapter '{adapter.name}'"
        refuse(bundle, who, adapter.gaps(), getattr(adapter, "frameworks", ()))


def needs(entry: Entry) -> Iterator[str]:
    """The gaps that an entry cannot do with: for each action that its reach names, to be asked, and to change it.

    A policy that reaches any action asks for none in particular.
    """
    for action in sorted(entry.policy.reach.actions or ()):
        yield action
        if entry.policy.phase == "modify":
            yield f"{CHANGING}{action}"


def _said(key: str) -> str:
    action = key.removeprefix(CHANGING)
    return f"to change {action}" if action != key else f"to judge {action}"


def _may_select(entry: Entry, frameworks: Sequence[str]) -> bool:
    """Whether an entry's query may select an agent of whom only the framework is known."""
    return not frameworks or any(_selects(entry, framework) for framework in frameworks)


def _selects(entry: Entry, framework: str) -> bool:
    try:
        return entry.agents is None or entry.agents.holds({"agent": {"framework": framework}})
    except EvaluationError:
        return True
