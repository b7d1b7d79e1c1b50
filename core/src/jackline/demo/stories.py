"""The three stories: the same agents, tools and scripts without Jackline and with it; what holds is counted."""

from __future__ import annotations

import contextlib
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.demo.agents import MODEL, PROVIDER, Job, Turn
from jackline.demo.company import CUSTOMERS, Company
from jackline.demo.evidence import Evidence
from jackline.events import Usage
from jackline.guard import Guard
from jackline.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jackline.demo.agents import Agents, Ran

CEILING_USD = 0.50
HANDBOOK = ("Answer from the customer database only. Be brief, name the customer's number, never guess. ") * 480
"""A company's handbook as a system prompt: about 11,500 tokens with every call."""
ANSWER = "The customer is in good standing; nothing else is open. " * 28
SPIRAL_CALLS = 47
SPIRAL_BYTES = 4_675
"""A retry pattern of this length costs $4.70 with this model."""


class Told(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A story as `--json` prints it."""

    scenario: str
    ungoverned: dict[str, Any]
    governed: dict[str, Any]
    holds: bool
    """Computed from the store and the side effects."""
    why: str
    claims: dict[str, bool] = {}
    """What is claimed, and whether it is so; where it holds, all of it is."""
    record: str = ""
    """What people are shown of the record."""


class Side(msgspec.Struct, kw_only=True):
    """One telling of a story: what its agents did."""

    jobs: list[Job]
    ran: list[Ran]
    tools: dict[str, int]
    rows: int
    prices: Prices

    @property
    def lost(self) -> int:
        """Customers that are no longer in the database."""
        return CUSTOMERS - self.rows

    def costs(self) -> list[float]:
        """What each session cost, in dollars, by the usage that its model reported."""
        found = []
        for ran in self.ran:
            micro = 0
            for entering, leaving in ran.usage:
                cost = self.prices.cost(MODEL, PROVIDER, Usage(input=entering, output=leaving), 0.0)
                micro += cost.micro_usd if cost is not None else 0
            found.append(micro / 1_000_000)
        return found

    def counts(self, evidence: Evidence | None = None) -> dict[str, Any]:
        """What both inner objects of `--json` have."""
        return {
            "cost_usd": round(max(self.costs()), 6),
            "tool_runs": sum(self.tools.values()),
            "decisions": evidence.decisions if evidence is not None else 0,
            "denied": evidence.denied if evidence is not None else 0,
            "halted": evidence.halted if evidence is not None else 0,
            "sessions": len(self.ran),
            "finished": sum(bool(ran.answer) for ran in self.ran),
        }


@contextlib.contextmanager
def _told(
    agents: Agents, name: str, jobs: Callable[[Company], list[Job]], advance: Any
) -> Iterator[tuple[Side, Side, Evidence]]:
    """Tell a story twice, and look at what is on record afterwards."""
    with tempfile.TemporaryDirectory(prefix="jackline-demo-") as folder:
        place = Path(folder)
        without = _tell(agents, place / "without.db", jobs, lambda done, of: advance(f"{name}, without", done, of))
        bundle = place / "jackline.yaml"
        bundle.write_text(files("jackline.demo").joinpath(f"{name}.yaml").read_text())
        home = place / "home"
        with Guard.load(bundle, home=home, application="demo") as guard:
            guard.enable(agents.adapter())
            governed = _tell(agents, place / "with.db", jobs, lambda done, of: advance(f"{name}, governed", done, of))
        with contextlib.closing(Evidence(home)) as evidence:
            yield without, governed, evidence


def _tell(
    agents: Agents, path: Path, jobs: Callable[[Company], list[Job]], advance: Callable[[int, int], None]
) -> Side:
    with contextlib.closing(Company(path)) as company:
        todo = jobs(company)
        ran = []
        for done, job in enumerate(todo):
            advance(done, len(todo))
            ran.append(agents.run(job))
        advance(len(todo), len(todo))
        return Side(jobs=todo, ran=ran, tools=dict(company.ran), rows=company.rows(), prices=Prices.load())


def _usual(number: int) -> Callable[[int], Turn]:
    """Three look-ups and an answer."""
    turns = (
        Turn(calls=(("crm_search", {"name": "Ada"}),)),
        Turn(calls=(("crm_get_customer", {"customer": number}),)),
        Turn(calls=(("crm_get_customer", {"customer": number + 8}),)),
    )
    return lambda turn: turns[turn] if turn < len(turns) else Turn(ANSWER)


def cost_spiral(agents: Agents, sessions: int, advance: Any) -> Told:
    """The last of the sessions falls into a retry pattern."""

    def retry(turn: int) -> Turn:
        return Turn(calls=(("crm_report", {"quarter": "Q3"}),)) if turn < SPIRAL_CALLS else Turn(ANSWER)

    def jobs(company: Company) -> list[Job]:
        tools = [*company.tools(), company.report_tool(SPIRAL_BYTES)]
        return [
            Job(
                session=f"cost-{n + 1}",
                agent="customer-research",
                system=HANDBOOK,
                task="What do we know of this customer?",
                tools=tools,
                script=_usual(n + 1) if n < sessions - 1 else retry,
            )
            for n in range(sessions)
        ]

    with _told(agents, "cost-spiral", jobs, advance) as (without, governed, evidence):
        before, after = without.costs(), governed.costs()
        worst = evidence.worst_cost_usd
        settled = evidence.settled_equals_trace()
        late = evidence.acts_after_halt()
        holds = (
            max(before) > CEILING_USD >= max(after)
            and worst <= CEILING_USD
            and settled
            and not late
            and evidence.halted == 1
            and all(ran.answer for ran in governed.ran[:-1])
        )
        usual = sorted(before)[len(before) // 2]
        return Told(
            scenario="cost-spiral",
            ungoverned=without.counts(),
            governed=governed.counts(evidence),
            holds=holds,
            why=(
                f"a usual session costs ${usual:.2f}; the last would cost ${max(before):.2f} "
                f"and ended at ${worst:.2f}, below ${CEILING_USD:.2f}; {late} acts started after the halt; "
                f"settled cost {'equals' if settled else 'differs from'} the trace to the micro-dollar"
            ),
        )


def added_tool(agents: Agents, sessions: int, advance: Any) -> Told:
    """Half-way through, somebody adds a tool that can write."""

    def jobs(company: Company) -> list[Job]:
        added = company.helpful_tool()
        first = max(1, sessions // 2)
        return [
            Job(
                session=f"silent-{n + 1}",
                agent="crm-support",
                system="You answer questions about customers.",
                task="Summarise this customer.",
                tools=company.tools() if n < first else [*company.tools(), added],
                script=_usual(n + 1) if n < first else _tempted(n % 8 + 1),
            )
            for n in range(max(2, sessions))
        ]

    with _told(agents, "silent-violation", jobs, advance) as (without, governed, evidence):
        tool = "crm_get_merged_customer"
        seen = evidence.tool("crm-support", tool)
        runs = without.tools.get(tool, 0), governed.tools.get(tool, 0)
        finished = all(ran.answer for ran in governed.ran)
        holds = (
            runs[0] > 0
            and runs[1] == 0
            and governed.lost == 0
            and finished
            and evidence.denied > 0
            and seen is not None
            and not seen["permitted"]
        )
        listed = f"listed as {seen['status']} and not permitted" if seen and not seen["permitted"] else "not listed"
        return Told(
            scenario="silent-violation",
            ungoverned={**without.counts(), "added_tool_runs": runs[0], "rows_lost": without.lost},
            governed={**governed.counts(evidence), "added_tool_runs": runs[1], "rows_lost": governed.lost},
            holds=holds,
            why=(
                f"without, the added tool ran {runs[0]} times and {without.lost} customers were deleted; "
                f"governed, it ran {runs[1]} times and {governed.lost} were; "
                f"every agent {'finished' if finished else 'did NOT finish'}; the tool is {listed}"
            ),
        )


def _tempted(number: int) -> Callable[[int], Turn]:
    """A look-up with the new tool, then as usual."""
    turns = (
        Turn(calls=(("crm_get_merged_customer", {"customer": number}),)),
        Turn(calls=(("crm_get_customer", {"customer": number}),)),
    )
    return lambda turn: turns[turn] if turn < len(turns) else Turn(ANSWER)


def audit_gap(agents: Agents, sessions: int, advance: Any) -> Told:
    """An auditor asks for proof that constraints were evaluated before each action."""

    def jobs(company: Company) -> list[Job]:
        return [
            Job(
                session=f"audit-{n + 1}",
                agent="crm-support",
                system="You answer questions about customers.",
                task="Summarise this customer.",
                tools=company.tools(),
                script=_usual(n + 1),
            )
            for n in range(sessions)
        ]

    with _told(agents, "audit-gap", jobs, advance) as (without, governed, evidence):
        acts = sum(governed.tools.values()) + sum(len(ran.usage) for ran in governed.ran)
        proven, unproven = evidence.proven_acts()
        intact = evidence.verifies()
        found = evidence.tampering_found()
        holds = proven == acts and not unproven and intact and found == evidence.TAMPERINGS
        return Told(
            scenario="audit-gap",
            ungoverned={**without.counts(), "acts": acts, "proven": 0},
            governed={**governed.counts(evidence), "acts": acts, "proven": proven},
            holds=holds,
            why=(
                f"{proven} of {acts} tool runs and model calls have an earlier decision and one outcome on record; "
                f"the journals {'verify' if intact else 'do NOT verify'}; "
                f"{found} of {evidence.TAMPERINGS} alterations of a copy were found, each at its line"
            ),
        )


STORIES: Mapping[str, Callable[..., Told]] = {
    "cost-spiral": cost_spiral,
    "silent-violation": added_tool,
    "audit-gap": audit_gap,
}
