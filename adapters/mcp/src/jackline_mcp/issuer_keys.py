"""The keys of an authorization server: fetched at the start and in the background, never while a caller waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from joserfc.jwk import Key

_MOST = 1024 * 1024
_KEYS = 100
_TIMEOUT_S = 10.0
PAUSE_S = 10.0
"""Between two fetches, whoever asks for them and however the last one ended."""
_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The kind of key that an algorithm needs, by how its name begins."""


class IssuerKeys:
    """The keys of one address or file. The last good ones stay in force where newer ones cannot be had."""

    def __init__(
        self, source: str, folder: Path, say: Callable[[str], object], *, refresh: float, pause: float = PAUSE_S
    ) -> None:
        """`refresh`, `pause`: seconds."""
        self.source = source
        self._path = None if "://" in source else folder / source
        self._say = say
        self._refresh, self._pause = refresh, pause
        self._wanted = asyncio.Event()
        self._keys: list[Key] = []
        self._told = ""
        self.loads = 0
        """How often they were looked for."""
        self.known = False
        """Whether they were ever had."""

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of a token; asks for newer ones where there is none. Without an id, the only one that fits."""
        fitting = [key for key in self._keys if _fits(key, algorithm) and (kid is None or key.get("kid") == kid)]
        if len(fitting) == 1:
            return fitting[0]
        if kid is not None and not fitting:
            self._wanted.set()
        return None

    async def load(self) -> None:
        """Look for them once; raises JacklineError."""
        self.loads += 1
        try:
            data = await (self._fetched() if self._path is None else asyncio.to_thread(_read, self._path))
            keys = _keys_of(data)
        except (OSError, httpx2.HTTPError, JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise JacklineError(f"the keys of {self.source} cannot be had: {why}"[:400]) from error
        self._keys, self.known = keys, True

    async def look(self) -> None:
        """As `load`; what goes wrong is said, once until it changes."""
        try:
            await self.load()
            told = ""
        except JacklineError as error:
            told = str(error)
        if told and told != self._told:
            self._say(f"{told}; {'the last ones stay in force' if self.known else 'no access token counts'}")
        self._told = told

    async def keep(self) -> None:
        """Look for them every `refresh` seconds, earlier where a key was missed, never twice within `pause`."""
        while True:
            await asyncio.sleep(self._pause)
            if not self._told:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._refresh - self._pause)):
                        await self._wanted.wait()
            self._wanted.clear()
            await self.look()

    async def _fetched(self) -> bytes:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", self.source, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:  # noqa: PLR2004
                raise ValueError(f"the answer was {answer.status_code}")
            found = bytearray()
            async for part in answer.aiter_bytes():
                found += part
                if len(found) > _MOST:
                    raise ValueError(f"the answer has more than {_MOST:,} bytes")
            return bytes(found)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        found = file.read(_MOST + 1)
    if len(found) > _MOST:
        raise ValueError(f"it has more than {_MOST:,} bytes")
    return found


def _keys_of(data: bytes) -> list[Key]:
    """The keys with which signatures are checked. What nobody here can use is passed over, as RFC 7517 says."""
    found = []
    for one in json.loads(data)["keys"][:_KEYS]:
        if isinstance(one, dict) and one.get("kty") in _TYPES.values() and one.get("use", "sig") == "sig":
            try:
                found.append(JWKRegistry.import_key(_public(one)))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not found:
        raise ValueError("there is none in it that checks signatures")
    return found


def _public(key: dict[str, Any]) -> dict[str, Any]:
    """A key without its private half, which should never have been there."""
    return {name: item for name, item in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")}


def _fits(key: Key, algorithm: str) -> bool:
    return key.key_type == _TYPES.get(algorithm[:2]) and key.get("alg") in (None, algorithm)
