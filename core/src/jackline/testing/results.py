"""What the conformance suites proved, from the reports of their tests to a file that the support matrix is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jackline.testing.behaviours import KEY, Cell

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SUITE = "jackline-suite"
"""The name of the property that says which behaviours and gaps an adapter has."""


class Results:
    """Collects cells from reports and writes them when the run ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cells: dict[tuple[str, str, str], Cell] = {}
        self._suites: dict[str, Any] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the cells of a test that ran: one failing test makes its cells failing."""
        if report.when != "call" and report.passed:
            return
        for name, value in report.user_properties:
            if name == SUITE:
                suite: Any = value
                self._suites[suite["adapter"]] = suite
            elif name == KEY:
                listed: Any = value
                for fields in listed:
                    self._take(Cell(*fields), report)

    def _take(self, cell: Cell, report: pytest.TestReport) -> None:
        key = cell.adapter, cell.behaviour, cell.path
        known = self._cells.get(key)
        if not report.passed:
            cell = cell._replace(state="failing", reason=report.nodeid)
        elif known is not None and known.state == "failing":
            return
        self._cells[key] = cell

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        found = {"suites": list(self._suites.values()), "cells": [cell._asdict() for cell in self._cells.values()]}
        self._file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
