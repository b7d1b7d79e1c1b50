"""Guards with policies written in the test; CrewAI stays offline, and no test may hang."""

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
from _pytest.faulthandler import fault_handler_stderr_fd_key

sys.path.insert(0, str(Path(__file__).parent))

_HOME = tempfile.mkdtemp(prefix="jackline-crewai-")
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
    "ignore:LiteAgent is deprecated:FutureWarning",  # it is still there, so it is still governed
)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai", ImportWarning)
    from crew_harness import Guards, left_on  # CrewAI reads its switches when it is imported
    from crewai.events import event_context

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHDOG_S = 60
"""A test that takes longer hangs: the process ends, and says where every thread is."""


def pytest_configure(config: pytest.Config) -> None:
    """CrewAI's own warnings are not ours to mend."""
    for line in UNAVOIDABLE:
        config.addinivalue_line("filterwarnings", line)


def pytest_unconfigure() -> None:
    """Nothing stays behind."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _watched(pytestconfig: pytest.Config) -> Iterator[None]:
    place = pytestconfig.stash[fault_handler_stderr_fd_key]  # where pytest captures nothing
    faulthandler.dump_traceback_later(WATCHDOG_S, exit=True, file=place)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def _own_events() -> None:
    """CrewAI keeps its open events in a contextvar, and a run that is ended leaves some; a test begins with none."""
    event_context._event_id_stack.set(())


@pytest.fixture
def guards(tmp_path: Path) -> Iterator[Guards]:
    """Make guards; every one is closed, and CrewAI is as it was."""
    made = Guards(tmp_path)
    yield made
    made.close()
    assert left_on() == []
