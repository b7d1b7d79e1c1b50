"""What one request's risk is made of: each part says how much it adds, and why."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import re
import zoneinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.condition import EvaluationError
from jackline.facts import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.condition import Condition
    from jackline.request import Request
    from jackline_escalation.options import Added, Amount, Declared, Destination, EscalationOptions, OffHours

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Part(NamedTuple):
    """One thing that adds to a risk."""

    add: int
    why: str


def parts(
    request: Request, options: EscalationOptions, conditions: tuple[Condition, ...], unseen: list[str]
) -> list[Part]:
    """Everything that adds risk to this request; `unseen` are its new destinations, as arguments' names."""
    found: list[Part] = []
    found += _ruled(request, options.rules, conditions)
    if options.declared is not None and request.tool is not None:
        found += _declared(request.tool.labels, options.declared)
    if options.amount is not None:
        found += _amount(request.args, options.amount)
    if unseen and options.new_destination is not None:
        found.append(Part(options.new_destination.add, f"a new destination in {' and '.join(unseen)}"))
    if request.tool is not None and request.tool.status != "known":
        found.append(Part(options.new_tool, f"the tool is {request.tool.status}"))
    if options.off_hours is not None:
        found += _off_hours(request.at, options.off_hours)
    return [part for part in found if part.add]


def _ruled(request: Request, rules: list[Added], conditions: tuple[Condition, ...]) -> Iterator[Part]:
    for rule, condition in zip(rules, conditions, strict=True):
        why = rule.why or rule.when
        try:
            found = condition.evaluate(facts(request))
        except EvaluationError as error:
            yield Part(rule.add, f"{why} (counted as true, since it cannot be evaluated: {error.message})")
            continue
        if found is not False:
            yield Part(rule.add, why)


def _declared(labels: dict[str, str], declared: Declared) -> Iterator[Part]:
    value = labels.get(declared.label)
    if value is None:
        yield Part(declared.undeclared, f"the tool declares no {declared.label}")
        return
    dearest = max(declared.add.values(), default=0)
    yield Part(declared.add.get(value, dearest), f"the tool declares {declared.label} {value}")


def _amount(args: dict[str, Any], amount: Amount) -> Iterator[Part]:
    worst: Part | None = None
    for path, value in _named(args, amount.of):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            part = Part(max(step.add for step in amount.steps), f"{path} is no number")
        else:
            passed = [step for step in amount.steps if abs(value) > step.above]
            highest = max(passed, key=lambda step: step.add, default=None)
            if highest is None:
                continue
            part = Part(highest.add, f"{path} is above {highest.above:g}")
        if worst is None or part.add > worst.add:
            worst = part
    if worst is not None:
        yield worst


def _off_hours(at: float, off: OffHours) -> Iterator[Part]:
    when = dt.datetime.fromtimestamp(at, dt.UTC if off.timezone == "UTC" else zoneinfo.ZoneInfo(off.timezone))
    opened, _, closed = off.hours.partition("-")
    if _DAYS[when.weekday()] not in off.days or not opened <= when.strftime("%H:%M") < closed:
        yield Part(off.add, "off hours")


def destinations(request: Request, options: Destination) -> dict[str, str]:
    """Where a request goes that is not known from the start: a digest of each destination, and what names it.

    Digests are keyed with the session: what is remembered of it tells nothing elsewhere.
    """
    named = list(_named(request.args, options.of))
    if request.action == "http.request":
        named.append(("host", request.resource))
    found: dict[str, str] = {}
    for path, value in named:
        for text in _texts(value):
            folded = text.strip().casefold()
            if folded and not any(_pattern(known).fullmatch(folded) for known in options.known):
                key = request.subject.session.encode()[:64]
                found[hashlib.blake2b(folded.encode(errors="surrogatepass"), digest_size=8, key=key).hexdigest()] = path
    return found


@functools.lru_cache(maxsize=256)
def _pattern(known: str) -> re.Pattern[str]:
    """A known destination: `*` stands for anything within one destination, never for a second one beside it."""
    return re.compile(r"[^\s,;|]*".join(map(re.escape, known.strip().casefold().split("*"))))


def _named(args: dict[str, Any], paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The values of arguments, each with its name. One that is not there has none, and neither has null."""
    return ((path, value) for path in paths for value in _within(args, path.split(".")) if value is not None)


def _within(value: Any, names: list[str]) -> Iterator[Any]:
    """What stands at the end of a way: in each entry of a list. A value that hides the rest of it stands for it."""
    if not names:
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _within(each, names)
    elif not isinstance(value, dict):
        yield value
    elif names[0] in value:
        yield from _within(value[names[0]], names[1:])


def _texts(value: Any) -> Iterator[str]:
    """Every destination in an argument: one, or a list of them; anything else by its form."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    else:
        yield repr(value)
