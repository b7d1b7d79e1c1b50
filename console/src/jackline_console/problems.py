"""Every answer from 400 on: what failed, its value, what was expected and what to do, as problem+json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from jackline.approvals import ApprovalError
from jackline.control import ControlError
from jackline.errors import BundleError, JacklineError, JournalError, StoreError
from jackline.person import MisfitError, StandingError
from jackline_console.access.users import AccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from fastapi import FastAPI, Request

_SHOWN = 200
_FAULTS = 500
_SECRETS = ("password", "token")


class Fault(BaseModel):
    """One of several things that are wrong in a request or a file."""

    place: str
    message: str
    line: int | None = None
    column: int | None = None
    value: Any = None
    expected: str = ""
    hint: str = ""


class Problem(BaseModel):
    """What an answer from 400 on says."""

    type: str
    title: str
    status: int
    detail: str
    what: str = ""
    value: Any = None
    expected: str = ""
    hint: str = ""
    errors: list[Fault] = []


class ProblemError(Exception):
    """Raised where a request cannot be answered; becomes a `Problem`."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        what: str = "",
        value: Any = None,
        expected: str = "",
        hint: str = "",
        errors: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`kind` is the end of the problem's type: `unknown-session`."""
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=f"urn:jackline:problem:{kind}",
            title=kind.replace("-", " ").capitalize(),
            status=status,
            detail=detail,
            what=what,
            value=shown(value),
            expected=expected,
            hint=hint,
            errors=errors or [],
        )


def shown(value: Any) -> Any:
    """A value as an answer shows it: scalars as they are, text cut, the rest by its kind."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value[:_SHOWN].encode(errors="replace").decode()
    return type(value).__name__


def unknown(what: str, name: str, expected: str, hint: str) -> NoReturn:
    """Say that what a path names is not there."""
    detail = f"there is no {what} '{shown(name)}'; {hint}"
    raise ProblemError(404, f"unknown-{what}", detail, what=what, value=name, expected=expected, hint=hint)


def rendered(error: ProblemError) -> Response:
    """The answer of a problem, in ASCII: what a client sent may be no text at all."""
    content = json.dumps(error.problem.model_dump())
    return Response(content, error.problem.status, error.headers, "application/problem+json")


_OWN: tuple[tuple[type[JacklineError], int, str, str], ...] = (
    (StandingError, 409, "state", "load it again: it is not as it was"),
    (MisfitError, 422, "invalid", "the tool's parameters are in GET /api/v1/agents/{name}"),
    (ApprovalError, 404, "unknown-approval", "GET /api/v1/approvals?state=all lists them"),
    (StoreError, 503, "store", "the journals hold everything; see: jackline doctor"),
    (JournalError, 503, "journal", "nothing was done, since it could not be recorded; see: jackline doctor"),
    (ControlError, 503, "control", "see: jackline doctor"),
    (AccessError, 503, "access", "whoever runs the console mends it: the file is console/access.json of the home"),
)


def _jackline(error: JacklineError) -> ProblemError:
    for kind, status, name, hint in _OWN:
        if isinstance(error, kind):
            return ProblemError(status, name, str(error), hint=hint)
    if isinstance(error, BundleError):
        return invalid_bundle(error)
    return ProblemError(400, "bad-request", str(error))


def invalid_bundle(error: BundleError) -> ProblemError:
    """A bundle that cannot be loaded, each problem with its place."""
    faults = [
        Fault(place="bundle", line=one.line, column=one.column, message=one.message, hint=one.hint)
        for one in error.problems[:_FAULTS]
    ]
    return ProblemError(
        422,
        "invalid",
        str(error),
        what="bundle",
        expected="a bundle without problems",
        hint="mend what `errors` lists, each at its line and column",
        errors=faults,
    )


def _invalid(error: RequestValidationError) -> ProblemError:
    faults = []
    for one in error.errors()[:50]:
        place = ".".join(str(part) for part in one["loc"])
        secret = any(word in place for word in _SECRETS)
        value = None if secret else shown(one.get("input"))
        context = one.get("ctx") or {}
        expected = ", ".join(f"{name} {value}" for name, value in context.items() if name != "error")
        faults.append(Fault(place=place, message=one["msg"], value=value, expected=expected))
    first = faults[0]
    detail = f"{first.place}: {first.message}"
    return ProblemError(
        422,
        "invalid",
        detail,
        what=first.place,
        value=first.value,
        expected=first.expected or first.message,
        hint="see GET /api/v1/openapi.json for what the route takes",
        errors=faults,
    )


def _http(error: HTTPException) -> ProblemError:
    if error.status_code == 404:  # noqa: PLR2004 - HTTP's own number
        return ProblemError(404, "unknown-route", "there is no such route", hint="GET /api/v1/openapi.json lists them")
    kind = {405: "method"}.get(error.status_code, "bad-request")
    return ProblemError(error.status_code, kind, str(error.detail), headers=error.headers)


def install(app: FastAPI, told: Callable[[ProblemError, MutableMapping[str, Any]], object]) -> None:
    """Have every error of the application answered as a problem; `told` hears of the application's own."""

    async def own(request: Request, error: Any) -> Response:
        told(error, request.scope)
        return rendered(error)

    async def jackline(request: Request, error: Any) -> Response:
        return await own(request, _jackline(error))

    async def invalid(_request: Request, error: Any) -> Response:
        return rendered(_invalid(error))

    async def http(_request: Request, error: Any) -> Response:
        return rendered(_http(error))

    app.add_exception_handler(ProblemError, own)
    app.add_exception_handler(JacklineError, jackline)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
