"""Two servers, one of which nobody may ask, and guards that govern what this process sends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from http_server import Server

import jackline_http
from jackline.testing.scripted import Guards
from jackline_http.enforce import GOVERNING, LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jackline.guard import Guard
    from jackline.testing.scripted import Scripted


@pytest.fixture
def good() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def bad() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def guards(tmp_path: Path) -> Iterator[Guards]:
    made = Guards(tmp_path)
    yield made
    made.close()
    assert GOVERNING.guards == ()
    assert LIVE == {}


@pytest.fixture
def governing(guards: Guards) -> Callable[..., Guard]:
    """Make a guard of policies that is asked about every request."""

    def make(*policies: Scripted, **options: object) -> Guard:
        guard = guards(*policies, **options)
        jackline_http.enable(guard)
        return guard

    return make
