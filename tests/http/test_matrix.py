"""The committed support matrix lists every cell that the suite declares; the cells themselves are tests."""

from __future__ import annotations

import sys
from pathlib import Path

from test_suite import TestRequests as _Requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "testing"))

from committed_matrix import assert_committed


def test_the_committed_matrix_has_every_cell() -> None:
    assert_committed(_Requests)
