"""Programs over LlamaIndex's public API give the same with an allow-all Jackline and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMPARE = Path(__file__).resolve().parents[1] / "transparency_llamaindex" / "compare.py"


def test_every_program_gives_the_same(watchdog: None) -> None:
    done = subprocess.run([sys.executable, str(COMPARE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "35 passed, 0 failed" in done.stdout
