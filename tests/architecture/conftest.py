"""The tree under test, as these tests read it: as text, never by import."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def distributions() -> list[Path]:
    """The folder of every distribution."""
    return sorted(
        path.parent
        for path in [ROOT / "core/pyproject.toml", ROOT / "console/pyproject.toml", *ROOT.glob("*/*/pyproject.toml")]
    )


@pytest.fixture(scope="session")
def committed() -> list[Path]:
    """Every file that git knows, whether already committed or only added."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this tree is no git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="session")
def sources(committed: list[Path]) -> list[Path]:
    """Every Python file that is shipped."""
    return [path for path in committed if path.suffix == ".py" and "src" in path.relative_to(ROOT).parts]
