"""Tokens in the place of values: made when something is found, turned back for those that may have the originals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackline.home import default_home
from jackline_pii.custom import Allowed
from jackline_pii.places import leaves, rebuilt
from jackline_pii.vault import Vault

if TYPE_CHECKING:
    from jackline.request import Request
    from jackline_pii.options import VaultOptions

TOKEN = re.compile(r"\[[A-Z][A-Z0-9_]{0,63}:[a-p]{20}\]")
_FILE = "pii-vault.db"


class Tokens:
    """One policy's use of a vault."""

    def __init__(self, options: VaultOptions, keys: str) -> None:
        """Raises ValueError where a key is none."""
        path = Path(options.file).expanduser() if options.file is not None else default_home() / _FILE
        self.vault = Vault(path, keys)
        self._options = options
        self._tools = Allowed(options.tools)

    def gives_back(self, request: Request) -> bool:
        """Whether this request may have the originals."""
        if request.action == "output":
            # What the gateway sees an agent hand out goes to a server, not to the user.
            return self._options.output and request.agent.framework != "mcp"
        return request.action == "tool.call" and request.resource in self._tools

    def session(self, request: Request) -> Session:
        """Collect the tokens of one request."""
        return Session(self, request)

    def keep(self, originals: dict[str, str], request: Request) -> None:
        """Keep originals for the request's session."""
        self.vault.keep(originals, request.subject.session, request.at, self._options.ttl)

    def restored(self, request: Request) -> tuple[dict[str, Any], int]:
        """Put originals in the place of this session's tokens; return the arguments and how many there were."""
        count = 0
        changed: dict[int, str] = {}
        for number, leaf in enumerate(leaves(request.args)):
            text = leaf.text
            for token in set(TOKEN.findall(text)):
                original = self.vault.original(token, request.subject.session, request.at)
                if original is not None:
                    text = text.replace(token, original)
                    count += 1
            if text != leaf.text:
                changed[number] = text
        return (rebuilt(request.args, changed) if changed else request.args), count


class Session:
    """The tokens of one request: kept in one write when all are made."""

    def __init__(self, tokens: Tokens, request: Request) -> None:
        self._tokens = tokens
        self._request = request
        self._made: dict[str, str] = {}

    def replace(self, kind: str, value: str) -> str:
        """Give the value's token."""
        token = self._tokens.vault.token(kind, value, self._request.subject.session)
        self._made[token] = value
        return token

    def keep(self) -> None:
        """Write the originals. Raises sqlite3.Error: the act is denied then."""
        if self._made:
            self._tokens.keep(self._made, self._request)
