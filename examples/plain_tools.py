"""Plain Python functions as tools: sync, async and generators, all within one session."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import jackline

guard = jackline.Guard.load(Path(__file__).with_name("jackline.yaml"), application="support-desk")


@guard.tool
def refund(order: str, amount: float) -> str:
    return f"{amount} for {order}"


@guard.tool(read_only=True)
async def crm_get(customer: str) -> str:
    return f"{customer}: Ann"


@guard.tool(read_only=True)
def crm_search(word: str) -> Iterator[str]:
    yield from (f"{word} {number}" for number in range(3))


@guard.tool
def wipe_disk() -> None:
    print("never printed: no entry of `allow` lists this tool")


with guard, guard.session(id="job-17", user="u-9", labels={"purpose": "support"}) as session:
    print(refund("A-7", 40))
    print(refund(order="A-7", amount=60))  # positional or by keyword: the same action
    print(asyncio.run(crm_get("C-1")))
    print(list(crm_search("ann")))
    for refused in (lambda: refund("A-7", 4000), wipe_disk):
        try:
            refused()
        except jackline.Denied as denied:
            print(denied)
            print("  decided by:", denied.decision.policy)
    print(f"spent ${session.cost_usd:.2f}, halted: {session.halted}")
