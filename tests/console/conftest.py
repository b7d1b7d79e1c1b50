"""Fixtures of the console's tests."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from jackline.home import Home
from jackline_console.access.passwords import hashed
from jackline_console.access.users import User, Users

sys.path.insert(0, str(Path(__file__).parent))

from console_harness import HERE, PASSWORD, POLICIES, Process, Reader, Running


@pytest.fixture
def folder(tmp_path):
    """Where agents and console are started: the bundle lies here."""
    (tmp_path / "jackline.yaml").write_text(POLICIES, encoding="utf-8")
    return tmp_path


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def config(tmp_path):
    """Where this user's keys are."""
    return tmp_path / "config"


@pytest.fixture
def console(home, folder, config):
    """A console on loopback."""
    running = Running(home, folder, config=config)
    yield running
    running.end()


@pytest.fixture
def client(console):
    """The owner's browser."""
    return console.client()


@pytest.fixture
def agent(home, folder):
    """Start agents: `agent("job-1", "spend")`."""
    started = []

    def start(session, pace="steady"):
        made = Process(
            sys.executable, str(HERE / "working.py"), "jackline.yaml", session, pace, home=home, folder=folder
        )
        started.append(made)
        made.id = made.told("session")
        return made

    yield start
    for one in started:
        one.end()


@pytest.fixture
def stream():
    """Open streams that are closed at the end."""
    opened = []

    def open_(client, **wanted):
        made = Reader(client, **wanted)
        opened.append(made)
        return made

    yield open_
    for one in opened:
        one.close()


@pytest.fixture
def users(home):
    """One user of each role, in the home's file."""
    made = Users(Home(home).path / "console")
    secret = hashed(PASSWORD)
    for name, role in (("vera", "viewer"), ("ana", "approver"), ("otto", "operator"), ("ada", "admin")):
        made.put(User(name=name, role=role, created=time.time(), hash=secret))
    return made


@pytest.fixture
def shared(home, folder, config, users):
    """A console for other machines: https is spoken before it."""
    running = Running(home, folder, "--host", "0.0.0.0", "--behind-https", config=config)
    yield running
    running.end()
