"""`demo`: stories of real agents, each without and with Jackline."""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Annotated

import typer

from jackline.cli import output
from jackline.errors import JacklineError

_INSTALL = {
    "langchain": "jackline-langchain langchain",
    "langchain_core": "jackline-langchain langchain",
    "langgraph": "jackline-langchain langchain",
    "jackline_langchain": "jackline-langchain",
    "crewai": "jackline-crewai crewai",
    "jackline_crewai": "jackline-crewai",
    "llama_index": "jackline-llamaindex llama-index-core",
    "jackline_llamaindex": "jackline-llamaindex",
    "jackline_tool_access": "jackline-tool-access",
    "jackline_budget": "jackline-budget",
    "jackline_mcp": "jackline-mcp jackline-tool-access jackline-budget",
}
"""What brings a module that a story needs."""
_FROM_CLONE = {"jackline_mcp": "./adapters/mcp ./policy_packs/tool_access ./policy_packs/budget"}


class Scenario(StrEnum):
    """The stories."""

    cost_spiral = "cost-spiral"
    silent_violation = "silent-violation"
    audit_gap = "audit-gap"
    foreign_agent = "foreign-agent"


def demo(
    scenario: Annotated[Scenario | None, typer.Option(help="One story; all where none is named.")] = None,
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions each story has.")] = 100,
    framework: Annotated[
        str, typer.Option(help="Whose agents act: langchain, crewai, llamaindex or python.")
    ] = "langchain",
    as_json: output.Json = False,
) -> None:
    """See stories happen to real agents, without Jackline and with it. No network, under a minute.

    For example: jackline demo --scenario cost-spiral
    """
    try:
        module = importlib.import_module("jackline.demo")
        code = module.run(scenario.value if scenario is not None else None, as_json, sessions, framework)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _INSTALL:
            raise
        clone = f", or from a clone: pip install {_FROM_CLONE[missing]}" if missing in _FROM_CLONE else ""
        raise JacklineError(f"the demo needs {missing}; try: pip install {_INSTALL[missing]}{clone}") from error
    raise typer.Exit(code)
