"""Run CrewAI's own tests without and with an allow-all Jackline: `compare.py FOLDER [TEST...]` of the unpacked sdist.

Exit 1 where a test ends with Jackline as it never does without, or where Jackline saw nothing (the comparison would then be worthless).
Tests that end differently are run again by themselves, three times each way: some depend on time or on each other.
"""

# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from jackline.events import Completed, Decided, Failed
from jackline.journal import read

SUITE = ("tests/hooks", "tests/tools", "tests/events", "tests/agents", "tests/test_task.py", "tests/test_custom_llm.py")
SUITE += ("tests/test_task_guardrails.py", "tests/test_flow_tool_action_usage.py")
SUITE += ("tests/test_flow_tool_action_failure_policy.py",)
LEFT_OUT = ("tests/tools/agent_tools/test_read_file_tool.py",)
OFFLINE = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
    "OPENAI_API_KEY": "fake-key",
    "OTEL_SDK_DISABLED": "true",
}
AGAIN = 3
LIMIT_S = 1800


def outcomes(folder: Path, report: Path, home: Path | None, tests: tuple[str, ...]) -> dict[str, str]:
    """Run tests and give each one's outcome; governed where there is a home for the journals."""
    here = Path(__file__).resolve().parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        *tests,
        "-q",
        "--continue-on-collection-errors",
        "-p",
        "no:cacheprovider",
    ]
    command += ["-c", str(here / "crewai.ini"), "--rootdir", str(folder), "--confcutdir", str(folder)]
    command += [f"--junitxml={report}"]
    command += [f"--ignore={path}" for path in LEFT_OUT]
    env = {**os.environ, **OFFLINE, "PYTHONPATH": f"{here}{os.pathsep}{folder}"}
    with tempfile.TemporaryDirectory() as storage:
        env |= {"CREWAI_STORAGE_DIR": storage, "HOME": storage}
        if home is not None:
            command += ["-p", "allow_all_crewai"]
            env |= {"JACKLINE_HOME": str(home)}
        with report.with_suffix(".log").open("w", encoding="utf-8") as log:
            subprocess.run(
                command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=LIMIT_S
            )
    if not report.exists():
        sys.exit(f"no test ran:\n{report.with_suffix('.log').read_text(encoding='utf-8')}")
    cases = ET.parse(report).getroot().iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}": outcome(case) for case in cases}


def outcome(case: ET.Element) -> str:
    """Say how one test ended."""
    return next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")


def seen(home: Path) -> Counter[str]:
    """Count what Jackline decided and recorded."""
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


def alike_alone(folder: Path, scratch: Path, name: str) -> bool:
    """Whether a test that is run by itself ends with Jackline only in ways in which it ends without."""
    classname, _, test = name.partition("::")
    path, parts = Path(*classname.split(".")), [test]
    while not (folder / path.with_suffix(".py")).exists() and path.name:
        parts.insert(0, path.name)
        path = path.parent
    node = "::".join([str(path.with_suffix(".py")), *parts])
    found: list[set[str]] = []
    for home in (None, scratch / "again"):
        ended: set[str] = set()
        for number in range(AGAIN):
            report = scratch / f"again{len(found)}{number}.xml"
            ended |= set(outcomes(folder, report, home, (node,)).values())
        found.append(ended)
    print(f"{name}, {AGAIN} times by itself: {sorted(found[0])} without Jackline, {sorted(found[1])} with it")
    return found[1] <= found[0]


def main(folder: Path, tests: tuple[str, ...]) -> int:
    """Compare the two runs and print one table."""
    shutil.copy(Path(__file__).with_name("crewai_conftest.py"), folder / "conftest.py")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        home = scratch / "home"
        bare = outcomes(folder, scratch / "bare.xml", None, tests)
        governed = outcomes(folder, scratch / "governed.xml", home, tests)
        counted = seen(home)
        different = sorted(each for each in bare.keys() | governed.keys() if bare.get(each) != governed.get(each))
        for each in different:
            print(f"{each}: {bare.get(each)} without Jackline, {governed.get(each)} with it")
        different = [each for each in different if not alike_alone(folder, scratch, each)]
        if different:
            print((scratch / "governed.log").read_text(encoding="utf-8")[-20_000:])
    print(f"without Jackline: {dict(Counter(bare.values()))}\nwith Jackline:    {dict(Counter(governed.values()))}")
    print(f"Jackline saw:     {dict(counted)}")
    blind = not (counted["decided tool.call"] and counted["decided model.call"] and counted["outcomes"])
    print(f"{len(bare) - len(different)} alike, {len(different) + blind} not")
    return bool(different or blind)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), tuple(sys.argv[2:]) or SUITE))
