"""pydantic's errors as problems: each with its place in the file, in the file's words, and what would be right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec
from pydantic import BaseModel, ValidationError

from jackline.errors import Problem
from jackline.wording import nearest, shown
from jackline.yaml_scalars import NumberError, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import ErrorDetails

    from jackline.yaml_source import Document, Path

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
}
_LISTS = ("tuple_type", "list_type", "set_type", "frozen_set_type")
_YES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def validate(
    model: type[Model],
    data: Any,
    document: Document,
    around: Callable[[Path], Path] = lambda path: path,
    *,
    beside: Iterable[str] = (),
    hints: Mapping[str, str] | None = None,
) -> tuple[Model | None, list[Problem]]:
    """Check plain data against a model as JSON is checked, strictly; return the instance, or the problems.

    `around` turns a path within the data into one within the document; `beside` names further keys that a
    misspelt one may have meant; `hints` says for a missing key what to write.
    """
    try:
        return model.model_validate_json(msgspec.json.encode(data), strict=True), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, [_problem(detail, data, model, document, around, beside, hints or {}) for detail in details]


def _problem(
    detail: ErrorDetails,
    data: Any,
    model: type[BaseModel],
    document: Document,
    around: Callable[[Path], Path],
    beside: Iterable[str],
    hints: Mapping[str, str],
) -> Problem:
    path = _in_data(detail["loc"], data)
    kind = detail["type"]
    key = str(path[-1]) if path else ""
    if kind == "missing":
        place = document.place(around(path)[:-1])
        return Problem(document.file, *place, f"`{key}` is missing", hints.get(key, f"add `{key}:`"))
    if kind == "extra_forbidden":
        known = [*_keys(_model_at(model, path[:-1])), *(beside if len(path) == 1 else ())]
        place = document.key_place(around(path))
        return Problem(document.file, *place, f"unknown key `{key}`", nearest(key, known))
    while path and isinstance(path[-1], int) and not document.has(around(path)):
        path = path[:-1]  # one value was taken for a list of one
    return document.problem(around(path), *_wording(detail, _named(path)))


def _in_data(path: Path, data: Any) -> Path:
    """Leave out what pydantic puts into a path beside the keys: the members of unions."""
    found: list[str | int] = []
    for place, part in enumerate(path):
        known = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if known:
            data = data[part]
        if known or place == len(path) - 1:
            found.append(part)
    return tuple(found)


def _wording(detail: ErrorDetails, name: str) -> tuple[str, str]:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    what = f"`{name}`" if name else "this"
    if kind == "jackline":
        return (f"{what}: " if name else "") + str(context["message"]), str(context["hint"])
    if kind in _EXPECTED:
        return f"{what} is {shown(value)}, expected {_EXPECTED[kind]}", _mended(kind, value)
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"{what} is {shown(value)}", nearest(str(value), known) if known else f"expected {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"{what} is {shown(value)}", f"it must match {context['pattern']}"
    if kind == "value_error":
        return f"{what}: {context['error']}", ""
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{what} is {shown(value)}: {message.replace('input should', 'it should')}", ""


def _mended(kind: str, value: Any) -> str:
    """Say how a value of the wrong type is mended, where that is plain."""
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return f'quote it: "{shown(value)}"'
    if kind in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return f"leave the quotes out: {value}"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _YES:
        return f"write {_YES[value.lower()]}"
    if kind in _LISTS and isinstance(value, (str, int, float)):
        return f"write [{value}]"
    return ""


def _is_number(text: str) -> bool:
    try:
        return isinstance(resolve(text), (int, float))
    except NumberError:
        return False


def _named(path: Path) -> str:
    """Name a place within a policy's data: `allow[2]`, `limits.per`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def _model_at(model: type[BaseModel] | None, path: Path) -> type[BaseModel] | None:
    """Find the model whose keys stand at `path`, where the path leads through models, lists and maps of models."""
    for part in path:
        if model is None:
            return None
        if isinstance(part, int):
            continue
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                model = _model_in(field.annotation)
                break
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []
