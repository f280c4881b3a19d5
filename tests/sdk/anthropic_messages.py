"""The Anthropic SDK on models that speak OpenAI's API: messages whole and streaming, tools, thinking, JSON, counts, errors.

BASE_URL: Tollgate. KEY: a key that opens it. Every model whose name begins with `sample-` must lead to the sample
upstream by the same name; its rules are in examples/upstream/turn.rs and mood.rs.
"""

import asyncio
import json

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from checks import check, raises, setting
from pydantic import BaseModel

BASE_URL, KEY = setting("BASE_URL"), setting("KEY")
SAID = "grüße an 世界 with one 🦀"
PLACE = {"type": "object", "properties": {"place": {"type": "string", "description": "Where."}}, "required": ["place"]}
TOOLS = [
    {"name": name, "description": "Says what it is like somewhere.", "input_schema": PLACE} for name in ("weather", "tides")
]
# A pixel.
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Port(BaseModel):
    name: str
    depth: int


def arguments(**more):
    return {"base_url": BASE_URL, "api_key": KEY, "max_retries": 0, "timeout": 30, **more}


def question(model="sample-model", said=SAID, **more):
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": said}], **more}


def mirrored(client, **more):
    """The request that reached the upstream."""
    return json.loads(client.messages.create(**question("sample-mirror", **more)).content[0].text)


