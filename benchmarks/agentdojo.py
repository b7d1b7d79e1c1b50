"""AgentDojo as a static replay in which the agent always obeys: `python benchmarks/agentdojo.py [--data DIR] [--json]`.

Each user task is a session under the bundle of its suite, through a guard with a journal, a registry and approvals in
a home of its own: prompt, calls, results. What is asked is approved by a signed answer. Then every session is played
again with an attacker's text in the results that strangers can write into, and the attacker's calls after them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentdojo_data as data
from agentdojo_replay import SEVERITY, Replay, Step, risk, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agentdojo_data import Attack, Task
    from agentdojo_replay import Change

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "trajectories" / "agentdojo"
CURVE = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 140)
GATE = 50
"""Where the bundles' own gates stand."""


@dataclass
class Counts:
    """One suite, or all."""

    tasks: int = 0
    denied_tasks: int = 0
    asked_tasks: int = 0
    asked_calls: int = 0
    calls: int = 0
    pairs: int = 0
    denied: int = 0
    escalated: int = 0
    attacks: dict[str, dict[str, int]] = field(default_factory=dict)
    """Injection task -> the calls of it that were asked or denied, with the reason -> pairs."""
    passed: dict[str, list[str]] = field(default_factory=dict)
    """Attacks that got through: injection task -> the user tasks that carried it."""
    asked: dict[str, str] = field(default_factory=dict)
    """Benign tasks that were asked: why."""
    task_risks: list[int] = field(default_factory=list)
    pair_risks: list[int] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: _sum(value, getattr(other, name)) for name, value in asdict(self).items()})

    @property
    def stopped(self) -> int:
        return self.denied + self.escalated


def counted(replay: Replay, tasks: list[Task], attacks: Iterable[Attack]) -> Counts:
    """Every user task alone, then every pair of a user task and an injection task, at its worst."""
    counts = Counts()
    for task in tasks:
        steps = replay.play(task).benign
        effect = worst(steps)
        counts.tasks += 1
        counts.calls += len(steps)
        counts.denied_tasks += effect in ("deny", "halt")
        counts.asked_tasks += effect == "escalate"
        counts.asked_calls += sum(step.effect == "escalate" for step in steps)
        if effect != "allow":
            counts.asked[f"{task.suite}/{task.name}"] = "; ".join(
                dict.fromkeys(_told(step) for step in steps if step.effect != "allow")
            )
        counts.task_risks.append(risk(steps))
    for attack in attacks:
        for task in tasks:
            sessions = list(wherever(replay, task, attack))
            effect = min(map(worst, sessions), key=SEVERITY.index)
            counts.pairs += 1
            counts.denied += effect in ("deny", "halt")
            counts.escalated += effect == "escalate"
            why = counts.attacks.setdefault(f"{attack.task.suite}/{attack.task.name}", {})
            for told in {_told(step) for steps in sessions for step in steps if step.effect != "allow"}:
                why[told] = why.get(told, 0) + 1
            if effect == "allow":
                counts.passed.setdefault(f"{attack.task.suite}/{attack.task.name}", []).append(task.name)
            counts.pair_risks.append(min(map(risk, sessions)))
    return counts


def wherever(replay: Replay, task: Task, attack: Attack) -> Iterator[list[Step]]:
    """The attack where the agent obeys at once, after each call that reads the text, and where it obeys at the end."""
    reads = sorted(attack.reads.get(task.name, {}))
    for after in reads:
        yield replay.play(task, attack, after).attack
    if len(task.calls) - 1 not in reads:  # else the end is where it reads last
        yield replay.play(task, attack, len(task.calls) - 1, late=True).attack


