"""The processes of a telling: agent, servers, gateway and what a person types, in one folder that is theirs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from jackline.approvals import Approvals
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jackline.approvals import Asked

SECRET = "the key of the company's cluster"  # noqa: S105 - what the poisoned tool asks for; it opens nothing
DATABASES = 2
_JACKLINE = (sys.executable, "-P", "-c", "from jackline.cli import main; main()")
_SCRIPTS = ("agent.py", "deploy.py", "notes.py")
_SERVERS = ("deploy", "notes")
_PATIENCE = 120.0
"""Seconds that a process is given for what takes it two on an idle machine."""
_LEAVE = 15.0
_STEP = 0.05


class Stage:
    """A folder with the agent's and the servers' programs, their databases, and the home of what governs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.bundle = folder / "jackline.yaml"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JACKLINE_", "PYTHON"))}
        self._env = {**own, "JACKLINE_CONFIG": str(folder / "person"), "JACKLINE_HOME": str(self.home)}
        (folder / "deploy.key").write_text(SECRET, encoding="utf-8")
        for name in _SCRIPTS:
            with as_file(files("jackline_mcp.demo").joinpath(name)) as script:
                shutil.copyfile(script, folder / name)

    def command(self, server: str, telling: str) -> list[str]:
        """The command of a server, on the databases of one telling."""
        words = [str(self.folder / f"{telling}-{server}.db")]
        words += [str(self.folder / "deploy.key")] if server == "notes" else []
        return [sys.executable, "-P", str(self.folder / f"{server}.py"), *words]

    def jackline(self, *words: str) -> str:
        """What a person types, and what it prints; raises JacklineError where it fails."""
        command = [*_JACKLINE, *words]
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise JacklineError(f"jackline {' '.join(words)}: no answer within {_PATIENCE:.0f} s") from error
        if done.returncode:
            told = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            raise JacklineError(f"jackline {' '.join(words)} ended with {done.returncode}: {told}")
        return done.stdout

    @contextlib.contextmanager
    def gateway(self) -> Iterator[dict[str, Any]]:
        """`jackline mcp serve` on a port that is free; gives what the agent's configuration then holds."""
        made = dict(line.split(": ", 1) for line in self.jackline("mcp", "token").splitlines())
        config: dict[str, Any] = {"jackline_mcp": 1, "port": 0, "bundle": self.bundle.name}
        config["servers"] = {server: {"command": self.command(server, "governed")} for server in _SERVERS}
        config["callers"] = {"nightwatch": {"token_sha256": made["token_sha256"], "user": "platform-team"}}
        path = self.folder / "jackline-mcp.yaml"
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")  # YAML holds JSON
        with self._running("gateway", [*_JACKLINE, "mcp", "serve", str(path)]) as process:
            addresses = self._addresses(process)
            bearer = {"Authorization": f"Bearer {made['token']}"}
            yield {server: {"url": addresses[server], "headers": bearer} for server in _SERVERS}

    @contextlib.contextmanager
    def visit(self, name: str, servers: dict[str, Any]) -> Iterator[Visit]:
        """The agent at work, in a process of its own."""
        listed, report = self.folder / f"{name}.json", self.folder / f"{name}-report.json"
        listed.write_text(json.dumps(servers), encoding="utf-8")
        script = str(self.folder / "agent.py")
        try:
            with self._running(name, [sys.executable, "-P", script, str(listed), str(report)]) as process:
                yield Visit(self, name, process, report)
        finally:
            if any("command" in entry for entry in servers.values()):
                self._await_servers(name)

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()

    def last(self, name: str) -> str:
        """The last line that a process wrote: of a failure, what failed."""
        return self.log(name).rpartition("\n")[2] or "it said nothing"

    def ran(self, telling: str) -> Counter[str]:
        """The tool bodies that ran in one telling."""
        return Counter(tool for server in _SERVERS for (tool,) in self.ask(telling, server, "SELECT tool FROM ran"))

    def databases(self, telling: str) -> int:
        """The databases that there are still."""
        found = self.ask(telling, "deploy", "SELECT count(*) FROM databases")
        return int(found[0][0]) if found else DATABASES

    def ask(self, telling: str, server: str, sql: str) -> list[tuple[Any, ...]]:
        """What the servers' databases say of one telling; nothing where the server was never started."""
        path = self.folder / f"{telling}-{server}.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
            return database.execute(sql).fetchall()

    @contextlib.contextmanager
    def _running(self, name: str, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command, cwd=self.folder, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_LEAVE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _await_servers(self, telling: str) -> None:
        """Wait for the end of servers that an agent started itself: it tells them by its own."""
        until = time.monotonic() + _LEAVE
        ids: list[int] = []
        for name in _SERVERS:
            with contextlib.suppress(sqlite3.OperationalError):  # it was interrupted before it had tables
                ids += [int(each) for (each,) in self.ask(telling, name, "SELECT id FROM processes")]
        while time.monotonic() < until and any(_runs(each) for each in ids):
            time.sleep(_STEP)

    def _addresses(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        until = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < until:
            found = dict(re.findall(r"^(\w+): (http://\S+)$", self.log("gateway"), re.MULTILINE))
            if found.keys() >= set(_SERVERS):
                return found
            time.sleep(_STEP)
        raise JacklineError(f"the gateway did not start: {self.last('gateway')}")


class Visit:
    """One visit of the agent's."""

    def __init__(self, stage: Stage, name: str, process: subprocess.Popen[bytes], report: Path) -> None:
        self._stage, self._name, self._process, self._report = stage, name, process, report

    def question(self) -> Asked | None:
        """What the agent waits for a person with; None where it ends without having to."""
        approvals = Approvals(self._stage.home / "approvals")
        until = time.monotonic() + _PATIENCE
        while self._process.poll() is None and time.monotonic() < until:
            for asked in approvals.all():
                if asked.ended() is None:
                    return asked
            time.sleep(_STEP)
        return None

    def over(self) -> dict[str, Any]:
        """Wait until the agent leaves; gives what it tells. Raises JacklineError where it cannot."""
        try:
            code: int | None = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        if code or not self._report.exists():
            how = "did not end" if code is None else f"ended with {code}"
            raise JacklineError(f"the agent {how}: {self._stage.last(self._name)}")
        told: dict[str, Any] = json.loads(self._report.read_bytes())
        return told


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Let SIGTERM end a telling as Ctrl-C does, so that no process of it is left."""

    def leave(_number: int, _frame: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
