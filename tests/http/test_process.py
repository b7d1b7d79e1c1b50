"""`jackline.init` governs what a process sends, whatever is imported when."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
import requests
from http_harness import NO, about, as_tool, decided

import jackline_http
from jackline.decision import Verdict
from jackline.errors import JacklineError
from jackline.plugins import installed_plugins
from jackline_http.enforce import GOVERNING
from jackline_http.libraries import Library

if TYPE_CHECKING:
    from pathlib import Path

    from http_server import Server

BUNDLE = """jackline: 1
policies:
  - name: out
    use: tool_access
    with: {egress: {allow: ["127.0.0.1:GOOD"], others: deny}}
"""

BEFORE = """
import jackline
guard = jackline.init("jackline.yaml")
"""

SENDS = {
    "httpx": "httpx.get(url, trust_env=False).status_code",
    "httpx2": "httpx2.get(url, trust_env=False).status_code",
    "requests": "requests.get(url, timeout=5).status_code",
    "urllib3": "urllib3.PoolManager().request('GET', url).status",
    "aiohttp": "asyncio.run(get(url))",
}

AFTER = """
import asyncio

async def get(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status

@guard.tool
def send(url):
    return SEND

with guard.session(agent="researcher"):
    assert send("GOOD_URL") == 200
    try:
        send("BAD_URL")
    except jackline.Denied as error:
        print(error)
jackline.close()
import sys
print(sys.meta_path[0].__class__.__name__)
"""


def run(place: Path, program: str) -> str:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=place,
        env={"PATH": "", "JACKLINE_HOME": str(place / "home")},
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("library", SENDS)
def test_init_governs_libraries_that_are_imported_before_and_after_it(
    library: str, order: str, tmp_path: Path, good: Server, bad: Server
) -> None:
    (tmp_path / "jackline.yaml").write_text(BUNDLE.replace("GOOD", str(good.port)))
    importing = f"import {library}\n"
    program = BEFORE + importing if order == "after" else importing + BEFORE
    program += AFTER.replace("SEND", SENDS[library]).replace("GOOD_URL", good.url).replace("BAD_URL", bad.url)
    told = run(tmp_path, program).splitlines()
    assert told[0] == (
        "Not permitted by policy 'out': no policy permits "
        f"http.request 'GET http://127.0.0.1:{bad.port}' for agent 'researcher'"
    )
    assert told[1] != "_Finder"
    assert (len(good.got), bad.connections) == (1, 0)


def test_init_loads_no_library(tmp_path: Path) -> None:
    (tmp_path / "jackline.yaml").write_text("jackline: 1\npolicies: []\n")
    program = BEFORE + "import sys\nprint([m for m in ('httpx', 'requests', 'urllib3', 'aiohttp') if m in sys.modules])"
    assert run(tmp_path, program) == "[]\n"


def test_without_any_library_there_is_the_net(tmp_path: Path, bad: Server) -> None:
    (tmp_path / "jackline.yaml").write_text(BUNDLE.replace("GOOD", "1"))
    program = BEFORE + (
        "import socket\n"
        "@guard.tool\n"
        f"def send(): socket.create_connection(('127.0.0.1', {bad.port}))\n"
        "with guard.session(agent='researcher'):\n"
        "    try: send()\n"
        "    except jackline.Denied as error: print(error)\n"
    )
    assert run(tmp_path, program).startswith("Not permitted by policy 'out': tcp://127.0.0.1:")
    assert bad.connections == 0


def test_the_adapter_is_registered() -> None:
    target = installed_plugins().registrations.target("adapter", "http")
    assert target.facts["roots"][:3] == ("socket", "httpx", "httpx2")
    assert target.load() is jackline_http.HttpAdapter


def test_a_version_that_is_built_otherwise_is_an_error_not_a_gap(guards: Any, monkeypatch: Any) -> None:
    def put_on(library: Library, module: Any) -> None:
        library.wrap(module.Missing, "send", lambda original: original)

    monkeypatch.setattr("jackline_http.adapter.LIBRARIES", (Library("requests", "2.31", put_on),))
    with pytest.raises(
        JacklineError,
        match=r"requests 2\.\S+ cannot be governed: .*'Missing' is not where .* It knows requests >= 2\.31",
    ):
        jackline_http.HttpAdapter().enable(guards())
    assert GOVERNING.guards == ()


def test_nothing_is_attached_and_gaps_are_named() -> None:
    adapter = jackline_http.HttpAdapter()
    assert not adapter.accepts(object())
    with pytest.raises(JacklineError, match=r"a str is not attached: jackline_http\.enable\(guard\) governs all"):
        adapter.attach(object(), "client")  # type: ignore[arg-type]
    assert {"subprocesses", "C extensions", "kept connections"} <= adapter.gaps().keys()


def test_what_policies_send_is_no_act(governing: Any, good: Server) -> None:
    """A policy that asks a server about a request is not asked about its own request."""

    def asks(request: Any) -> Verdict | None:
        assert requests.get(f"{good.url}/ok/policy", timeout=5).status_code == 200
        return Verdict(effect="deny", reason=NO)

    guard = governing(about(asks))
    with pytest.raises(requests.RequestException, match=NO):
        as_tool(guard, lambda: requests.get(f"{good.url}/ok/tool", timeout=5))
    assert [each.path for each in good.got] == ["/ok/policy"]
    assert len(decided(guard)) == 1


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'jackline_http' has no attribute 'missing'"):
        _ = jackline_http.missing
