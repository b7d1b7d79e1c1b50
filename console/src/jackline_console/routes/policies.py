"""The page *Policies*: the bundle, its editor, its revisions, and what its rules answered."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query

from jackline.bundle_schema import bundle_schema
from jackline.errors import BundleError, Problem
from jackline.person import StandingError
from jackline.plugins import installed_plugins
from jackline.widening import widened
from jackline.yaml_source import parse
from jackline_console.access.gate import Operator, Viewer
from jackline_console.access.keys import public_key_of
from jackline_console.completion import complete as completed
from jackline_console.models.basics import Count
from jackline_console.models.policies import (
    Activated,
    Activation,
    ApproverView,
    BundleView,
    Checked,
    Completion,
    Completions,
    Cursor,
    Difference,
    Draft,
    Place,
    PolicyView,
    Revision,
    RevisionList,
    RevisionText,
    RuleUsage,
    RuleUsageList,
)
from jackline_console.problems import ProblemError, invalid_bundle, unknown
from jackline_console.revisions import difference, in_force
from jackline_console.revisions import revisions as known_revisions
from jackline_console.routes.asking import Days, Here

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jackline.bundle import Bundle
    from jackline_console.console import Console

router = APIRouter(tags=["policies"])
DAY = 86400
_SHOWN = 500
_SHORTEST = 8
"""Digits by which a revision may be named."""


@router.get("/bundle")
def bundle(here: Here, _who: Viewer) -> BundleView:
    """The bundle that this console keeps an eye on, as its file is now."""
    found = here.bundles.found()
    if found is None:
        unknown(
            "bundle", str(here.bundles.path), "a bundle's file", "start the console with --bundle FILE, or POST one"
        )
    loaded, error = found.bundle, found.error
    return BundleView(
        source=str(here.bundles.path),
        revision=found.revision if found.data else "",
        mode=loaded.mode if loaded is not None else "",
        unregistered=loaded.unregistered if loaded is not None else "",
        unmanaged=loaded.unmanaged if loaded is not None else "",
        capture=loaded.capture if loaded is not None else "",
        text=found.data.decode(errors="replace"),
        editable=here.bundles.writable(),
        problems=_places(error.problems if error is not None else ()),
        unverified=_places(loaded.unverified if loaded is not None else ()),
        policies=_policies(here, loaded, found.data),
        approvers=_approvers(here),
        in_force=in_force(here),
    )


@router.get("/bundle/revisions")
def revisions(here: Here, _who: Viewer) -> RevisionList:
    """Every revision that was in force, or that somebody put in place; the latest first."""
    return RevisionList(items=known_revisions(here))


@router.get("/bundle/revisions/{revision}")
def revision(here: Here, _who: Viewer, revision: str) -> RevisionText:
    """One revision with its text."""
    found = _revision(here, revision)
    return RevisionText(**found.model_dump(), text=_text(here, found.revision).decode(errors="replace"))


@router.get("/bundle/diff", response_model_by_alias=True)
def diff(
    here: Here,
    _who: Viewer,
    before: Annotated[str, Query(alias="from", max_length=64)],
    after: Annotated[str, Query(alias="to", max_length=64)],
) -> Difference:
    """How two revisions differ."""
    old, new = _revision(here, before).revision, _revision(here, after).revision
    texts = _text(here, old), _text(here, new)
    return difference((old, texts[0], _loaded(here, texts[0])), (new, texts[1], _loaded(here, texts[1])))


@router.get("/bundle/schema")
def schema(_who: Viewer) -> dict[str, Any]:
    """The JSON Schema of bundles, with the options of every installed policy."""
    return bundle_schema(installed_plugins())


@router.post("/bundle/validate")
def validate(here: Here, _who: Viewer, given: Draft) -> Checked:
    """Say what is wrong with a draft, each with its place, and how it would permit more than the file does now."""
    data = given.text.encode(errors="surrogatepass")
    name = hashlib.sha256(data).hexdigest()
    try:
        loaded = here.bundles.load(data)
    except BundleError as error:
        places = _places(error.problems) or [Place(line=1, column=1, message=str(error), hint="")]
        return Checked(ok=False, revision=name, problems=places, unverified=[], policies=[], widened=[])
    found = here.bundles.found()
    now = found.bundle if found is not None else None
    return Checked(
        ok=True,
        revision=name,
        problems=[],
        unverified=_places(loaded.unverified),
        policies=_policies(here, loaded, data),
        widened=list(widened(now, loaded)) if now is not None else [],
    )


@router.post("/bundle/complete", response_model_by_alias=True)
def complete(_who: Viewer, given: Cursor) -> Completions:
    """What may stand where the writer is."""
    found = completed(given.text, given.line, given.column, bundle_schema(installed_plugins()))
    items = [Completion.model_validate(one._asdict()) for one in found.items]
    return Completions(items=items, from_=found.start, to=found.end)


@router.post("/bundle/activate")
def activate(here: Here, who: Operator, given: Activation) -> Activated:
    """Put a bundle in the place of the one there is; every process of this host follows within a second."""
    data = given.text.encode(errors="surrogatepass")
    found = here.bundles.found()
    if found is not None and found.data:
        here.bundles.keep(found.data)
    try:
        changed = here.person(who).activate(here.bundles.path, data, given.why, previous=given.previous)
    except BundleError as error:
        raise invalid_bundle(error) from error
    except StandingError as error:
        raise ProblemError(
            409,
            "changed",
            str(error),
            what="previous",
            value=given.previous,
            expected=found.revision if found is not None else "",
            hint="load GET /api/v1/bundle again, compare, and activate on top of it",
        ) from error
    here.bundles.keep(data)
    return Activated(
        done="activated",
        revision=changed.bundle.revision,
        previous=changed.previous,
        widened=list(changed.widened),
        who=who.name,
        why=given.why,
        at=here.clock(),
    )


@router.get("/policies/usage")
def usage(here: Here, _who: Viewer, days: Days = 7, step: Literal["hour", "day"] = "day") -> RuleUsageList:
    """What the rules answered, the most frequent first."""
    size = DAY if step == "day" else 3600
    rows = here.store.policy_usage((step, "policy", "rule", "effect", "mode"), since=here.clock() - days * DAY)
    found: dict[tuple[str, str, str, str], tuple[list[int], dict[int, int]]] = {}
    for row in rows:
        sums, series = found.setdefault((row.policy, row.rule, row.effect, row.mode), ([0, 0], {}))
        sums[0] += row.verdicts
        sums[1] += row.decisions
        at = (row.hour or 0) // size * size
        series[at] = series.get(at, 0) + row.verdicts
    items = [
        RuleUsage(
            policy=key[0],
            rule=key[1],
            effect=key[2],
            mode=key[3],
            verdicts=sums[0],
            decisions=sums[1],
            series=[Count(at=at, verdicts=max(0, count)) for at, count in sorted(series.items())],
        )
        for key, (sums, series) in found.items()
    ]
    items.sort(key=lambda one: (-one.verdicts, -one.decisions, one.policy, one.rule))
    return RuleUsageList(items=items)


def _revision(here: Console, name: str) -> Revision:
    found = [one for one in known_revisions(here) if one.revision.startswith(name)] if len(name) >= _SHORTEST else []
    if len(found) != 1:
        expected = f"a revision, or at least {_SHORTEST} digits of its beginning"
        unknown("revision", name, expected, "GET /api/v1/bundle/revisions lists them")
    return found[0]


def _text(here: Console, name: str) -> bytes:
    data = here.bundles.text(name)
    if data is None:
        raise ProblemError(
            404,
            "not-kept",
            f"nobody kept the text of revision {name[:12]}",
            what="revision",
            value=name,
            expected="one with `kept`",
            hint="a console keeps what it sees: leave one running",
        )
    return data


def _loaded(here: Console, data: bytes) -> Bundle | None:
    try:
        return here.bundles.load(data)
    except BundleError:
        return None


def _places(problems: Iterable[Problem]) -> list[Place]:
    """The first of them: whoever mends those asks again."""
    some = islice(problems, _SHOWN)
    return [Place(line=one.line, column=one.column, message=one.message, hint=one.hint) for one in some]


def _policies(here: Console, loaded: Bundle | None, data: bytes) -> list[PolicyView]:
    if loaded is None:
        return []
    document = parse(data, str(here.bundles.path))
    verdicts: dict[str, dict[str, int]] = {}
    for row in here.store.policy_usage(("policy", "effect"), since=here.clock() - 7 * DAY):
        verdicts.setdefault(row.policy, {})[row.effect] = row.verdicts
    return [
        PolicyView(
            name=entry.name,
            use=entry.use,
            mode=entry.mode,
            agents=entry.agents.source if entry.agents is not None else "all",
            on_error=entry.on_error,
            line=document.problem(("policies", place), "").line,
            verdicts_7d=verdicts.get(entry.name, {}),
        )
        for place, entry in enumerate(loaded.entries)
    ]


def _approvers(here: Console) -> list[ApproverView]:
    people = here.bundles.approvers().people
    return [
        ApproverView(name=name, user=one.user or name, console=public_key_of(name) == one.key)
        for name, one in sorted(people.items())
    ]
