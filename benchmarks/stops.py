"""How soon an agent of each framework is at rest once a person ends its session: stop to stopped."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from jackline.plugins import installed_plugins
from jackline.testing.stops import after_its_end, stopped

FRAMEWORKS = ("python", "langchain", "crewai", "llamaindex")
TIMES = 40
GOAL_MS = 1000


def rows(times: int = TIMES) -> list[dict[str, Any]]:
    """Two rows for each framework that is installed."""
    found = []
    for framework in FRAMEWORKS:
        if framework not in installed_plugins().registrations.names("adapter"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            ended = stopped(framework, Path(folder), times)
            began = sum(len(after_its_end(Path(folder) / "home", one.session)) for one in ended)
        took = sorted(one.seconds * 1000 for one in ended)
        told = {"unit": "ms", "median": took[times // 2], "p10": took[times // 10]}
        said = f"a person's stop until the agent is at rest, {framework}"
        found.append({"what": f"{said}, {began} acts began after its halt", **told})
        most = took[times * 95 // 100]
        found.append({"what": f"  p95 of it, {framework}", "unit": "ms", "median": most, "p10": most, "goal": GOAL_MS})
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=TIMES)
    for row in rows(options.parse_args().times):
        print(f"{row['median']:8.1f} ms  {row['what']}")


if __name__ == "__main__":
    main()
