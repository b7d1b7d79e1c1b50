"""MCP servers that others wrote, from PyPI and npm, and what is asked of them: three SDKs of three generations.

Where they are is said by the environment; a session of nox installs them:
`JACKLINE_TEST_MCP_PYPI`: the bin folder with mcp-server-time and mcp-server-git (`pip install`, beside mcp 2);
`JACKLINE_TEST_MCP_PYPI_1`: the bin folder with mcp-server-sqlite, which needs mcp 1, so an environment of its own;
`JACKLINE_TEST_MCP_NPM`: node_modules/.bin after `npm ci` in tests/mcp/foreign.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PYPI, PYPI_1, NPM = "JACKLINE_TEST_MCP_PYPI", "JACKLINE_TEST_MCP_PYPI_1", "JACKLINE_TEST_MCP_NPM"
Asked = tuple[str, dict[str, Any]]
IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{
        f"GIT_{who}_{what}": f"ana{at}"
        for who in ("AUTHOR", "COMMITTER")
        for what, at in (("NAME", ""), ("EMAIL", "@example.com"))
    },
}


class Foreign(NamedTuple):
    """One server: its program, what is asked of it, and a call that is denied."""

    program: str
    where: str
    arguments: tuple[str, ...]
    asked: tuple[Asked, ...]
    denied: Asked
    leaves: str = ""
    """What is there after the denied call, if it runs; see `happened`."""
    env: tuple[tuple[str, str], ...] = ()

    def command(self, folder: Path) -> list[str]:
        """Its command line; skips where it is not installed."""
        if self.where not in os.environ:
            pytest.skip(f"{self.where} does not name the folder with {self.program}")
        program = Path(os.environ[self.where]) / self.program
        if not program.exists():
            pytest.skip(f"{program.name} is not in the folder that {self.where} names")
        return [str(program), *(argument.format(folder=folder) for argument in self.arguments)]


def call(name: str, **arguments: Any) -> Asked:
    return "tools/call", {"name": name, "arguments": arguments}


def filled(asked: Asked, folder: Path) -> Asked:
    """A request with the folder's path in the place of FOLDER."""
    method, params = asked
    return method, {key: _filled(item, folder) for key, item in params.items()}


