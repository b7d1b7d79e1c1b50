"""Debian's Prometheus and Alertmanager on free ports of loopback, each with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from console_harness import until

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "console" / "prometheus" / "jackline.rules.yml"
CONFIG = ROOT / "console" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "console" / "grafana" / "jackline.json"


def program(name):
    """A program of Debian's. Where it is missing a test is skipped, and in CI it fails."""
    found = shutil.which(name)
    if found is None:
        told = f"no {name}: apt-get install prometheus prometheus-alertmanager"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return found


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Server:
    """A process that answers HTTP."""

    def __init__(self, words, port, ready, log):
        self.url = f"http://127.0.0.1:{port}"
        self._log = log.open("wb")
        self.child = subprocess.Popen(words, stdout=self._log, stderr=subprocess.STDOUT, cwd=log.parent)
        try:
            until(lambda: self._ready(ready, log), f"{Path(words[0]).name} ready")
        except BaseException:
            self.end()
            raise

    def _ready(self, path, log):
        assert self.child.poll() is None, log.read_text(errors="replace")
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + path).status_code == 200
        return False

    def get(self, path, **params):
        answer = httpx.get(self.url + path, params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(20)
        self._log.close()


def alertmanager(folder, hook):
    """An Alertmanager that tells a webhook at once."""
    folder.mkdir()
    port = free_port()
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook}', send_resolved: true}}]}}]\n"
    )
    words = [program("prometheus-alertmanager"), "--config.file=alertmanager.yml", "--storage.path=data"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    return Server(words, port, "/-/ready", folder / "log")


def prometheus(folder, console, token, alerts):
    """A Prometheus by the sample configuration, which looks every second instead of every 15."""
    folder.mkdir()
    port = free_port()
    rules, config = RULES.read_text(), CONFIG.read_text()
    assert config.count("15s") == 2
    (folder / RULES.name).write_text(rules.replace("interval: 30s", "interval: 1s"))
    for before, after in (("15s", "1s"), ("127.0.0.1:8470", console), ("127.0.0.1:9093", alerts)):
        assert before in config
        config = config.replace(before, after)
    (folder / "prometheus.yml").write_text(config)
    (folder / "jackline.token").write_text(token)
    words = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    return Server([*words, f"--web.listen-address=127.0.0.1:{port}"], port, "/-/ready", folder / "log")
