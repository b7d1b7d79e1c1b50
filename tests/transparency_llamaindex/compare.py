"""Run thirty-odd programs over LlamaIndex's public API without and with an allow-all Jackline: `compare.py`.

Exit 1 where any program gives something else, or where Jackline saw nothing of one (the comparison would be worthless).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SILENT: frozenset[str] = frozenset()
"""Programs in which nothing acts."""


def outcomes(*home: str) -> dict[str, Any]:
    """What every program gives in a process of its own; governed where there is a home."""
    command = [sys.executable, str(Path(__file__).with_name("programs.py")), *home]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Compare the two runs and say what differs."""
    with tempfile.TemporaryDirectory() as scratch:
        bare, again, governed = outcomes(), outcomes(), outcomes(str(Path(scratch) / "home"))
    failed = 0
    for name, found in bare.items():
        same = governed[name]["result"] == found["result"]
        decisions = governed[name]["decisions"]
        steady = again[name]["result"] == found["result"]
        good = same and steady and (decisions > 0 or name in SILENT)
        failed += not good
        sys.stdout.write(f"{'same' if good else 'FAILS'}  {name}: {decisions} decisions\n")
        if not steady:
            sys.stdout.write("  it differs between two runs without Jackline, too\n")
        if not same or not steady:
            sys.stdout.write(f"  without: {found['result']}\n  with:    {governed[name]['result']}\n")
    total = sum(found["decisions"] for found in governed.values())
    sys.stdout.write(f"{len(bare) - failed} passed, {failed} failed; Jackline decided {total} times\n")
    return int(failed > 0 or len(bare) < 30)


if __name__ == "__main__":
    sys.exit(main())
