"""The conftest.py that is put beside CrewAI's tests: what the repository's own conftest.py gives them, which the sdist does not carry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own storage."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "storage"))


@pytest.fixture(autouse=True)
def _own_events() -> Iterator[None]:
    """Each test has its own listeners, and its events have no parents of another test's."""
    from crewai.events import event_context  # noqa: PLC0415 - when plugins are ready
    from crewai.events.base_events import reset_emission_counter  # noqa: PLC0415 - as above
    from crewai.events.event_bus import crewai_event_bus  # noqa: PLC0415 - as above

    reset_emission_counter()
    event_context._event_id_stack.set(())
    event_context._event_context_config.set(event_context.EventContextConfig())
    with crewai_event_bus.scoped_handlers():
        yield


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Answers of providers come from the cassettes."""
    headers = ["authorization", "x-api-key", "api-key", "user-agent", "openai-organization", "x-stainless-os"]
    return {"filter_headers": headers, "record_mode": "none", "match_on": ["method", "scheme", "host", "port", "path"]}


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """Where the sdist keeps them: beside the tests, by the folder of the test's file."""
    root = Path(os.fspath(request.config.rootpath)) / "tests"
    inside = Path(os.fspath(request.node.path)).parent.relative_to(root)
    return str(root / "cassettes" / inside)
