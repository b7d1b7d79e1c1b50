"""The Decision API in OpenAPI 3.1, made from the records that it reads and writes."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from jackline_console._version import __version__
from jackline_console.decisions.bodies import MOST, Answer, Check, Record, Recorded

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What failed, its value, what was expected and what to do.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "what", "expected", "hint")},
        "status": {"type": "integer"},
        "value": {},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_REFUSALS = {
    "400": "The body is no JSON",
    "401": "No agent's token, or one that is unknown, expired or revoked",
    "404": "No open decision of that id",
    "405": "Another method",
    "408": "The body did not come in time",
    "409": "The decision's outcome is on record already, or its lease has ended",
    "413": "The body is too large",
    "415": "The body is packed",
    "422": "A field that is unknown, missing or wrong",
    "503": "It cannot be decided now: nothing may be done",
}


@functools.cache
def document() -> dict[str, Any]:
    """The whole document."""
    (check, answer, record, recorded), parts = msgspec.json.schema_components(
        [Check, Answer, Record, Recorded], ref_template="#/components/schemas/{name}"
    )
    parts["Problem"] = _PROBLEM
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jackline Decision API",
            "version": __version__,
            "description": "Ask before an act, record what came of it. No answer, or one that is none of 200: refused.",
        },
        "security": [{"agent": []}],
        "paths": {
            "/v1/check": {"post": _operation("check", "May this be done? Decided and on record", check, answer)},
            "/v1/record": {"post": _operation("record", "Say what came of it, once", record, recorded)},
        },
        "components": {
            "schemas": parts,
            "securitySchemes": {"agent": {"type": "http", "scheme": "bearer", "description": "An agent's token"}},
        },
    }


def _operation(name: str, summary: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    refused = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": _content(asked, {"minItems": 1, "maxItems": MOST})},
        "responses": {
            "200": {"description": "The answer, or one for each in their order", "content": _content(answered, {})},
            **{status: {"description": why, "content": refused} for status, why in _REFUSALS.items()},
        },
    }


def _content(one: dict[str, Any], bounds: dict[str, Any]) -> dict[str, Any]:
    many = {"type": "array", "items": one, **bounds}
    return {"application/json": {"schema": {"anyOf": [one, many]}}}
