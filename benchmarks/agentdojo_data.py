"""AgentDojo's scripted solutions and injections as recorded calls, read from `../shared/data/trajectories/agentdojo`.

`tasks` opens no line of an injection task beyond its kind, so bundles can be written and checked without them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from jackline.request import Tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES = ("workspace", "banking")
FILES = ("tools.json", "ground_truth.jsonl", "attacks.jsonl")
FREE_TEXT = ("content", "body", "description", "subject", "title")
"""What strangers write into. Where the harmless text of a place is empty, or cut away, the attack stands here."""
Words = tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """One call and what it gave back when AgentDojo's own tools ran it."""

    tool: str
    args: dict[str, Any]
    result: Any


@dataclass(frozen=True)
class Task:
    """What a user asks for, or an attacker, with the calls that do it."""

    suite: str
    name: str
    prompt: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Attack:
    """An injection task, and where its text is read: user task -> call -> the harmless texts in that call's result."""

    task: Task
    reads: dict[str, dict[int, tuple[str, ...]]]


class Tools:
    """The schemas of one suite."""

    def __init__(self, schemas: dict[str, dict[str, Any]]) -> None:
        self.named = {
            name: Tool(name=name, parameters=schema["parameters"], fingerprint=f"{number:016x}")
            for number, (name, schema) in enumerate(sorted(schemas.items()))
        }
        self._defaults = {
            name: {
                key: each["default"] for key, each in schema["parameters"]["properties"].items() if "default" in each
            }
            for name, schema in schemas.items()
        }

    def bound(self, call: Call) -> dict[str, Any]:
        """What the tool's body receives: defaults are arguments too."""
        return {**self._defaults[call.tool], **call.args}


def present(folder: Path) -> bool:
    """Whether the data is there."""
    return all((folder / name).is_file() for name in FILES)


def tools(folder: Path, suite: str) -> Tools:
    """The tools of a suite."""
    return Tools(json.loads((folder / "tools.json").read_text("utf-8"))[suite])


def tasks(folder: Path, suite: str) -> list[Task]:
    """The user tasks of a suite."""
    return [_task(line) for line in _lines(folder, "user", suite)]


def attacks(folder: Path, suite: str) -> list[Attack]:
    """The injection tasks of a suite that have a call."""
    solved = {line["task"]: _task(line) for line in _lines(folder, "injection", suite)}
    found = []
    for line in (folder / "attacks.jsonl").read_text("utf-8").splitlines():
        told = json.loads(line)
        if told["suite"] != suite or not solved[told["injection_task"]].calls:
            continue
        reads: dict[str, dict[int, tuple[str, ...]]] = {}
        for vector in told["vectors"]:
            for place in vector["seen_in"]:
                calls = reads.setdefault(place["user_task"], {})
                calls[place["call_index"]] = (*calls.get(place["call_index"], ()), vector["default"])
        found.append(Attack(solved[told["injection_task"]], reads))
    return found


def tainted(result: Any, harmless: tuple[str, ...], text: str) -> Any:
    """A result with an attacker's text after each harmless one; where that is not found, in the first free text."""
    for each in harmless:
        changed = _after(result, _words(each), text) if each.strip() else result
        result = changed if changed != result else _in_free_text(result, text)
    return result


def _lines(folder: Path, kind: str, suite: str) -> Iterator[dict[str, Any]]:
    for line in (folder / "ground_truth.jsonl").read_text("utf-8").splitlines():
        if f'"kind": "{kind}"' not in line[:200]:
            continue
        told = json.loads(line)
        if told["suite"] == suite:
            yield told


def _task(line: dict[str, Any]) -> Task:
    calls = tuple(Call(call["tool"], call["args"], native(call["result"])) for call in line["calls"])
    return Task(line["suite"], line["task"], line["prompt"], calls)


def native(text: str) -> Any:
    """A result as the tool returned it, before it was written out as YAML; a cut one without its last record."""
    for whole in (text, text[: text.rfind("\n- ")]) if text.startswith("- ") else (text,):
        try:
            found = yaml.safe_load(whole)
        except yaml.YAMLError:
            continue
        return _plain(found) if isinstance(found, (dict, list)) else text
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _words(text: str) -> Words:
    return tuple(text.split())


def _after(value: Any, words: Words, text: str) -> Any:
    """The value with `text` behind the words wherever a text of it holds them, however they are folded."""
    if isinstance(value, dict):
        return {key: _after(each, words, text) for key, each in value.items()}
    if isinstance(value, list):
        return [_after(each, words, text) for each in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\s+".join(map(re.escape, words)), lambda hit: f"{hit[0]} {text}", value)


def _in_free_text(result: Any, text: str) -> Any:
    if isinstance(result, str):
        return f"{result}\n{text}"
    if isinstance(result, list):
        return [_in_free_text(result[0], text), *result[1:]] if result else [{FREE_TEXT[0]: text}]
    written = {key: f"{result[key]} {text}" for key in FREE_TEXT if isinstance(result.get(key), str)}
    return {**result, **(written or {FREE_TEXT[0]: text})}
