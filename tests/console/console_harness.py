"""A real console on loopback, its clients, streams and users, and governed agents in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from jackline.home import Home
from jackline_console.access.users import Users

HERE = Path(__file__).resolve().parent
PATIENCE = 30.0
WARNINGS = "error,ignore:'imghdr' is deprecated:DeprecationWarning"
"""What apprise imports for mails warns."""
PASSWORD = "correct horse battery"
POLICIES = """\
jackline: 1
policies:
  - name: session-ceiling
    use: budget
    with: {limit: 0.50 USD, per: session, on_exceed: halt}
  - name: refunds-need-a-human
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: escalate
    reason: a large refund
    with: {expires: 30m}
"""


def until(found, what="it", patience=PATIENCE):
    """Ask again and again until the answer is true; fail after a deadline."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} was not so within {patience} s"
        pause.wait(0.01)


def program():
    """The command line of this environment."""
    return str(Path(sys.executable).with_name("jackline"))


class Process:
    """A child process whose lines of output are read as they come."""

    def __init__(self, *words, home, folder, config=None):
        env = {**os.environ, "JACKLINE_HOME": str(home), "PYTHONWARNINGS": WARNINGS}
        env |= {"JACKLINE_CONFIG": str(config)} if config is not None else {}
        self.child = subprocess.Popen(
            list(words),
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines = queue.Queue()
        self.errors = ""
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._complain)]
        for thread in self._threads:
            thread.start()

    def _read(self):
        for line in self.child.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _complain(self):
        self.errors = self.child.stderr.read()

    def line(self):
        """The next line; fails where the process ended."""
        found = self._lines.get(timeout=PATIENCE)
        if found is None:
            self.child.wait(PATIENCE)
            self._threads[1].join(PATIENCE)
            pytest.fail(f"the process ended ({self.child.returncode}): {self.errors}")
        return found

    def told(self, key):
        """The next JSON line that has a key."""
        while True:
            line = json.loads(self.line())
            if key in line:
                return line[key]

    def end(self):
        """Close its input, and wait for it."""
        with contextlib.suppress(OSError):
            self.child.stdin.close()
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(PATIENCE)
            raise
        finally:
            for thread in self._threads:
                thread.join(PATIENCE)
            self.child.stdout.close()
            self.child.stderr.close()


class Running:
    """A console in a process of its own."""

    def __init__(self, home, folder, *words, config=None, verb="console"):
        command = [program(), verb, "--port", "0", "--no-open", *words]
        self.home = home
        self.folder = folder
        self.clients = []
        self.process = Process(*command, home=home, folder=folder, config=config)
        self.process.line()
        self.link = self.process.line().strip()
        self.base = self.link.partition("/login")[0].rstrip("/").replace("0.0.0.0", "127.0.0.1")

    def client(self, link=None):
        """A browser that followed the link: it has the cookie, and sends the CSRF header."""
        made = self.plain()
        answer = made.get(link or self.link, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        made.headers["X-Jackline-CSRF"] = made.get("/me").json()["csrf"]
        return made

    def token(self, role):
        """A script's client with a token of a role, written into the home's file as an admin would."""
        _, text = Users(Home(self.home).path / "console").issue(f"{role}-script", role, time.time(), None)
        return self.plain(headers={"Authorization": f"Bearer {text}"})

    def plain(self, **more):
        """A client that nobody knows."""
        made = httpx.Client(base_url=f"{self.base}/api/v1", timeout=PATIENCE, **more)
        self.clients.append(made)
        return made

    def end(self):
        for each in self.clients:
            each.close()
        self.process.child.terminate()
        self.process.end()


class Reader:
    """Reads a stream in a thread: messages as (name, id, data)."""

    def __init__(self, client, after="", headers=None, **wanted):
        self.messages: queue.Queue[Any] = queue.Queue()
        self.last = ""
        self._response = None
        self._opened = threading.Event()
        self.status = 0
        params = {"after": after, **wanted} if after else wanted
        self._thread = threading.Thread(target=self._run, args=(client, params, headers or {}), daemon=True)
        self._thread.start()
        assert self._opened.wait(PATIENCE)

    def _run(self, client, params, headers):
        try:
            with client.stream("GET", "/stream", params=params, headers=headers, timeout=PATIENCE) as response:
                self._response, self.status = response, response.status_code
                self._opened.set()
                self._parse(response)
        except (httpx.HTTPError, RuntimeError, OSError):
            pass  # closed here, or by the server
        finally:
            self._opened.set()
            self.messages.put(None)

    def _parse(self, response):
        name = mark = data = ""
        for line in response.iter_lines():
            if not line:
                self.messages.put((name, mark, json.loads(data)))
                self.last = mark or self.last
                name = mark = data = ""
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("id: "):
                mark = line[4:]
            elif line.startswith("data: "):
                data = line[6:]

    def next(self, name, patience=PATIENCE):
        """The data of the next message with a name; those before it are passed over."""
        deadline = time.monotonic() + patience
        while True:
            found = self.messages.get(timeout=max(0.01, deadline - time.monotonic()))
            assert found is not None, f"the stream ended before a message '{name}'"
            if found[0] == name:
                return found[2]

    def close(self):
        if self._response is not None:
            connection = self._response.extensions["network_stream"].get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # the reading thread sees the end at once
        self._thread.join(PATIENCE)


def login(running, name, password=PASSWORD):
    """A browser that logged in by name and password; `Secure` cookies are sent by hand over plain http."""
    made = running.plain()
    answer = made.post("/login", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"].partition(";")[0]
    made.headers.update({"Cookie": cookie, "X-Jackline-CSRF": answer.json()["csrf"]})
    return made