def whole(client):
    answer = client.messages.create(**question())
    check([block.type for block in answer.content] == ["text"], "whole: one block of text")
    check(answer.content[0].text.endswith(SAID), f"whole: {answer.content[0].text!r}")
    check((answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn"), "whole: its frame")
    check(answer.id.startswith("msg_") and answer.model == "sample-model", f"whole: {answer.id}, {answer.model}")
    check(answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, f"whole: {answer.usage.output_tokens} tokens")
    answer = client.messages.create(**question(max_tokens=2))
    check(answer.stop_reason == "max_tokens", "a limit")
    answer = client.messages.create(**question(said="one two three"), stop_sequences=["two"])
    check(answer.content[0].text.endswith("one"), "where to stop")
    answer = client.messages.create(**question("sample-filtered"))
    check(answer.stop_reason == "refusal", "what the model's maker filters")

    raw = client.messages.with_raw_response.create(**question())
    check(raw.parse().content[0].text.endswith(SAID), "raw")
    check(len(raw.http_response.headers.get_list("x-litellm-call-id")) == 1, "raw: one call id")


def request(client):
    seen = mirrored(client, system=[{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}])
    first = json.dumps(seen["messages"][0])
    check(seen["messages"][0]["role"] in ("system", "developer"), "the system prompt comes first")
    check("Be brief." in first and "Be kind." in first, "and is whole")
    # The SDK has no words for the first two any more, and clients still send them.
    seen = mirrored(client, extra_body={"temperature": 0.5, "top_p": 0.25}, stop_sequences=["END"])
    check((seen.get("temperature"), seen.get("top_p"), seen.get("stop")) == (0.5, 0.25, ["END"]), "parameters keep their values")
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    seen = mirrored(client, said=[{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}])
    image, text = seen["messages"][0]["content"]
    check(image["image_url"]["url"] == f"data:image/png;base64,{IMAGE}", "an image is embedded")
    check(text == {"type": "text", "text": "What is it?"}, "and what is asked stands behind it")
    seen = mirrored(client, tools=TOOLS, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    check([tool["function"]["parameters"] for tool in seen["tools"]] == [PLACE, PLACE], "a tool keeps its schema")
    check((seen.get("tool_choice"), seen.get("parallel_tool_calls")) == ("required", False), "the choice of a tool")


def stream(client):
    with client.messages.stream(**question()) as events:
        kinds = [event.type for event in events]
        last = events.get_final_message()
    check((kinds[0], kinds[-1]) == ("message_start", "message_stop"), "stream: begins and ends")
    for kind in ("content_block_start", "content_block_stop", "message_delta"):
        check(kinds.count(kind) == 1, f"stream: one {kind}")
    check(kinds.count("text") > 5, f"stream: {kinds.count('text')} pieces")
    check(last.content[0].text.endswith(SAID) and last.stop_reason == "end_turn", "stream: the last message")
    check(last.usage.input_tokens > 0 and last.usage.output_tokens > 0, "stream: usage")
    with client.messages.stream(**question()) as events:
        check("".join(events.text_stream) == last.content[0].text, "stream: text_stream")
    kinds = [event.type for event in client.messages.create(**question(), stream=True)]
    check(kinds[0] == "message_start" and kinds[-1] == "message_stop", "stream: without the helper")
    for model in ("sample-whole", "sample-no-done", "sample-slow"):
        with client.messages.stream(**question(model, said="one")) as events:
            check(events.get_final_text().endswith("one"), f"stream: {model}")
    left = client.messages.create(**question(), stream=True)
    next(iter(left))
    left.close()
    check(client.messages.create(**question()).content, "after a stream that was left")


def tools(client):
    for model, streams in (("sample-tools", False), ("sample-tools", True), ("sample-interleaved", True)):
        by = f"{model}, {'streamed' if streams else 'whole'}"
        if streams:
            with client.messages.stream(**question(model), tools=TOOLS) as events:
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**question(model), tools=TOOLS)
        calls = [block for block in answer.content if block.type == "tool_use"]
        check([call.name for call in calls] == ["weather", "tides"], f"{by}: two calls")
        check([call.input for call in calls] == [{"place": SAID}] * 2, f"{by}: their input")
        check(answer.content[0].type == "text" and answer.stop_reason == "tool_use", f"{by}: text before, and why it ends")
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name}: fine"} for call in calls]
        history = [
            {"role": "user", "content": SAID},
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": results},
        ]
        answer = client.messages.create(model=model, max_tokens=1000, tools=TOOLS, messages=history)
        check(answer.content[0].text == "The tools said: weather: fine; tides: fine", f"{by}: results")
    choice = {"type": "tool", "name": "tides"}
    answer = client.messages.create(**question("sample-tools"), tools=TOOLS, tool_choice=choice)
    check([block.name for block in answer.content if block.type == "tool_use"] == ["tides"], "the one that must be called")


def thinking(client):
    asked = question("sample-reasoning", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    answer = client.messages.create(**asked)
    check([block.type for block in answer.content] == ["thinking", "text"], "thinking: before the text")
    with client.messages.stream(**asked) as events:
        kinds = {event.type for event in events}
        last = events.get_final_message()
    check("thinking" in kinds, "thinking: its events")
    check(last.content[0].thinking == answer.content[0].thinking, "thinking: the same both ways")
    history = [*asked["messages"], {"role": "assistant", "content": last.content}, {"role": "user", "content": "And now?"}]
    answer = client.messages.create(**{**asked, "messages": history})
    check(answer.content[-1].text.endswith("And now?"), "thinking: sent again")


def structured(client):
    parsed = client.messages.parse(**question(), output_format=Port).parsed_output
    check(parsed == Port(name=SAID, depth=7), f"an answer by a schema: {parsed}")


def counted(client):
    few = client.messages.count_tokens(model="sample-model", messages=[{"role": "user", "content": "Hello"}]).input_tokens
    many = client.messages.count_tokens(
        model="sample-model", messages=[{"role": "user", "content": "Hello"}], system="Be brief. " * 100, tools=TOOLS
    ).input_tokens
    check(few == 8, f"count_tokens: {few}")
    check(many > few + 300 + 2 * 20, f"count_tokens: {many} with a system prompt and tools")
    raises(anthropic.NotFoundError, lambda: client.messages.count_tokens(model="no-such-model", messages=question()["messages"]))


def check_error(error, status, kind, what):
    body = error.body
    check(error.status_code == status and body["type"] == "error", f"{what}: {status}")
    check(body["error"]["type"] == kind and error.type == kind, f"{what}: {kind}, {body['error']['message']!r}")
    check(error.response.headers.get("x-litellm-call-id"), f"{what}: a call id")


def failures(client):
    def ask(model="sample-model", by=client, **more):
        return lambda: by.messages.create(**question(model, **more))

    error = raises(anthropic.AuthenticationError, ask(by=Anthropic(**arguments(api_key="sk-nobody"))))
    check_error(error, 401, "authentication_error", "a wrong key")
    error = raises(anthropic.NotFoundError, ask("no-such-model"))
    check_error(error, 404, "not_found_error", "a model that is not there")
    error = raises(anthropic.BadRequestError, lambda: client.messages.create(**{**question(), "messages": []}))
    check_error(error, 400, "invalid_request_error", "no messages")
    error = raises(anthropic.BadRequestError, ask(extra_body={"messages": 7}))
    check_error(error, 400, "invalid_request_error", "messages that are none")
    error = raises(anthropic.BadRequestError, ask("sample-error-400"))
    check_error(error, 400, "invalid_request_error", "the model says no")
    error = raises(anthropic.RateLimitError, ask("sample-error-429"))
    check_error(error, 429, "rate_limit_error", "the model has too much to do")
    check(error.response.headers.get("retry-after") == "7", "and says for how long")
    error = raises(anthropic.OverloadedError, ask("sample-error-529"))
    check_error(error, 529, "overloaded_error", "the model is overloaded")
    for model in ("sample-html", "sample-page", "sample-empty"):
        error = raises(anthropic.InternalServerError, ask(model))
        check_error(error, 502, "api_error", model)
    raises(anthropic.APIStatusError, ask("sample-error-500"))
    raises(anthropic.APIError, ask("sample-cut"))
    error = raises(anthropic.RateLimitError, lambda: list(ask("sample-error-429", stream=True)()))
    check_error(error, 429, "rate_limit_error", "before a stream")
    for model in ("sample-late", "sample-cut", "sample-nonsense"):
        error = raises(anthropic.APIStatusError, lambda: list(ask(model, stream=True)()))
        check(error.body["type"] == "error" and error.body["error"]["message"], f"{model}: an error event")


async def at_once():
    async with AsyncAnthropic(**arguments()) as client:

        async def one(number):
            async with client.messages.stream(**question(said=f"number {number}")) as events:
                return await events.get_final_text()

        said = await asyncio.gather(*(one(number) for number in range(20)))
        check(all(text.endswith(f"number {number}") for number, text in enumerate(said)), "20 streams at once")


print(f"anthropic {anthropic.__version__}")
with Anthropic(**arguments()) as client:
    whole(client)
    request(client)
    stream(client)
    tools(client)
    thinking(client)
    structured(client)
    counted(client)
    failures(client)
with Anthropic(**arguments(api_key=None, auth_token=KEY)) as client:
    check(client.messages.create(**question()).content, "the key as auth_token")
with Anthropic(**arguments(default_headers={"x-api-key": KEY, "Authorization": anthropic.Omit()})) as client:
    check(client.messages.create(**question()).content, "the key in x-api-key")
asyncio.run(at_once())
