"""Decisions over keep-alive loopback: a server with a core to itself; checks a second, each with its record.

`python benchmarks/decision_api.py [SECONDS] [CLIENTS]`
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

SECONDS = 5.0
CLIENTS = 8
GOAL = 1_500
"""Checks a second, at least."""
BUNDLE = """\
jackline: 1
unregistered: allow
policies:
  - {name: calls, use: budget, with: {limit: 100000000 calls, per: session}}
  - {name: large, use: rule, on: tool.call, when: "tool.name == 'refund' && args.amount > 500", effect: deny}
"""


def rows(seconds: float = SECONDS, clients: int = CLIENTS) -> list[dict[str, Any]]:
    """Checks alone, and checks that are each recorded, a second; both on a server that has one core."""
    try:
        import jackline_console  # noqa: F401, PLC0415 - its own distribution
    except ImportError:
        print("skipped: the rows of the Decision API, since jackline-console is not installed")
        return []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
        token = _token(home)
        command = [sys.executable, __file__, "serve", str(home)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline().rpartition(":")[2].split("/")[0])
            ask = partial(_row, child.pid, port, token, seconds, clients)
            found = [ask("checks alone"), ask("each with its record", recorded=True), ask("50 in a body", many=50)]
        finally:
            child.terminate()
            child.wait(60)
    return found


def _token(home: Path) -> str:
    from jackline_console.access.users import AgentToken, Users  # noqa: PLC0415

    made = AgentToken(id="bench", agent="bench", created=time.time(), digest="")
    return Users(home / "console").issue_agent(made)


def _serve(home: Path) -> None:
    from jackline import Guard  # noqa: PLC0415
    from jackline.home import Home  # noqa: PLC0415
    from jackline_console.decisions.serving import serve  # noqa: PLC0415
    from jackline_console.settings import Settings  # noqa: PLC0415

    _pin(0)
    with Guard.load(home / "jackline.yaml", home=home) as guard:
        serve(guard, Settings(home=Home(home), port=0))


def _pin(place: int) -> None:
    """Have a core to itself, where the system lets a process choose and has two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[place % len(cores)]})


def _row(
    server: int,
    port: int,
    token: str,
    seconds: float,
    clients: int,
    what: str,
    *,
    recorded: bool = False,
    many: int = 1,
) -> dict[str, Any]:
    numbers = [str(int(number)) for number in (clients, recorded, many)]
    words = [sys.executable, __file__, "ask", str(port), token, str(seconds), *numbers]
    before = _cpu(server)
    told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    busy = _cpu(server) - before
    # By the server's own CPU time, where the system tells it: a machine that is busy otherwise does not count.
    rate = told["checks"] / busy if busy else told["rate"]
    return {
        "what": f"Decision API, {what}, CPU",
        "unit": "checks/s",
        "goal": GOAL,
        "least": True,
        "median": rate,
        "p10": rate,
        "by_the_clock": told["rate"],
        "latency_ms": told["median_ms"],
    }


def _ask(port: int, token: str, seconds: float, clients: int, *, recorded: bool, many: int) -> dict[str, float]:
    """One thread asks on all connections in turn: raw sockets, so that the client is not what is measured."""
    _pin(1)
    connections = [_Connection(port, token, n, many) for n in range(clients)]
    for one in connections:
        one.check()
    checks, took = 0, []
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    while time.perf_counter() < until:
        started = time.perf_counter()
        for one in connections:
            one.send_check()
        told = [one.answer() for one in connections]
        took.append((time.perf_counter() - started) / clients)
        checks += clients * many
        if recorded:
            for one, answer in zip(connections, told, strict=True):
                one.send_record(answer)
            for one in connections:
                one.answer()
    rate = checks / (time.perf_counter() - began)
    return {"checks": checks + clients * many, "rate": rate, "median_ms": sorted(took)[len(took) // 2] * 1000}


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Connection:
    def __init__(self, port: int, token: str, number: int, many: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        asked = {
            "action": "tool.call",
            "resource": "refund",
            "args": {"order": "A-1", "amount": 12.5, "reason": "arrived broken"},
            "session": f"job-{number}",
            "lease_s": 60,
        }
        self._check = self._request("/v1/check", json.dumps(asked if many == 1 else [asked] * many))

    def _request(self, path: str, body: str) -> bytes:
        return f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def check(self) -> dict[str, Any]:
        self.send_check()
        return self.answer()

    def send_check(self) -> None:
        self._socket.sendall(self._check)

    def send_record(self, answer: dict[str, Any]) -> None:
        body = {"decision": answer["decision"], "outcome": "completed", "result": "ok"}
        self._socket.sendall(self._request("/v1/record", json.dumps(body)))

    def answer(self) -> dict[str, Any]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), data
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(65536)
        return json.loads(body)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["ask"]:
        port, token, seconds, clients, recorded, many = sys.argv[2:]
        told = _ask(int(port), token, float(seconds), int(clients), recorded=recorded == "1", many=int(many))
        print(json.dumps(told))
    else:
        for row in rows(*(kind(word) for kind, word in zip((float, int), sys.argv[1:], strict=False))):
            clock = f"{row['by_the_clock']:.0f} by the clock, {row['latency_ms']:.3f} ms each (median)"
            print(f"{row['what']}: {row['median']:.0f} {row['unit']} and core; {clock}")
