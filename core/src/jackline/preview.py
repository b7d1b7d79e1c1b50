"""What an agent may use at all, asked before there is an act: nothing is recorded, reserved or remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jackline.decision import PERMITTING
from jackline.engine import suspended
from jackline.facts import facts
from jackline.policy import PHASES, State

if TYPE_CHECKING:
    from jackline.candidates import Bound
    from jackline.decision import Verdict
    from jackline.engine import Engine
    from jackline.request import Request

_JUDGE = PHASES.index("judge")
_ARGUMENTS = frozenset({"args", "original"})
_OBSTACLES = frozenset({"deny", "halt"})


class Unknown(dict[str, Any]):
    """Arguments that nobody has given yet; it notices that somebody asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def _asked(self, *_: Any) -> Any:
        self.asked = True
        return super()

    def __getitem__(self, key: str) -> Any:
        return self._asked().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return bool(self._asked().__contains__(key))

    def get(self, key: str, default: Any = None) -> Any:
        """As a map's, and noticed."""
        return self._asked().get(key, default)

    def __iter__(self) -> Any:
        return self._asked().__iter__()

    def __len__(self) -> int:
        return int(self._asked().__len__())

    def items(self) -> Any:
        """As a map's, and noticed."""
        return self._asked().items()


class _View(dict[str, Any]):
    """What conditions see, noticing that one looks at the arguments."""

    def __init__(self, known: dict[str, Any], args: Unknown) -> None:
        super().__init__(known)
        self._args = args

    def __getitem__(self, key: str) -> Any:
        if key in _ARGUMENTS:
            self._args.asked = True
            return {}  # a map of the kind that conditions take
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As a map's, and noticed."""
        return self[key] if key in self else default  # noqa: SIM401 - it is that method


def permissible(engine: Engine, request: Request) -> bool:
    """Whether an act like this could be permitted, or put to people, with some arguments.

    What depends on arguments, on what the session did or on the ledger counts as possible; so does what only a policy
    that may take long could say.
    """
    if engine.mode == "observe":
        return True
    candidates = engine.candidates(request)
    if candidates.standing is not None or any(True for _ in suspended(request)):
        return False
    granting = [item for item in candidates.granting if item.mode == "enforce"]
    granted = not granting
    for item in candidates.bound:
        if item.phase != _JUDGE or item.mode != "enforce":
            continue
        answer, open_ = _ask(item, request)
        if open_:
            granted = granted or item in granting
        elif answer is not None:
            if answer.effect in _OBSTACLES:
                return False
            granted = granted or (item in granting and answer.effect in PERMITTING)
    return granted


def _ask(item: Bound, request: Request) -> tuple[Verdict | None, bool]:
    """A policy's answer, and whether it could be another with other arguments."""
    if not item.trusted:
        return None, True
    args = Unknown()
    asking = replace(request, args=args, original=None, view=None)
    asking.view = _View(facts(asking), args)
    try:
        answer = item.policy.evaluate(asking, State())
    except Exception:  # noqa: BLE001 - a policy that fails would deny the act; whether it does so is seen then
        return None, True
    return answer, args.asked
