"""docs/decision-api.md, as its reader follows it from an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from decision_harness import PATIENCE, Server
from test_typescript import node

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "decision-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
BUNDLE = re.search(r'^```yaml title="jackline.yaml"\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL)


def test_the_first_steps_are_as_written(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    served, agent, typescript = BLOCKS
    assert served.startswith("jackline serve --bundle jackline.yaml ")
    bundle, home = tmp_path / "jackline.yaml", tmp_path / "home"
    bundle.write_text(BUNDLE[1], encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    server = Server(home, bundle)
    try:
        script = f"set -eu\n{agent}\n{typescript}".replace("http://127.0.0.1:8471", server.base)
        folders = [str(Path(sys.executable).parent), str(Path(node()).parent), os.environ["PATH"]]
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "JACKLINE_HOME": str(home), "PATH": os.pathsep.join(folders), "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
    finally:
        server.end()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first, registered, second, recorded, *rest = ran.stdout.splitlines()
    assert "agent 'billing' is unregistered; permit it with: jackline agents set billing --status active" in first
    assert registered.startswith("billing: status active, by ")
    assert '"reason":"nothing is deleted"' in second
    assert re.fullmatch(r'\{"decision":"[0-9a-f]{32}"\}', recorded)
    trace = "\n".join(rest[:-2])
    assert "ticket-7" in trace
    assert "refund" in trace
    assert rest[-2:] == ["c-7: Ann", "not done: deny: nothing is deleted"]
