"""Around retrievals and embeddings: a query or texts go out, nothing that is judged comes back."""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jackline.session import CURRENT, joined
from jackline_crewai.enforce import QueryAct, abandon
from jackline_crewai.following import FOLLOWING
from jackline_crewai.places import restore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline_crewai.following import Follower

    Body = Callable[..., Any]

EMBEDDING: ContextVar[bool] = ContextVar("jackline_crewai_embedding", default=False)
"""Whether what embeds was asked further out: a class calls its base, a function its embedder."""

SEARCHING: ContextVar[Any] = ContextVar("jackline_crewai_searching", default=None)
"""What was asked further out whether it may be looked in: a class calls its base."""

active = FOLLOWING.active


class Query:
    """One retrieval or embedding under every guard that follows it."""

    def __init__(self, followers: Sequence[Follower], action: str, native: Any, resource: str, sent: Any) -> None:
        self.native = native
        key = "texts" if action == "embedding" else "query"
        self.acts = [QueryAct(item, action, resource, key) for item in followers]
        self.sent = sent
        self._tokens: tuple[Any, ...] = ()

    def open(self) -> Any:
        """Ask every guard; what is sent then."""
        try:
            for act in self.acts:
                act.check(act.ask(self.sent))
                self.sent = act.permitted(self.sent)
        except BaseException as error:
            abandon(self.acts, error)
            raise
        return self.sent

    async def aopen(self) -> Any:
        """As `open`, without blocking the event loop."""
        try:
            for act in self.acts:
                await act.acheck(act.ask(self.sent))
                self.sent = act.permitted(self.sent)
        except BaseException as error:
            abandon(self.acts, error)
            raise
        return self.sent

    def __enter__(self) -> None:
        embeds = self.acts[0].action == "embedding"
        self._tokens = (
            CURRENT.set(joined([act.inner for act in self.acts])),
            EMBEDDING.set(embeds or EMBEDDING.get()),
            SEARCHING.set(SEARCHING.get() if embeds else self.native),
        )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        restore(self._tokens)
        if error is not None:
            for act in self.acts:
                act.fail(error)

    def done(self, result: Any) -> Any:
        """Record that it ended well; vectors and documents are not kept."""
        count = len(result) if hasattr(result, "__len__") else None
        for act in self.acts:
            act.complete({act.key if act.action == "embedding" else "found": count})
        return result


def _retrieval(resource: Callable[[Any], str]) -> Callable[[Body], Body]:
    def wrapper(body: Body) -> Body:
        if inspect.iscoroutinefunction(body):

            async def asearch(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
                followers = active(self) if SEARCHING.get() is not self else ()
                if not followers:
                    return await body(self, query, *args, **kwargs)
                asked = Query(followers, "retrieval", self, resource(self), query)
                query = await asked.aopen()
                with asked:
                    found = await body(self, query, *args, **kwargs)
                return asked.done(found)

            return asearch

        def search(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            followers = active(self) if SEARCHING.get() is not self else ()
            if not followers:
                return body(self, query, *args, **kwargs)
            asked = Query(followers, "retrieval", self, resource(self), query)
            query = asked.open()
            with asked:
                found = body(self, query, *args, **kwargs)
            return asked.done(found)

        return search

    return wrapper


def _collection(native: Any) -> str:
    names = (getattr(owner, "collection_name", None) for owner in (native, getattr(native, "storage", None)))
    return next((str(name) for name in names if name), "knowledge")


knowledge = _retrieval(_collection)
"""Around `Knowledge.query` and `Knowledge.aquery`."""

memory = _retrieval(lambda _native: "memory")
"""Around `Memory.recall`, which an agent's recall tool and CrewAI itself use."""


def _name(embedder: Any) -> str:
    for key in ("model_name", "model", "_model_name"):
        found = getattr(embedder, key, None)
        if isinstance(found, str) and found:
            return found
    return getattr(embedder, "__name__", None) or type(embedder).__name__


def embedder(body: Body) -> Body:
    """Around `__call__` and `embed_query` of classes that embed."""

    def embed(self: Any, input: Any) -> Any:  # noqa: A002 - Chroma's name
        followers = active(self) if not EMBEDDING.get() else ()
        if not followers:
            return body(self, input)
        asked = Query(followers, "embedding", self, _name(self), input)
        input = asked.open()  # noqa: A001 - as above
        with asked:
            found = body(self, input)
        return asked.done(found)

    return embed


def embed_with(body: Body) -> Body:
    """Around memory's functions that call an embedder, which may be any function."""

    def embed(embedder: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(embedder) if not EMBEDDING.get() else ()
        texts = args[0] if args else next(iter(kwargs.values()), None)
        if not followers or not texts:
            return body(embedder, *args, **kwargs)
        asked = Query(followers, "embedding", embedder, _name(embedder), texts)
        texts = asked.open()
        with asked:
            found = body(embedder, texts)
        return asked.done(found)

    return embed
