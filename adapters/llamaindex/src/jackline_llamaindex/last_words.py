"""What an agent of somebody's own says without its model having said it: judged as an output all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_llamaindex import translate
from jackline_llamaindex.enforce import Act

if TYPE_CHECKING:
    from jackline_llamaindex.steps import Step


async def ajudge_word(step: Step, output: Any) -> None:
    """Judge an agent's answer that is another one than its model's was; raises where it is withheld."""
    if output.tool_calls or output.retry_messages:
        return
    for run in step.running.runs:
        for scope in run.speakers:
            before = translate.message(output.response)
            word = before["content"]
            if word in ("", step.said):
                return
            asked = run.guard.request("output", scope.agent.name, {"result": word}, scope=scope)
            if not run.guard.judges(asked):
                continue
            text = Act(run.guard, scope).released(word, word, await run.guard.acheck(asked))
            if text != word:
                output.response = translate.rewrite(output.response, before, {**before, "content": text})
                output.raw = None
