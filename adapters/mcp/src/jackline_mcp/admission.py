"""Who is let in: by name of the host, by credentials, to a server of theirs; and who is not is on record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import JSONResponse

from jackline.events import CallerRefused
from jackline.journal.refusals import Refusals
from jackline_mcp.callers import Caller, Callers, RefusedError, Shown
from jackline_mcp.certificates import certificate_of
from jackline_mcp.connections import CERTIFICATE
from jackline_mcp.enforce import INTERNAL, error_of
from jackline_mcp.identity_config import UNKNOWN
from jackline_mcp.oauth import WELL_KNOWN, challenge, metadata

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Scope

    from jackline.guard import Guard
    from jackline_mcp.certificates import Certificate
    from jackline_mcp.config import Gateway
    from jackline_mcp.oauth import AccessTokens

BY = "mcp-gateway"
PATH = "/mcp/"
_SAID = 300
_INVALID = -32600


class Admitted(NamedTuple):
    """Who was let in, by what, and to which server."""

    caller: Caller
    shown: Shown
    server: str


class Admission:
    """Looks at each request before anything of it is read but its head."""

    def __init__(self, guard: Guard, config: Gateway, tokens: AccessTokens | None = None) -> None:
        self._guard, self._config, self._tokens = guard, config, tokens
        self.callers = Callers(config)
        self.base = ""
        """How clients call this gateway, without a path; as soon as it listens."""
        own = ("127.0.0.1", "localhost", "[::1]", config.host, f"[{config.host}]")
        self._names = {name.lower() for name in (*own, *config.hosts)}
        self._refusals: dict[str, Refusals] = {}

    def admitted(self, request: Request) -> Admitted:
        """Who asks, and which server; raises RefusedError: nobody gets past this without both."""
        self._require_host(request)
        path = request.scope["path"]
        server = path.removeprefix(PATH).rstrip("/") if path.startswith(PATH) else ""
        shown = self._shown(request, server)
        caller = self.callers.of(shown)
        if server not in self._config.servers or (caller.servers is not None and server not in caller.servers):
            raise RefusedError(404, "unknown-server", "no such server for this caller", agent=caller.name)
        if caller.unknown:
            self._register(caller)
        return Admitted(caller, shown, server)

    def metadata(self, request: Request) -> Response | None:
        """The answer to a client that looks for the authorization server; None for any other request."""
        path: str = request.scope["path"]
        if self._config.oauth is None or not path.startswith(f"{WELL_KNOWN}{PATH}") or request.method != "GET":
            return None
        self._require_host(request)
        # Whatever is asked for: which servers there are is told to callers only.
        resource = f"{self.base}{path.removeprefix(WELL_KNOWN).rstrip('/')}"
        return JSONResponse(metadata(self._config.oauth, resource), headers={"Cache-Control": "no-store"})

    def refused(self, error: RefusedError, scope: Scope) -> Response:
        """Put on record that somebody was refused, and say so to them."""
        self.tell(error.kind, error.text, error.agent, _address(scope))
        headers = {}
        if error.status == 401 or error.flaw == "insufficient_scope":  # noqa: PLR2004
            path = scope["path"].rstrip("/")
            path = path if path.startswith(PATH) else PATH.rstrip("/")
            headers["WWW-Authenticate"] = challenge(self._config.oauth, self.base, path, error.flaw, error.text)
        if error.status == 503:  # noqa: PLR2004
            headers["Retry-After"] = "5"
        code = INTERNAL if error.status == 500 else _INVALID  # noqa: PLR2004
        return JSONResponse(error_of(None, code, error.text), error.status, headers)

    def tell(self, kind: str, detail: str, agent: str = "", address: str = "") -> None:
        """Put a refusal on record; of many of one kind most are counted only."""
        refusals = self._refusals.get(kind)
        if refusals is None:
            refusals = self._refusals[kind] = Refusals(self._guard.recorder.note)
        at = self._guard.clock()
        refusals.tell(CallerRefused(at=at, by=BY, what=kind, detail=detail[:_SAID], agent=agent, address=address))

    def _require_host(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name, _, port = host.rpartition(":")
        bare = name if name and port.isdigit() else host
        if host not in self._names and bare not in self._names:
            raise RefusedError(421, "host", "this gateway is not called by that name; add it to `hosts:`")
        if request.headers.get("origin"):
            raise RefusedError(403, "origin", "a page in a browser has sent this")

    def _shown(self, request: Request, server: str) -> Shown:
        certificate = _certificate(request.scope)
        given = request.headers.getlist("authorization")
        if not given:
            return Shown(certificate=certificate)
        if len(given) > 1:
            raise RefusedError(
                401, "two-tokens", "two `Authorization` headers: one was expected", flaw="invalid_request"
            )
        kind, _, text = given[0].partition(" ")
        text = text.strip()
        if kind.lower() != "bearer" or not text:
            raise RefusedError(401, "no-credentials", "this is no token: Authorization: Bearer TOKEN")
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        if self._tokens is None or self.callers.has_token(digest):
            return Shown(digest, None, certificate)
        return Shown(digest, self._tokens.client(text, f"{self.base}{PATH}{server}", certificate), certificate)

    def _register(self, caller: Caller) -> None:
        """Take note of somebody whom no entry names; raises RefusedError where such may do nothing."""
        entries = self._guard.registry.entries
        known = entries.get(caller.name)
        labels = dict(caller.unknown)
        if known is None:
            others = sum(name.startswith(UNKNOWN) for name in entries)
            if others >= self._config.limits.unknown:
                text = f"{others} callers are registered that no entry names, and no more may be"
                raise RefusedError(403, "too-many-unknown", text)
        elif not any(agent.framework == "mcp" and dict(agent.labels) == labels for agent in known.versions.values()):
            raise RefusedError(403, "name-taken", f"'{caller.name}' is the name of another agent")
        agent = self._guard.agent(caller.name, framework="mcp", managed=False, labels=labels)
        denied = self._guard.standing(agent)
        if denied is not None:
            text = (
                f"no entry of `callers:` is this one, and what is not registered may do nothing here: {denied.reason}"
            )
            raise RefusedError(403, "unknown-caller", text, agent=caller.name)


def _certificate(scope: Scope) -> Certificate | None:
    der = scope.get("state", {}).get(CERTIFICATE)
    if der is None:
        return None
    try:
        return certificate_of(der)
    except ValueError as error:
        raise RefusedError(401, "certificate", "this certificate cannot be read") from error


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""
