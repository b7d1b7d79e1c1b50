"""`jackline budget status`, `top-up`, `prune`: what was spent, a person's word that more may be, and what is over."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import output, state
from jackline.errors import BundleError, JacklineError
from jackline.outcome import amount
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.control import Control
    from jackline.decision import Unit
    from jackline.home import Home
    from jackline.ledger import Ledger
    from jackline.stores import Store
    from jackline_budget.balances import Standing

_COLUMNS = ("scope", "limit", "raised", "spent", "held", "left")
_BUNDLE = Path("jackline.yaml")
_ALL = 1 << 31


def register(cli: typer.Typer) -> None:
    """Add the verbs about budgets."""
    family = typer.Typer(no_args_is_help=True, help="Budgets: what was spent in each scope; a person may raise one.")
    family.command("status")(status)
    family.command("top-up")(top_up)
    family.command("prune")(prune)
    cli.add_typer(family, name="budget", rich_help_panel="Agents and what they do")


def status(
    ctx: typer.Context,
    scope: Annotated[str, typer.Argument(help="Only scopes that begin like this, such as a policy's name.")] = "",
    bundle: Annotated[Path, typer.Option(help="The bundle that says the limits.")] = _BUNDLE,
    as_json: output.Json = False,
) -> None:
    """Say what was spent and is held in each scope of each budget, and what is left.

    For example: jackline budget status session-ceiling
    """
    ledger = _ledger(ctx.obj)
    try:
        found = [each for each in _standings(ledger, bundle) if each.scope.startswith(scope)]
    finally:
        ledger.close()
    if as_json:
        output.answer({"scopes": [_plain(each) for each in found]})
    elif not found:
        output.say("no budget has counted anything" + (f" in a scope that begins with '{scope}'" if scope else ""))
    else:
        output.show(output.table(_COLUMNS, [_row(each) for each in found], right=_COLUMNS[1:]))


def top_up(
    ctx: typer.Context,
    scope: Annotated[str, typer.Argument(help="A scope as status lists it, or the beginning of it.")],
    more: Annotated[str, typer.Argument(help="By how much: '0.50 USD', '20k tokens', '10 calls'.", metavar="AMOUNT")],
    why: Annotated[str, typer.Option(help="The reason, for the record.")],
    as_json: output.Json = False,
) -> None:
    """Raise what may be spent in one scope until its window ends, and reopen the sessions that it had ended.

    For example: jackline budget top-up session-ceiling/session/4f1c "0.50 USD" --why "ticket 12"
    """
    from jackline.events import BudgetToppedUp, SessionReopened  # noqa: PLC0415 - only where something is changed

    home: Home = ctx.obj
    if not why.strip():
        raise JacklineError("say why: the reason stands in the record")
    value, unit = _amount(more)
    ledger, control, who, now = _ledger(home), state.control(home), state.person(), time.time()
    try:
        chosen = _chosen(_standings(ledger, None), scope, unit)
        sessions = list(_ended(home, control, chosen))
        told = BudgetToppedUp(
            at=now,
            scope=chosen.key,
            unit=unit,
            amount=value,
            raised=chosen.raised + value,
            who=who,
            why=why,
        )
        state.record(home, told, *[SessionReopened(at=now, session=each, who=who, why=why) for each in sessions])
        ledger.top_up(chosen.key, value, now)
        for each in sessions:
            control.reopen(each, who, why)
    finally:
        control.close()
        ledger.close()
    if as_json:
        answer = {"scope": chosen.scope, "unit": unit, "amount": value, "raised": told.raised}
        output.answer({**answer, "who": who, "why": why, "reopened": sessions})
        return
    output.say(f"{chosen.scope} raised by {amount(value, unit)} by {who}: {why}")
    for each in sessions:
        output.say(f"session {each} reopened")


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        str, typer.Option(help="Only what nothing was counted in for so long; a day at least.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: tell what would be forgotten.")] = False,
    as_json: output.Json = False,
) -> None:
    """Forget the scopes that are over: past days, months and windows, and sessions that nobody goes on with.

    For example: jackline budget prune --older-than 90d --dry-run
    """
    from jackline.events import BudgetPruned  # noqa: PLC0415 - only where something is changed
    from jackline_budget.retention import DAY, over  # noqa: PLC0415

    home: Home = ctx.obj
    now, who, done = time.time(), state.person(), 0
    before = now - max(_duration(older_than), DAY)
    ledger = _ledger(home)
    try:
        found = over(ledger.balances(), _kept(home, before), now, before)
        if found and not dry_run:
            state.record(home, BudgetPruned(at=now, scopes=len(found), before=before, who=who))
            done = ledger.prune(before, frozenset(found))
    finally:
        ledger.close()
    if as_json:
        output.answer({"over": len(found), "pruned": done, "before": before, "who": who, "dry_run": dry_run})
    elif dry_run:
        output.say(f"{counted(len(found), 'scope')} would be forgotten")
    else:
        output.say(f"{counted(done, 'scope')} forgotten")


def _duration(text: str) -> float:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - only where a time is given

    from jackline import options  # noqa: PLC0415

    try:
        return options.duration(text)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"--older-than: {error}") from None


def _kept(home: Home, before: float) -> set[str]:
    """The sessions that run, or in which something happened since: their balances stay.

    A session that comes back while this is read counts as one that comes back later: it had been quiet for as long.
    """
    with state.index(home) as index:
        if index.report.busy or index.report.problems:
            index.tell()
            raise JacklineError("which sessions run is not known while the index is incomplete; nothing was forgotten")
        rows = index.store.sessions(limit=_ALL)
    return {row.session for row in rows if row.state == "running" or row.last_at >= before}


def _ledger(home: Home) -> Ledger:
    from jackline.ledger import Ledger  # noqa: PLC0415 - only verbs that read it open it

    if not (home.ledger / "cells").exists():
        raise JacklineError(f"no budget has counted anything yet in {home.ledger}; run an agent under one first")
    return Ledger.open(home.ledger)


def _standings(ledger: Ledger, bundle: Path | None) -> list[Standing]:
    from jackline_budget.balances import standings  # noqa: PLC0415 - only verbs that show balances

    return standings(ledger.balances(), {} if bundle is None else _limits(bundle), time.time())


def _limits(path: Path) -> dict[tuple[str, str], int]:
    """The limits of a bundle's budgets, by policy and unit; none where there is no bundle, or none that loads."""
    from jackline.bundle import load_bundle  # noqa: PLC0415 - pydantic and YAML only where a bundle is read
    from jackline_budget.policy import Budget  # noqa: PLC0415

    if not path.exists():
        return {}
    try:
        entries = load_bundle(path).entries
    except BundleError as error:
        output.note(f"{path} does not load, so limits are not known; see: jackline check {path} ({error})")
        return {}
    budgets = [(entry.name, entry.policy) for entry in entries if isinstance(entry.policy, Budget)]
    return {(name, limit.unit): limit.value for name, policy in budgets for limit in policy.options.amounts}


