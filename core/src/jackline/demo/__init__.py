"""`jackline demo`: three stories on real agents, each without and with Jackline, told by what was counted."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from jackline.demo.report import progress, table
from jackline.demo.stories import STORIES
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from jackline.demo.agents import Agents
    from jackline.demo.stories import Told


def run(scenario: str | None, as_json: bool, sessions: int = 100, framework: str = "langchain") -> int:
    """Tell one story (or all), print the difference, and answer 0 where each holds, else 1."""
    agents = agents_of(framework)
    told: list[Told] = []
    with progress(quiet=as_json) as advance:
        for name, story in STORIES.items():
            if scenario in (None, name):
                told.append(story(agents, sessions, advance))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n")
    else:
        table(told)
    return 0 if all(story.holds for story in told) else 1


def agents_of(framework: str) -> Agents:
    """The framework's agents, which its adapter brings in a module `demo`."""
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - assembly, once

    registrations = installed_plugins().registrations
    if framework not in registrations.names("adapter"):
        names = ", ".join(registrations.names("adapter"))
        raise JacklineError(
            f"no adapter '{framework}' is installed; installed: {names}; try: pip install jackline-{framework}"
        )
    package = registrations.target("adapter", framework).target.partition(":")[0]
    try:
        module = import_module(f"{package}.demo")
    except ModuleNotFoundError as error:
        if error.name == f"{package}.demo":
            raise JacklineError(f"the adapter '{framework}' brings no agents for the demo") from error
        raise
    found: Agents = module.Agents()
    return found
