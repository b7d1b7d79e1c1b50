"""Run LangChain's own agent tests without and with an allow-all Jackline: `compare.py FOLDER` of the unpacked sdist.

Exit 1 where any test ends differently, or where Jackline saw nothing (the comparison would then be worthless).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from jackline.events import Completed, Decided, Failed
from jackline.journal import read

SUITE = "tests/unit_tests/agents"


def outcomes(folder: Path, report: Path, home: Path | None) -> dict[str, str]:
    """Run the suite and give each test's outcome; governed where there is a home for the journals."""
    command = [sys.executable, "-m", "pytest", SUITE, "-q", "-n", "2", "-p", "no:cacheprovider", f"--junitxml={report}"]
    env = dict(os.environ)
    if home is not None:
        command += ["-p", "allow_all"]
        env |= {"PYTHONPATH": str(Path(__file__).resolve().parent), "JACKLINE_HOME": str(home)}
    with report.with_suffix(".log").open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, check=False)
    if not report.exists():
        sys.exit(f"no test ran:\n{report.with_suffix('.log').read_text(encoding='utf-8')}")
    cases = ET.parse(report).getroot().iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}": outcome(case) for case in cases}


def outcome(case: ET.Element) -> str:
    """Say how one test ended."""
    return next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")


def seen(home: Path) -> Counter[str]:
    """Count what Jackline decided and recorded, over the journals of all worker processes."""
    counted: Counter[str] = Counter()
    for path in home.rglob("*.jsonl"):
        if path.parent.name != "journals":
            continue
        for line in read(path):
            if isinstance(line.event, Decided):
                counted[f"decided {line.event.action}"] += 1
            elif isinstance(line.event, (Completed, Failed)):
                counted["outcomes"] += 1
    return counted


def main(folder: Path) -> int:
    """Compare the two runs and print one table."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        bare = outcomes(folder, Path(scratch) / "bare.xml", None)
        governed = outcomes(folder, Path(scratch) / "governed.xml", home)
        counted = seen(home)
        different = sorted(name for name in bare.keys() | governed.keys() if bare.get(name) != governed.get(name))
        for name in different:
            print(f"{name}: {bare.get(name)} without Jackline, {governed.get(name)} with it")
        if different:
            print((Path(scratch) / "governed.log").read_text(encoding="utf-8")[-20_000:])
    print(f"without Jackline: {dict(Counter(bare.values()))}\nwith Jackline:    {dict(Counter(governed.values()))}")
    print(f"Jackline saw:     {dict(counted)}")
    blind = not (counted["decided tool.call"] and counted["decided model.call"] and counted["outcomes"])
    print(f"{len(bare) - len(different)} passed, {len(different) + blind} failed")
    return bool(different or blind)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
