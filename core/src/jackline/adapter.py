"""What an adapter is: it translates one framework's calls into requests and enforces the decisions there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.guard import Guard

T = TypeVar("T")


@runtime_checkable
class Adapter(Protocol):
    """One framework. An instance is made without arguments and holds no state of a call."""

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
        """What cannot be guaranteed, by path, with the reason: the empty cells of the support matrix."""
