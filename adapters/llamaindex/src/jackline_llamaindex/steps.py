"""One step of an agent, and the calls that its model asks for in it: judged before anybody is told of them."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow import CodeActAgent
from llama_index.core.agent.workflow.codeact_agent import EXECUTE_TOOL_NAME

from jackline.decision import Decision
from jackline.errors import Denied, Halted, Signal
from jackline_llamaindex.calls import JudgedCall, ajudge
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.tools import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.tools import BaseTool, ToolSelection

    from jackline_llamaindex.runs import Running

HANDOFF = "handoff"


class Step:
    """One step of an agent: its tools, and the run that it is a step of."""

    def __init__(self, agent: Any, running: Running, tools: Sequence[BaseTool], *, last: bool = False) -> None:
        self.agent = agent
        self.last = last
        """Whether its answer is the last word, whatever it asks for."""
        self.said: Any = None
        """The last word of its model that was judged as an output."""
        self.running = running
        self.tools = {known(tool).tool.name: tool for tool in tools}

    async def ajudged(
        self, name: str, kwargs: Mapping[str, Any], call_id: str, *, ahead: bool = False
    ) -> JudgedCall | None:
        """Judge a call that the model asks for; None where the agent has no such tool. A halt is raised.

        `ahead`: a later step makes the call, and waits for people where they are asked about it.
        """
        tool = self.tools.get(name)
        followers = [FOLLOWERS.of(run.guard) for run in self.running.runs]
        active = [each for each in followers if each is not None]
        if tool is None:
            return None
        call = JudgedCall(tool, call_id)
        call.take(active, kwargs)
        if tool.metadata.return_direct and name != HANDOFF:
            for act in call.acts:
                run = self.running.of(act.guard)
                act.answers = run.answers if run is not None else ()
        await ajudge_in(call, self.agent, self.running, ahead=ahead)
        self.running.pending.append(call)
        if isinstance(call.refusal, Halted):
            raise call.refusal
        return call

    async def aforeseen(self, name: str, kwargs: Mapping[str, Any], call_id: str) -> JudgedCall | None:
        """As `ajudged`, for a call that a later step makes: where its run has ended meanwhile, none does."""
        call = await self.ajudged(name, kwargs, call_id, ahead=True)
        self.running.tidy()
        return call

    def waits(self, selection: ToolSelection) -> bool:
        """Whether people are asked about a call that was judged."""
        wanted = (selection.tool_name, selection.tool_kwargs, selection.tool_id)
        return any(call.waiting is not None and call.is_for(*wanted) for call in self.running.pending)


STEP: ContextVar[Step | None] = ContextVar("jackline_llamaindex_step", default=None)
"""The agent's step that the caller is in."""


async def ajudge_in(call: JudgedCall, agent: Any, running: Running, *, ahead: bool = False) -> None:
    """Judge a call of an agent's; what it hands over to, or what code could reach, is judged with it."""
    why = _ungoverned(call, agent)
    if why:
        decision = Decision(effect="deny", reason=why, policy="jackline", rule="ungoverned")
        await ajudge(call, ahead=True)  # whatever people would answer, it does not run
        if call.refusal is None:
            call.refuse(Denied(decision))
        return
    await ajudge(call, ahead=ahead)
    if call.refusal is None and call.waiting is None and call.name == HANDOFF and hasattr(running.workflow, "agents"):
        to_agent = str(call.kwargs.get("to_agent", ""))
        if to_agent not in running.workflow.agents:
            return
        try:
            for run in running.runs:
                await run.ahand(to_agent, call.kwargs.get("reason"))
        except Signal as refusal:
            call.refuse(refusal)


def _ungoverned(call: JudgedCall, agent: Any) -> str:
    """Why code may not be executed (L4): it could call functions that a policy is about and that nobody governs."""
    if not isinstance(agent, CodeActAgent) or call.name != EXECUTE_TOOL_NAME:
        return ""
    for tool in agent.tools or ():
        function: Any = getattr(tool, "real_fn", None)
        about = known(tool).tool  # type: ignore[arg-type]
        if about.name in (EXECUTE_TOOL_NAME, HANDOFF) or hasattr(function, "jackline_tool"):
            continue
        for act in call.acts:
            asked = act.guard.request("tool.call", about.name, {}, scope=act.scope, tool=about)
            if act.guard.judges(asked):
                return (
                    f"code could call '{about.name}', which policies are about, without being judged; "
                    "give the agent and its executor functions that are decorated with guard.tool"
                )
    return ""
