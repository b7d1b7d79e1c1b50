"""Requests to providers of models that agents sent by themselves: what the journals say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.groq.com": "groq",
    "api.together.xyz": "together",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.fireworks.ai": "fireworks",
    "api-inference.huggingface.co": "huggingface",
    "router.huggingface.co": "huggingface",
    "api.replicate.com": "replicate",
    "api.cerebras.ai": "cerebras",
}
"""Hosts where models are asked, and whose they are."""
_SUFFIXES = {
    ".openai.azure.com": "azure",
    ".services.ai.azure.com": "azure",
    "-aiplatform.googleapis.com": "google",
}
_MARK = b'"action":"http.request"'


class Sent(NamedTuple):
    """What one agent sent to one host. Times are Unix seconds."""

    agent: str
    host: str
    provider: str
    requests: int
    first: float
    last: float


class _Line(msgspec.Struct):
    kind: str
    at: float
    agent: str = ""
    action: str = ""
    resource: str = ""


_decode = msgspec.json.Decoder(_Line).decode


def provider_of(host: str) -> str:
    """Whose models are asked at a host; empty where none are, as far as is known."""
    name = host.lower().rstrip(".")
    if name in PROVIDERS:
        return PROVIDERS[name]
    if name.startswith("bedrock-runtime") and name.endswith(".amazonaws.com"):
        return "bedrock"
    return next((provider for suffix, provider in _SUFFIXES.items() if name.endswith(suffix)), "")


def requests_to_providers(journals: Path, since: float) -> list[Sent]:
    """Every agent and provider's host that were seen together since then, by agent and host."""
    found: dict[tuple[str, str], Sent] = {}
    for path in sorted(journals.glob("*.jsonl")):
        if path.stat().st_mtime < since:
            continue
        with path.open("rb") as file:
            for data in file:
                if _MARK in data:
                    _count(data, since, found)
    return [found[key] for key in sorted(found)]


def _count(data: bytes, since: float, found: dict[tuple[str, str], Sent]) -> None:
    try:
        line = _decode(data)
    except msgspec.MsgspecError:  # torn, or of a later version: `verify` names it
        return
    provider = provider_of(line.resource)
    if line.kind != "decided" or line.action != "http.request" or not provider or line.at < since:
        return
    known = found.get((line.agent, line.resource))
    count, first = (known.requests, known.first) if known is not None else (0, line.at)
    found[line.agent, line.resource] = Sent(
        line.agent, line.resource, provider, count + 1, min(first, line.at), max(line.at, known.last if known else 0.0)
    )
