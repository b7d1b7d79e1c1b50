"""Retrievers and embedding models: what sends text out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.retrievers import BaseRetriever

from jackline_langchain import bodies, following
from jackline_langchain.entrances import EMBEDDING, QUERY, QueryEntrance

if TYPE_CHECKING:
    from collections.abc import Callable


def _retriever_invoke(original: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(self: BaseRetriever, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseRetriever, BODIES)
        token = QUERY.set(QueryEntrance(self))
        try:
            return original(self, *args, **kwargs)
        finally:
            QUERY.reset(token)

    return invoke


def _retriever_ainvoke(original: Callable[..., Any]) -> Callable[..., Any]:
    async def ainvoke(self: BaseRetriever, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseRetriever, BODIES)
        token = QUERY.set(QueryEntrance(self))
        try:
            return await original(self, *args, **kwargs)
        finally:
            QUERY.reset(token)

    return ainvoke


def _search(original: Callable[..., Any]) -> Callable[..., Any]:
    def _get_relevant_documents(self: BaseRetriever, query: str, *args: Any, **kwargs: Any) -> Any:
        acts = following.search_acts(self)
        query = bodies.open_query(acts, query)
        with bodies.inside(acts):
            return original(self, query, *args, **kwargs)

    return _get_relevant_documents


def _asearch(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _aget_relevant_documents(self: BaseRetriever, query: str, *args: Any, **kwargs: Any) -> Any:
        acts = following.search_acts(self)
        query = await bodies.aopen_query(acts, query)
        with bodies.inside(acts):
            return await original(self, query, *args, **kwargs)

    return _aget_relevant_documents


def _texts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    if args:
        return args[0], args[1:]
    return kwargs.pop(next((name for name in ("texts", "text") if name in kwargs), next(iter(kwargs)))), ()


def _embed(original: Callable[..., Any]) -> Callable[..., Any]:
    def embed(self: Any, *args: Any, **kwargs: Any) -> Any:
        acts = following.embedding_acts(self)
        if not acts:
            return original(self, *args, **kwargs)
        texts, args = _texts(args, kwargs)
        sent = bodies.open_query(acts, [texts] if isinstance(texts, str) else texts)
        token = EMBEDDING.set(True)
        try:
            with bodies.inside(acts):
                found = original(self, sent[0] if isinstance(texts, str) else sent, *args, **kwargs)
        except BaseException as error:
            following.failed(acts, error)
            raise
        finally:
            EMBEDDING.reset(token)
        following.embedded(acts, sent)
        return found

    return embed


def _aembed(original: Callable[..., Any]) -> Callable[..., Any]:
    async def embed(self: Any, *args: Any, **kwargs: Any) -> Any:
        acts = following.embedding_acts(self)
        if not acts:
            return await original(self, *args, **kwargs)
        texts, args = _texts(args, kwargs)
        sent = await bodies.aopen_query(acts, [texts] if isinstance(texts, str) else texts)
        token = EMBEDDING.set(True)
        try:
            with bodies.inside(acts):
                found = await original(self, sent[0] if isinstance(texts, str) else sent, *args, **kwargs)
        except BaseException as error:
            following.failed(acts, error)
            raise
        finally:
            EMBEDDING.reset(token)
        following.embedded(acts, sent)
        return found

    return embed


BODIES = {"_get_relevant_documents": _search, "_aget_relevant_documents": _asearch}
ENTRANCES = {"invoke": _retriever_invoke, "ainvoke": _retriever_ainvoke, "_aget_relevant_documents": _asearch}
EMBEDDINGS = {
    "embed_documents": _embed,
    "embed_query": _embed,
    "aembed_documents": _aembed,
    "aembed_query": _aembed,
}
