"""Retrievals and embeddings of CrewAI's knowledge and memory are asked about, changed, refused and put on record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chromadb.api.types import EmbeddingFunction
from crew_fakes import fake
from crew_harness import acts, assert_accounted, redact, refuse
from crewai.knowledge.knowledge import Knowledge
from crewai.knowledge.storage.base_knowledge_storage import BaseKnowledgeStorage
from crewai.memory.unified_memory import Memory
from pydantic import Field

import jackline_crewai
from jackline.errors import Denied

if TYPE_CHECKING:
    from pathlib import Path

    from crew_harness import Guards


class Embedder(EmbeddingFunction[Any]):
    model_name = "embedder-1"

    def __init__(self) -> None:
        self.got: list[Any] = []

    def __call__(self, input: Any) -> Any:  # noqa: A002 - Chroma's name
        self.got.append(list(input))
        return [np.array([len(text), 1.0], dtype=np.float32) for text in input]


class Storage(BaseKnowledgeStorage):
    """What a query reaches."""

    collection_name: str = "facts"
    asked: Any = Field(default_factory=list)
    embedder: Any = Field(default_factory=Embedder)

    def search(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked.append(query)
        self.embedder(query)
        return [{"id": "1", "content": "found", "metadata": {}, "score": 0.9}]

    async def asearch(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return self.search(query)

    def save(self, documents: Any) -> None: ...
    async def asave(self, documents: Any) -> None: ...
    def reset(self) -> None: ...
    async def areset(self) -> None: ...


def query(knowledge: Knowledge, asynchronous: bool) -> Any:
    return asyncio.run(knowledge.aquery(["who"])) if asynchronous else knowledge.query(["who"])


ASYNC = pytest.mark.parametrize("asynchronous", [False, True])


@ASYNC
def test_a_query_of_knowledge_and_its_embedding_are_on_record(guards: Guards, asynchronous: bool) -> None:
    guard, storage = guards(), Storage()
    jackline_crewai.enable(guard)
    assert query(Knowledge(collection_name="facts", sources=[], storage=storage), asynchronous)[0]["content"] == "found"
    assert acts(guard) == [("retrieval", "facts", "allow"), ("embedding", "embedder-1", "allow")]
    assert_accounted(guard)


@ASYNC
def test_a_refused_query_reaches_nothing(guards: Guards, asynchronous: bool) -> None:
    guard, storage = guards(refuse("retrieval", reason="no")), Storage()
    jackline_crewai.enable(guard)
    with pytest.raises(Denied, match="Not permitted by policy 'p0': no"):
        query(Knowledge(collection_name="facts", sources=[], storage=storage), asynchronous)
    assert storage.asked == []
    assert_accounted(guard)


@ASYNC
def test_a_changed_query_is_what_is_looked_for(guards: Guards, asynchronous: bool) -> None:
    guard, storage = guards(redact("retrieval", old="who", new="what")), Storage()
    jackline_crewai.enable(guard)
    query(Knowledge(collection_name="facts", sources=[], storage=storage), asynchronous)
    assert storage.asked == [["what"]]


def test_a_refused_embedding_is_not_made(guards: Guards) -> None:
    guard, storage = guards(refuse("embedding")), Storage()
    jackline_crewai.enable(guard)
    with pytest.raises(Denied):
        Knowledge(collection_name="facts", sources=[], storage=storage).query(["who"])
    assert storage.embedder.got == []
    assert acts(guard) == [("retrieval", "facts", "allow"), ("embedding", "embedder-1", "deny")]
    assert_accounted(guard)


def test_memory_asks_about_what_it_embeds_and_looks_for(guards: Guards, tmp_path: Path) -> None:
    got: list[str] = []

    def plain_function(texts: list[str]) -> list[list[float]]:
        got.extend(texts)
        return [[float(len(text)), 1.0] for text in texts]

    memory = Memory(llm=fake(), embedder=plain_function, storage=str(tmp_path / "memory"))
    guard = guards(redact("embedding", old="sesame", new="[gone]"))
    jackline_crewai.enable(guard)
    memory.remember("sesame is a word", scope="/a", categories=["x"], importance=0.5)
    assert memory.recall("sesame", depth="shallow") != []
    assert acts(guard) == [
        ("embedding", "plain_function", "modify"),
        ("retrieval", "memory", "allow"),
        ("embedding", "plain_function", "modify"),
    ]
    assert "[gone] is a word" in got
    assert not any("sesame" in text for text in got)
    assert_accounted(guard)


def test_a_class_that_embeds_and_calls_its_base_is_asked_about_once(guards: Guards) -> None:
    class Narrow(Embedder):
        def __call__(self, input: Any) -> Any:  # noqa: A002 - Chroma's name
            return super().__call__(input)

    guard = guards()
    jackline_crewai.enable(guard)
    Narrow()(["a"])
    assert acts(guard) == [("embedding", "embedder-1", "allow")]


def test_nothing_is_asked_without_a_guard() -> None:
    storage = Storage()
    Knowledge(collection_name="facts", sources=[], storage=storage).query(["who"])
    assert storage.asked == [["who"]]
