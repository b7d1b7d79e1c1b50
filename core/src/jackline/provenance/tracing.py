"""Hears what a session's requests and results tell, and answers conditions that ask where a value comes from."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final, Literal

from jackline.provenance.keys import LONGEST, Keys
from jackline.provenance.memory import NAME, Memory, worst
from jackline.provenance.sources import Sources, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.policy import State
    from jackline.provenance.memory import Origin
    from jackline.request import Request

_MAKING = threading.Lock()
"""Held while a session's memory is made: results come in without the session's lock."""
_Remembered = Literal["trusted", "untrusted", "model", "handed"]
_DEEP: Final = 64
_VALUES: Final = 10_000
"""Values within one argument that are looked at; one that holds more is unknown."""


class Trace:
    """What conditions ask about one request; every answer is kept for the record, never the value."""

    __slots__ = ("_keys", "_memory", "all", "latest")

    def __init__(self, keys: Keys, memory: Memory) -> None:
        self._keys = keys
        self._memory = memory
        self.latest: dict[str, Origin] = {}
        """What was answered since this was last emptied, by the path of the argument."""
        self.all: dict[str, Origin] = {}
        """Everything that was answered."""

    def origin(self, value: Any, path: str = "") -> Origin:
        """Where a value comes from; of a list or a map, the worst of all that is in it."""
        try:
            found = worst(self._each(value, [_VALUES], 0))
        except (ValueError, RecursionError):
            found = "unknown"
        self.latest[path or "value"] = self.all[path or "value"] = found
        return found

    def _each(self, value: Any, left: list[int], depth: int) -> Iterator[Origin]:
        left[0] -= 1
        if left[0] < 0 or depth > _DEEP:
            raise ValueError("too large to look at")
        if isinstance(value, list):
            for one in value:
                yield from self._each(one, left, depth + 1)
        elif isinstance(value, dict):
            for name, one in value.items():
                if name[:1] == "$":
                    yield "unknown"  # a value that plain data cannot hold
                yield from self._each(one, left, depth + 1)
        else:
            yield from self._single(value)

    def _single(self, value: Any) -> Iterator[Origin]:
        if isinstance(value, str) and len(value) <= LONGEST:
            yield from map(self._memory.origin, self._keys.wanted(value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield self._memory.origin((self._keys.number(value),))
        elif value is not None:
            yield "unknown"


class Tracing:
    """The provenance of one bundle's sessions."""

    def __init__(self, key: bytes, sources: Sources) -> None:
        self._keys = Keys(key)
        self._sources = sources

    def begin(self, request: Request, states: dict[str, State]) -> Trace:
        """Hear what the request tells, and give it what its conditions ask. Its session's lock is held."""
        memory = self.memory(states)
        if request.action == "model.call":
            self._messages(memory, request)
        found = request.origins = Trace(self._keys, memory)
        request.view = None
        return found

    def permitted(self, request: Request, states: dict[str, State]) -> None:
        """Remember what goes to a tool or an agent: who gives it back later repeats what a model wrote."""
        if request.action in ("tool.call", "agent.spawn"):
            self._remember(self.memory(states), "handed", text_of(request.args))

    def outcome(self, request: Request, result: Any, states: dict[str, State]) -> None:
        """Hear what an act gave back."""
        memory = self.memory(states)
        if request.action in ("tool.call", "retrieval"):
            memory.fed = True
        for said, value, asked in self._sources.outcome(request, result):
            text = text_of(value)
            if text and said in ("trusted", "untrusted", "model"):
                self._remember(memory, said, text, asked)

    def heard(self, text: str, origin: Literal["user", "trusted", "untrusted"], states: dict[str, State]) -> None:
        """Hear a text whose origin the application vouches for."""
        self.memory(states).hear(self._keys.known(text), origin)

    def memory(self, states: dict[str, State]) -> Memory:
        """The session's memory; one that was put aside comes back."""
        found = states.get(NAME)
        if isinstance(found, Memory):
            return found
        with _MAKING:
            found = states.get(NAME)
            if not isinstance(found, Memory):
                found = states[NAME] = Memory(found.memory if found is not None else None)
            return found

    def _messages(self, memory: Memory, request: Request) -> None:
        """A prompt repeats with every turn: only what is new in it is read.

        Only the first prompt of a run at the root can hold a user's words: later on, frameworks put results of tools
        and words of their own into messages of the role `user`, and a sub-agent's user is an agent.
        """
        root = request.depth == 0
        begins = root and memory.first("runs", self._keys.of(request.run))
        if root and not memory.root:
            memory.root = request.agent.name
        addressed = memory.root == request.agent.name and not memory.fed
        memory.fed = memory.fed and not root
        messages = request.args.get("messages")
        for said, value, asked in self._sources.messages(messages if isinstance(messages, list) else []):
            text = text_of(value)
            if not root and said in ("user", "developer"):
                continue
            if not text or not memory.first("seen", self._keys.of(f"{said}\0{text}")):
                continue
            if said == "user" and begins:
                keys = self._keys.known(text)
                own = addressed and 2 * memory.known(keys) <= len(keys)
                memory.hear(keys, "user", raising=own)
            elif said == "developer":
                memory.hear(self._keys.known(text), "trusted", raising=False)
            elif said != "user":
                self._remember(memory, said, text, asked)

    def _remember(self, memory: Memory, said: _Remembered, text: str, asked: Any = None) -> None:
        keys = self._keys.known(text)
        if said == "trusted" and asked:
            repeated = self._keys.repeated(text, text_of(asked))
            keys = [key for key in keys if key not in repeated]
        memory.hear(keys, said, whole=len(text) <= LONGEST)


def _after_fork() -> None:
    global _MAKING  # noqa: PLW0603 - a lock that nobody holds
    _MAKING = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
