"""One bundle and one story for every path of every framework, and the one record that is left: `same_record.yaml`.

What is compared of each act, in order: action, resource, effect, policy, rule, reason, every verdict, what observing
policies would have done, the arguments and results of tools, that a model's answer is a message, the outcome, tokens,
cost, and what the ledger booked.

What is not, and why: ids and times are new each time; a framework words its own prompts, so the messages of a
`model.call` and the input of an `agent.spawn` differ, as do schemas and thus fingerprints; what is above the path's own
agent is the path's; calls that are made at once have no order among themselves. Where a provider tells no usage
(embeddings), its upper bound depends on how the framework writes what it sends. What a framework's own kind of tool
keeps beside its text (the sources of a query engine) is compared by that text.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jackline.events import Completed, Decided, Failed
from jackline.journal import find_payloads
from jackline.request import RETURNS
from jackline.testing.paths import Bodies, Call, Step
from jackline.testing.scripted import at_most, on_record, replacing
from jackline.testing.story import FIND, PAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.events import Event
    from jackline.guard import Guard
    from jackline.testing.paths import Path
    from jackline.testing.scripted import Guards

    Act = dict[str, Any]

_ALONE = {"retrieval", "embedding", "http.request"}
_WITH_ARGS = {"tool.call", "retrieval", "embedding"}
_NAMED = {"tool.call", "model.call"}
"""Actions whose resource has the same name everywhere."""


@functools.cache
def _data() -> Any:
    import yaml  # noqa: PLC0415 - only where the suite runs

    return yaml.safe_load(files("jackline.testing").joinpath("same_record.yaml").read_text(encoding="utf-8"))


def guard(guards: Guards) -> Guard:
    """A guard of the bundle, with its prices."""
    data = _data()
    count = data["count"]
    policies = {
        **{each["name"]: replacing(each["action"], each["old"], each["new"]) for each in data["replace"]},
        count["name"]: at_most(count["most"], count["action"], count["tool"]),
    }
    return guards.load(data["bundle"], policies, prices=data["prices"])


def bodies() -> Bodies:
    """The bodies of the story's tools."""
    return Bodies(_data()["results"])


def steps(path: Path) -> tuple[Step, ...]:
    """The story, as far as the path carries it."""
    return tuple(
        Step(step.get("text", ""), tuple(Call(tool, dict(args)) for tool, args in step.get("calls", ())))
        for step in _steps(path)
    )


def expected(path: Path) -> list[list[Act]]:
    """The acts that must be on record: a list for each moment, in order; those of one moment have no order."""
    data = _data()
    if path.action in _ALONE:
        return [[data[path.action]]]
    found: list[list[Act]] = [[data["spawned"]]] if "spawn" in path.carries else []
    for step in _steps(path):
        found += [[data["asked"]]] if "model" in path.carries else []
        found += [step["acts"]]
    found += [[data["handed out"]]] if "output" in path.carries else []
    return [moment for moment in found if moment]


def observed(guard: Guard, path: Path) -> list[list[Act]]:
    """What is on record of the path's agent, in the moments of `expected`; what is over stands in one more.

    A path that follows the story several times at once leaves the record as often: by run where an agent does it.
    """
    runs: dict[str, list[Act]] = {}
    for event, act in _acts(guard, path):
        runs.setdefault(event.run if path.times > 1 and "tools" in path.carries else "", []).append(act)
    times = path.times // max(1, len(runs))
    told = [_moments(acts, expected(path), times) for acts in runs.values()]
    different = [moments for moments in told if moments != told[0]]
    return different[0] if different else [_once(moment, times) for moment in told[0]] if told else []


def _steps(path: Path) -> list[Any]:
    return [step for step in _data()["steps"] if not path.lacks(step["needs"])]


