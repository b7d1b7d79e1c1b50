"""A guard that nobody holds any more gives its files back: a process may make many."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import jackline

OPEN = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN.is_dir(), reason="counts what /proc lists")
def test_guards_that_are_gone_leave_no_open_files(tmp_path):
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text("jackline: 1\npolicies: []\n")

    def use(number):
        with jackline.Guard.load(bundle, home=tmp_path / str(number)) as guard, guard.session(id="s"):
            assert guard.tool(str.upper)("x") == "X"
        del guard
        gc.collect()
        return sum(1 for _ in OPEN.iterdir())

    before = max(use(0), use(1))
    assert max(use(number) for number in range(2, 12)) <= before
