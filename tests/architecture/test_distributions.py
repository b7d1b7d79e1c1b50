"""Every distribution has the same version, says its licence and is typed."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def project(distribution: Path) -> dict[str, Any]:
    """Read what a distribution says of itself."""
    return tomllib.loads((distribution / "pyproject.toml").read_text(encoding="utf-8"))


def version(distribution: Path) -> str:
    """Find a distribution's version where its build finds it; the file must lie inside, so that sdists carry it."""
    data = project(distribution)
    if "version" in data["project"]:
        return str(data["project"]["version"])
    path = (distribution / data["tool"]["hatch"]["version"]["path"]).resolve()
    assert path.is_relative_to(distribution), f"{distribution.name}: an sdist would not carry {path.name}"
    found = re.search(r'^__version__ = "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{path} names no version"
    return found[1]


def test_one_version_for_all(distributions: list[Path]) -> None:
    assert len({version(path) for path in distributions}) == 1, {path.name: version(path) for path in distributions}


def test_packs_and_adapters_need_the_core_of_their_own_minor_version(distributions: list[Path]) -> None:
    for path in distributions:
        if path.name != "core":
            minor = version(path).rpartition(".")[0]
            assert f"jackline=={minor}.*" in project(path)["project"]["dependencies"], path.name


def test_each_carries_the_licence_and_is_typed(root: Path, distributions: list[Path]) -> None:
    licence = (root / "LICENSE").read_bytes()
    for path in distributions:
        data = project(path)["project"]
        assert (path / "LICENSE").read_bytes() == licence, path.name
        assert data["license"] == "Apache-2.0", path.name
        assert "LICENSE" in data["license-files"], path.name
        assert data["requires-python"] == ">=3.11", path.name
        assert list(path.glob("src/*/py.typed")), f"{path.name} has no py.typed"


def test_each_registers_in_the_one_entry_point_group(distributions: list[Path]) -> None:
    for path in distributions:
        assert project(path)["project"]["entry-points"]["jackline"], path.name


def test_the_oldest_supported_dependencies_are_those_that_are_tested(root: Path) -> None:
    """P7: emitted equals recorded is shown on the oldest dependencies, so the promise and the pins must agree."""
    pins = (root / "constraints" / "core-oldest.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in pins if not line.startswith("#"))
    promised = {}
    for requirement in project(root / "core")["project"]["dependencies"]:
        name, _, bounds = requirement.partition(">=")
        promised[name] = bounds.partition(",")[0]
    assert promised == tested