def _amount(text: str) -> tuple[int, Unit]:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - only where an amount is given

    from jackline import options  # noqa: PLC0415

    try:
        value, unit = options.amount(text)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"{error.message()}; {(error.context or {}).get('hint', '')}") from None
    if value == 0:
        raise typer.BadParameter("a top-up of nothing raises nothing")
    return value, unit


def _chosen(found: list[Standing], scope: str, unit: Unit) -> Standing:
    """The one scope that is meant."""
    exact = [each for each in found if each.scope in (scope, f"{scope}/{unit}")]
    named = [each for each in exact or found if each.scope.startswith(scope) and each.unit == unit]
    if not named:
        raise JacklineError(f"no scope in {unit} begins with '{scope}'; see: jackline budget status")
    if len(named) > 1:
        listed = ", ".join(each.scope for each in named[:5])
        raise JacklineError(
            f"{len(named)} scopes in {unit} begin with '{scope}': {listed}; write more of the one meant"
        )
    if not named[0].key:
        raise JacklineError(
            f"'{named[0].scope}' cannot be raised: nothing of its window counts any more, or its name is too long"
        )
    return named[0]


def _ended(home: Home, control: Control, chosen: Standing) -> Iterator[str]:
    """The sessions that this scope's limit has ended, and no person has."""
    from jackline_budget.balances import group  # noqa: PLC0415 - only verbs that show balances

    ids = (control.halts() - control.stops().keys()) & ({chosen.session} if chosen.session else control.halts())
    marks = {each: control.halted(each) for each in sorted(ids)}
    ended = [each for each, mark in marks.items() if mark is not None and mark.policy == chosen.policy]
    if not ended:
        return
    with state.index(home) as index:
        for session in ended:
            if group(_scope_that_ended(index.store, session, chosen.policy)) == chosen.scope:
                yield session


def _scope_that_ended(store: Store, session: str, policy: str) -> str:
    """Which scope refused the act with which a session was halted; empty where that is not on record."""
    found = ""
    for event in store.events(session):
        if event.kind == "decided":
            verdicts: list[dict[str, Any]] = json.loads(event.body).get("verdicts", [])
            scopes = [each["detail"]["scope"] for each in verdicts if _refused(each, policy)]
            found = scopes[-1] if scopes else found
    return found


def _refused(verdict: dict[str, Any], policy: str) -> bool:
    return verdict.get("policy") == policy and verdict.get("effect") == "halt" and "scope" in verdict.get("detail", {})


def _plain(each: Standing) -> dict[str, Any]:
    told = {name: getattr(each, name) for name in ("policy", "scope", "unit", "limit", "raised", "spent", "held")}
    return {**told, "left": each.left}


def _row(each: Standing) -> tuple[str, ...]:
    numbers = (each.limit, each.raised, each.spent, each.held, each.left)
    return each.scope, *["" if number is None else amount(number, each.unit) for number in numbers]
