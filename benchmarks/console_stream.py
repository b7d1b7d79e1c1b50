"""How long after an agent wrote an event a browser has it: journal -> ingest -> stream, in processes of their own."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from jackline.events import Completed, Decided
from jackline.journal import Journal

PERCENT = (10, 50, 95, 99)
GOAL_MS = 500


def write(home: Path, rate: int, seconds: float) -> None:
    """Journal decisions and outcomes at a steady rate, each with the time at which it was written."""
    with Journal.open(home / "journals") as journal:
        begun = time.monotonic()
        for number in range(int(rate * seconds)):
            ahead = begun + number / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            ids = {"session": f"{number % 50:032x}", "run": "a" * 32, "span": f"{number // 2:016x}"}
            what = {"action": "tool.call", "resource": "look"}
            if number % 2:
                journal.append(Completed(at=time.time(), duration_ms=1.0, **ids, **what))
            else:
                journal.append(Decided(at=time.time(), agent="bench", effect="allow", **ids, **what))


class Served:
    """A console in a process of its own, and a browser's connection to it that followed its link."""

    def __init__(self, home: Path) -> None:
        self.env = {**os.environ, "JACKLINE_HOME": str(home)}
        command = [str(Path(sys.executable).with_name("jackline")), "console", "--port", "0", "--no-open"]
        self._process = subprocess.Popen(command, cwd=home.parent, env=self.env, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self._process.stdout.readline()
        link = urlsplit(self._process.stdout.readline().strip())
        self.connection = http.client.HTTPConnection(link.hostname or "", link.port)
        self.connection.request("GET", f"{link.path}?{link.query}")
        answer = self.connection.getresponse()
        self._headers = {"Cookie": (answer.getheader("set-cookie") or "").partition(";")[0]}
        answer.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, path: str) -> http.client.HTTPResponse:
        """The answer to a GET below `/api/v1`, or of `/metrics`; raises RuntimeError where it is not 200."""
        self.connection.request("GET", path if path == "/metrics" else f"/api/v1{path}", headers=self._headers)
        answer = self.connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
        return answer

    def get(self, path: str) -> bytes:
        """All of it."""
        return self.ask(path).read()


def measured(rate: int = 1000, seconds: float = 10.0) -> dict[str, float]:
    """Milliseconds from an event's own time to its arrival, by percentile, and how many arrived."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        with Served(home) as console:
            stream = console.ask("/stream")
            words = [sys.executable, __file__, "--write", str(home), "--rate", str(rate), "--seconds", str(seconds)]
            writer = subprocess.Popen(words, env=console.env)
            late = arrivals(stream, int(rate * seconds))
            writer.wait()
    late.sort()
    return {"events": len(late), **{f"p{share}_ms": late[len(late) * share // 100] * 1000 for share in PERCENT}}


def rows(rate: int = 1000, seconds: float = 10.0) -> list[dict[str, Any]]:
    """What `run.py` shows of it."""
    found = measured(rate, seconds)
    what = f"an event on the page's stream, {rate:,} events/s, after it was written"
    return [
        {"what": what, "unit": "ms", "median": found["p50_ms"], "p10": found["p10_ms"]},
        {"what": "  p95 of it", "unit": "ms", "median": found["p95_ms"], "p10": found["p95_ms"], "goal": GOAL_MS},
    ]


def arrivals(stream: http.client.HTTPResponse, count: int) -> list[float]:
    """Seconds from each event's time to its arrival."""
    late: list[float] = []
    while len(late) < count:
        line = stream.readline()
        if line.startswith(b"data: ") and b'"items"' in line:
            now = time.time()
            items = json.loads(line[6:])["items"]
            late += [now - item["at"] for item in items if item["kind"] in ("decided", "completed")]
    return late


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.rate, asked.seconds)
    else:
        print(json.dumps(measured(asked.rate, asked.seconds)))
