"""Reserve, finish and recover: what is done to the cells while the ledger's lock is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, NoReturn

from jackline.decision import Claim, Hold, Refusal, Reservation, Unit
from jackline.errors import LedgerError
from jackline.ledger.cells import (
    CHAIN,
    CREDIT,
    H_CHAIN,
    H_END,
    H_FREE_RECORD,
    H_SERIAL,
    HEADER,
    HELD,
    ID,
    MAX_SCOPES,
    NEXT_FREE_RECORD,
    RECORD,
    TOUCHED,
    TURN,
    UNIT,
    Cells,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.ledger.flights import Flight, Flights

UNITS: Mapping[Unit, int] = {"usd": 1, "tokens": 2, "calls": 3}
UNIT_NAMES: Mapping[int, Unit] = {number: unit for unit, number in UNITS.items()}
MILLION = 1_000_000
_ALONE = (0, 0, 0)
LIMIT = 1 << 60
"""The most of a unit that a cell counts; what is spent stops there and never wraps."""
BLOCK_BITS = 23
BLOCK = 32
"""Words to which blocks are aligned: a reservation's id is its serial number, then its block's number."""


class Recovered(NamedTuple):
    """A hold that outlived its process, booked as spent."""

    id: str
    """16 hex digits, as in the Decided event that carries the reservation."""
    pid: int
    at: int
    """Unix seconds of the reservation."""
    booked: dict[str, int]
    """By scope, of which at most 176 bytes were kept."""


def merge(claims: Sequence[Claim]) -> Sequence[Claim]:
    """Make one claim of those that share a scope: amounts add up, and the lowest cap speaks for all."""
    if len(claims) == 1:
        return claims
    if len({claim.scope for claim in claims}) == len(claims) <= MAX_SCOPES:
        return claims
    merged: dict[str, Claim] = {}
    for claim in claims:
        other = merged.get(claim.scope)
        if other is None:
            merged[claim.scope] = claim
            continue
        lowest = claim if claim.cap < other.cap else other
        merged[claim.scope] = Claim(
            scope=claim.scope,
            unit=claim.unit if claim.unit == other.unit else "",  # type: ignore[arg-type]
            cap=lowest.cap,
            fixed=claim.fixed + other.fixed,
            per_output=claim.per_output + other.per_output,
            on_exceed=lowest.on_exceed,
            label=lowest.label,
            once=claim.once and other.once,
            turn=claim.turn,
            beside=claim.beside,
        )
    if len(merged) > MAX_SCOPES:
        raise LedgerError(f"A reservation may have at most {MAX_SCOPES} scopes, and {len(merged)} were claimed.")
    return tuple(merged.values())


def _cell(cells: Cells, scope: str, unit: Unit, at: int) -> int:
    """Find or make the cell of a scope, whose unit it must have."""
    number = UNITS.get(unit)
    if number is None:
        raise LedgerError(f"Scope '{scope}' needs one unit of {[*UNITS]}, and is claimed in '{unit}'.")
    cell = cells.find(scope) or cells.add(scope, number, at)
    counted = UNIT_NAMES[cells.words[cell + UNIT]]
    if counted != unit:
        raise LedgerError(f"Scope '{scope}' counts {counted}, not {unit}. Give each unit its own scope.")
    cells.known[scope, unit] = cell
    return cell


def _parts(cells: Cells, claim: Claim, at: int) -> tuple[int, ...]:
    """The cells that count against a claim, its own first; none where the cap is for one act alone."""
    unit = claim.unit
    if claim.once:
        return ()
    cell = cells.known.get((claim.scope, unit)) or _cell(cells, claim.scope, unit, at)
    if not claim.turn:
        return (cell,)
    others = [cells.known.get((scope, unit)) or _cell(cells, scope, unit, at) for scope in claim.beside]
    if cells.words[cell + TURN] < claim.turn:  # a part of a window that is over: its cell is used again
        cells.commit([cell, 0, cell + CREDIT, 0, cell + TURN, claim.turn])
    return cell, *others


def _standing(words: memoryview, claim: Claim, parts: tuple[int, ...]) -> tuple[int, int, int]:
    """What counts against a claim: spent, held, and what people added to its cap.

    A part of a rolling window counts from the moment that it is the oldest of the window. One of the future counts
    too: a clock that went back, or a thread that was slow, frees nothing. A hold counts until it ends.
    """
    if len(parts) == 1:
        cell = parts[0]
        return words[cell], words[cell + HELD], words[cell + CREDIT]
    oldest = claim.turn - len(parts) + 2
    spent = held = credit = 0
    for cell in parts:
        held += words[cell + HELD]
        if words[cell + TURN] >= oldest:
            spent += words[cell]
            credit += words[cell + CREDIT]
    return spent, held, credit


def only_calls(claims: Sequence[Claim]) -> bool:
    """Whether nothing but calls is claimed: what such an act takes is known before it starts."""
    for claim in claims:
        if claim.unit != "calls" or claim.per_output or claim.once:
            return False
    return bool(claims)


def count(cells: Cells, claims: Sequence[Claim], flights: Flights, at: int) -> Reservation | Refusal:
    """Book calls before their act: they are spent as soon as it starts, so nothing need be settled after it."""
    flying = flights.calls
    holds: list[Hold] = []
    changes: list[int] = []
    for claim in claims:
        scope, need = claim.scope, claim.fixed
        parts = _parts(cells, claim, at)
        words = cells.words  # not before: a new cell may need a larger file
        spent, held, raised = _standing(words, claim, parts)
        mine = min(sum([flying.get(each, 0) for each in (scope, *claim.beside)]), spent) if flying else 0
        cap = claim.cap + raised if claim.cap <= LIMIT else claim.cap
        if need < 0 or spent + held + need > cap:
            return refuse(claim, spent - mine, held + mine, need, raised)
        holds.append(Hold(scope, "calls", need, spent - mine, held + mine, cap))
        changes += (parts[0], min(words[parts[0]] + need, LIMIT))
        words[parts[0] + TOUCHED] = at
    serial = words[H_SERIAL] = words[H_SERIAL] + 1
    if len(claims) == 1:
        words[changes[0]] = changes[1]  # one word changes whole or not at all
    else:
        cells.commit(changes)
    made = Reservation(id=f"{serial << BLOCK_BITS:016x}", holds=tuple(holds))
    flights.start(made, [claim.turn for claim in claims])
    return made


def recount(cells: Cells, flight: Flight, calls: int) -> None:
    """Take back what `count` booked where the act took another number of `calls`: 0 where it did not start.

    Of a window nothing is taken back once the balance is that of another part: what it has then, others have spent.
    """
    changes: list[int] = []
    for hold, turn in zip(flight.holds, flight.turns, strict=True):
        cell = cells.find(hold.scope)
        if cell and (calls > hold.held or cells.words[cell + TURN] == turn):
            changes += (cell, min(max(cells.words[cell] + calls - hold.held, 0), LIMIT))
    cells.commit(changes)


def grant(claims: Sequence[Claim], standings: Sequence[tuple[int, int, int]], output: int, minimum: int) -> int:
    """Find the largest output that every claim can hold, between `minimum` and `output` tokens."""
    for claim, (spent, held, raised) in zip(claims, standings, strict=True):
        if claim.per_output:
            room = claim.cap + raised - spent - held - claim.fixed
            output = min(output, room * MILLION // claim.per_output)
    return max(output, minimum)


def reserve(
    cells: Cells, claims: Sequence[Claim], output: int | None, shrink: int | None, owner: int, at: int
) -> Reservation | Refusal:
    """Hold what every claim needs, or nothing; `shrink` is the least output to grant, None where all is needed."""
    found = [_parts(cells, claim, at) for claim in claims]
    words = cells.words  # not before: a new cell may need a larger file
    standings = [_standing(words, claim, places) if places else _ALONE for claim, places in zip(claims, found)]  # noqa: B905 - saves 0.2 us
    if shrink is not None and output is not None:
        output = grant(claims, standings, output, min(shrink, output))
    holds: list[Hold] = []
    changes: list[int] = []
    parts: list[int] = []
    granted = None
    for claim, places, (spent, held, raised) in zip(claims, found, standings):  # noqa: B905 - as above
        need = claim.fixed
        if claim.per_output:
            granted = output
            need += -(-output * claim.per_output // MILLION) if output is not None else unnamed(claim)
        cap = claim.cap + raised if claim.cap <= LIMIT else claim.cap
        if need < 0 or spent + held + need > cap:
            return refuse(claim, spent, held, need, raised)
        holds.append(Hold(claim.scope, claim.unit, need, spent, held, cap, claim.once))
        if places:
            cell = places[0]
            changes += (cell + HELD, words[cell + HELD] + need)
            parts += (cell, need)
            words[cell + TOUCHED] = at
    number = _record(cells, parts, changes, owner, at)
    return Reservation(id=f"{number:016x}", holds=tuple(holds), output=granted)


def unnamed(claim: Claim) -> NoReturn:
    """Refuse to guess how many output tokens a call wants."""
    raise LedgerError(f"Scope '{claim.scope}' is claimed for each output token, but no output was named.")


def refuse(claim: Claim, spent: int, held: int, need: int, raised: int = 0) -> Refusal:
    """Say which claim did not fit; a negative one is an error."""
    if need < 0:
        raise LedgerError(f"Scope '{claim.scope}' is claimed with a negative amount: {claim!r}.")
    return Refusal(claim=claim, spent=spent, outstanding=held, wanted=need, raised=raised)


def top_up(cells: Cells, scope: str, amount: int, at: int) -> int:
    """Raise the cap of one scope; return by how much it is raised now."""
    cell = cells.find(scope)
    if not cell:
        raise LedgerError(f"Nothing was ever counted in scope '{scope}', so there is nothing to top up.")
    raised = min(cells.words[cell + CREDIT] + amount, LIMIT)
    cells.commit([cell + CREDIT, raised, cell + TOUCHED, max(cells.words[cell + TOUCHED], at)])
    return raised


def _record(cells: Cells, parts: list[int], changes: list[int], owner: int, at: int) -> int:
    """Write a reservation's record and commit it together with the cells' changes; return its number."""
    record = cells.words[H_FREE_RECORD]
    if record:
        chain = cells.words[record + CHAIN]
        changes += (H_FREE_RECORD, cells.words[record + NEXT_FREE_RECORD])
    else:
        record = cells.room(RECORD)
        chain = cells.words[H_CHAIN]
        changes += (H_END, record + RECORD, H_CHAIN, record)
    serial = cells.words[H_SERIAL] + 1
    number = serial << BLOCK_BITS | record // BLOCK
    cells.write(record, [0, owner, at, len(parts) // 2, chain, 0, *parts])
    changes += (record + ID, number, H_SERIAL, serial)
    cells.commit(changes)
    return number


def finish(cells: Cells, number: int, actual: Mapping[int, int] | None, touched: int = 0) -> list[tuple[int, int]]:
    """End a reservation: book `actual` by unit number, or where it says nothing (None: all) the whole hold.

    Returns (cell, amount booked) in the order of the claims; nothing where the reservation had ended before.
    """
    words = cells.words
    record = (number & ((1 << BLOCK_BITS) - 1)) * BLOCK
    if not HEADER <= record < words[H_END] or words[record + ID] != number:
        return []
    changes: list[int] = []
    booked: list[tuple[int, int]] = []
    for cell, hold in cells.parts(record):
        amount = hold if actual is None else actual.get(words[cell + UNIT], hold)
        changes += (cell, min(words[cell] + amount, LIMIT), cell + HELD, words[cell + HELD] - hold)
        booked.append((cell, amount))
        if touched:
            words[cell + TOUCHED] = touched
    changes += (record + ID, 0, record + NEXT_FREE_RECORD, words[H_FREE_RECORD], H_FREE_RECORD, record)
    cells.commit(changes)
    return booked


def live(cells: Cells) -> list[int]:
    """Where the records of the reservations are that have not ended."""
    return [record for record in cells.records() if cells.words[record + ID]]


def referenced(cells: Cells) -> dict[int, int]:
    """Sum what the live reservations hold, by cell."""
    held: dict[int, int] = {}
    for record in live(cells):
        for cell, hold in cells.parts(record):
            held[cell] = held.get(cell, 0) + hold
    return held


def audit(cells: Cells) -> list[str]:
    """Compare what the cells hold with what the reservations say, and name what does not agree."""
    held = referenced(cells)
    problems = []
    for _, cell in cells.entries():
        expected = held.pop(cell, 0)
        if cells.words[cell + HELD] != expected:
            problems.append(f"'{cells.scope(cell)}' holds {cells.words[cell + HELD]}, its reservations {expected}")
        if not cells.reachable(cell):
            problems.append(f"'{cells.scope(cell)}' is not found by its name")
    problems += [f"a reservation holds {amount} in no scope" for amount in held.values()]
    return problems
