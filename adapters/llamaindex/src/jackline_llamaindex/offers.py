"""What a model call asks for and what it took: the model's name, its limits, the tools offered, tokens."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from jackline.events import Usage
from jackline.plain import canonical, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.base.llms.base import BaseLLM

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
"""How providers call the output limit, as call arguments and as fields of the model."""

CHOICES = ("n", "best_of", "candidate_count", "num_return_sequences")
"""How providers call the number of answers to one prompt; each of them is paid."""

NESTED = ("additional_kwargs", "model_kwargs", "extra_body", "generation_config", "generate_kwargs", "options")
"""Fields of a model and arguments of a call that hold further ones, which the provider reads as well."""

_INPUT = ("prompt_tokens", "input_tokens", "prompt_token_count", "prompt_eval_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidates_token_count", "eval_count")
_USAGE = ("usage", "usage_metadata", "token_usage")
_TEXT = frozenset({"text", "thinking", "tool_call", "cache", "citable", "citation"})
_CLIENT = ("function", "custom")


def name_of(llm: BaseLLM, kwargs: Mapping[str, Any]) -> str:
    """The model that is asked: as the call says, as the model's metadata says, or the class's name."""
    own = kwargs.get("model")
    if isinstance(own, str) and own:
        return own
    return str(llm.metadata.model_name or llm.class_name())


def provider_of(llm: Any) -> str:
    """Who runs the model, where the model or its distribution says so."""
    own = vars(llm).get("provider") or getattr(type(llm), "provider", None)
    return own if isinstance(own, str) else _distribution(type(llm).__mro__)


@functools.lru_cache(maxsize=256)
def _distribution(kinds: tuple[type, ...]) -> str:
    found = (kind.__module__.split(".") for kind in kinds if kind.__module__.startswith("llama_index.llms."))
    return next((parts[2] for parts in found), "")


class Limits:
    """What a call may take at most, by the places that say so: its own arguments, and the model's fields."""

    def __init__(self, llm: Any, kwargs: Mapping[str, Any]) -> None:
        fields = vars(llm)
        self._kwargs = kwargs
        self._fields = fields
        self._nested = [
            item for place in (kwargs, fields) for key in NESTED if isinstance(item := place.get(key), dict) and item
        ]
        self._declared = "max_tokens" in type(llm).model_fields
        self._fixed = any(fields.get(name) is not None for name in LIMITS) or _fills_up(llm)

    @property
    def tokens(self) -> int | None:
        """The output limit that is declared, in tokens; None where there is none, or one that is no limit.

        Where several are given, which one the provider goes by is not known: the largest counts.
        """
        limits = [limit for limit in self._all(LIMITS) if type(limit) is int]
        return max(limits) if limits and min(limits) > 0 else None

    @property
    def choices(self) -> int:
        """How many answers are asked for at most."""
        return max((each for each in self._all(CHOICES) if type(each) is int), default=1)

    @property
    def changeable(self) -> bool:
        """Whether a smaller limit can be put where the provider reads it: in the call, where the model has none.

        A limit of the model's own may come before the call's, as with OpenAI's.
        """
        if any(name in place for place in self._nested for name in LIMITS) or self._fixed:
            return False
        return self._declared or any(self._kwargs.get(name) for name in LIMITS)

    def _all(self, names: Sequence[str]) -> list[Any]:
        places = (self._kwargs, self._fields, *self._nested)
        return [place[name] for place in places for name in names if name in place]


def limited(kwargs: dict[str, Any], granted: int) -> dict[str, Any]:
    """A call's arguments with an output limit of at most `granted` tokens."""
    own = {name: kwargs[name] for name in LIMITS if kwargs.get(name) is not None}
    if own:
        smaller = {name: item if type(item) is int and 0 < item < granted else granted for name, item in own.items()}
        return {**kwargs, **smaller}
    return {**kwargs, "max_tokens": granted}


