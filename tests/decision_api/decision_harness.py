"""A Decision API in a process of its own, clients of agents, and what the journals of its home say."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from jackline.home import Home
from jackline.journal import read
from jackline_console.access.users import AgentToken, Users

PATIENCE = 30.0
POLICIES = """\
jackline: 1
unregistered: allow
policies:
  - name: few-calls
    use: budget
    on: [tool.call]
    with: {limit: 5 calls, per: session, on_exceed: halt}
  - name: no-deletes
    use: rule
    on: tool.call
    when: tool.name.startsWith('delete')
    effect: deny
    reason: nothing is deleted
  - name: hidden
    use: pii
    on: [tool.call, tool.return]
    with: {entities: [EMAIL], action: redact}
  - name: refunds
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
        pause.wait(0.02)


def token(home, agent, **more):
    """A token, written into the home's file as `jackline serve tokens add` would."""
    made = AgentToken(id=f"id-{agent}", agent=agent, created=time.time(), digest="", **more)
    return Users(Home(home).make().path / "console").issue_agent(made)


def events(home, *kinds):
    """Every event of these kinds in the journals, in the order of their time."""
    found = [line.event for path in sorted((home / "journals").glob("*.jsonl")) for line in read(path)]
    wanted = [event for event in found if event is not None and event.__struct_config__.tag in kinds]
    return sorted(wanted, key=lambda event: event.at)


class Server:
    """`jackline serve` on a free port."""

    def __init__(self, home, bundle, *words):
        self.home = home
        program = str(Path(sys.executable).with_name("jackline"))
        command = [program, "serve", "--port", "0", "--bundle", str(bundle), *words]
        self.child = subprocess.Popen(
            command,
            env={**os.environ, "JACKLINE_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            cwd=bundle.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.child.stdout.readline()), daemon=True).start()
        line = lines.get(timeout=PATIENCE)
        assert line.startswith("decision api: "), self.child.stderr.read()
        self.base = line.split()[-1].removesuffix("/v1")
        self.clients = []

    def client(self, agent, **more):
        """A client of an agent, with a token of its own."""
        made = httpx.Client(
            base_url=self.base,
            headers={"Authorization": f"Bearer {token(self.home, agent, **more)}"},
            timeout=PATIENCE,
            trust_env=False,
        )
        self.clients.append(made)
        return made

    def kill(self):
        """As the kernel does when memory is short."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(PATIENCE)

    def end(self):
        """As a service is stopped."""
        for client in self.clients:
            client.close()
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(PATIENCE)
        self.child.stdout.close()
        self.child.stderr.close()


def check(client, resource="find", *, args=None, session="job-1", **more):
    """Ask for a tool call; the answer's JSON."""
    body = {"action": "tool.call", "resource": resource, "args": args or {}, **more}
    if "parent" not in more:
        body["session"] = session
    answer = client.post("/v1/check", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def record(client, decision, outcome="completed", **more):
    """Record an outcome; the answer."""
    return client.post("/v1/record", json={"decision": decision, "outcome": outcome, **more})
