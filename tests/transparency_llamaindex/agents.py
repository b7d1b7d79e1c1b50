"""Programs with agents: function calling, ReAct, code, state, memory, structured answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context
from pydantic import BaseModel
from scripted import Scripted, Words, add, fail, messages, multiply, plain


async def function_agent() -> Any:
    """One tool after another; the state, the messages and the result."""
    llm = Scripted([("add", {"a": 2, "b": 3})], [("multiply", {"a": 5, "b": 4})], "it is 20")
    agent = FunctionAgent(llm=llm, tools=[add, multiply], system_prompt="You reckon.")
    memory = ChatMemoryBuffer.from_defaults()
    result = await agent.run(user_msg="(2+3)*4?", memory=memory)
    return str(result), llm.seen, messages(memory), [(call.tool_name, call.tool_kwargs) for call in result.tool_calls]


async def function_agent_without_streaming() -> Any:
    llm = Scripted([("add", {"a": 2})], "it is 3")
    result = await FunctionAgent(llm=llm, tools=[add], streaming=False).run("2+1?")
    return str(result), llm.seen, str(result.raw)


async def events() -> Any:
    """Every event, in order, with its arguments and results."""
    llm = Scripted([("add", {"a": 1, "b": 1})], "it is two")
    running = FunctionAgent(llm=llm, tools=[add]).run(user_msg="1+1?")
    found = [plain(event) async for event in running.stream_events()]
    return found, str(await running)


async def parallel_calls() -> Any:
    llm = Scripted([("add", {"a": number}) for number in range(5)], "done")
    running = FunctionAgent(llm=llm, tools=[add]).run(user_msg="add")
    found = [event async for event in running.stream_events()]
    outputs = sorted(str(event.tool_output) for event in found if type(event).__name__ == "ToolCallResult")
    return outputs, str(await running)


async def tool_errors() -> Any:
    """A tool that raises, one that there is not, and arguments that do not fit."""
    llm = Scripted([("fail", {"why": "no luck"})], [("nothing", {})], [("add", {"c": 1})], "I give up")
    running = FunctionAgent(llm=llm, tools=[add, fail]).run(user_msg="go")
    found = [plain(event) async for event in running.stream_events()]
    return [event for event in found if "output" in event], llm.seen, str(await running)


async def return_direct() -> Any:
    direct = FunctionTool.from_defaults(add, return_direct=True)
    llm = Scripted([("add", {"a": 20, "b": 2})])
    memory = ChatMemoryBuffer.from_defaults()
    result = await FunctionAgent(llm=llm, tools=[direct]).run(user_msg="20+2?", memory=memory)
    return str(result), result.raw, messages(memory), len(llm.seen)


async def react_agent() -> Any:
    llm = Words(
        'Thought: I add.\nAction: add\nAction Input: {"a": 2, "b": 2}',
        "Thought: I forgot the form.\nAction: add",
        "Thought: I can answer without using any more tools.\nAnswer: four",
    )
    memory = ChatMemoryBuffer.from_defaults()
    running = ReActAgent(llm=llm, tools=[add]).run(user_msg="2+2?", memory=memory)
    found = [plain(event) async for event in running.stream_events()]
    return str(await running), found, messages(memory), [prompt[-300:] for prompt in llm.seen]


async def code_act_agent() -> Any:
    """Code that reckons by itself: functions that it could call must be governed, or it is refused under policies."""

    def execute(code: str) -> str:
        """Run it."""
        names: dict[str, Any] = {}
        exec(code, names)
        return str(names["found"])

    llm = Words("<execute>found = 40 + 2</execute>", "it is 42")
    running = CodeActAgent(execute, llm=llm).run(user_msg="40+2?")
    found = [plain(event) async for event in running.stream_events()]
    return str(await running), found, llm.seen[-1][-200:]


async def state_in_tools() -> Any:
    """A tool that keeps things in the workflow's context."""

    async def remember(ctx: Context, what: str) -> str:
        """Remember something."""
        async with ctx.store.edit_state() as state:
            state["state"]["things"].append(what)
        return f"kept {what}"

    remember.__annotations__ = {"ctx": Context, "what": str, "return": str}
    llm = Scripted([("remember", {"what": "milk"})], [("remember", {"what": "bread"})], "kept both")
    agent = FunctionAgent(llm=llm, tools=[remember], initial_state={"things": []})
    ctx = Context(agent)
    result = await agent.run(user_msg="milk and bread", ctx=ctx)
    return str(result), await ctx.store.get("state"), llm.seen


async def two_turns_with_one_context() -> Any:
    """A second question in the same context; the context is also written out and read back."""
    llm = Scripted([("add", {"a": 1, "b": 2})], "three", "I said three")
    agent = FunctionAgent(llm=llm, tools=[add])
    ctx = Context(agent)
    first = await agent.run("1+2?", ctx=ctx)
    kept = Context.from_dict(agent, json.loads(json.dumps(ctx.to_dict())))
    second = await agent.run("what did you say?", ctx=kept)
    return str(first), str(second), llm.seen


async def memory_with_a_history() -> Any:
    memory = Memory.from_defaults(session_id="s-1", token_limit=4000)
    history = [ChatMessage(role="user", content="I am Ada"), ChatMessage(role="assistant", content="hello Ada")]
    llm = Scripted("you are Ada", "still Ada")
    agent = FunctionAgent(llm=llm, tools=[add])
    answers = [str(await agent.run(user_msg="who am I?", chat_history=history, memory=memory))]
    answers.append(str(await agent.run(user_msg="and now?", memory=memory)))
    return answers, llm.seen, [message.content for message in await memory.aget()], len(history)


class Sum(BaseModel):
    """A sum."""

    left: int
    right: int
    total: int


async def structured_output() -> Any:
    llm = Scripted([("add", {"a": 3, "b": 4})], "seven", [("Sum", {"left": 3, "right": 4, "total": 7})])
    result = await FunctionAgent(llm=llm, tools=[add], output_cls=Sum).run(user_msg="3+4?")
    model = result.get_pydantic_model(Sum)
    return str(result), result.structured_response, model.model_dump() if model else None, len(llm.seen)


async def too_many_iterations() -> Any:
    llm = Scripted(*([("add", {"a": 1})] for _ in range(10)))
    try:
        await FunctionAgent(llm=llm, tools=[add]).run(user_msg="go on", max_iterations=3)
    except Exception as error:
        return type(error).__name__, str(error)[:60], len(llm.seen)
    return "no error"


async def many_at_once() -> Any:
    """Twenty runs of one agent's class at once."""

    async def one(number: int) -> str:
        llm = Scripted([("multiply", {"a": number, "b": number})], f"square of {number}")
        return str(await FunctionAgent(llm=llm, tools=[multiply]).run(user_msg=str(number)))

    return await asyncio.gather(*map(one, range(20)))


async def agent_workflow_from_tools() -> Any:
    llm = Scripted([("add", {"a": 6})], "seven")
    workflow = AgentWorkflow.from_tools_or_functions([add], llm=llm, system_prompt="You add.")
    running = workflow.run(user_msg="6+1?")
    found = [plain(event) async for event in running.stream_events()]
    return str(await running), found


PROGRAMS = (
    function_agent,
    function_agent_without_streaming,
    events,
    parallel_calls,
    tool_errors,
    return_direct,
    react_agent,
    code_act_agent,
    state_in_tools,
    two_turns_with_one_context,
    memory_with_a_history,
    structured_output,
    too_many_iterations,
    many_at_once,
    agent_workflow_from_tools,
)
