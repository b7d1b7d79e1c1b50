"""Three frameworks in one process, offline; a guard that governs all of them; no test may hang."""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_HOME = tempfile.mkdtemp(prefix="jackline-together-")
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_TESTING="true",
    CREWAI_STORAGE_DIR=_HOME,
    OPENAI_API_KEY="none",
    OTEL_SDK_DISABLED="true",
)

UNAVOIDABLE = (
    "ignore:Cannot set an attribute on 'crewai:ImportWarning",  # its packages replace themselves when imported
    "ignore:.* is deprecated and will be removed in a future release:DeprecationWarning",  # it reads its own fields
    "ignore:deprecated$:DeprecationWarning",  # the same: fields of which pydantic says no more
)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai", ImportWarning)
    import mixed  # CrewAI reads its switches when it is imported

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHDOG_S = 120
"""A test that takes longer hangs: the process ends, and says where every thread is."""


def pytest_configure(config: pytest.Config) -> None:
    """CrewAI's own warnings are not ours to mend."""
    for line in UNAVOIDABLE:
        config.addinivalue_line("filterwarnings", line)


def pytest_unconfigure() -> None:
    """Nothing stays behind."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _watched() -> Iterator[None]:
    faulthandler.dump_traceback_later(WATCHDOG_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[mixed.World]:
    """Make guards that govern all three frameworks, and agents of each; every guard is closed."""
    made = mixed.World(tmp_path)
    yield made
    made.close()
