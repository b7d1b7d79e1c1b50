"""What no committed file may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Written in pieces, so that this file passes its own test.
MACHINE_PATHS = re.compile(r"(?<![\w./~])/" + r"(?:work|farm|root|Users|home/\w+|tmp/v)/")
REGISTRY_HOSTS = re.compile("py" + r"pi\.org|python" + r"hosted\.org|registry\.npm" + r"js|(?:extra-)?index-" + "url")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")


def found(pattern: re.Pattern[str], root: Path, files: list[Path]) -> list[str]:
    """Give `path:line: text` for every place that a pattern matches."""
    places = []
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        places += [f"{path.relative_to(root)}:{n}: {line}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return places


def test_no_path_of_a_machine(root: Path, committed: list[Path]) -> None:
    assert found(MACHINE_PATHS, root, committed) == []


def test_no_registry_host(root: Path, committed: list[Path]) -> None:
    assert found(REGISTRY_HOSTS, root, committed) == []


def test_nothing_is_kept_for_later(root: Path, committed: list[Path]) -> None:
    assert found(UNFINISHED, root, committed) == []


def test_tests_do_not_sleep(root: Path, committed: list[Path]) -> None:
    tests = [path for path in committed if path.is_relative_to(root / "tests") and path.suffix == ".py"]
    assert found(re.compile(r"\btime\." + r"sleep\((?!0\))"), root, tests) == []


def test_the_patterns_match_what_they_are_for(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("see /ro" + "ot/x\npip --index-" + "url\nTO" + "DO\n", encoding="utf-8")
    places = [found(pattern, tmp_path, [path]) for pattern in (MACHINE_PATHS, REGISTRY_HOSTS, UNFINISHED)]
    assert [[place.split(":")[1] for place in lines] for lines in places] == [["1"], ["2"], ["3"]]
