"""A real Decision API on loopback, and the clients of agents that have tokens for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from decision_harness import POLICIES, Server


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def bundle(tmp_path):
    """The bundle that decides; a test may write another one before it asks for the server."""
    path = tmp_path / "jackline.yaml"
    path.write_text(POLICIES, encoding="utf-8")
    return path


@pytest.fixture
def serve(home, bundle):
    """Start servers of this home; those that are left are ended."""
    started = []

    def start(*words):
        started.append(Server(home, bundle, *words))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def client(server):
    """The agent `billing`."""
    return server.client("billing")
