"""LangChain's ChatAnthropic on models that speak OpenAI's API: answers, streams, tools, structured output.

BASE_URL: Tollgate. KEY: a key that opens it. Every model whose name begins with `sample-` must lead to the sample
upstream by the same name.
"""

import asyncio

from checks import check, setting
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

BASE_URL, KEY = setting("BASE_URL"), setting("KEY")
SAID = "grüße an 世界 with one 🦀"


class Port(BaseModel):
    """A port."""

    name: str
    depth: int


@tool
def weather(place: str) -> str:
    """Says what the weather is like somewhere."""
    return f"fine in {place}"


@tool
def tides(place: str) -> str:
    """Says what the tide is like somewhere."""
    return f"low in {place}"


def model(name="sample-model", **more):
    return ChatAnthropic(model=name, base_url=BASE_URL, api_key=KEY, max_tokens=1000, max_retries=0, timeout=30, **more)


def text_of(message):
    blocks = message.content if isinstance(message.content, list) else [{"type": "text", "text": message.content}]
    return "".join(block["text"] for block in blocks if block["type"] == "text")


def ask():
    messages = [SystemMessage("Be brief."), HumanMessage(SAID)]
    answer = model().invoke(messages)
    check(text_of(answer).endswith(SAID), f"whole: {text_of(answer)!r}")
    check(answer.usage_metadata["total_tokens"] > 0, "whole: usage")
    check(answer.response_metadata["stop_reason"] == "end_turn", "whole: why it ends")
    chunks = list(model().stream(messages))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    check(isinstance(whole, AIMessageChunk) and text_of(whole).endswith(SAID), f"streamed: {len(chunks)} chunks")
    check(whole.usage_metadata["output_tokens"] > 0, "streamed: usage")


def use_tools():
    tools = {one.name: one for one in (weather, tides)}
    for name, streams in (("sample-tools", False), ("sample-tools", True), ("sample-interleaved", True)):
        by = f"{name}, {'streamed' if streams else 'whole'}"
        bound = model(name).bind_tools(list(tools.values()))
        messages = [HumanMessage(SAID)]
        if streams:
            answer = None
            for chunk in bound.stream(messages):
                answer = chunk if answer is None else answer + chunk
        else:
            answer = bound.invoke(messages)
        check([call["name"] for call in answer.tool_calls] == ["weather", "tides"], f"{by}: two calls")
        check([call["args"] for call in answer.tool_calls] == [{"place": SAID}] * 2, f"{by}: their arguments")
        results = [
            ToolMessage(tools[call["name"]].invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls
        ]
        answer = bound.invoke([*messages, answer, *results])
        check(text_of(answer) == f"The tools said: fine in {SAID}; low in {SAID}", f"{by}: results")


def structure():
    # By a tool that must be called, which is how LangChain asks for it.
    answer = model("sample-tools").with_structured_output(Port).invoke(SAID)
    check(answer == Port(name=SAID, depth=7), f"structured: {answer}")
    answer = model().with_structured_output(Port, method="json_schema").invoke(SAID)
    check(answer == Port(name=SAID, depth=7), f"structured, by a schema: {answer}")


async def ask_async():
    answers = await model().abatch([f"number {number}" for number in range(10)])
    check(all(text_of(answer).endswith(f"number {number}") for number, answer in enumerate(answers)), "10 at once")
    said = "".join([text_of(chunk) async for chunk in model().astream(SAID)])
    check(said.endswith(SAID), "async: streamed")


ask()
use_tools()
structure()
asyncio.run(ask_async())
