"""`agents discover`: what has been seen of agents that nobody registered, how, and what would govern them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jackline.cli import output, state
from jackline.cli.shadow_processes import FRAMEWORKS, look
from jackline.cli.shadow_requests import requests_to_providers
from jackline.wording import counted

if TYPE_CHECKING:
    from jackline.cli.shadow_processes import Found, Looked
    from jackline.home import Home
    from jackline.roster import Entry

_DAY = 86400.0
REGISTER = "jackline agents set {} --status active"
BOUNDARY = "the gateway (jackline mcp) for its tools, or the Decision API (jackline serve) where its code can ask"
_SEEN_BY = {
    "gateway": ("gateway", "its tools' calls pass the gateway"),
    "decision-api": ("decision API", "it asks the Decision API before it acts"),
}
NOT_VISIBLE = (
    "requests to providers that were sent without a guard in the process: nothing of Jackline's sees them",
    "a framework that a process imported in modules of its own, where neither its command nor its script says so",
    "processes of other hosts",
)


class Shadow(NamedTuple):
    """One thing that was seen and is not registered. Times are Unix seconds."""

    kind: str
    """`agent`, `requests` or `process`."""
    name: str
    how: str
    """How it was seen."""
    governed: bool
    """Whether its acts are judged by now."""
    governs: str
    """What would govern it, or what is left to do."""
    last: float | None = None
    detail: dict[str, Any] = {}  # noqa: RUF012 - never changed


def discover(
    ctx: typer.Context,
    days: Annotated[float, typer.Option(min=0, help="How far back requests to providers are looked for.")] = 30.0,
    as_json: output.Json = False,
) -> None:
    """Say what was seen of agents that nobody registered: by gateway, OTLP, requests to providers, processes here.

    For example: jackline agents discover
    """
    home: Home = ctx.obj
    looked = look()
    found = [*_agents(home), *_requests(home, time.time() - days * _DAY), *_processes(looked)]
    if as_json:
        processes = {"governed": looked.governed, "of_other_users": looked.hidden, "possible": looked.possible}
        plain = [one._asdict() for one in found]
        output.answer({"found": plain, "processes": processes, "not_visible": list(NOT_VISIBLE)})
        return
    if found:
        columns = ("what", "name", "seen", "governed", "what would govern it")
        rows = [(one.kind, one.name, one.how, "yes" if one.governed else _no(), one.governs) for one in found]
        output.show(output.table(columns, rows, fold="what would govern it"))
    else:
        output.say("nothing was seen that is not registered")
    if not looked.possible:
        output.note("this system has no /proc: its processes were not looked at")
    elif looked.hidden:
        hidden = counted(looked.hidden, "process of another user", "processes of other users")
        output.note(f"{hidden} could not be looked at")
    for blind in NOT_VISIBLE:
        output.note(f"not visible: {blind}")


def _no() -> Any:
    return output.text("no", "red")


def _agents(home: Home) -> list[Shadow]:
    """Agents of the registry of which nobody has said anything."""
    entries = state.registry(home).entries
    return [_agent(entries[name]) for name in sorted(entries) if _unregistered(entries[name])]


def _unregistered(entry: Entry) -> bool:
    return all(entry.facts(version).status == "seen" for version in entry.versions or ("",))


def _agent(entry: Entry) -> Shadow:
    newest = entry.facts(max(entry.versions, default=""))
    detail = {"framework": newest.framework, "models": sorted(entry.models), "tools": sorted(entry.tools)}
    register = REGISTER.format(entry.name)
    if newest.managed:
        how = f"a guard in its process ({newest.framework or 'python'})"
        return Shadow("agent", entry.name, how, True, f"its guard; to register it: {register}", None, detail)  # noqa: FBT003
    source = newest.labels.get("source", "gateway" if newest.framework == "mcp" else "otlp")
    seen = _SEEN_BY.get(source)
    if seen is None:
        governs = f"jackline.init() in its process, or {BOUNDARY}"
        return Shadow("agent", entry.name, "what it reports (OTLP)", False, governs, None, detail)  # noqa: FBT003
    place, why = seen
    return Shadow("agent", entry.name, place, True, f"{why}; to register it: {register}", None, detail)  # noqa: FBT003


def _requests(home: Home, since: float) -> list[Shadow]:
    """Requests to providers of agents that nobody registered."""
    if not home.journals.is_dir():
        return []
    roster = state.registry(home).roster
    found = []
    for sent in requests_to_providers(home.journals, since):
        entry = roster.entries.get(roster.parts(sent.agent)[0])
        if entry is not None and not _unregistered(entry):
            continue
        how = f"{counted(sent.requests, 'request')} to {sent.host}, last {output.moment(sent.last)}"
        governs = f"the adapter of what asks {sent.provider}, so that its model calls are judged and counted as such"
        detail = sent._asdict()
        found.append(Shadow("requests", sent.agent, how, True, governs, sent.last, detail))  # noqa: FBT003
    return found


def _processes(looked: Looked) -> list[Shadow]:
    found = []
    for one in looked.found:
        adapters = sorted({FRAMEWORKS[name] for name in one.frameworks} - {""})
        install = "".join(f" (pip install jackline-{name})" for name in adapters)
        governs = (
            f"jackline.init() in its process{install}" if adapters else f"jackline.init() in its process, or {BOUNDARY}"
        )
        detail = {"pid": one.pid, "frameworks": list(one.frameworks), "evidence": one.how}
        found.append(Shadow("process", f"{one.pid} {one.program}", _evidence(one), False, governs, None, detail))  # noqa: FBT003
    return found


def _evidence(one: Found) -> str:
    if one.how == "installed":
        return f"may import {', '.join(one.frameworks)}: it is installed beside it"
    told = [f"has loaded {', '.join(one.loaded)}"] if one.loaded else []
    imported = [name for name in one.frameworks if name not in one.loaded]
    return " and ".join([*told, *([f"imports {', '.join(imported)}"] if imported else [])])
