"""Shows the conformance score of the condition language at the end of a run."""

from __future__ import annotations

import pytest

SCORE: dict[str, tuple[int, int, int]] = {}


@pytest.fixture(scope="session")
def spec_score() -> dict[str, tuple[int, int, int]]:
    """File name -> (passed, in scope, out of scope)."""
    return SCORE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SCORE:
        return
    terminalreporter.section("CEL conformance")
    for name, (passed, scope, out) in sorted(SCORE.items()):
        terminalreporter.line(f"{name:14} {passed:4} of {scope:4} in scope passed, {out:3} out of scope")
    passed, scope, out = (sum(each[at] for each in SCORE.values()) for at in range(3))
    terminalreporter.line(f"{'all':14} {passed:4} of {scope:4} in scope passed, {out:3} out of scope")