def offered(kwargs: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The tools that a model call offers, as (name, runs at the provider)."""
    found = []
    for tool in kwargs.get("tools") or ():
        if not isinstance(tool, dict):
            name = getattr(getattr(tool, "metadata", tool), "name", None)
            found.append((str(name or type(tool).__name__), False))
        elif isinstance(tool.get("function"), dict):
            found.append((str(tool["function"].get("name", "")), False))
        else:
            kind = str(tool.get("type") or "")
            client = not kind or kind.startswith(_CLIENT)
            found.append((str(tool.get("name") or kind), not client))
    return found


def size_of(messages: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """UTF-8 bytes of what a model call sends: its messages, the schemas of its tools and of its answer."""
    schemas = [item for item in kwargs.values() if isinstance(item, (dict, list))]
    sent = [*messages, *schemas] if schemas else list(messages)
    try:
        return len(canonical(sent))
    except (TypeError, ValueError, OverflowError):
        return len(canonical(plain(sent)))


def is_opaque(messages: Sequence[Any]) -> bool:
    """Whether something is sent whose tokens its bytes do not bound: images, audio, video, documents."""
    for native in messages:
        for block in getattr(native, "blocks", None) or ():
            if getattr(block, "block_type", "text") not in _TEXT:
                return True
    return False


def usage(response: Any) -> Usage | None:
    """Tokens of one model call as the provider tells them; None where it tells nothing."""
    raw = response.raw
    for key in (*_USAGE, "", "additional"):
        place = _read(raw, key) if key in _USAGE else response.additional_kwargs if key else raw
        if place:
            entering, leaving = _first(place, _INPUT), _first(place, _OUTPUT)
            if entering is not None and leaving is not None:
                return _sound(place, entering, leaving)
    return None


def _read(place: Any, name: str) -> Any:
    if type(place) is dict:
        return place.get(name)
    return getattr(place, name, None) if place is not None else None


def _first(place: Any, names: Sequence[str]) -> int | None:
    for name in names:
        found = _read(place, name)
        if type(found) is int:
            return found
    return None


def _sound(place: Any, entering: int, leaving: int) -> Usage | None:
    """What a provider tells, unless it cannot be: no call takes less than nothing, or nothing at all."""
    details = _read(place, "prompt_tokens_details") or _read(place, "input_tokens_details")
    written = _read(place, "completion_tokens_details") or _read(place, "output_tokens_details")
    read = _first(details, ("cached_tokens",)) or 0 if details else 0
    thought = _first(written, ("reasoning_tokens",)) or 0 if written else 0
    beside = _first(place, ("cache_read_input_tokens",)) or 0
    made = _first(place, ("cache_creation_input_tokens",)) or 0
    if min(entering, leaving, read, beside, made, thought) < 0:
        return None
    entering += beside + made  # Anthropic counts cached tokens beside the others
    if not entering and not leaving:
        return None
    return Usage(input=entering, output=leaving, cache_read=read or beside, cache_write=made, reasoning=thought)


def answering_model(response: Any) -> str:
    """The model that answered, where the response says; empty where it does not."""
    found = _read(response.raw, "model")
    return found if isinstance(found, str) else ""


def tells_usage_on_request(llm: Any) -> bool:
    """Whether the model's provider tells a stream's tokens only where `stream_options` ask for them (L22)."""
    modules = _modules(type(llm).__mro__)
    return "llama_index.llms.openai" in modules and "llama_index.llms.openai_like" not in modules


def is_count(part: Any) -> bool:
    """Whether a stream's part tells tokens and nothing else, as OpenAI's last one does where it was asked for them."""
    return getattr(part.raw, "choices", None) == []


def _fills_up(llm: Any) -> bool:
    """Whether the model takes all of its window, whatever a call says: OpenAI's that only complete texts."""
    return "llama_index.llms.openai" in _modules(type(llm).__mro__) and not llm.metadata.is_chat_model


@functools.lru_cache(maxsize=256)
def _modules(kinds: tuple[type, ...]) -> frozenset[str]:
    return frozenset(kind.__module__.partition(".base")[0] for kind in kinds)
