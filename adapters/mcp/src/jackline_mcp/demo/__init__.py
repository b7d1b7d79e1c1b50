"""`jackline demo --scenario foreign-agent`: a closed agent, without Jackline and behind the gateway."""

from __future__ import annotations

import contextlib
import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackline.demo.evidence import Evidence
from jackline.errors import JacklineError
from jackline.plugins import installed_plugins
from jackline_mcp.demo.claims import AGENT, WHY_NOT, Governed, told
from jackline_mcp.demo.stage import Stage, orderly

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.demo.stories import Told

PACKS = ("tool_access", "budget")
_WHY_ACTIVE = "the platform team has looked at it"


def foreign_agent(advance: Callable[[str, int, int], None], folder: Path | None = None) -> Told:
    """Tell the story; in a folder of its own that is then removed, unless one is given."""
    _require_packs()
    with contextlib.ExitStack() as stack:
        stack.enter_context(orderly())
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jackline-demo-")))
        stage = Stage(folder)
        direct = _direct(stage, advance)
        governed = _governed(stage, advance)
        evidence = stack.enter_context(contextlib.closing(Evidence(stage.home)))
        return told(stage, direct, governed, evidence)


def _require_packs() -> None:
    there = installed_plugins().registrations.names("policy")
    missing = [name.replace("_", "-") for name in PACKS if name not in there]
    if missing:
        ours = " ".join(f"jackline-{name}" for name in missing)
        clone = " ".join(f"./policy_packs/{name.replace('-', '_')}" for name in missing)
        raise JacklineError(f"the demo needs {ours}; try: pip install {ours}, or from a clone: pip install {clone}")


def _direct(stage: Stage, advance: Callable[[str, int, int], None]) -> dict[str, Any]:
    """The agent at the servers themselves."""
    what = "foreign-agent, without"
    advance(what, 0, 1)
    servers = {server: {"command": stage.command(server, "direct")} for server in ("deploy", "notes")}
    with stage.visit("direct", servers) as visit:
        direct = visit.over()
    advance(what, 1, 1)
    return direct


def _governed(stage: Stage, advance: Callable[[str, int, int], None]) -> Governed:
    """The same agent at the gateway: nobody knows it, then somebody does."""
    what = "foreign-agent, governed"
    advance(what, 0, 2)
    key = json.loads(stage.jackline("approvals", "key", "ana", "--json"))["key"]
    bundle = files("jackline_mcp.demo").joinpath("foreign-agent.yaml").read_text(encoding="utf-8")
    stage.bundle.write_text(bundle.replace("KEY_OF_ANA", key), encoding="utf-8")
    with stage.gateway() as servers:
        with stage.visit("unknown", servers) as visit:
            unknown = visit.over()
        ran_unknown = sum(stage.ran("governed").values())
        advance(what, 1, 2)
        found = json.loads(stage.jackline("agents", "discover", "--json"))["found"]
        discovered: dict[str, Any] = next((one for one in found if (one["kind"], one["name"]) == ("agent", AGENT)), {})
        stage.jackline("agents", "set", AGENT, "--status", "active", "--why", _WHY_ACTIVE)
        with stage.visit("known", servers) as visit:
            asked = visit.question()
            kept = None
            if asked is not None:
                kept = stage.databases("governed")
                words = ("--why", WHY_NOT, "--as", "ana", "--bundle", str(stage.bundle))
                stage.jackline("approvals", "deny", asked.question.id, *words)
            known = visit.over()
        advance(what, 2, 2)
    return Governed(unknown, ran_unknown, discovered, known, kept)
