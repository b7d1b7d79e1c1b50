"""What the program of examples/ shows is what it says: users copy it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LARGE = "Not permitted by policy 'large-refunds': refunds above 500 go through the back office"
UNLISTED = "Not permitted by policy 'support-tools': no policy permits tool.call 'wipe_disk' for agent 'support'"


def test_the_program_prints_what_was_decided(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "llamaindex_init.py"],
        cwd=EXAMPLES,
        env=os.environ | {"JACKLINE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "crm_get: C-1: Ann",
        f"refund: {LARGE}",
        f"wipe_disk: {UNLISTED}",
        "refund: 40.0 for A-7",
        "done",
    ]