def _filled(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("FOLDER", str(folder))
    if isinstance(value, dict):
        return {key: _filled(item, folder) for key, item in value.items()}
    return [_filled(item, folder) for item in value] if isinstance(value, list) else value


def furnished(folder: Path) -> None:
    """A folder with a file, a repository and a database in it."""
    (folder / "plan.txt").write_text("line one\nline two \u00e9\n", encoding="utf-8")
    (folder / "deep").mkdir()
    (folder / "deep" / "more.md").write_text("# more\n", encoding="utf-8")
    git = ["git", "-c", "user.name=ana", "-c", "user.email=ana@example.com", "-C", str(folder / "repo")]
    (folder / "repo").mkdir()
    (folder / "repo" / "a.txt").write_text("one\n", encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "a.txt"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True, env={**os.environ, **IDENTITY})
    (folder / "repo" / "a.txt").write_text("two\n", encoding="utf-8")
    subprocess.run([*git, "add", "a.txt"], check=True)
    (folder / "repo" / "b.txt").write_text("new\n", encoding="utf-8")
    with sqlite3.connect(folder / "books.db") as books:
        books.execute("CREATE TABLE accounts (name TEXT, owes REAL)")
        books.execute("INSERT INTO accounts VALUES ('ana', 1.5)")
    books.close()


def happened(folder: Path) -> list[str]:
    """Traces of the calls that are denied; empty where none ran."""
    with sqlite3.connect(folder / "books.db") as books:
        rows = books.execute("SELECT name FROM accounts WHERE name = 'denied'").fetchall()
    books.close()
    log = subprocess.run(
        ["git", "-C", str(folder / "repo"), "log", "--oneline"], capture_output=True, text=True, check=True
    )
    memory = folder / "memory.jsonl"
    found = {
        "a row": bool(rows),
        "a file": (folder / "denied.txt").exists(),
        "a commit": len(log.stdout.splitlines()) != 1,
        "a memory": memory.exists() and "denied" in memory.read_text(encoding="utf-8"),
    }
    return [name for name, is_so in found.items() if is_so]


LISTS: tuple[Asked, ...] = (("tools/list", {}),)
ZONES = {"source_timezone": "Europe/Berlin", "time": "12:30", "target_timezone": "Asia/Tokyo"}
TIME = Foreign(
    "mcp-server-time",
    PYPI,
    ("--local-timezone", "Europe/Berlin"),
    (*LISTS, call("convert_time", **ZONES), call("convert_time", **{**ZONES, "time": "99:99"})),
    call("get_current_time", timezone="denied"),
)
GIT = Foreign(
    "mcp-server-git",
    PYPI,
    ("--repository", "{folder}/repo"),
    (
        *LISTS,
        call("git_status", repo_path="FOLDER/repo"),
        call("git_diff_unstaged", repo_path="FOLDER/repo"),
        call("git_log", repo_path="FOLDER/repo", max_count=2),
        call("git_show", repo_path="FOLDER/repo", revision="nothing"),
    ),
    call("git_commit", repo_path="FOLDER/repo", message="denied"),
    "a commit",
    tuple(IDENTITY.items()),
)
SQLITE = Foreign(
    "mcp-server-sqlite",
    PYPI_1,
    ("--db-path", "{folder}/books.db"),
    (
        *LISTS,
        ("prompts/list", {}),
        ("prompts/get", {"name": "mcp-demo", "arguments": {"topic": "boats"}}),
        ("resources/list", {}),
        ("resources/read", {"uri": "memo://insights"}),
        call("list_tables"),
        call("read_query", query="SELECT * FROM accounts"),
        call("read_query", query="SELECT * FROM nothing"),
        call("describe_table", table_name="accounts"),
    ),
    call("write_query", query="INSERT INTO accounts VALUES ('denied', 2)"),
    "a row",
)
FILES = Foreign(
    "mcp-server-filesystem",
    NPM,
    ("{folder}",),
    (
        *LISTS,
        call("read_text_file", path="FOLDER/plan.txt"),
        call("read_text_file", path="/etc/hostname"),
        call("list_directory", path="FOLDER/deep"),
        call("search_files", path="FOLDER", pattern="**/*.md"),
        call("write_file", path="FOLDER/allowed.txt", content="\u00e9 \U0001f600"),
        call("read_text_file", path="FOLDER/allowed.txt"),
    ),
    call("write_file", path="FOLDER/denied.txt", content="denied"),
    "a file",
)
EVERYTHING = Foreign(
    "mcp-server-everything",
    NPM,
    (),
    (
        *LISTS,
        ("prompts/list", {}),
        ("prompts/get", {"name": "args-prompt", "arguments": {"city": "Bonn", "state": "NRW"}}),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "completable-prompt"},
                "argument": {"name": "department", "value": "E"},
            },
        ),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "demo://resource/static/document/features.md"}),
        call("get-annotated-message", messageType="error", includeImage=True),
        call("get-resource-links", count=3),
        call("get-structured-content", location="Chicago"),
        call("get-sum", a=2, b=0.5),
        call("get-sum", a="no number"),
        call("get-tiny-image"),
        call("trigger-elicitation-request"),
        call("trigger-sampling-request", prompt="2+2", maxTokens=5),
        call("get-roots-list"),
    ),
    call("echo", message="denied"),
)
MEMORY = Foreign(
    "mcp-server-memory",
    NPM,
    (),
    (
        *LISTS,
        ("resources/list", {}),
        ("resources/read", {"uri": "memory://knowledge-graph"}),
        call("create_entities", entities=[{"name": "ana", "entityType": "person", "observations": ["pays"]}]),
        call("search_nodes", query="ana"),
        call("read_graph"),
        call("delete_entities", entityNames=["ana"]),
    ),
    call("create_entities", entities=[{"name": "denied", "entityType": "person", "observations": []}]),
    "a memory",
    (("MEMORY_FILE_PATH", "{folder}/memory.jsonl"),),
)
SERVERS = {"time": TIME, "git": GIT, "sqlite": SQLITE, "files": FILES, "everything": EVERYTHING, "memory": MEMORY}
