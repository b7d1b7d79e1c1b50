"""Run the examples of a document as a reader would: `python tests/docs/examples.py README.md`.

All of a document's examples run in order in one new folder.
- A fenced block with a title (```yaml title="jackline.yaml") is written to that file.
- ```python blocks share one namespace.
- In ```console blocks each line after `$ ` is run and must exit 0 (or with N, where the line ends in `# exit N`), and the
  lines under it must appear in what it prints; how long something took may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
TIMES = re.compile(r"\d+(\.\d+)?(?= ?m?s\b)")
EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the file that it is to be written to, its text and its first line's number."""

    language: str
    title: str
    text: str
    line: int


def blocks(document: str) -> list[Block]:
    """Give every fenced block of a document in order."""
    found = []
    for match in BLOCK.finditer(document):
        title = TITLE.search(match["options"])
        line = document.count("\n", 0, match.start("text")) + 1
        found.append(Block(match["language"], title[1] if title else "", match["text"], line))
    return found


def run_console(block: Block, name: str) -> None:
    """Run each command of a console block and look for the lines that the document shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip().splitlines()
        expected = EXIT.search(command)
        ran = subprocess.run(EXIT.sub("", command), shell=True, capture_output=True, text=True, check=False)
        printed = ran.stdout + ran.stderr
        if ran.returncode != (int(expected[1]) if expected else 0):
            sys.exit(f"{name}:{block.line}: `{command}` exited {ran.returncode}:\n{printed}")
        for line in shown:
            if line.strip() not in ("", "...") and TIMES.sub("0", line.strip()) not in TIMES.sub("0", printed):
                sys.exit(f"{name}:{block.line}: `{command}` did not print {line.strip()!r} but:\n{printed}")


def run(path: Path) -> int:
    """Run a document's examples in the current folder and say how many there were."""
    ran = 0
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, str(path), "exec", dont_inherit=True), namespace)
        elif block.language == "console":
            run_console(block, path.name)
        else:
            continue
        ran += 1
    return ran


if __name__ == "__main__":
    document = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["JACKLINE_HOME"] = str(Path(folder) / "home")
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        print(f"{document.name}: {run(document)} examples ran")
        os.chdir(document.parent)
