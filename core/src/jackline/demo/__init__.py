"""`jackline demo`: stories of real agents, each without and with Jackline, told by what was counted."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from jackline.demo.report import progress, table
from jackline.demo.stories import STORIES
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline.demo.agents import Agents
    from jackline.demo.stories import Told

FRAMEWORKS: Mapping[str, str] = {
    "langchain": "jackline-langchain langchain",
    "crewai": "jackline-crewai crewai",
    "llamaindex": "jackline-llamaindex llama-index-core",
}
"""Whose agents there are beside plain Python's, and what brings them."""

FOREIGN = "foreign-agent"
"""The story that the gateway brings: whose agent it is does not matter, since its code is closed."""
_GATEWAY = "jackline_mcp"

_OURS = {"jackline.python": "jackline.demo.python_agents"}


def run(scenario: str | None, as_json: bool, sessions: int = 100, framework: str = "langchain") -> int:
    """Tell one story (or all that can be told), print the difference, and answer 0 where each holds, else 1."""
    with progress(quiet=as_json) as advance, _frameworks_unheard():
        told = list(_told(scenario, sessions, framework, advance))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
    else:
        table(told)
    return 0 if all(story.holds for story in told) else 1


def _told(
    scenario: str | None, sessions: int, framework: str, advance: Callable[[str, int, int], None]
) -> Iterator[Told]:
    if scenario != FOREIGN:
        agents = agents_of(framework)
        for name, story in STORIES.items():
            if scenario in (None, name):
                yield story(agents, sessions, advance)
    if scenario == FOREIGN or (scenario is None and find_spec(_GATEWAY) is not None):
        yield import_module(f"{_GATEWAY}.demo").foreign_agent(advance)


@contextlib.contextmanager
def _frameworks_unheard() -> Iterator[None]:
    """Keep what a framework prints of its agents (CrewAI does) out of the answer."""
    with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):  # noqa: PTH123
        yield


def agents_of(framework: str) -> Agents:
    """The framework's agents: its adapter brings them in a module `demo`, the core brings those of plain Python."""
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - assembly, once

    registrations = installed_plugins().registrations
    if framework not in registrations.names("adapter"):
        raise JacklineError(_missing(framework, registrations.names("adapter")))
    package = registrations.target("adapter", framework).target.partition(":")[0]
    place = _OURS.get(package, f"{package}.demo")
    try:
        module = import_module(place)
    except ModuleNotFoundError as error:
        if error.name == place:
            raise JacklineError(f"the adapter '{framework}' brings no agents for the demo") from error
        raise
    found: Agents = module.Agents()
    return found


def _missing(framework: str, names: Sequence[str]) -> str:
    what = f"no adapter '{framework}' is installed; installed: {', '.join(names)}"
    if framework in FRAMEWORKS:
        return f"{what}; try: pip install {FRAMEWORKS[framework]}"
    return f"{what}; the demo knows: {', '.join(('python', *FRAMEWORKS))}"
