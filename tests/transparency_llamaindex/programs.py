"""Run every program and write what each gives as JSON: `programs.py [HOME]`; governed where a home is named."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agents
import queries
import workflows_of_agents
from llama_index.core import Settings, set_global_tokenizer
from scripted import Letters, Scripted

from jackline.journal import read

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLE = """\
jackline: 1
policies:
  - name: everything
    use: rule
    on: [model.call, tool.call, agent.spawn, retrieval, embedding]
    when: 'true'
    effect: allow
"""
SECONDS = 30
"""How long a program may take."""
PROGRAMS: tuple[Callable[[], Any], ...] = (*agents.PROGRAMS, *workflows_of_agents.PROGRAMS, *queries.PROGRAMS)


def govern(home: Path) -> None:
    """Allow everything, and record it."""
    import jackline  # noqa: PLC0415 - the bare process does without

    home.mkdir(parents=True, exist_ok=True)
    bundle = home / "allow-all.yaml"
    bundle.write_text(BUNDLE, encoding="utf-8")
    jackline.init(bundle, home=home)


def decided(home: Path | None) -> int:
    """How many decisions are on record."""
    if home is None:
        return 0
    lines = [line for path in (home / "journals").glob("*.jsonl") for line in read(path)]
    return sum(line.kind == "decided" for line in lines)


def result(program: Callable[[], Any]) -> str:
    """What a program gives, or how it fails, as text."""
    try:
        return repr(asyncio.run(asyncio.wait_for(program(), SECONDS)))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def main(home: Path | None) -> None:
    """Run all of them in turn."""
    faulthandler.dump_traceback_later(SECONDS * 6, exit=True)
    warnings.simplefilter("ignore")
    set_global_tokenizer(str.split)
    Settings.llm, Settings.embed_model = Scripted(), Letters()
    if home is not None:
        govern(home)
    found = {}
    for program in PROGRAMS:
        before = decided(home)
        found[program.__name__] = {"result": result(program), "decisions": decided(home) - before}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
