"""Which guards follow which calls: by a handler in the callbacks, by the current scope, or the whole process."""

from __future__ import annotations

import threading
import uuid
import weakref
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.runnables.config import ensure_config, merge_configs
from langchain_core.tracers import context as tracers

from jackline.session import CURRENT
from jackline_langchain.enforce import OwnEntranceAct, QueryAct, ToolAct
from jackline_langchain.entrances import EMBEDDING, QUERY
from jackline_langchain.patches import PATCHES
from jackline_langchain.runs import Runs, SpawnAct
from jackline_langchain.signals import LOGGER, QUIET, DeniedCall, failed_closed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.tools import BaseTool

    from jackline.guard import Guard
    from jackline_langchain.enforce import Act
    from jackline_langchain.entrances import GraphEntrance
    from jackline_langchain.handler import JacklineCallbackHandler
    from jackline_langchain.model_act import ModelAct

reach = PATCHES.reach
new_id = uuid.uuid4


class Follower:
    """What one guard has in LangChain, from its first handler until it is closed."""

    def __init__(self, guard: Guard, handler: JacklineCallbackHandler) -> None:
        self.guard = guard
        self.handler = handler
        self.runs = Runs(guard)
        self.process = 0
        """How often the guard was enabled for the whole process."""

    def begin(self) -> None:
        """Wrap the entrances; nothing is governed by that alone."""
        PATCHES.install()
        _hooks.follow(self)

    def end(self) -> None:
        """Off means off: handlers that are still in callbacks do nothing from now on."""
        self.runs.close()
        _hooks.leave(self)
        PATCHES.remove()


class _ScopeHook:
    """Stands where LangChain expects a context variable: the handler of the guard whose scope is the current one.

    A tool's own threads lose LangChain's callbacks and keep Jackline's scope.
    """

    def get(self) -> JacklineCallbackHandler | None:
        scope = CURRENT.get()
        follower = _hooks.of(scope.guard) if scope is not None else None
        return follower.handler if follower is not None else None


class _ProcessHook:
    """Stands where LangChain expects a context variable, with the same handler in every context."""

    def __init__(self, handler: JacklineCallbackHandler) -> None:
        self.handler = handler

    def get(self) -> JacklineCallbackHandler:
        return self.handler


class _Hooks:
    """The guards that are followed, and LangChain's configure hooks for them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._followers: dict[int, Follower] = {}
        self._scope = _ScopeHook()
        self._process: dict[int, _ProcessHook] = {}

    def of(self, guard: Any) -> Follower | None:
        """What a guard has in LangChain; None where it has nothing (any more)."""
        return self._followers.get(id(guard))

    def active(self) -> list[Follower]:
        """The followers of what happens here, whatever callbacks it has."""
        if not self._followers:
            return []
        found = [follower for follower in self._followers.values() if follower.process]
        scope = CURRENT.get()
        for one in (scope, *scope.others) if scope is not None else ():
            around = self.of(one.guard)
            if around is not None and around not in found:
                found.insert(0, around)
        return found

    def join(self, guard: Guard, handler: JacklineCallbackHandler) -> Follower:
        """The follower of a guard; its first handler stands for it in hooks."""
        with self._lock:
            found = self.of(guard)
            if found is None:
                found = Follower(guard, handler)
                found.begin()
                guard.at_close(found.end)
            return found

    def follow(self, follower: Follower) -> None:
        with self._lock:
            if not self._followers:
                tracers.register_configure_hook(self._scope, inheritable=True)  # type: ignore[arg-type]
                LOGGER.addFilter(QUIET)
            self._followers[id(follower.guard)] = follower

    def leave(self, follower: Follower) -> None:
        with self._lock:
            self._followers.pop(id(follower.guard), None)
            follower.process = 1 if follower.process else 0
            self.narrow(follower)
            if not self._followers:
                _unregister(self._scope)
                LOGGER.removeFilter(QUIET)

    def widen(self, follower: Follower) -> None:
        """Follow every call of the process."""
        with self._lock:
            follower.process += 1
            if follower.process == 1:
                hook = self._process[id(follower.guard)] = _ProcessHook(follower.handler)
                tracers.register_configure_hook(hook, inheritable=True)  # type: ignore[arg-type]

    def narrow(self, follower: Follower) -> None:
        """Undo one `widen`."""
        with self._lock:
            if follower.process:
                follower.process -= 1
                if not follower.process:
                    _unregister(self._process.pop(id(follower.guard)))


def _unregister(hook: Any) -> None:
    """LangChain has no way back from register_configure_hook; its list is the only place."""
    hooks = tracers._configure_hooks  # noqa: SLF001
    hooks[:] = [entry for entry in hooks if entry[0] is not hook]


_hooks = _Hooks()
join, widen, narrow, follower_of = _hooks.join, _hooks.widen, _hooks.narrow, _hooks.of


# --- acts that no callback announces


def tool_acts(tool: BaseTool) -> list[ToolAct]:
    """The acts of a tool's body that is called directly, past its public entrance."""
    return [ToolAct(item.guard, item.guard.scope(), item.runs.tools.known(tool), "", {}) for item in _hooks.active()]


