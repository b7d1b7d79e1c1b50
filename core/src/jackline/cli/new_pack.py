"""`new-pack`: a folder with a policy of one's own, that is built, installed and tested as it is."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from jackline._version import __version__
from jackline.cli import output
from jackline.errors import JacklineError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")


def new_pack(
    ctx: typer.Context,  # noqa: ARG001 - every verb has it
    name: Annotated[str, typer.Argument(help="What bundles will say after `use:`, such as no_words.")],
    into: Annotated[Path, typer.Option(help="The folder in which the pack's folder is made.")] = Path(),
    as_json: output.Json = False,
) -> None:
    """Make a policy pack: a policy, its entry point, tests that every policy must pass, cases, a README.

    For example: jackline new-pack no_words && pip install -e ./jackline-no-words && pytest jackline-no-words
    """
    policy = _checked(name)
    words = {
        "policy": policy,
        "package": f"jackline_{policy}",
        "distribution": f"jackline-{policy.replace('_', '-')}",
        "class_": "".join(part.capitalize() for part in policy.split("_")),
        "jackline": __version__,
    }
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
    output.say(f"now: pip install -e '{folder}[test]' && pytest {folder} && jackline test {folder / 'tests'}")


def _checked(name: str) -> str:
    """The policy's name, where it can be one and nobody has it."""
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - only this verb asks for names

    policy = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(policy):
        raise JacklineError(f"'{name}' is no name of a pack: write small letters, digits and _, such as no_words")
    for target in installed_plugins().registrations.targets("policy"):
        if target.name == policy:
            raise JacklineError(f"a policy '{policy}' is installed already, by {target.origin}: choose another name")
    return policy


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
