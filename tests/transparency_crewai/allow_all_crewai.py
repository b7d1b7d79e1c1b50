"""A pytest plugin: every crew, agent and flow in the process is governed by a bundle that allows everything."""

from __future__ import annotations

import os
from pathlib import Path

import jackline

BUNDLE = """\
jackline: 1
policies:
  - {name: everything, use: rule, on: [model.call, tool.call], when: 'true', effect: allow}
"""


def pytest_configure() -> None:
    """Before any test is collected, so that every agent is built in a governed process."""
    bundle = Path(os.environ["JACKLINE_HOME"]) / "allow-all.yaml"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text(BUNDLE, encoding="utf-8")
    jackline.init(str(bundle))