def own_entrance_acts(tool: BaseTool, given: Any, config: Any, call_id: str | None) -> list[OwnEntranceAct]:
    """The acts of a tool that is called by an entrance of its own, where LangChain may tell no callback of it."""
    call = given if isinstance(given, dict) and given.get("type") == "tool_call" else {"args": given, "id": call_id}
    found = []
    for runs, parent_run_id in governors(config):
        _, scope = runs.around(parent_run_id)
        if scope is None:
            scope = runs.bare((config or {}).get("metadata") or {})
        known = runs.tools.known(tool)
        found.append(OwnEntranceAct(runs.guard, scope, known, str(call["id"] or ""), call["args"]))
    return found


def embedding_acts(model: Any) -> list[QueryAct]:
    """The acts of an embedding, which LangChain tells no callback of."""
    if EMBEDDING.get():
        return []
    name = next((str(found) for key in ("model", "model_name") if (found := getattr(model, key, None))), "")
    name = name or type(model).__name__
    return [QueryAct(item.guard, item.guard.scope(), "embedding", name, "texts") for item in _hooks.active()]


def embedded(acts: Sequence[QueryAct], sent: Sequence[str]) -> None:
    """Close embeddings that ended well; vectors are not kept."""
    for act in acts:
        act.complete({"texts": len(sent)})


def failed(acts: Sequence[Act], error: BaseException) -> None:
    """Close acts that broke off."""
    for act in acts:
        act.fail(error)


def search_acts(retriever: Any) -> list[QueryAct]:
    """The acts of the call that reaches a retriever's body."""
    entrance = QUERY.get()
    if entrance is None or entrance.native is not retriever or entrance.entered:
        return []
    entrance.entered = True
    return entrance.acts


# --- graphs


def governors(config: Any) -> Iterator[tuple[Runs, Any]]:
    """The trees that will be told of a run with this configuration, each with the id of the run above."""
    callbacks = ensure_config(config).get("callbacks")
    managed = isinstance(callbacks, BaseCallbackManager)
    parent = callbacks.parent_run_id if managed else None  # type: ignore[union-attr]
    handlers: list[Any] = list(callbacks.handlers if managed else callbacks or ())  # type: ignore[union-attr,arg-type]
    found = [handler.runs for handler in handlers if isinstance(getattr(handler, "runs", None), Runs)]
    found += [follower.runs for follower in _hooks.active()]
    for runs in dict.fromkeys(found):
        if not runs.off:
            yield runs, parent


async def announce(entrance: GraphEntrance, inputs: Any, config: Any) -> None:
    """Ask about a sub-agent where it can be awaited; the callback then finds the answer."""
    for runs, parent_run_id in governors(config):
        _, scope = runs.around(parent_run_id)
        if scope is not None and runs.spawns(scope):
            act = SpawnAct(runs.guard, scope)
            await act.acheck(act.ask(entrance.native.get_name(), inputs))
            entrance.judged[id(runs)] = act


_middleware: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


ATTACHED = "__jackline_handler"
"""Where a graph's own configuration names the handler that `attach` gave it. LangGraph before 1.2 drops a graph's own
callbacks where a call has some, and a call's parents where the graph has some; it keeps this key to itself."""


def with_handlers(graph: Any, config: Any) -> Any:
    """The configuration with the handlers that a graph was built or attached with."""
    handlers = _middleware.get(graph)
    if handlers is None:
        handlers = _middleware[graph] = _built_with(graph)
    attached = ((graph.config or {}).get("configurable") or {}).get(ATTACHED)
    if attached is not None:
        handlers = [*handlers, attached]
    if not handlers:
        return config
    own = (config or {}).get("callbacks") or ensure_config().get("callbacks")
    merged = merge_configs({"callbacks": own}, {"callbacks": handlers})
    return {**(config or {}), "callbacks": merged["callbacks"]}


def _built_with(graph: Any) -> list[Any]:
    owners = (
        getattr(getattr(getattr(node, "bound", None), name, None), "__self__", None)
        for node in graph.nodes.values()
        for name in ("func", "afunc")
    )
    found = (getattr(owner, "jackline_handler", None) for owner in owners)
    return list(dict.fromkeys(handler for handler in found if handler is not None))


# --- streams of events


_kept: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def keep(stream: Any, entrance: Any) -> None:
    """Let an entrance live as long as the stream that leads to it."""
    _kept[stream] = entrance


def bridged(model: Any, acts: Sequence[ModelAct], native: str, *below: str) -> Any:
    """A model whose own events cannot be held back goes by its chunks, which can, where answers are looked at."""
    if getattr(model, native, None) is None or not any(act.holds for act in acts):
        return model
    from langchain_core.language_models.chat_models import BaseChatModel  # noqa: PLC0415 - rarely needed

    if all(getattr(type(model), name) is getattr(BaseChatModel, name) for name in below):
        error = DeniedCall
        raise failed_closed(TypeError("its events cannot be held back"), error.__name__)
    copy = model.model_copy()
    object.__setattr__(copy, native, None)
    return copy
