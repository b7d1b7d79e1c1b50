"""From a policy's change of plain data back to native values: the caller's own objects stay as they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from jackline.plain import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rewrite = Callable[[Any, Any, Any], Any]


class UnchangeableError(ValueError):
    """A policy changed a value in a way that has no native form; the act must be denied."""


def rewrite(native: Any, before: Any, after: Any, again: Rewrite | None = None) -> Any:
    """The native value whose plain form is `after`, given the one whose plain form was `before`.

    Plain data, lists, tuples, dicts, pydantic models and dataclasses; `again` rewrites what is inside of them (this
    function where none is given). Raises UnchangeableError where the change has no native form.
    """
    again = again or rewrite
    if before is after or before == after:
        return native
    if is_plain(native):
        return after
    if isinstance(native, (list, tuple)) and isinstance(before, list) and isinstance(after, list):
        return _items(native, before, after, again)
    if isinstance(native, dict) and isinstance(before, dict) and isinstance(after, dict):
        return {
            key: again(native[key], before[key], item) if key in native and key in before else item
            for key, item in after.items()
        }
    if hasattr(type(native), "model_fields") and isinstance(before, dict) and isinstance(after, dict):
        return native.model_copy(update=fields(native, before, after, again))
    if dataclasses.is_dataclass(native) and not isinstance(native, type):
        return dataclasses.replace(native, **fields(native, before, after, again))
    raise UnchangeableError(f"a {type(native).__name__} cannot be given other content")


def fields(native: Any, before: Any, after: Any, again: Rewrite) -> dict[str, Any]:
    """The fields of an object that changed, rewritten."""
    if not isinstance(before, dict) or not isinstance(after, dict) or before.keys() != after.keys():
        raise UnchangeableError(f"a {type(native).__name__} cannot be given other fields")
    return {key: again(getattr(native, key), before[key], item) for key, item in after.items() if before[key] != item}


def _items(native: Sequence[Any], before: list[Any], after: list[Any], again: Rewrite) -> Any:
    if not len(native) == len(before) == len(after):
        raise UnchangeableError(f"{len(native)} items became {len(after)}; items can be changed, not added or removed")
    items = [again(*three) for three in zip(native, before, after, strict=True)]
    return items if isinstance(native, list) else tuple(items)