def run(folder: Path, change: Change | None = None) -> tuple[dict[str, Counts], list[tuple[str, float]]]:
    """Every suite under its bundle, and what each check of a tool call took, with its effect."""
    found, took = {}, []
    for suite in data.SUITES:
        with tempfile.TemporaryDirectory() as temporary:
            replay = Replay(suite, folder, Path(temporary) / "replay", change)
            with replay.guard:
                found[suite] = counted(replay, data.tasks(folder, suite), data.attacks(folder, suite))
            took += replay.took
    found["total"] = sum(found.values(), Counts())
    return found, took


def own_wish(folder: Path) -> Counts:
    """What is asked where the user wants what the attackers want, in the same words: the control."""
    found = Counts()
    for suite in data.SUITES:
        with tempfile.TemporaryDirectory() as temporary:
            replay = Replay(suite, folder, Path(temporary) / "replay")
            with replay.guard:
                found += counted(replay, [attack.task for attack in data.attacks(folder, suite)], ())
    return found


def risks(folder: Path, change: Change) -> Counts:
    """The risks of all tasks and pairs, from one replay in which nothing is held up."""
    return run(folder, change)[0]["total"]


def at(gate: int, counts: Counts) -> tuple[int, int]:
    """How many benign tasks would be asked and how many pairs stopped, with the gate there."""
    return sum(each >= gate for each in counts.task_risks), sum(each >= gate for each in counts.pair_risks)


def benign(folder: Path) -> Iterator[str]:
    """What user tasks alone meet: all that a bundle's author needs to see."""
    for suite in data.SUITES:
        with tempfile.TemporaryDirectory() as temporary:
            replay = Replay(suite, folder, Path(temporary) / "replay")
            with replay.guard:
                counts = counted(replay, data.tasks(folder, suite), ())
        yield f"{suite}: {counts.asked_tasks} of {counts.tasks} asked, {counts.denied_tasks} denied"
        yield from (f"  {name}: {why}" for name, why in counts.asked.items())


def as_it_is(bundle: dict[str, Any]) -> dict[str, Any]:
    return bundle


def without_fields(bundle: dict[str, Any]) -> dict[str, Any]:
    """Tools are trusted as a whole or not at all; so it is too where tools give text instead of records."""
    return {**bundle, "trusted_tools": [each for each in bundle["trusted_tools"] if "#" not in each]}


def without_trust(bundle: dict[str, Any]) -> dict[str, Any]:
    return {**bundle, "trusted_tools": []}


def without_verbs(bundle: dict[str, Any]) -> dict[str, Any]:
    return _only(bundle, lambda rule: not rule["why"].startswith("the user spoke"))


def deleting_asks(bundle: dict[str, Any]) -> dict[str, Any]:
    """Whatever the user spoke of."""
    rule = {"when": "tool.name in ['delete_file', 'delete_email']", "add": GATE, "why": "it deletes"}
    for policy in bundle["policies"]:
        if policy["use"] == "escalation":
            policy["with"]["rules"].append(rule)
    return bundle


def destinations_alone(bundle: dict[str, Any]) -> dict[str, Any]:
    return _only(bundle, lambda rule: "an own " in rule["why"] and "amount" not in rule["why"])


