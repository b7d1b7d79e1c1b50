"""What the programs about requests show is what they say: users copy them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NO = "Not permitted by policy 'out': no policy permits http.request"
OTHERWISE = (
    "Not permitted by policy 'out': tcp://127.0.0.1:PORT is connected to by no library that is governed: "
    "list it under egress.allow, or use such a library"
)
SHOWN = {
    "http_requests.py": [
        "Ann",
        "Ann",
        f"{NO} 'GET https://elsewhere.example' for agent 'researcher'",
        f"{NO} 'GET https://elsewhere.example' for agent 'researcher'",
        f"{NO} 'DELETE http://127.0.0.1:PORT' for agent 'researcher'",
        f"<urlopen error {OTHERWISE}>",
        "3 requests arrived",
    ]
}


def test_a_program_prints_what_was_decided(tmp_path: Path) -> None:
    assert sorted(path.name for path in EXAMPLES.glob("http_*.py")) == sorted(SHOWN)
    for name, shown in SHOWN.items():
        env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        done = subprocess.run(
            [sys.executable, name],
            cwd=EXAMPLES,
            env=env | {"JACKLINE_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == shown
