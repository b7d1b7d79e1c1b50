"""What a model answers: recorded, judged as `model.return` and `output`, its calls judged, before anybody sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.react.types import ActionReasoningStep, ResponseReasoningStep
from llama_index.core.agent.workflow import CodeActAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage

from jackline.errors import Signal
from jackline_llamaindex import offers, translate
from jackline_llamaindex.calls import denial
from jackline_llamaindex.tracing import Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.tools import ToolSelection

    from jackline.events import Usage
    from jackline_llamaindex.enforce import ModelAct
    from jackline_llamaindex.steps import Step

_ACTION = "Action"
_INPUT = "Action Input:"
_ANSWER = "Answer:"


class Answer:
    """One answer, whole or in parts."""

    def __init__(
        self, llm: Any, acts: Sequence[ModelAct], step: Step | None, *, chat: bool, counted: bool = False
    ) -> None:
        """`counted`: a stream's tokens were asked for, which its caller did not: their own part is kept back."""
        self.llm = llm
        self.acts = acts
        self.step = step
        self.chat = chat
        self._counted = counted
        held = [act.holds for act in acts]
        self._holding = any(held)
        self.traces = Traces(llm, model=True) if self._holding or step is not None else None
        """What tracers are told of the answer when it was judged."""
        self._held: list[Any] = []
        self._flowed: list[str] = []
        self._last: Any = None
        self._told: Usage | None = None

    def flows(self, part: Any) -> bool:
        """Whether a part may be handed out now; what may not comes from `rest` or `arest`."""
        delta = part.delta or ""
        self._told = offers.usage(part) or self._told
        if self._counted and not delta and offers.is_count(part):
            return False
        self._last = part
        for act in self.acts:
            act.received += len(delta.encode(errors="replace"))
        if not self._holding and self.step is not None and self._asks(part):
            self._holding = True
        if self._holding:
            self._held.append(part)
            return False
        if self.traces is not None:
            self.traces.tell()
        self._flowed.append(delta)
        return True

    def rest(self) -> list[Any]:
        """The parts that were held back, as they may be handed out."""
        whole = self._whole()
        if whole is None:
            return []
        return self._parts(whole, self.released(whole))

    async def arest(self) -> list[Any]:
        """As `rest`, without blocking the event loop."""
        whole = self._whole()
        if whole is None:
            return []
        return self._parts(whole, await self.areleased(whole))

    def traced(self, error: BaseException) -> None:
        """Tell tracers that the answer broke off, or is withheld."""
        if self.traces is not None:
            self.traces.tell_refused(error)

    def released(self, response: Any) -> Any:
        """The response as the decisions about it say; raises where it is withheld."""
        try:
            judged = self._released(response)
        except BaseException as error:
            raised = self._unjudged(error)
            if raised is error:
                raise
            raise raised from error
        if self.traces is not None:
            self.traces.tell_changed(response, judged)
        return judged

    async def areleased(self, response: Any) -> Any:
        """As `released`, without blocking the event loop; what the model asks for in an agent's step is judged too."""
        try:
            judged = await self._areleased(response)
        except BaseException as error:
            raised = self._unjudged(error)
            if raised is error:
                raise
            raise raised from error
        if self.traces is not None:
            self.traces.tell_changed(response, judged)
        return judged

    def _unjudged(self, error: BaseException) -> BaseException:
        """What is raised instead of an answer: what is withheld, and what could not be judged."""
        self.traced(error)
        if isinstance(error, Exception) and not isinstance(error, Signal):
            for act in self.acts:
                act.broken(error)
                act.guard.recorder.lose(error)
            return denial(error)
        return error

    def _released(self, response: Any) -> Any:
        native, before, selections = self._begun(response)
        word = None
        for act in self.acts:
            if act.request is None:
                continue
            if act.looked:
                native, before = _after(act, native, before, act.guard.returned(act.request, before))
            word = self._last_word(native, selections)
            for asked in act.outputs(word[0]) if word is not None else ():
                if word is not None and act.guard.judges(asked):
                    asked.args = {"result": word[0]}
                    native, before, word = self._worded(act, native, before, word, act.guard.check(asked))
        self._said(native, word)
        return self._with(response, native)

    async def _areleased(self, response: Any) -> Any:
        native, before, selections = self._begun(response)
        word = None
        for act in self.acts:
            if act.request is None:
                continue
            if act.looked:
                native, before = _after(act, native, before, await act.guard.areturned(act.request, before))
            word = self._last_word(native, selections)
            for asked in act.outputs(word[0]) if word is not None else ():
                if word is not None and act.guard.judges(asked):
                    asked.args = {"result": word[0]}
                    native, before, word = self._worded(act, native, before, word, await act.guard.acheck(asked))
        self._said(native, word)
        response = self._with(response, native)
        return await self._acalled(response) if self.step is not None and self.chat else response

    def _begun(self, response: Any) -> tuple[Any, Any, Sequence[ToolSelection]]:
        """Record the answer; its native and its plain form, and the calls in it."""
        native = response.message if self.chat else response.text
        asks = self.step is not None or (self.chat and (native.additional_kwargs or len(native.blocks) > 1))
        selections = self._selections(response) if self.chat and asks else []
        before = translate.message(native, selections or None) if self.chat else native
        for act in self.acts:
            act.finished(response, before, self._told)
        return native, before, selections

    def _worded(
        self, act: ModelAct, native: Any, before: Any, word: tuple[str, Callable[[str], str]], decision: Any
    ) -> tuple[Any, Any, tuple[str, Callable[[str], str]]]:
        """An answer as `output` was decided."""
        text = act.released(word[0], word[0], decision)
        if text == word[0]:
            return native, before, word
        after = {**before, "content": word[1](text)}
        return translate.rewrite(native, before, after), after, (text, word[1])

    def _said(self, native: Any, word: Any) -> None:
        """Note what was judged as the agent's last word."""
        if self.step is not None and word is not None:
            self.step.said = translate.content(native) if self.chat else native

    def _with(self, response: Any, native: Any) -> Any:
        if self.chat:
            if native is response.message:
                return response
            return translate.with_answer(response, native, native.content)
        if native == response.text:
            return response
        update = {"text": native, "raw": None, "delta": native, "logprobs": None, "additional_kwargs": {}}
        return response.model_copy(update=update)

    def _whole(self) -> Any:
        """All parts together: models repeat in each part what came before."""
        last = self._last
        if last is None:
            for act in self.acts:
                act.fail("an empty stream")
            return None
        text = "".join([*self._flowed, *(part.delta or "" for part in self._held)])
        if self.chat:
            own = last.message.content or ""
            if len(text) > len(own):
                before = translate.message(last.message)
                native = translate.rewrite(last.message, before, {**before, "content": text})
                return last.model_copy(update={"message": native})
            return last
        return last if len(last.text) >= len(text) else last.model_copy(update={"text": text})

    def _parts(self, whole: Any, released: Any) -> list[Any]:
        if not self._held or released is whole:
            return self._held
        text = (released.message.content if self.chat else released.text) or ""
        flowed = "".join(self._flowed)
        delta = text.removeprefix(flowed)
        return [released.model_copy(update={"delta": delta})]

    def _selections(self, response: Any) -> list[ToolSelection]:
        """The calls that the model asks for, as its own class reads them."""
        read = getattr(self.llm, "get_tool_calls_from_response", None)
        if read is None:
            return []
        try:
            return list(read(response, error_on_no_tool_call=False))
        except Exception:  # noqa: BLE001 - a class may read none; what a message says itself is read all the same
            return []

    def _asks(self, part: Any) -> bool:
        """Whether a part shows arguments of a call, or may be about to."""
        if isinstance(self.step.agent, ReActAgent) if self.step is not None else False:
            return _ACTION in (part.message.content or "" if self.chat else part.text)
        if not self.chat:
            return False
        message = part.message
        if message.additional_kwargs or any(getattr(b, "block_type", "") == "tool_call" for b in message.blocks):
            return True
        return bool(self._selections(part))

    def _last_word(self, native: Any, selections: Sequence[ToolSelection]) -> tuple[str, Callable[[str], str]] | None:
        """What an agent says to the outside in this answer, and how it is put back; None where it goes on."""
        if self.step is None or (selections and not self.step.last):
            return None
        text = translate.content(native) if isinstance(native, ChatMessage) else native
        if not isinstance(text, str):
            return (text, lambda new: new) if text else None
        agent = self.step.agent
        if self.step.last:
            return text, lambda new: new
        if isinstance(agent, CodeActAgent) and agent._extract_code_from_response(text) is not None:  # noqa: SLF001
            return None
        if isinstance(agent, ReActAgent):
            said = _reasoned(agent, text)
            if not isinstance(said, ResponseReasoningStep):
                return None
            place = text.find(_ANSWER)
            return said.response, lambda new: f"{text[:place]}{_ANSWER} {new}" if place >= 0 else new
        return text, lambda new: new

    async def _acalled(self, response: Any) -> Any:
        """Judge what the model asks for; the response shows the arguments that were permitted."""
        step = self.step
        assert step is not None
        message = response.message
        if isinstance(step.agent, ReActAgent):
            text = message.content or ""
            action = _reasoned(step.agent, text)
            if not isinstance(action, ActionReasoningStep):
                return response
            call = await step.aforeseen(action.action, action.action_input, "")
            if call is None or call.visible == action.action_input or _INPUT not in text:
                return response
            before = translate.message(message)
            after = {**before, "content": f"{text[: text.find(_INPUT)]}{_INPUT} {json.dumps(call.visible)}"}
            return translate.with_answer(response, translate.rewrite(message, before, after), response.delta)
        changes = []
        for selection in self._selections(response):
            call = await step.aforeseen(selection.tool_name, selection.tool_kwargs, selection.tool_id)
            if call is not None and call.visible != selection.tool_kwargs:
                changes.append((selection.tool_kwargs, call.visible))
        if not changes:
            return response
        return translate.with_answer(response, translate.replaced(message, changes), response.delta)


def _after(act: ModelAct, native: Any, before: Any, decision: Any) -> tuple[Any, Any]:
    """An answer as `model.return` was decided."""
    released = act.released(native, before, decision)
    changed = decision is not None and decision.args is not None
    return released, decision.args["result"] if changed else before


def _reasoned(agent: ReActAgent, text: str) -> Any:
    """What an agent will read in a text; tracers are told when it does."""
    parse: Any = agent.output_parser.parse
    try:
        return getattr(parse, "__wrapped__", parse)(text, is_streaming=False)
    except ValueError:
        return None
