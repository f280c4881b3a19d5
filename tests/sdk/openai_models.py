"""The OpenAI SDK on `/v1` itself, which leads to models: chat, streams, tools, JSON, completions, embeddings, errors.

BASE_URL: Tollgate; or the sample upstream, for which DIRECT is set, since it has no call ids and lists one model.
KEY: a key that opens it. Every model whose name begins with `sample-` must lead to the sample upstream, by the same name.
"""

import asyncio
import os

import openai
from checks import check, raises, setting
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

BASE_URL, KEY, DIRECT = setting("BASE_URL"), setting("KEY"), bool(os.environ.get("DIRECT"))
SAID = "grüße an 世界 with one 🦀"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Says what it is like somewhere.",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        },
    }
    for name in ("weather", "tides")
]


class Port(BaseModel):
    name: str
    depth: int


def arguments(key=KEY, **more):
    return {"base_url": BASE_URL + "/v1", "api_key": key, "max_retries": 0, "timeout": 30, **more}


def question(model="sample-model", said=SAID, **more):
    return {"model": model, "messages": [{"role": "user", "content": said}], **more}


def said_by(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def chat(client):
    answer = client.chat.completions.create(**question())
    check(answer.choices[0].message.content.endswith(SAID), "chat: whole")
    check(answer.model == "sample-model" and answer.object == "chat.completion", f"chat: {answer.model} answers")
    check(answer.usage.total_tokens > 0, "chat: usage")
    chunks = list(client.chat.completions.create(**question(), stream=True, stream_options={"include_usage": True}))
    check(said_by(chunks).endswith(SAID) and len(chunks) > 5, f"chat: {len(chunks)} chunks")
    check(chunks[-1].usage.total_tokens > 0, "chat: the last chunk has the usage")
    chunks = list(client.chat.completions.create(**question(), stream=True))
    check(not any(chunk.usage for chunk in chunks), "chat: no usage where none was asked for")
    answer = client.chat.completions.create(**question(), max_completion_tokens=2)
    check(answer.choices[0].finish_reason == "length", "chat: a limit")
    answer = client.chat.completions.create(**question(said="one two three"), stop=["two"])
    check(answer.choices[0].message.content.endswith("one"), "chat: where to stop")
    answer = client.chat.completions.create(**question("sample-reasoning"))
    check(answer.choices[0].message.reasoning_content, "chat: reasoning")
    with client.chat.completions.stream(**question()) as stream:
        check(any(event.type == "content.delta" for event in stream), "chat: the stream helper's events")
        check(stream.get_final_completion().choices[0].message.content.endswith(SAID), "chat: the stream helper's end")
    answer = client.chat.completions.parse(**question(), response_format=Port)
    check(answer.choices[0].message.parsed == Port(name=SAID, depth=7), "chat: an answer by a schema")


def tools(client):
    for model in ("sample-tools", "sample-interleaved"):
        with client.chat.completions.stream(**question(model, tools=TOOLS)) as stream:
            list(stream)
            choice = stream.get_final_completion().choices[0]
        calls = choice.message.tool_calls
        check([call.function.name for call in calls] == ["weather", "tides"], f"{model}: two calls")
        check(all(SAID in call.function.arguments or "\\u" in call.function.arguments for call in calls), f"{model}: arguments")
        check(choice.finish_reason == "tool_calls", f"{model}: finish_reason")
        answer = client.chat.completions.create(
            model=model,
            tools=TOOLS,
            messages=[
                {"role": "user", "content": SAID},
                {
                    "role": "assistant",
                    "content": choice.message.content,
                    "tool_calls": [call.model_dump(include={"id", "type", "function"}) for call in calls],
                },
                *({"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: fine"} for call in calls),
            ],
        )
        check(answer.choices[0].message.content == "The tools said: weather: fine; tides: fine", f"{model}: results")


def others(client):
    answer = client.completions.create(model="sample-model", prompt=SAID)
    check(answer.choices[0].text.endswith(SAID), "completions: whole")
    chunks = list(client.completions.create(model="sample-model", prompt=SAID, stream=True))
    check("".join(chunk.choices[0].text for chunk in chunks).strip().endswith(SAID), "completions: streamed")
    one, other = (client.embeddings.create(model="sample-model", input=["a", SAID], **more) for more in
                  ({}, {"encoding_format": "float"}))
    check(len(one.data) == 2 and len(one.data[0].embedding) == 8, "embeddings: two of eight")
    check(one.data[1].embedding == other.data[1].embedding, "embeddings: base64 and numbers are the same")
    models = [model.id for model in client.models.list()]
    check("sample-model" in models, f"models: {models}")
    if not DIRECT:
        check(client.models.retrieve("sample-model").id == "sample-model", "models: one")


def failures(client):
    def ask(model, **more):
        return lambda: list(client.chat.completions.create(**question(model, **more), stream=True))

    for status, kind in (
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ):
        # What Tollgate makes of them is in docs/translation.md.
        told, kind = {422: (400, openai.BadRequestError), 500: (502, kind)}.get(status, (status, kind)) if not DIRECT else (status, kind)
        error = raises(kind, lambda: client.chat.completions.create(**question(f"sample-error-{status}")))
        check(error.status_code == told, f"{status}: {error.status_code} {error.message!r}")
        if status == 429:
            check(error.response.headers.get("retry-after") == "7", "429: retry-after")
        raises(kind, ask(f"sample-error-{status}"))
    error = raises(openai.InternalServerError, lambda: client.chat.completions.create(**question("sample-html")))
    check(error.status_code == 502, "HTML in place of an answer")
    raises(openai.APIError, ask("sample-late"))
    check(True, "an error in the middle of a stream")
    # A connection that ends in the middle shows as what the HTTP library makes of it, or as an error event.
    raises(Exception, ask("sample-cut"))
    check(True, "a stream that breaks")
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model="sample-model", messages=[]))
    raises(openai.AuthenticationError, lambda: OpenAI(**arguments(key="sk-nobody")).chat.completions.create(**question()))
    if not DIRECT:
        error = raises(openai.NotFoundError, lambda: client.chat.completions.create(**question("no-such-model")))
        check("no-such-model" in error.message, "a model that is not there")
        check(error.response.headers.get("x-litellm-call-id"), "an error has a call id")


async def at_once():
    async with AsyncOpenAI(**arguments()) as client:
        async def one(number):
            stream = await client.chat.completions.create(**question(said=f"number {number}"), stream=True)
            return said_by([chunk async for chunk in stream])

        said = await asyncio.gather(*(one(number) for number in range(20)))
        check(all(text.endswith(f"number {number}") for number, text in enumerate(said)), "20 streams at once")


print(f"openai {openai.__version__}")
with OpenAI(**arguments()) as client:
    chat(client)
    tools(client)
    others(client)
    failures(client)
asyncio.run(at_once())
