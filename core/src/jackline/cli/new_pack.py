"""`new-pack`: a folder with a policy of one's own, that is built, installed and tested as it is."""

from __future__ import annotations

import ast
import keyword
import re
import shlex
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from jackline._version import __version__
from jackline.cli import output
from jackline.errors import JacklineError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_LONGEST = 64
_OURS = frozenset(
    {
        *("budget", "circuit_breaker", "escalation", "pii", "tool_access"),
        *("console", "crewai", "http", "langchain", "llamaindex", "mcp", "otel", "python"),
    }
)
"""Names of this project's own distributions, installed or not: two of one name cannot be installed together."""


def new_pack(
    ctx: typer.Context,  # noqa: ARG001 - every verb has it
    name: Annotated[str, typer.Argument(help="What bundles will say after `use:`, such as no_words.")],
    into: Annotated[Path, typer.Option(help="The folder in which the pack's folder is made.")] = Path(),
    as_json: output.Json = False,
) -> None:
    """Make a policy pack: a policy, its entry point, tests that every policy must pass, cases, a README.

    For example: jackline new-pack no_words && pip install -e ./jackline-no-words && pytest jackline-no-words
    """
    words = _checked(name)
    folder = into / words["distribution"]
    if folder.exists():
        raise JacklineError(f"{folder} is there already, and nothing was written; remove it, or choose another name")
    files = _files(words)
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise JacklineError(f"{folder} cannot be written: {error.strerror}") from error
    if as_json:
        output.answer({"folder": str(folder), **words, "files": list(files)})
        return
    for path in files:
        output.say(str(folder / path))
    there, tests = (shlex.quote(str(each)) for each in (folder, folder / "tests"))
    output.say(f"now: pip install -e {shlex.quote(f'{folder}[test]')} && pytest {there} && jackline test {tests}")


def _checked(name: str) -> dict[str, str]:
    """What the templates are filled with, where the name can be one and nobody has it."""
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - only this verb asks for names

    policy = name.replace("-", "_")
    class_ = "".join(part.capitalize() for part in policy.split("_"))
    if not _NAME.fullmatch(name) or keyword.iskeyword(policy) or len(name) > _LONGEST:
        raise JacklineError(f"'{name}' is no name of a pack: write small letters, digits and _, such as no_words")
    if keyword.iskeyword(class_) or class_ in _taken():
        raise JacklineError(f"'{name}' would be the class '{class_}', which is something else: choose another name")
    for target in installed_plugins().registrations.targets("policy"):
        if target.name == policy:
            raise JacklineError(f"a policy '{policy}' is installed already, by {target.origin}: choose another name")
    words = {
        "policy": policy,
        "package": f"jackline_{policy}",
        "distribution": f"jackline-{policy.replace('_', '-')}",
        "class_": class_,
        "jackline": __version__,
    }
    if policy in _OURS or find_spec(words["package"]) is not None:
        raise JacklineError(f"'{words['distribution']}' is there already, and no pack of yours: choose another name")
    return words


def _taken() -> set[str]:
    """The names that the made modules use: a class of one of them would stand in its place."""
    source = resources.files("jackline.cli") / "pack"
    texts = [Template((source / name).read_text("utf-8")) for name in ("policy.py.in", "test_policy.py.in")]
    trees = [ast.parse(text.substitute(policy="made", package="made", class_="Made")) for text in texts]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {node.name for node in nodes if isinstance(node, ast.alias)}
    return (imported | {node.id for node in nodes if isinstance(node, ast.Name)}) - {"Made", "MadeOptions"}


def _files(words: dict[str, str]) -> dict[str, str]:
    """Every file of the pack by its path in the folder."""
    package = f"src/{words['package']}"
    names = {
        "pyproject.toml": "pyproject.toml.in",
        "README.md": "README.md.in",
        f"{package}/__init__.py": "init.py.in",
        f"{package}/policy.py": "policy.py.in",
        f"tests/test_{words['policy']}.py": "test_policy.py.in",
        "tests/cases.yaml": "cases.yaml.in",
    }
    source = resources.files("jackline.cli") / "pack"
    made = {path: Template((source / name).read_text("utf-8")).substitute(words) for path, name in names.items()}
    return {**made, f"{package}/py.typed": ""}