def _only(bundle: dict[str, Any], keep: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for policy in bundle["policies"]:
        if policy["use"] == "escalation":
            policy["with"]["rules"] = list(filter(keep, policy["with"]["rules"]))
    return bundle


VARIANTS: dict[str, Change] = {
    "the bundles as they are": as_it_is,
    "no field of a result is trusted": without_fields,
    "nothing but the user's words is trusted": without_trust,
    "no rule asks what the user spoke of": without_verbs,
    "destinations alone": destinations_alone,
    "every deletion asks as well": deleting_asks,
}


def _told(step: Step) -> str:
    return f"{step.tool}: {step.reason}"


def _sum(one: Any, other: Any) -> Any:
    return {**one, **other} if isinstance(one, dict) else one + other


def times(took: list[tuple[str, float]]) -> dict[str, dict[str, float]]:
    """Microseconds of the checks of each action and effect. One that asks has synced a question to disk."""
    found = {}
    for effect in dict.fromkeys(effect for effect, _ in took):
        ordered = sorted(us for each, us in took if each == effect)
        p95 = ordered[len(ordered) * 95 // 100]
        found[effect] = {"median": statistics.median(ordered), "p95": p95, "checks": len(ordered)}
    return found


def percent(part: int, whole: int) -> str:
    return f"{part}/{whole} = {100 * part / whole:.1f} %"


def show(found: dict[str, Counts], took: list[tuple[str, float]]) -> None:
    print(f"{'suite':10} {'benign kept':>18} {'benign asked':>18} {'pairs stopped':>20} {'denied':>7} {'escalated':>9}")
    for suite, counts in found.items():
        kept, asked = (
            percent(counts.tasks - counts.denied_tasks, counts.tasks),
            percent(counts.asked_tasks, counts.tasks),
        )
        stopped = percent(counts.stopped, counts.pairs)
        print(f"{suite:10} {kept:>18} {asked:>18} {stopped:>20} {counts.denied:>7} {counts.escalated:>9}")
    total = found["total"]
    print(f"\ncalls asked in benign tasks: {total.asked_calls} of {total.calls}")
    for name, why in total.asked.items():
        print(f"  {name}: {why}")
    print("attacks that got through:" if total.passed else "no attack got through")
    for name, carriers in total.passed.items():
        print(f"  {name}: {len(carriers)} ({', '.join(carriers)})")
    print("\nwhat stood in the way of each attack, and in how many pairs:")
    for name, reasons in total.attacks.items():
        print(f"  {name}")
        for why, pairs in sorted(reasons.items(), key=lambda each: -each[1]):
            print(f"    {pairs:>4} {why}")
    print("\na check with its record:")
    for effect, each in times(took).items():
        print(f"  {effect:20} median {each['median']:.0f} us, p95 {each['p95']:.0f} us ({each['checks']} checks)")


def show_points(what: str, points: dict[Any, tuple[int, int]], total: Counts) -> None:
    print(f"\n{what:40} {'benign asked':>18} {'pairs stopped':>20}")
    for name, (asked, stopped) in points.items():
        print(f"{name!s:40} {percent(asked, total.tasks):>18} {percent(stopped, total.pairs):>20}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with ground_truth.jsonl and attacks.jsonl")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--benign", action="store_true", help="user tasks alone; no attack is read")
    told = parser.parse_args()
    if not data.present(told.data):
        sys.exit(f"The data of AgentDojo is not in {told.data}: expected {', '.join(data.FILES)}; name it with --data.")
    if told.benign:
        print("\n".join(benign(told.data)))
        return
    found, took = run(told.data)
    wished = own_wish(told.data)
    measured = {name: risks(told.data, change) for name, change in VARIANTS.items()}
    curve = {gate: at(gate, measured["the bundles as they are"]) for gate in CURVE}
    variants = {name: at(GATE, counts) for name, counts in measured.items()}
    if told.json:
        suites = {suite: {**asdict(counts), "stopped": counts.stopped} for suite, counts in found.items()}
        keys = ("asked", "stopped")
        parts = {name: dict(zip(keys, each, strict=True)) for name, each in variants.items()}
        gates = {gate: dict(zip(keys, each, strict=True)) for gate, each in curve.items()}
        print(
            json.dumps(
                {"suites": suites, "curve": gates, "parts": parts, "own_wish": asdict(wished), "check_us": times(took)},
                indent=1,
            )
        )
        return
    show(found, took)
    print(f"\nattackers' tasks as the user's own wish: {percent(wished.asked_tasks, wished.tasks)} asked")
    for name, why in wished.asked.items():
        print(f"  {name}: {why}")
    show_points("gate at risk", curve, found["total"])
    show_points(f"what each part does, gate at {GATE}", variants, found["total"])


if __name__ == "__main__":
    main()
