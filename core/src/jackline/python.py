"""The plain-Python adapter: a function becomes a tool that is judged before it runs, however it is called."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from msgspec.structs import replace

from jackline.binding import RECEIVERS, Binding
from jackline.errors import Denied, JacklineError
from jackline.guard import permitted
from jackline.plain import fingerprint
from jackline.request import Tool
from jackline.session import CURRENT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Request

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")


_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
"""Annotations that a JSON Schema can say; any other leaves the argument open."""


def tool_of(function: Callable[..., Any], name: str, *, read_only: bool | None, labels: Mapping[str, str]) -> Tool:
    """A function's identity: its name and a fingerprint of its signature and documentation."""
    signature = inspect.signature(function)
    schema = {
        "parameters": [
            [p.name, p.kind.name, str(p.annotation), p.default is not p.empty] for p in signature.parameters.values()
        ],
        "description": inspect.getdoc(function) or "",
    }
    return Tool(
        name=name,
        fingerprint=fingerprint(schema),
        read_only=read_only,
        parameters=parameters_of(signature),
        labels=dict(labels),
    )


def parameters_of(signature: inspect.Signature) -> dict[str, Any]:
    """The JSON Schema of what policies see of a call: see `Binding.judged`."""
    properties: dict[str, Any] = {}
    for place, parameter in enumerate(signature.parameters.values()):
        if place or parameter.name not in RECEIVERS:
            kind = getattr(parameter.annotation, "__name__", parameter.annotation)
            bare = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            found = _TYPES.get(kind) if isinstance(kind, str) and bare else None
            properties[parameter.name] = {"type": found} if found and parameter.default is not None else {}
    return {"type": "object", "properties": properties}


class Call:
    """One call of a governed function: judged, run in its own scope, recorded. What is done `with` it is its child."""

    __slots__ = ("_shared", "_token", "args", "binding", "decision", "guard", "kwargs", "request", "scope")

    def __init__(
        self, guard: Guard, tool: Tool, binding: Binding, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.guard, self.binding = guard, binding
        self.args, self.kwargs = args, kwargs
        self.scope = scope = guard.scope()
        guard.declare_functions(scope.agent)
        judged, self._shared = binding.asked(binding.bind(args, kwargs))
        self.request: Request = guard.request("tool.call", tool.name, judged, scope=scope, tool=tool)
        self.decision: Decision | None = None

    def judged(self, decision: Decision) -> None:
        """Go on as decided; raises Denied, Halted or ApprovalPending."""
        self.decision = permitted(decision)
        if self._shared and any(item != self.request.args[name] for name, item in self._shared.items()):
            why = "its arguments were changed while they were judged"
            self.guard.abandon(self.request, decision, why)
            raise Denied(replace(decision, effect="deny", policy="jackline", rule="changed", reason=why))
        if decision.args is not None:
            bound = self.binding.bind(self.args, self.kwargs)
            try:
                self.args, self.kwargs = self.binding.changed(bound, self.request.args, decision.args)
            except TypeError as error:
                self.guard.abandon(self.request, decision, str(error))
                raise JacklineError(f"tool '{self.request.resource}' was not run: {error}") from error

    def held(self, result: Any, answer: Decision | None) -> Any:
        """The result as the decision about it says; raises where it is withheld."""
        if answer is None:
            return result
        permitted(answer)
        return answer.args["result"] if answer.args is not None else result

    def done(self, result: Any) -> None:
        """Record that it ended well."""
        self.guard.complete(self.request, cast("Decision", self.decision), result)

    def failed(self, error: BaseException) -> None:
        """Record that it ended with an error, or that its caller stopped asking."""
        name = "abandoned" if isinstance(error, GeneratorExit) else error
        self.guard.fail(self.request, cast("Decision", self.decision), name)

    def __enter__(self) -> None:
        self._token = CURRENT.set(self.scope.within(self.request.span, self.request.action))

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._token)


