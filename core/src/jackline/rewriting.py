"""From a policy's change of plain data back to native values: the caller's own objects stay as they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.plain import plain, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rewrite = Callable[[Any, Any, Any], Any]

_SCALARS = (str, int, float, bool, type(None))


class UnchangeableError(ValueError):
    """A policy changed a value in a way that has no native form; the act must be denied."""


def rewrite(native: Any, before: Any, after: Any, again: Rewrite | None = None) -> Any:
    """The native value whose plain form is `after`, given the one whose plain form was `before`.

    Plain data, lists, tuples, dicts, pydantic models, dataclasses and msgspec's structs; `again` rewrites what is
    inside of them (this function where none is given). Raises UnchangeableError where the change has no native form.
    """
    again = again or rewrite
    if before is after or before == after:
        return native
    if _is_data(native, before):
        return after
    if isinstance(native, (list, tuple)) and isinstance(before, list) and isinstance(after, list):
        return _items(native, before, after, again)
    if isinstance(native, dict) and isinstance(before, dict) and isinstance(after, dict):
        return _entries(native, before, after, again)
    if hasattr(type(native), "model_fields") and isinstance(before, dict) and isinstance(after, dict):
        return _model(native, before, after, again)
    if isinstance(native, msgspec.Struct):
        return _replaced(msgspec.structs.replace, native, fields(native, before, after, again))
    if dataclasses.is_dataclass(native) and not isinstance(native, type):
        return _replaced(dataclasses.replace, native, fields(native, before, after, again))
    raise UnchangeableError(f"a {type(native).__name__} cannot be given other content")


def fields(native: Any, before: Any, after: Any, again: Rewrite) -> dict[str, Any]:
    """The fields of an object that changed, rewritten."""
    if not isinstance(before, dict) or not isinstance(after, dict) or before.keys() != after.keys():
        raise UnchangeableError(f"a {type(native).__name__} cannot be given other fields")
    changed = {key: item for key, item in after.items() if before[key] != item}
    for key in changed:
        if not hasattr(native, key):
            raise UnchangeableError(f"a {type(native).__name__} has no field '{key}' to be changed")
    return {key: again(getattr(native, key), before[key], item) for key, item in changed.items()}


def _is_data(native: Any, before: Any) -> bool:
    """Whether a value is its own plain form, through and through: then any change has a native form.

    The walk follows the plain form, which is bounded.
    """
    kind = type(native)
    if kind is not type(before):
        return False
    if kind is dict:
        return native.keys() == before.keys() and all(_is_data(native[key], item) for key, item in before.items())
    if kind is list:
        return len(native) == len(before) and all(map(_is_data, native, before))
    return kind in _SCALARS


def _items(native: Sequence[Any], before: list[Any], after: list[Any], again: Rewrite) -> Any:
    if not len(native) == len(before) == len(after):
        raise UnchangeableError(f"{len(native)} items became {len(after)}; items can be changed, not added or removed")
    items = [again(*three) for three in zip(native, before, after, strict=True)]
    if isinstance(native, list):
        return items
    make = getattr(native, "_make", tuple)  # a named tuple's
    return make(items)


def _entries(native: dict[Any, Any], before: dict[str, Any], after: dict[str, Any], again: Rewrite) -> dict[Any, Any]:
    """A dict with what changed; entries that the plain form does not show stay."""
    if not before.keys() <= native.keys():  # keys that are no text, or that look like a mark
        raise UnchangeableError(f"a {type(native).__name__} with such keys cannot be given other content")
    unseen = {key: item for key, item in native.items() if key not in before}
    seen = {key: again(native[key], before[key], item) if key in before else item for key, item in after.items()}
    return {**unseen, **seen}


def _model(native: Any, before: dict[str, Any], after: dict[str, Any], again: Rewrite) -> Any:
    """A pydantic model; what it computes cannot be set, and must come out right by itself."""
    changed = fields(native, before, after, again)
    own = {*type(native).model_fields, *(native.model_extra or ())}
    copy = native.model_copy(update={key: item for key, item in changed.items() if key in own})
    for key in changed.keys() - own:
        if plain(_computed(copy, key)) != after[key]:
            raise UnchangeableError(f"the '{key}' of a {type(native).__name__} is computed and cannot be changed")
    return copy


def _computed(native: Any, key: str) -> Any:
    try:
        return getattr(native, key)
    except Exception as error:  # a property may raise anything
        raise UnchangeableError(f"a {type(native).__name__} does not take the change: {words(error)}") from error


def _replaced(replace: Callable[..., Any], native: Any, changed: dict[str, Any]) -> Any:
    try:
        return replace(native, **changed)
    except Exception as error:  # its own `__post_init__` may raise anything
        raise UnchangeableError(f"a {type(native).__name__} does not take the change: {words(error)}") from error
