"""A hundred callers at once, in processes of their own, each with a token: rights, budgets and records are each one's own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_harness import ERAS, SERVER
from mcp_ways import listening
from test_serve import Serve

if TYPE_CHECKING:
    from collections.abc import Iterator

CROWD = Path(__file__).with_name("crowd_client.py")
CALLERS, PROCESSES, CALLS, CEILING = 100, 4, 4, 3
POLICIES = f"""\
jackline: 1
policies:
  - {{name: never, use: rule, on: tool.call, when: tool.name == 'far.delete', effect: deny, reason: never}}
  - {{name: calls, use: budget, with: {{limit: {CEILING} calls, per: session}}}}
unregistered: allow
"""


class Crowded(Serve):
    """A gateway that knows a hundred callers."""

    def configuration(self) -> str:
        head, _, tail = super().configuration().partition("callers:\n")
        known = "".join(
            f"  caller{number}: {{token_sha256: {hashlib.sha256(f'token-of-{number}'.encode()).hexdigest()}}}\n"
            for number in range(CALLERS)
        )
        return f"{head}callers:\n{known}{tail}"


async def asked(url: str, first: int, mode: str) -> list[dict[str, Any]]:
    """What the callers of one process were told."""
    words = [url, str(first), str(CALLERS // PROCESSES), mode, str(CALLS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CROWD), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()[-2000:]
    found: list[dict[str, Any]] = json.loads(out)
    return found


async def crowd(url: str, mode: str) -> list[dict[str, Any]]:
    """What everybody was told."""
    parts = await asyncio.gather(*(asked(url, place * CALLERS // PROCESSES, mode) for place in range(PROCESSES)))
    return [each for part in parts for each in part]


def per_caller(events: Iterator[Any]) -> Counter[str]:
    return Counter(event.agent for event in events)


@ERAS
async def test_a_hundred_callers_at_once(tmp_path: Path, mode: str) -> None:
    serve = Crowded(tmp_path)
    serve.policies(POLICIES)
    with listening(SERVER, {"RAN": str(serve.log)}) as url:
        serve.more = f"  far: {{url: '{url}'}}\n"
        with serve.running():
            told = await crowd(f"{serve.url}far", mode)

    assert sorted(each["number"] for each in told) == list(range(CALLERS))
    for each in told:
        own = [text for text in each["told"] if text.startswith(f"found c{each['number']} q")]
        over = [text for text in each["told"] if "policy 'calls'" in text]
        assert (len(own), len(over)) == (CEILING, CALLS - CEILING), each
        assert each["denied"] == "Not permitted by policy 'never': never"
    ran = Counter(line.split()[1] for line in serve.ran)
    assert ran == {f"c{number}": CEILING for number in range(CALLERS)}, "the counter beside the bodies"
    decided = [event for event in serve.on_record("decided") if event.action == "tool.call"]
    everybody = {f"caller{number}" for number in range(CALLERS)}
    assert per_caller(iter(decided)) == dict.fromkeys(everybody, CALLS + 1)
    permitted = [event for event in decided if event.effect == "allow"]
    assert per_caller(iter(permitted)) == dict.fromkeys(everybody, CEILING)
    assert len({event.session for event in decided}) == CALLERS
    assert sorted(event.span for event in serve.on_record("completed")) == sorted(event.span for event in permitted)
    assert "Traceback" not in serve.stderr
