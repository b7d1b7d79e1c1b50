"""YAML as the bundle needs it: the core schema, a place for every node, and nothing that can grow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from jackline.errors import BundleError, Problem
from jackline.yaml_scalars import NumberError, Place, place_within, resolve
from jackline.yaml_syntax import explain, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.events import Event, NodeEvent
    from yaml.loader import _Loader

Path = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_NODES = 100_000

_FIRST = {"bundle": "jackline: 1", "manifest": "agents:"}
_FAST: type[_Loader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\r(?!\n)",
)
"""What is no text, and what YAML takes for the end of a line where editors do not: line numbers would differ."""


class Node:
    """A value with its place; maps and lists have children and the places of their keys."""

    __slots__ = ("children", "end", "keys", "place", "start", "value")

    def __init__(self, value: Any, event: Event) -> None:
        self.value = value
        self.place = marked(event.start_mark)
        self.start: int = getattr(event.start_mark, "index", 0)
        self.end: int = getattr(event.end_mark, "index", 0)
        self.children: dict[str | int, Node] = {}
        self.keys: dict[str | int, Place] = {}


class Document:
    """A parsed file: its plain data, and where everything in it stands."""

    def __init__(self, file: str, text: str, root: Node, problems: list[Problem]) -> None:
        self.file = file
        self.data: Any = root.value
        self.problems = problems
        """What is wrong with the file's form, in the file's order; the data leaves it out."""
        self._text = text
        self._root = root

    def has(self, path: Path) -> bool:
        """Whether there is a value at `path`."""
        return len(self._along(path)) == len(path) + 1

    def place(self, path: Path) -> Place:
        """Where the value at `path` stands, or the nearest value around it that exists."""
        return self._node(path).place

    def key_place(self, path: Path) -> Place:
        """Where the key that `path` ends with stands, or the nearest value around it."""
        around = self._node(path[:-1])
        return around.keys.get(path[-1], around.place) if path else around.place

    def place_within(self, path: Path, offset: int) -> Place:
        """Where the character at `offset` of the text at `path` stands."""
        node = self._node(path)
        if not isinstance(node.value, str):
            return node.place
        return place_within(self._text[node.start : node.end], node.place, node.value, offset)

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        """Make a problem of the value at `path`."""
        return Problem(self.file, *self.place(path), message, hint)

    def _node(self, path: Path) -> Node:
        return self._along(path)[-1]

    def _along(self, path: Path) -> list[Node]:
        """The nodes from the root to `path`, as far as there are any."""
        nodes = [self._root]
        for part in path:
            child = nodes[-1].children.get(part)
            if child is None:
                break
            nodes.append(child)
        return nodes


def parse(data: bytes, file: str, kind: str = "bundle") -> Document:
    """Parse a file's bytes. Raises BundleError where there is no sound structure to go on with."""
    text = _decode(data, file)
    composer = _Composer(file, kind)
    try:
        root = composer.compose(yaml.parse(text, Loader=_FAST))
    except yaml.YAMLError as error:
        raise BundleError(problems=(*composer.problems, _syntax(text, file, error))) from None
    return Document(file, text, root, composer.problems)


def _decode(data: bytes, file: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BundleError(problems=(Problem(file, 1, 1, "the file is UTF-16", "save it as UTF-8"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        byte = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise BundleError(problems=(Problem(file, *_place(before), byte, "save the file as UTF-8"),)) from None
    if (found := _UNPRINTABLE.search(text)) is not None:
        message = f"the control character U+{ord(found[0]):04X} is not text"
        place = _place(text[: found.start()])
        raise BundleError(problems=(Problem(file, *place, message, r'delete it, or write it as "\u...." in quotes'),))
    return text


def _place(before: str) -> Place:
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax(text: str, file: str, error: yaml.YAMLError) -> Problem:
    """Say a syntax error in the words of the pure parser, which names the character that it met."""
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as plain_error:
        error = plain_error
    place, message, hint = explain(error)
    return Problem(file, *place, message, hint)


class _Composer:
    """Builds nodes from events without recursion, and gathers what a bundle does not use."""

    def __init__(self, file: str, kind: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._kind = kind
        self._nodes = 0
        self._open: list[Node] = []
        self._keys: list[tuple[Node, bool] | None] = []
        """For each open map the key that waits for its value, and whether that value counts."""
        self._root: Node | None = None

    def compose(self, events: Iterator[Event]) -> Node:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
                raise self._refusal(event, f"a second document starts here; a {self._kind} is one document")
            if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                self._keys.pop()
                self._attach(self._open.pop())
            elif isinstance(event, yaml.NodeEvent):
                self._enter(event)
        if self._root is None or self._root.value is None:
            first = _FIRST.get(self._kind, "cases:")
            problem = Problem(self._file, 1, 1, "the file is empty", f"a {self._kind} starts with `{first}`")
            raise BundleError(problems=(*self.problems, problem))
        return self._root

    def _enter(self, event: NodeEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refusal(event, f"more than {MAX_NODES:,} values", f"a {self._kind} is a page or two")
        self._refuse_marks(event)
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if len(self._open) == MAX_DEPTH:
                raise self._refusal(event, f"nested deeper than {MAX_DEPTH} levels")
            self._open.append(Node({} if isinstance(event, yaml.MappingStartEvent) else [], event))
            self._keys.append(None)
        else:
            self._attach(Node(self._scalar(event), event))

    def _refuse_marks(self, event: NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._note(
                event,
                f"the alias *{event.anchor} is not used here",
                f"write the value out; a value that starts with * is quoted: '*{event.anchor}'",
            )
        elif event.anchor is not None:
            self._note(
                event,
                f"the anchor &{event.anchor} is not used here",
                "leave it out; a value that starts with & is quoted",
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._note(event, f"the tag {shown} is not used here", "a value that starts with ! is quoted as a whole")

    def _scalar(self, event: NodeEvent) -> Any:
        if not isinstance(event, yaml.ScalarEvent):
            return None
        if event.style in ("'", '"', "|", ">") or self._is_key():
            return self._text(event)
        try:
            return resolve(event.value)
        except NumberError as error:
            self._note(event, str(error), "quote it if it is text")
            return None

    def _text(self, event: yaml.ScalarEvent) -> str:
        try:
            event.value.encode()
        except UnicodeEncodeError:
            self._note(event, "half of a surrogate pair is not text", r'write the whole character: "\U0001F600"')
            return ""
        return str(event.value)

    def _is_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._keys[-1] is None

    def _attach(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        around = self._open[-1]
        if isinstance(around.value, list):
            around.children[len(around.value)] = node
            around.value.append(node.value)
        elif (key := self._keys[-1]) is None:
            self._keys[-1] = (node, self._accept_key(around, node))
        else:
            self._keys[-1] = None
            name, counts = key
            if counts:
                around.keys[name.value] = name.place
                around.children[name.value] = node
                around.value[name.value] = node.value

    def _accept_key(self, around: Node, key: Node) -> bool:
        if not isinstance(key.value, str):
            self.problems.append(
                Problem(self._file, *key.place, "a key is text", "a value that starts with { or [ is quoted"),
            )
            return False
        if (first := around.keys.get(key.value)) is not None:
            message = f"`{key.value}` is given twice; the first is on line {first.line}"
            self.problems.append(Problem(self._file, *key.place, message, "leave one of the two out"))
            return False
        return True

    def _note(self, event: Event, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self._file, *marked(event.start_mark), message, hint))

    def _refusal(self, event: Event, message: str, hint: str = "") -> BundleError:
        self._note(event, message, hint)
        return BundleError(problems=tuple(self.problems))
