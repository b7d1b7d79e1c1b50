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
from urllib.parse import urlsplit

from jackline.events import Completed, Decided
from jackline.journal import Journal

PERCENT = (50, 95, 99)


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


def measured(rate: int = 1000, seconds: float = 10.0) -> dict[str, float]:
    """Milliseconds from an event's own time to its arrival, by percentile, and how many arrived."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        env = {**os.environ, "JACKLINE_HOME": str(home)}
        program = str(Path(sys.executable).with_name("jackline"))
        command = [program, "console", "--port", "0", "--no-open"]
        console = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
        assert console.stdout is not None
        console.stdout.readline()
        link = urlsplit(console.stdout.readline().strip())
        try:
            connection = http.client.HTTPConnection(link.hostname or "", link.port)
            connection.request("GET", f"{link.path}?{link.query}")
            answer = connection.getresponse()
            cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
            answer.read()
            connection.request("GET", "/api/v1/stream", headers={"Cookie": cookie})
            stream = connection.getresponse()
            words = [sys.executable, __file__, "--write", str(home), "--rate", str(rate), "--seconds", str(seconds)]
            writer = subprocess.Popen(words, env=env)
            late = arrivals(stream, int(rate * seconds))
            writer.wait()
        finally:
            console.terminate()
            console.wait()
            console.stdout.close()
    late.sort()
    return {"events": len(late), **{f"p{share}_ms": late[len(late) * share // 100] * 1000 for share in PERCENT}}


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