def _moments(acts: list[Act], wanted: list[list[Act]], times: int) -> list[list[Act]]:
    found: list[list[Act]] = []
    rest = iter(acts)
    for moment in wanted:
        taken = [act for _, act in zip(range(len(moment) * times), rest, strict=False)]
        found.append(sorted(taken, key=lambda act: (act["act"], str(act.get("args")))))
    over = list(rest)
    return [*found, over] if over else found


def _once(moment: list[Act], times: int) -> list[Act]:
    """A moment of a story that was followed several times at once, if it was the same each time."""
    once = moment[::times]
    return once if [act for act in once for _ in range(times)] == moment else moment


def _acts(guard: Guard, path: Path) -> Iterator[tuple[Decided, Act]]:
    """The acts of the path, each with its outcome and the decision about what it gave back."""
    events = on_record(guard, "decided", "completed", "failed")
    digests = {event.args for event in events if isinstance(event, Decided)}
    values = {digest: payload.value for digest, payload in find_payloads(guard.home.payloads, digests).items()}
    agent = path.agent or guard.application
    for event in events:
        if isinstance(event, Decided) and _is_of(event, path, agent):
            act = _judged(event, values)
            for later in events:
                if later.span == event.span and later is not event:
                    _add(act, event, later, values)
            yield event, act


def _is_of(event: Decided, path: Path, agent: str) -> bool:
    """Whether it is an act of the path's own agent that the path carries."""
    if event.action == "agent.spawn":
        return "spawn" in path.carries and event.resource == agent
    carried = {
        "tool.call": "tools" in path.carries and event.resource in (PAY.tool, FIND.tool),
        "model.call": "model" in path.carries,
        "output": "output" in path.carries,
    }
    return event.agent == agent and carried.get(event.action, event.action == path.action)


def _judged(event: Decided, values: dict[str, Any]) -> Act:
    named = f"{event.action} {event.resource}" if event.action in _NAMED else event.action
    found = _filled(
        act=named,
        effect=event.effect,
        by=f"{event.policy}/{event.rule}" if event.policy else "",
        reason=event.reason,
        would=event.would,
        verdicts=[f"{verdict.policy} {verdict.effect}" for verdict in event.verdicts],
    )
    value = values.get(event.args, event.args)
    if event.action in ("output", "tool.return"):
        found["result"] = _text(value)
    elif event.action == "model.return":
        found["shape"] = _shape(value)
    elif event.action in _WITH_ARGS:
        found["args"] = value
    return found


def _add(act: Act, event: Decided, later: Event, values: dict[str, Any]) -> None:
    """Add to an act what is on record of it afterwards."""
    if isinstance(later, Decided):
        if later.action == RETURNS.get(event.action):
            act["returned"] = {key: value for key, value in _judged(later, values).items() if key != "act"}
    elif isinstance(later, (Completed, Failed)) and later.action == event.action:
        told = later.usage if later.usage is not None and not later.usage.estimated else None
        act |= _filled(
            outcome="completed" if isinstance(later, Completed) else f"failed: {later.error}",
            model=getattr(later, "model", ""),
            usage=[told.input, told.output] if told else None,
            micro_usd=later.cost.micro_usd if told and later.cost else None,
            settled={scope.rpartition("/")[2]: amount for scope, amount in later.settled.items()},
        )


def _filled(**fields: Any) -> Act:
    return {name: value for name, value in fields.items() if value not in ("", None, [], {})}


def _shape(value: Any) -> list[str]:
    """Which fields of a message an answer has; that of a completion model is its content and nothing else."""
    result = value["result"] if isinstance(value, dict) else None
    return ["content", "role"] if isinstance(result, str) else sorted({"role", "content"} & {*(result or ())})


def _text(value: Any) -> Any:
    """What was given back; the pieces of a stream are one text."""
    result = value["result"] if isinstance(value, dict) else value
    if isinstance(result, dict):  # what a framework's own tools keep beside their text is the framework's
        result = next((result[name].strip() for name in ("content", "response") if name in result), result)
    pieces = isinstance(result, list) and all(isinstance(piece, str) for piece in result)
    return "".join(result) if pieces else result
