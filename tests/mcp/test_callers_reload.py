"""`jackline-mcp.yaml` changes while the gateway runs: who may call changes with it, what is broken changes nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from gateway_harness import INITIALIZE, Authority, Gateway, call, sha256
from mcp_harness import ERAS

from jackline_mcp.certificates import certificate_in

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

PING = {"jsonrpc": "2.0", "id": 5, "method": "ping"}


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    gateway = Gateway(tmp_path)
    for name in ("support", "sales"):
        gateway.callers[name] = f"token_sha256: {sha256(f'of-{name}')}"
    return gateway


async def until(http: httpx2.AsyncClient, url: str, status: int, headers: dict[str, str] | None = None) -> float:
    """Ask until the answer is of this status; gives the seconds."""
    began = time.monotonic()
    async with asyncio.timeout(30):
        while (await http.post(url, json=PING, headers=headers)).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_a_caller_that_is_taken_out_is_refused_with_its_open_session_and_others_are_not(gateway: Gateway) -> None:
    with gateway.running():
        async with gateway.http("of-support") as http, gateway.speaking("of-sales") as sales:
            opened = await http.post(gateway.url, json=INITIALIZE)
            session = {"mcp-session-id": opened.headers["mcp-session-id"]}
            assert (await http.post(gateway.url, json=PING, headers=session)).status_code == 200
            async with http.stream("GET", gateway.url, headers=session) as stream:
                assert stream.status_code == 200
                del gateway.callers["support"]
                gateway.write()
                async with asyncio.timeout(30):
                    async for _ in stream.aiter_bytes():  # until it is ended
                        pass
            await until(http, gateway.url, 401, session)
            called = await http.post(gateway.url, json=call("find", query="late"), headers=session)
            assert not (await sales.call_tool("find", {"query": "sales"})).is_error
            gateway.callers["support"] = f"token_sha256: {sha256('of-support')}"
            gateway.write()
            await until(http, gateway.url, 400)  # let in, and without a session
            gone = await http.post(gateway.url, json=PING, headers=session)

    assert called.status_code == 401
    assert gone.status_code == 404
    assert gateway.ran == ["find sales"]
    assert "support" in {event.agent for event in gateway.refusals() if event.what == "revoked"}


async def test_a_token_is_replaced_and_revoked_without_a_restart(gateway: Gateway) -> None:
    with gateway.running():
        async with gateway.http("of-support") as old, gateway.http("next") as new:
            assert (await new.post(gateway.url, json=PING)).status_code == 401
            gateway.callers["support"] = f"token_sha256: [{sha256('of-support')}, {sha256('next')}]"
            gateway.write()
            took = await until(new, gateway.url, 400)
            assert (await old.post(gateway.url, json=PING)).status_code == 400
            gateway.more = f"revoked: [{sha256('of-support')}]\n"
            gateway.write()
            await until(old, gateway.url, 401)
            refused = await old.post(gateway.url, json=PING)
            assert (await new.post(gateway.url, json=PING)).status_code == 400
        await gateway.says("2 callers and 1 revocations are in force")

    assert refused.json()["error"]["message"] == "this token was revoked"
    assert took < 20


async def _hanging(gateway: Gateway, mode: Any) -> None:
    """A call that is never answered, by a caller that is taken out meanwhile."""
    async with gateway.speaking("of-support", mode=mode) as client:
        calling = asyncio.create_task(client.call_tool("hangs", {}))
        await gateway.lines(1)
        del gateway.callers["support"]
        gateway.write()
        await calling


@ERAS
async def test_a_call_that_is_on_its_way_ends_with_its_callers_right(gateway: Gateway, mode: Any) -> None:
    with gateway.running():
        async with gateway.speaking("of-sales", mode=mode) as sales:
            async with asyncio.timeout(60):
                with pytest.raises(BaseException) as raised:  # the client tells of it in ways of its own
                    await _hanging(gateway, mode)
            assert not isinstance(raised.value, TimeoutError)
            await gateway.told("revoked")
            assert not (await sales.call_tool("find", {"query": "on"})).is_error

    assert gateway.ran[0] == "hangs"
    assert "find on" in gateway.ran
    assert "Exception in ASGI application" not in gateway.said


async def test_a_broken_configuration_changes_nothing_and_a_restart_is_named(gateway: Gateway) -> None:
    with gateway.running():
        async with gateway.http("of-support") as http:
            gateway.more = "callers: 7\n"
            gateway.write()
            await gateway.says("jackline-mcp.yaml is in force as it was before")
            assert (await http.post(gateway.url, json=PING)).status_code == 400
            gateway.more = "host: 0.0.0.0\nlimits: {idle: 9}\nanonymous: ''\n"
            gateway.callers["third"] = f"token_sha256: {sha256('third')}"
            gateway.write()
            await gateway.says("jackline-mcp.yaml: a restart brings into force: host, limits")
            await gateway.says("jackline-mcp.yaml: 3 callers and 0 revocations are in force")
            async with gateway.http("third") as third:
                await until(third, gateway.url, 400)
            gateway.more = "anonymous: anybody\n"
            gateway.write()
            await gateway.says("a restart brings into force: anonymous")
            async with gateway.http() as nobody:
                assert (await nobody.post(gateway.url, json=PING)).status_code == 401

    assert "Traceback" not in gateway.said


async def test_a_certificate_is_revoked_while_its_connection_is_open(gateway: Gateway) -> None:
    ca = Authority(gateway.folder)
    server, client = ca.issue("gateway", "IP:127.0.0.1", server=True), ca.issue("build", "DNS:build.example")
    gateway.callers["build"] = "certificate: 'DNS:build.example'"
    tls = f"tls: {{certificate: {server.name}, client_ca: {ca.path.name}}}\n"
    gateway.more = tls
    with gateway.running():
        async with gateway.http(verify=ca.trusting(client)) as http:
            assert (await http.post(gateway.url, json=PING)).status_code == 400
            gateway.more = f"{tls}revoked: ['{certificate_in(client).fingerprint}']\n"
            gateway.write()
            await until(http, gateway.url, 401)
            refused = await http.post(gateway.url, json=PING)

    assert refused.json()["error"]["message"] == "this certificate was revoked"
