"""LlamaIndex without the network, a watchdog for every test, and guards that are closed and leave nothing behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from llama_index.core import set_global_tokenizer

from jackline.testing.scripted import Guards

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 90
"""How long a test may take: a run that hangs fails here, with a trace of where it hangs."""

set_global_tokenizer(str.split)  # the default one is downloaded


OWN_WARNINGS = (
    r"ignore:(The `__fields|Accessing the 'model_)",  # workflows looks at every member of an agent, deprecated ones too
    r"ignore:is_running called from within a step:DeprecationWarning",  # its own agents do that
    r"ignore:<aiosqlite.core.Connection:ResourceWarning",  # the memory that predict_and_call makes is never closed
)
"""LlamaIndex's own: nothing that a program or an adapter does."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Accept LlamaIndex's own warnings in this folder, and no others."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


def _hangs(*_: Any) -> None:
    pytest.fail(f"the test hangs: it takes longer than {SECONDS} seconds")


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """No test hangs: the alarm raises in the main thread, also where a loop waits for ever, and again if need be."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 5)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def guards(tmp_path: Path) -> Iterator[Guards]:
    """Make guards; every one is closed."""
    made = Guards(tmp_path)
    yield made
    made.close()
