"""P27: on an event loop nothing of ours blocks; ten requests to a slow server take as long as one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
from blockbuster import BlockBuster
from http_harness import NO, about, decided, refuse_port

from jackline.bundle import Bundle, Entry
from jackline.decision import Verdict
from jackline.testing import allow_journal_writes
from jackline.testing.scripted import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from http_server import Server

    from jackline.guard import Guard

    Governing = Callable[..., Guard]


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Any blocking call on a loop raises."""
    detector = BlockBuster()
    detector.activate()
    allow_journal_writes(detector)
    try:
        yield
    finally:
        detector.deactivate()


async def test_p27_requests_block_nothing(good: Server, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port), replacing("http.request", "plum", "****"))
    client, session = httpx.AsyncClient(trust_env=False), aiohttp.ClientSession()
    with watched(), guard.session("job", agent="researcher"):
        for send in (client, session):
            answer: Any = await send.post(f"{good.url}/ok?card=plum", headers={"x": "plum"})
            assert (answer.status_code if send is client else answer.status) == 200
            if send is session:
                await answer.read()
            with pytest.raises((httpx.RequestError, aiohttp.ClientError), match=NO):
                await send.get(f"{bad.url}/ok")
    await client.aclose()
    await session.close()
    assert [each.effect for each in decided(guard)] == ["modify", "deny", "modify", "deny"]


async def test_p27_a_policy_that_waits_is_waited_for_elsewhere(good: Server, governing: Governing) -> None:
    """What it waits for can only come while the loop goes on."""
    go_on = threading.Event()
    policy = about(lambda _: Verdict(effect="allow" if go_on.wait(30) else "deny"))
    guard = governing()
    guard._workers.deadline = 60.0
    entry = Entry("slow", "test", policy, None, trusted=False)
    guard.reload(Bundle(revision="1" * 64, source="test", entries=(entry,)))

    async def let_go() -> None:
        go_on.set()

    letting = asyncio.create_task(let_go())
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{good.url}/ok")).status_code == 200
    await letting
