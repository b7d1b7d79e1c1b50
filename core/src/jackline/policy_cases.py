"""Tests of policies as data: each case asks a guard of its own and compares the decisions; for `jackline test DIR`."""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jackline.bundle import load_bundle, read_bundle
from jackline.errors import BundleError, Problem
from jackline.events import Usage
from jackline.guard import Guard
from jackline.policy_case_model import START, CaseFile, expanded
from jackline.request import RETURNS, Agent, Model, Request, Subject, Tool
from jackline.validation import validate
from jackline.yaml_source import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jackline.bundle import Bundle
    from jackline.decision import Decision
    from jackline.options import Options
    from jackline.plugins import Plugins
    from jackline.policy_case_model import Case, Expected, RequestCase, Step
    from jackline.prices import Prices
    from jackline.request import Action
    from jackline.yaml_source import Document

_HINTS = {
    "bundle": "name the bundle's file, relative to this one: bundle: ../jackline.yaml",
    "cases": "write `cases:` and a list",
    "expect": "write the effect: expect: deny",
    "request": "write what is asked: request: {tool: refund, args: {amount: 600}}",
}


class CaseResult(NamedTuple):
    """How one case went."""

    file: str
    line: int
    name: str
    problem: str = ""
    """What differs from what was expected; empty where the case passed."""
    broken: bool = False
    """The case could not be run: its file or its bundle is wrong."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}: {self.problem or 'passed'}"


class Results(NamedTuple):
    """How all cases went, in the files' order."""

    cases: tuple[CaseResult, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases whose decisions differ, and those that could not be run."""
        return tuple(case for case in self.cases if case.problem)

    @property
    def passed(self) -> bool:
        """Whether there were cases, and each of them passed."""
        return bool(self.cases) and not self.failed


def run(path: str | Path, *, plugins: Plugins | None = None, prices: Prices | None = None) -> Results:
    """Run the cases of a file, or of every YAML file in a directory and below; bundles among them are passed over.

    Never raises for what a file says: a file or bundle that is wrong is a failed case. A directory without any
    case is one as well, since a test that tests nothing must not pass.
    """
    start = Path(path)
    files = sorted(_files(start)) if start.is_dir() else [start]
    found = [result for file in files for result in _run_file(file, plugins, prices)]
    if not found:
        found = [CaseResult(str(start), 1, "cases", "there is no case here; write one with `cases:`", broken=True)]
    return Results(tuple(found))


def _files(directory: Path) -> Iterator[Path]:
    for pattern in ("*.yaml", "*.yml"):
        for file in directory.rglob(pattern):
            if not any(part.startswith(".") for part in file.relative_to(directory).parts):
                yield file


def _run_file(file: Path, plugins: Plugins | None, prices: Prices | None) -> Iterator[CaseResult]:
    try:
        document = parse(read_bundle(file), str(file), "file of cases")
        if isinstance(document.data, dict) and "jackline" in document.data and "cases" not in document.data:
            return
        found = _case_file(document)
        bundle = _bundle(file, found.bundle, document.problem(("bundle",), ""), plugins)
    except BundleError as error:
        line = error.problems[0].line if error.problems else 1
        yield CaseResult(str(file), line, file.stem, str(error), broken=True)
        return
    for place, case in enumerate(found.cases):
        line = document.place(("cases", place)).line
        begun = time.perf_counter()
        problem = _run_case(case, case.agent or found.agent, bundle, prices)
        yield CaseResult(str(file), line, case.name, problem, seconds=time.perf_counter() - begun)


def _case_file(document: Document) -> CaseFile:
    found, problems = validate(CaseFile, expanded(document.data), document, hints=_HINTS)
    if found is None or document.problems:
        raise BundleError(problems=(*document.problems, *problems))
    return found


def _bundle(file: Path, source: str, place: Problem, plugins: Plugins | None) -> Bundle:
    if "\n" in source:
        return load_bundle(source, plugins, file=f"{file} (bundle)")
    path = file.parent / source
    if not path.exists():
        problem = place._replace(message=f"there is no bundle at {path}", hint="the path is relative to this file")
        raise BundleError(problems=(problem,))
    return load_bundle(path, plugins)


def _run_case(case: Case, agent: Options | None, bundle: Bundle, prices: Prices | None) -> str:
    """Ask every step in a home of its own; say what differs first, or nothing."""
    clock = _Clock(case.at if case.at is not None else START)
    with tempfile.TemporaryDirectory(prefix="jackline-case-") as home:
        guard = Guard(bundle, home=home, application="cases", clock=clock, prices=prices)
        try:
            story = _Story(case, agent, guard, clock)
            story.hear(case.said)
            for number, step in enumerate(case.asked(), 1):
                for _ in range(step.times):
                    problem = story.ask(step)
                    if problem:
                        return f"step {number}: {problem}" if case.steps else problem
        finally:
            guard.close()
    return ""


class _Clock:
    """The time of a case: it stands still but between steps."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class _Story:
    """One case while it runs."""

    def __init__(self, case: Case, agent: Options | None, guard: Guard, clock: _Clock) -> None:
        self._guard = guard
        self._clock = clock
        self._agent = _made(Agent, agent) if agent is not None else Agent(name="agent", status="active")
        self._facts = case.session.facts()
        told = case.session
        digest = hashlib.sha256(f"{told.namespace}\n{told.application}\n{told.id}".encode()).hexdigest()
        self._subject = Subject(
            session=digest[:32],
            external_id=told.id,
            user=told.user,
            labels=told.labels,
            application=told.application,
            namespace=told.namespace,
        )
        self._spans = 0

    def hear(self, said: str) -> None:
        """Let the session know the user's own words."""
        if said:
            self._guard.heard(said, session=self._guard.sessions.get(self._subject))

    def ask(self, step: Step) -> str:
        """Ask one request, compare the decision, and record what came of the act."""
        self._pass_time(step)
        request = self._request(step.request)
        decision = self._guard.check(request)
        if decision.permitted and request.action not in RETURNS.values():
            self._conclude(request, decision, step)
        return _difference(decision, step.expect)

    def _pass_time(self, step: Step) -> None:
        if step.at is not None:
            self._clock.now = step.at
        elif self._spans:
            self._clock.now += 1.0 if step.after is None else step.after

    def _request(self, asked: RequestCase) -> Request:
        tool = _made(Tool, asked.tool)
        model = _made(Model, asked.model)
        action = asked.action or _implied(tool, model)
        self._spans += action not in RETURNS.values() or self._spans == 0
        session = self._guard.sessions.get(self._subject)
        ancestors = tuple(_made(Agent, ancestor) for ancestor in asked.ancestors)
        return Request(
            action=action,
            resource=asked.resource or (tool.name if tool else model.name if model else ""),
            at=self._clock.now,
            agent=_made(Agent, asked.agent) if asked.agent is not None else self._agent,
            subject=self._subject,
            run="1" * 32,
            span=f"{self._spans:016x}",
            ancestors=ancestors,
            depth=len(ancestors),
            args=asked.args,
            tool=tool,
            model=model,
            call_id=asked.call_id,
            facts={} if asked.http is None else {"http": asked.http},
            session={**session.facts(), **self._facts},
        )

    def _conclude(self, request: Request, decision: Decision, step: Step) -> None:
        outcome = step.outcome
        usage = _made(Usage, outcome.usage)
        if outcome.error is not None:
            self._guard.fail(request, decision, outcome.error, usage=usage)
        else:
            self._guard.complete(request, decision, outcome.result, usage=usage, model=outcome.model)


def _implied(tool: Tool | None, model: Model | None) -> Action:
    return "tool.call" if tool is not None else "model.call" if model is not None else "output"


def _made(kind: Any, told: Options | None) -> Any:
    """Make a record of what a case tells of it; None where it tells nothing."""
    return None if told is None else msgspec.convert(told.model_dump(), kind)


def _difference(decision: Decision, expected: Expected) -> str:
    """Say what of a decision is not as expected; empty where all is."""
    found = [
        f"{name} {wanted!r} was expected, got {got!r}"
        for name, wanted, got in _compared(decision, expected)
        if wanted is not None and wanted != got
    ]
    if expected.reason is not None and expected.reason not in decision.reason:
        found.append(f"a reason with {expected.reason!r} was expected")
    if not found:
        return ""
    return f"{'; '.join(found)}. {_told(decision)}"


def _compared(decision: Decision, expected: Expected) -> Sequence[tuple[str, Any, Any]]:
    kinds = sorted(finding.kind for finding in decision.findings)
    return (
        ("effect", expected.effect, decision.effect),
        ("policy", expected.policy, decision.policy),
        ("rule", expected.rule, decision.rule),
        ("would", expected.would, decision.would),
        ("args", expected.args, decision.args),
        ("limits", expected.limits, decision.limits),
        ("findings", sorted(expected.findings) if expected.findings is not None else None, kinds),
    )


def _told(decision: Decision) -> str:
    by = f" by policy '{decision.policy}', rule '{decision.rule}'" if decision.policy else ""
    asked = ", ".join(decision.evaluated) or "none"
    return f"Decided: {decision.effect}{by}: {decision.reason or 'no reason'}. Asked: {asked}"
