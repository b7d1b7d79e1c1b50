"""What a model call may take at most, as its arguments say: tokens of an answer, how many answers, what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
"""How providers call the output limit, as call arguments and as fields of the model."""

CHOICES = ("n", "best_of", "candidate_count", "num_return_sequences")
"""How providers call the number of answers to one prompt; each of them is paid."""

NESTED = ("extra_body", "model_kwargs", "generation_config", "options", "additional_model_request_fields")
"""Arguments of a call that hold further ones, which the provider reads as well."""

_CAMEL = {"maxTokens": "max_tokens", "maxOutputTokens": "max_output_tokens", "candidateCount": "candidate_count"}


def limit_of(params: Mapping[str, Any], metadata: Mapping[str, Any]) -> int | None:
    """The output limit that a model call declares, in tokens; None where it declares none, or one that is no limit.

    Where several are given, which one the provider goes by is not known: the largest counts.
    """
    found = [limit for limit in _numbers(params, LIMITS) if limit is not None] or [metadata.get("ls_max_tokens")]
    limits = [limit for limit in found if type(limit) is int]
    return max(limits) if limits and min(limits) > 0 else None


def choices_of(params: Mapping[str, Any]) -> int:
    """How many answers a model call asks for at most."""
    found = (int(each) if isinstance(each, str) and each.isdecimal() else each for each in _numbers(params, CHOICES))
    return max((each for each in found if type(each) is int), default=1)


def hides_limit(params: Mapping[str, Any]) -> bool:
    """Whether a limit stands where a smaller one cannot be put."""
    return next(_nested(params, LIMITS), None) is not None


def _numbers(params: Mapping[str, Any], names: Sequence[str]) -> Iterator[Any]:
    for name in params.keys() & names:
        yield params[name]
    yield from _nested(params, names)


def _nested(params: Mapping[str, Any], names: Sequence[str]) -> Iterator[Any]:
    for place in params.keys() & NESTED:
        inner = params[place]
        if isinstance(inner, dict):
            yield from (item for key, item in inner.items() if _CAMEL.get(key, key) in names)


def schemas_of(params: Mapping[str, Any]) -> list[Any]:
    """What else a call sends beside messages and tools: functions, the schema of the answer and the like."""
    return [item for key, item in params.items() if key != "tools" and isinstance(item, (dict, list))]
