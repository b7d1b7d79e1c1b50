"""Results of policy cases as JUnit XML, which every CI system shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from jackline.policy_cases import CaseResult, Results

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Results) -> str:
    """Render a suite for each file; failures are decisions that differ, errors are cases that could not be run."""
    files: dict[str, list[CaseResult]] = {}
    for case in results.cases:
        files.setdefault(case.file, []).append(case)
    root = ET.Element("testsuites", {"name": "jackline", **_counts(results.cases)})
    for file, cases in files.items():
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), **_counts(cases)})
        for case in cases:
            suite.append(_element(case))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _element(case: CaseResult) -> ET.Element:
    element = ET.Element(
        "testcase",
        classname=_clean(case.file),
        name=_clean(case.name),
        file=_clean(case.file),
        line=str(case.line),
        time=f"{case.seconds:.3f}",
    )
    if case.problem:
        first, _, _ = case.problem.partition("\n")
        kind = "error" if case.broken else "failure"
        ET.SubElement(element, kind, message=_clean(first)).text = _clean(str(case))
    return element


def _counts(cases: tuple[CaseResult, ...] | list[CaseResult]) -> dict[str, str]:
    broken = sum(case.broken for case in cases)
    return {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.problem) for case in cases) - broken),
        "errors": str(broken),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _clean(text: str) -> str:
    """Leave out what XML 1.0 cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
