"""Python processes of this host in which an agent framework runs, or may run, and no guard.

Looked at are what `/proc` names: the program, its arguments, the files that it has open or mapped, the source that it
was started with, what is installed beside it. Never memory, never the environment.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import NamedTuple

FRAMEWORKS = {
    "langchain": "langchain",
    "langchain_core": "langchain",
    "langgraph": "langchain",
    "crewai": "crewai",
    "llama_index": "llamaindex",
    "autogen_agentchat": "",
    "agents": "",
    "pydantic_ai": "",
    "smolagents": "",
    "haystack": "",
    "dspy": "",
    "semantic_kernel": "",
    "google.adk": "",
    "openai": "",
    "anthropic": "",
    "litellm": "",
    "mistralai": "",
    "cohere": "",
}
"""What agents are made with, by the module that is imported, and the adapter that governs it; empty: there is none."""
_INSTALLED = frozenset(FRAMEWORKS) - {"agents", "google.adk"}
"""Those whose folder's name is nobody else's."""
_LIBRARIES = {"jiter": ("openai", "anthropic"), "uuid_utils": ("langchain_core",), "ormsgpack": ("langgraph",)}
"""Compiled modules that only these import: they stay mapped, where a module of Python text leaves no trace."""
_PYTHON = re.compile(r"(python|pypy)[0-9.]*(\.exe)?$")
_PACKAGES = re.compile(r"^(.*/(?:site|dist)-packages)/([^/]+)")
_JOURNAL = re.compile(r"/journals/[^/]+\.jsonl( \(deleted\))?$")
_OURS = frozenset({"jackline"})
"""Programs that are no agents, whatever lies beside them."""
_SOURCE_LIMIT = 1 << 20


class Found(NamedTuple):
    """One process."""

    pid: int
    program: str
    """What was started: a script or a module, without its arguments."""
    frameworks: tuple[str, ...]
    how: str
    """`loaded`: a library of one is mapped; `imported`: the program's text or command says so; `installed`: may be."""
    loaded: tuple[str, ...] = ()
    """Those of which a library is mapped; the others are imported where any is."""


class Looked(NamedTuple):
    """All processes that could be looked at."""

    found: list[Found]
    governed: int
    """Python processes that have a framework and hold a journal of Jackline's."""
    hidden: int
    """Processes of other users that could not be looked at."""
    possible: bool
    """Whether this system shows processes in /proc at all."""


def look(proc: Path = Path("/proc"), own: int | None = None) -> Looked:
    """Look at every process but this one. Processes that end meanwhile are passed over."""
    own = os.getpid() if own is None else own
    found: list[Found] = []
    governed = hidden = 0
    if not (proc / "self").exists():
        return Looked(found, 0, 0, possible=False)
    for folder in sorted((each for each in proc.iterdir() if each.name.isdecimal()), key=lambda each: int(each.name)):
        if int(folder.name) == own:
            continue
        try:
            one = _seen(folder)
            holds = one is not None and _holds_journal(folder)
        except PermissionError:
            hidden += 1
            continue
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            continue
        if one is None:
            continue
        if holds:
            governed += 1
        else:
            found.append(one)
    return Looked(found, governed, hidden, possible=True)


def _seen(folder: Path) -> Found | None:
    """What is seen of a process. Raises OSError where it may not be looked at, or is gone."""
    words = [os.fsdecode(word) for word in (folder / "cmdline").read_bytes().split(b"\0")[:64]]
    if not words[0]:
        return None  # a thread of the kernel's, or one that has ended
    program = (folder / "exe").readlink()
    if not _PYTHON.search(program.name.removesuffix(" (deleted)")):
        return None
    mapped, places = _mapped(folder)
    script, named = _started(folder, words)
    places |= _beside(folder, words, program)
    installed = {name for place in places for name in _INSTALLED if (_inside(folder, place) / name).is_dir()}
    loaded = {name for library in mapped for name in _LIBRARIES.get(library, ()) if name in installed}
    loaded |= mapped & _INSTALLED
    if loaded or named:
        how = "loaded" if loaded else "imported"
        return Found(int(folder.name), script, tuple(sorted(loaded | named)), how, tuple(sorted(loaded)))
    if installed and Path(script).name not in _OURS:
        return Found(int(folder.name), script, tuple(sorted(installed)), "installed")
    return None


def _mapped(folder: Path) -> tuple[set[str], set[Path]]:
    """The packages whose compiled modules are mapped, and the folders that packages were loaded from."""
    names, places = set(), set()
    for line in (folder / "maps").read_text(errors="replace").splitlines():
        match = _PACKAGES.match(line[line.find("/") :])
        if match is not None:
            places.add(Path(match[1]))
            names.add(match[2].partition(".")[0])
    return names, places


def _started(folder: Path, words: list[str]) -> tuple[str, set[str]]:
    """What the process was started with, and the frameworks that this says it imports."""
    rest = words[1:]
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c", "-"):
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    if not rest or not rest[0]:
        return Path(words[0]).name, set()
    if rest[0] == "-m" and len(rest) > 1:
        return f"-m {rest[1]}", _frameworks([rest[1]])
    if rest[0] == "-c" and len(rest) > 1:
        return "-c", _imports(rest[1])
    path = _inside(folder, (folder / "cwd").readlink() / rest[0])
    try:
        if not path.is_file():  # a pipe or a terminal, which might be waited for
            return rest[0], set()
        with path.open("rb") as file:
            text = file.read(_SOURCE_LIMIT).decode(errors="replace")
    except OSError:
        return rest[0], set()
    return rest[0], _imports(text)


def _imports(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            names.append(node.module)
    return _frameworks(names)


def _frameworks(modules: list[str]) -> set[str]:
    return {name for name in FRAMEWORKS for module in modules if module == name or module.startswith(f"{name}.")}


def _beside(folder: Path, words: list[str], program: Path) -> set[Path]:
    """Where packages of the interpreter lie, by how it was called: a virtual environment's is a link to another one."""
    called = Path(words[0])
    if "/" in words[0]:
        called = (folder / "cwd").readlink() / called
    places = set()
    for base in {called.parent.parent if called.is_absolute() else program.parent.parent, program.parent.parent}:
        for pattern in ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib/python3/dist-packages"):
            places |= {base / each.relative_to(_inside(folder, base)) for each in _inside(folder, base).glob(pattern)}
    in_environment = [place for place in places if (_inside(folder, place.parents[2]) / "pyvenv.cfg").exists()]
    return set(in_environment) or places


def _inside(folder: Path, path: Path) -> Path:
    """A path as the process sees it, which may be in a container."""
    root = (folder / "root").readlink()
    return path if str(root) == "/" else folder / "root" / str(path).lstrip("/")


def _holds_journal(folder: Path) -> bool:
    """Whether the process has a journal open: a guard, or another part of Jackline, runs in it."""
    for each in (folder / "fd").iterdir():
        try:
            if _JOURNAL.search(str(each.readlink())):
                return True
        except FileNotFoundError:
            continue
    return False
