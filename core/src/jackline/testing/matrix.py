"""The support matrix, of what conformance suites proved: `python -m jackline.testing.matrix RESULTS --write`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackline.testing.behaviours import Behaviour, Cell
from jackline.testing.paths import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"


class Suite:
    """One adapter's part of the matrix."""

    def __init__(
        self, adapter: str, behaviours: Sequence[Behaviour], gaps: dict[str, str], cells: Iterable[Cell]
    ) -> None:
        self.adapter = adapter
        self.behaviours = tuple(behaviours)
        self.gaps = gaps
        self.cells = {(cell.behaviour, cell.path): cell for cell in cells}
        self.groups = {cell.path: cell.group for cell in self.cells.values()}

    def paths(self, group: str = "") -> list[str]:
        """The names of the paths (of one group), in the suite's order."""
        return [path for path, found in self.groups.items() if not group or found == group]

    def problems(self) -> list[str]:
        """What is wrong: cells that fail, and cells that no test has answered."""
        found = []
        for row in self.behaviours:
            for path in self.groups:
                cell = self.cells.get((row.id, path))
                if cell is None:
                    found.append(f"{self.adapter}: no result for '{row.id}' on '{path}'; run the whole suite")
                elif cell.state == "failing":
                    found.append(f"{self.adapter}: '{row.id}' fails on '{path}': {cell.reason}")
        return found

    def states(self, behaviour: str) -> dict[str, int]:
        """How many paths have which state."""
        count: dict[str, int] = {}
        for path in self.groups:
            cell = self.cells.get((behaviour, path))
            if cell is not None:
                count[cell.state] = count.get(cell.state, 0) + 1
        return count


def read(files: Iterable[Path]) -> list[Suite]:
    """The suites of several files of results; a cell that fails in one of them fails."""
    cells: dict[tuple[str, str, str], Cell] = {}
    suites: dict[str, Any] = {}
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        suites |= {suite["adapter"]: suite for suite in found["suites"]}
        for fields in found["cells"]:
            cell = Cell(**fields)
            key = cell.adapter, cell.behaviour, cell.path
            if key not in cells or cells[key].state != "failing":
                cells[key] = cell
    return [
        Suite(
            name,
            [Behaviour(*row) for row in suite["behaviours"]],
            suite["gaps"],
            (
                cells[name, row[0], path]
                for path in suite["paths"]
                for row in suite["behaviours"]
                if (name, row[0], path) in cells
            ),
        )
        for name, suite in sorted(suites.items(), key=lambda item: (_place(item[0]), item[0]))
    ]


TITLES = {
    "python": "plain Python",
    "langchain": "LangChain",
    "crewai": "CrewAI",
    "llamaindex": "LlamaIndex",
    "http": "outgoing requests",
}
"""What the tables call an adapter, in the order of their columns; any other comes after these, by its own name."""


def _place(adapter: str) -> int:
    return list(TITLES).index(adapter) if adapter in TITLES else len(TITLES)


def _rows(suites: Sequence[Suite]) -> list[Behaviour]:
    """The behaviours of all suites, each once, in the order of the first that has it."""
    return list({row.id: row for suite in suites for row in suite.behaviours}.values())


def short(suites: Sequence[Suite]) -> str:
    """A row for each behaviour, a column for each adapter: on how many paths it is proven."""
    lines = [
        "| guarantee | " + " | ".join(_title(suite) for suite in suites) + " |",
        "|---|" + "---|" * len(suites),
    ]
    lines += [
        f"| {row.says} | " + " | ".join(_count(suite, row.id) for suite in suites) + " |" for row in _rows(suites)
    ]
    totals = ", ".join(f"{len(suite.groups)} of {_title(suite)}" for suite in suites)
    lines += [
        "",
        f"Paths: {totals}. Each number is of the paths to which the guarantee applies; what is not offered is refused.",
        "n/a: it applies to none of them; why is said path by path.",
    ]
    return "\n".join(lines)


def _title(suite: Suite) -> str:
    return TITLES.get(suite.adapter, suite.adapter)


def _count(suite: Suite, behaviour: str) -> str:
    states = suite.states(behaviour)
    proven, missing = states.get("proven", 0), states.get("not offered", 0)
    if not proven and not missing:
        return "n/a"
    return f"{proven} of {proven + missing}"


