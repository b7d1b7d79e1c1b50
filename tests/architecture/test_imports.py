"""What `import jackline` costs and who may import whom, seen from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FRESH = """
import json, sys
before = set(sys.modules)
import jackline
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_import_loads_only_msgspec_and_pluggy(tmp_path: Path) -> None:
    """P32: a small core; every framework, pydantic, YAML, SQL and the terminal wait until they are needed."""
    out = subprocess.run([sys.executable, "-c", FRESH], check=True, capture_output=True, text=True, cwd=tmp_path)
    loaded = set(json.loads(out.stdout)) - sys.stdlib_module_names
    assert "jackline" in loaded
    assert loaded <= {"jackline", "msgspec", "pluggy"}, f"`import jackline` also loads {sorted(loaded)}"
