"""The console that runs on this home: how another process of the same user finds it and asks it for a link."""

from __future__ import annotations

import contextlib
import html
import http.client
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.home import Home

_WAIT_S = 5.0


def _path(home: Home) -> Path:
    return home.path / "console" / "running.json"


@contextlib.contextmanager
def announced(home: Home, url: str, token: str) -> Iterator[None]:
    """Say where the console is, in a file that only its owner can read, for as long as it runs."""
    path = _path(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "token": token, "pid": os.getpid()}, file)
    part.replace(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text())["pid"] == os.getpid():
                path.with_name("open.html").unlink(missing_ok=True)
                path.unlink()


def doorway(home: Home, link: str) -> str:
    """A page that leads to the link, to start a browser with: other users see what programs are started with."""
    path = _path(home).with_name("open.html")
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(link)}">\n')
    return path.absolute().as_uri()


def link(home: Home) -> str:
    """Ask the console that runs on this home for another link. Raises JacklineError."""
    try:
        told = json.loads(_path(home).read_text())
        url = urlsplit(told["url"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_WAIT_S)
        try:
            connection.request("POST", "/api/v1/link", headers={"Authorization": f"Bearer {told['token']}"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return str(answer["link"])
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        raise JacklineError(f"no console runs on {home.path}: start one: jackline console") from error