def long(suites: Sequence[Suite]) -> str:
    """For each adapter a row for each path, a column for each behaviour, and every reason."""
    rows = _rows(suites)
    numbers = {row.id: number for number, row in enumerate(rows, 1)}
    parts = ["| | guarantee | id |\n|---|---|---|"]
    parts[0] += "".join(f"\n| {numbers[row.id]} | {row.says} | `{row.id}` |" for row in rows)
    for suite in suites:
        parts += [f"## {_title(suite)}", _table(suite, numbers), _reasons(suite, numbers)]
    return "\n\n".join(part for part in parts if part)


_SIGNS = {"proven": "✓", "not applicable": "n/a", "not offered": "refused", "failing": "FAILS"}


def _table(suite: Suite, numbers: dict[str, int]) -> str:
    """A column for each behaviour that applies to one of its paths at least."""
    columns = [row for row in suite.behaviours if suite.states(row.id).keys() - {"not applicable"}]
    lines = [f"| path | | {' | '.join(str(numbers[row.id]) for row in columns)} |", "|---|---|" + "---|" * len(columns)]
    for group in GROUPS:
        for path in suite.paths(group):
            signs = " | ".join(_SIGNS[suite.cells[row.id, path].state] for row in columns)
            lines.append(f"| {path} | {group} | {signs} |")
    return "\n".join(lines)


def _reasons(suite: Suite, numbers: dict[str, int]) -> str:
    lines: list[str] = []
    missing = [cell for cell in suite.cells.values() if cell.state == "not offered"]
    for reason in dict.fromkeys(cell.reason for cell in missing):
        where = dict.fromkeys(cell.path for cell in missing if cell.reason == reason)
        lines.append(f"- **refused** on {'; '.join(where)}: {reason}.")
    named = {cell.reason for cell in missing}
    lines += [f"- **outside** ({key}): {reason}." for key, reason in sorted(suite.gaps.items()) if reason not in named]
    lines += _not_applicable(suite, numbers)
    return "\n".join(lines)


def _not_applicable(suite: Suite, numbers: dict[str, int]) -> Iterator[str]:
    """Why cells are empty, and why columns are missing, by behaviour."""
    empty = [cell for cell in suite.cells.values() if cell.state == "not applicable"]
    for reason in dict.fromkeys(cell.reason for cell in empty):
        found = sorted({numbers[cell.behaviour] for cell in empty if cell.reason == reason})
        yield f"- **not applicable** ({', '.join(map(str, found))}): {reason}."
    absent = [str(number) for behaviour, number in numbers.items() if not suite.states(behaviour)]
    if absent:
        yield f"- **not applicable** ({', '.join(absent)}): it is of other suites."


def placed(text: str, table: str) -> str:
    """A document with the table between its marks. Raises ValueError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no place for the matrix; put {BEGIN} and {END} on lines of their own")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(words: Sequence[str] | None = None) -> int:
    """Write or check the documents; 1 where a cell fails or is empty, or a document is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m jackline.testing.matrix", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="files that pytest --jackline-matrix wrote")
    parser.add_argument("--short", type=Path, help="the document with the short table, such as README.md")
    parser.add_argument("--long", type=Path, help="the document with every path and reason")
    parser.add_argument("--write", action="store_true", help="write the documents instead of comparing them")
    given = parser.parse_args(words)
    suites = read(given.results)
    problems = [problem for suite in suites for problem in suite.problems()]
    if not suites:
        problems = ["no conformance suite has run; subclass jackline.testing.AdapterSuite"]
    if not problems:
        for document, render in ((given.short, short), (given.long, long)):
            if document is not None:
                problems += _update(document, render(suites), write=given.write)
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    return int(bool(problems))


def _update(document: Path, table: str, *, write: bool) -> list[str]:
    text = document.read_text(encoding="utf-8")
    wanted = placed(text, table)
    if write:
        document.write_text(wanted, encoding="utf-8")
        return []
    return [] if wanted == text else [f"{document}: the support matrix is not what the suites prove; write it anew"]


if __name__ == "__main__":
    raise SystemExit(main())
