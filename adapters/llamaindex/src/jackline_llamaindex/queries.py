"""Around retrievers and embeddings: what they are asked for is judged."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.schema import QueryBundle

from jackline.errors import Signal
from jackline_llamaindex.enforce import QueryAct
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.runs import inside, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline_llamaindex.following import Follower

    Parts = tuple[Any, tuple[Any, ...], dict[str, Any], str | None]

_asked: ContextVar[tuple[Any, Any] | None] = ContextVar("jackline_llamaindex_query", default=None)
"""The object that is asked, and with what: a class calls the entrance of the one that it derives from."""


def _text(query: Any) -> Any:
    """What is asked for: words, or an image where there are none."""
    return query.query_str or query.image_path or "" if isinstance(query, QueryBundle) else query


def _query(query: Any, text: Any) -> Any:
    if not isinstance(query, QueryBundle):
        return text
    if text == _text(query):
        return query
    image = bool(query.image_path and not query.query_str)
    return QueryBundle("", image_path=text) if image else QueryBundle(text, image_path=query.image_path)


def _split(args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> Parts:
    """What is sent, and the rest of the call."""
    if args:
        return args[0], args[1:], dict(kwargs), None
    return kwargs.get(name), (), {key: item for key, item in kwargs.items() if key != name}, name


def _joined(parts: Parts, sent: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    _, given, named, name = parts
    return ((sent, *given), named) if name is None else (given, {**named, name: sent})


@contextlib.contextmanager
def _opening(acts: Sequence[QueryAct]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        why = "another guard refused it" if isinstance(error, Signal) else f"{type(error).__name__} came before it"
        for act in acts:
            act.abandon(why)
        raise


@contextlib.contextmanager
def _doing(native: Any, sent: Any, acts: Sequence[QueryAct]) -> Iterator[None]:
    token = _asked.set((native, sent))
    try:
        with inside(acts):
            yield
    except BaseException as error:
        for act in acts:
            act.fail(error)
        raise
    finally:
        _asked.reset(token)


def _done(acts: Sequence[QueryAct], found: Any) -> None:
    count = {"items": len(found)} if isinstance(found, list) else None
    for act in acts:
        act.complete(count)
        ended = act.ended()
        if ended is not None:
            raise ended


def _followed(native: Any, sent: Any) -> list[Follower]:
    asked = _asked.get()
    if asked is not None and asked[0] is native and asked[1] == sent:
        return []
    return FOLLOWERS.active(native)


class Entrance:
    """One method that sends text somewhere, sync or async; `parameter` is what its text is called."""

    def __init__(self, action: str, key: str, parameter: str, *, many: bool = False) -> None:
        self.action = action
        self.key = key
        self.parameter = parameter
        self.many = many

    def sent(self, native: Any) -> Any:
        """What is judged: the query, or the texts."""
        text = _text(native)
        if self.action == "retrieval":
            return text
        return list(text) if self.many else [text]

    def given(self, native: Any, sent: Any) -> Any:
        """What the method is given then."""
        if self.action != "retrieval" and not self.many:
            (sent,) = sent
        return _query(native, sent)

    def acts(self, native: Any, followers: Sequence[Follower]) -> list[QueryAct]:
        """An act for each guard."""
        name = type(native).__name__
        if self.action == "embedding":
            name = str(getattr(native, "model_name", "") or name)
        return [QueryAct(each.guard, scope_of(each.guard), self.action, name, self.key) for each in followers]

    def sync(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """The wrap of a method that blocks."""

        def wrapper(native: Any, *args: Any, **kwargs: Any) -> Any:
            parts = _split(args, kwargs, self.parameter)
            followers = _followed(native, parts[0])
            if not followers or parts[0] is None:
                return body(native, *args, **kwargs)
            acts, sent = self.acts(native, followers), self.sent(parts[0])
            with _opening(acts):
                for act in acts:
                    act.check(act.ask(sent))
                    sent = act.permitted(sent)
            given = self.given(parts[0], sent)
            args, kwargs = _joined(parts, given)
            with _doing(native, given, acts):
                found = body(native, *args, **kwargs)
            _done(acts, found)
            return found

        return wrapper

    def coroutine(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """The wrap of a method that is awaited."""

        async def wrapper(native: Any, *args: Any, **kwargs: Any) -> Any:
            parts = _split(args, kwargs, self.parameter)
            followers = _followed(native, parts[0])
            if not followers or parts[0] is None:
                return await body(native, *args, **kwargs)
            acts, sent = self.acts(native, followers), self.sent(parts[0])
            with _opening(acts):
                for act in acts:
                    await act.acheck(act.ask(sent))
                    sent = act.permitted(sent)
            given = self.given(parts[0], sent)
            args, kwargs = _joined(parts, given)
            with _doing(native, given, acts):
                found = await body(native, *args, **kwargs)
            _done(acts, found)
            return found

        return wrapper


_RETRIEVAL = Entrance("retrieval", "query", "str_or_query_bundle")
_QUERY = Entrance("embedding", "texts", "query")
_TEXT = Entrance("embedding", "texts", "text")
_BATCH = Entrance("embedding", "texts", "texts", many=True)
_IMAGE = Entrance("embedding", "images", "img_file_path")
_IMAGES = Entrance("embedding", "images", "img_file_paths", many=True)


def query(body: Callable[..., Any]) -> Callable[..., Any]:
    """`query` of a query engine: the guards that follow the engine follow what it asks."""

    def wrapper(native: Any, *args: Any, **kwargs: Any) -> Any:
        with FOLLOWERS.inside(native):
            return body(native, *args, **kwargs)

    return wrapper


def aquery(body: Callable[..., Any]) -> Callable[..., Any]:
    """As `query`."""

    async def wrapper(native: Any, *args: Any, **kwargs: Any) -> Any:
        with FOLLOWERS.inside(native):
            return await body(native, *args, **kwargs)

    return wrapper


ENGINES = {"query": query, "aquery": aquery}
RETRIEVERS = {
    "retrieve": _RETRIEVAL.sync,
    "aretrieve": _RETRIEVAL.coroutine,
    "text_to_image_retrieve": _RETRIEVAL.sync,
    "atext_to_image_retrieve": _RETRIEVAL.coroutine,
    "image_to_image_retrieve": _RETRIEVAL.sync,
    "aimage_to_image_retrieve": _RETRIEVAL.coroutine,
}
EMBEDDINGS = {
    "get_query_embedding": _QUERY.sync,
    "aget_query_embedding": _QUERY.coroutine,
    "get_text_embedding": _TEXT.sync,
    "aget_text_embedding": _TEXT.coroutine,
    "get_text_embedding_batch": _BATCH.sync,
    "aget_text_embedding_batch": _BATCH.coroutine,
    "get_image_embedding": _IMAGE.sync,
    "aget_image_embedding": _IMAGE.coroutine,
    "get_image_embedding_batch": _IMAGES.sync,
    "aget_image_embedding_batch": _IMAGES.coroutine,
}