def govern(
    guard: Guard, function: F, *, name: str | None = None, read_only: bool | None = None, labels: Mapping[str, str]
) -> F:
    """Wrap `function` so that no call of it starts before it was judged."""
    tool = tool_of(function, name or function.__name__, read_only=read_only, labels=labels)
    guard.functions[tool.name] = tool
    make = functools.partial(Call, guard, tool, Binding(function))
    if inspect.isasyncgenfunction(function):
        wrapper: Callable[..., Any] = _async_generator(function, make)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, make)
    elif inspect.iscoroutinefunction(function):
        wrapper = _async(function, make)
    else:
        wrapper = _sync(function, make)
    wrapper.jackline_tool = tool  # type: ignore[attr-defined]
    return cast("F", wrapper)


def _sync(function: Callable[..., Any], make: Callable[..., Call]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = make(args, kwargs)
        call.judged(call.guard.check(call.request))
        try:
            with call:
                result = function(*call.args, **call.kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.done(result)
        return call.held(result, call.guard.returned(call.request, result))

    return wrapper


def _async(function: Callable[..., Any], make: Callable[..., Call]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = make(args, kwargs)
        call.judged(await call.guard.acheck(call.request))
        try:
            with call:
                result = await function(*call.args, **call.kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.done(result)
        return call.held(result, await call.guard.areturned(call.request, result))

    return wrapper


def _generator(function: Callable[..., Any], make: Callable[..., Call]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = make(args, kwargs)
        call.judged(call.guard.check(call.request))
        held = call.guard.judges_return(call.request)
        body = function(*call.args, **call.kwargs)
        if not held:
            return (yield from _passed_on(call, body))
        items: list[Any] = []
        value = yield from _passed_on(call, body, items)
        released = call.held(items, call.guard.returned(call.request, items))
        if value is not None:  # it was judged as the last of the items
            *released, value = released or [None]
        yield from released
        return value

    return wrapper


def _passed_on(call: Call, body: Generator[Any, Any, Any], items: list[Any] | None = None) -> Generator[Any, Any, Any]:
    """Go through a generator and pass on what its caller sends and throws; where `items` is given, hold them back."""
    count = 0
    step = functools.partial(next, body)
    try:
        while True:
            with call:
                item = step()
            count += 1
            if items is not None:
                items.append(item)
                continue
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - it is the body's to deal with
                step = functools.partial(body.throw, error)
            else:
                step = functools.partial(body.send, sent)
    except StopIteration as end:
        if items is not None and end.value is not None:
            items.append(end.value)
        call.done({"items": count} if items is None else items)
        return end.value
    except BaseException as error:
        try:
            with call:
                body.close()
        finally:
            call.failed(error)
        raise


def _async_generator(  # noqa: C901 - an asynchronous generator cannot hand its steps to another
    function: Callable[..., Any], make: Callable[..., Call]
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = make(args, kwargs)
        call.judged(await call.guard.acheck(call.request))
        held = call.guard.judges_return(call.request)
        items: list[Any] = []
        count = 0
        body = function(*call.args, **call.kwargs)
        step = functools.partial(anext, body)
        try:
            while True:
                with call:
                    item = await step()
                count += 1
                if held:
                    items.append(item)
                    continue
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the body's to deal with
                    step = functools.partial(body.athrow, error)
                else:
                    step = functools.partial(body.asend, sent)
        except StopAsyncIteration:
            call.done(items if held else {"items": count})
        except BaseException as error:
            try:
                with call:
                    await body.aclose()
            finally:
                call.failed(error)
            raise
        if held:
            for item in call.held(items, await call.guard.areturned(call.request, items)):
                yield item

    return wrapper


class PythonAdapter:
    """Attaches plain functions; there is nothing to enable process-wide, since Python has no tool calls of its own."""

    name = "python"

    def accepts(self, agent: object) -> bool:
        """Functions, methods and coroutines functions."""
        return inspect.isroutine(agent)

    def attach(self, guard: Guard, agent: T) -> T:
        """The governed function."""
        return cast("T", guard.tool(cast("Any", agent)))

    def enable(self, guard: Guard) -> None:
        """Nothing: a function is governed once it is decorated."""

    def disable(self, guard: Guard) -> None:
        """Nothing to undo."""

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed."""
        return {"undecorated": "the function below the decorator (`__wrapped__`) runs as plain Python, ungoverned"}
