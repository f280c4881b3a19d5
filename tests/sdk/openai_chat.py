"""The OpenAI SDK through a prefix route: chat whole and streaming, models, errors; the same by the async client.

BASE_URL: Tollgate. KEY: a key that opens `/openai`, which leads to something with one model, `sample-model`, that
quotes the last user message.
"""

import asyncio

import openai
from checks import check, raises, setting
from openai import AsyncOpenAI, OpenAI

BASE_URL, KEY = setting("BASE_URL"), setting("KEY")
SAID = "grüße an 世界, with \"quotes\" and a line\nbreak 🦀"
# The sample upstream puts single spaces between the words it quotes.
QUOTED = " ".join(SAID.split())
QUESTION = {"model": "sample-model", "messages": [{"role": "user", "content": SAID}]}
STREAM = {**QUESTION, "stream": True, "stream_options": {"include_usage": True}}


def arguments(prefix="/openai", key=KEY):
    return {"base_url": BASE_URL + prefix, "api_key": key, "max_retries": 0, "timeout": 30}


def check_whole(answer, by):
    said = " ".join(answer.choices[0].message.content.split())
    check(said.endswith(QUOTED) and answer.choices[0].finish_reason == "stop", f"{by}: whole: {said!r}")
    check(answer.usage.total_tokens > 0, f"{by}: usage {answer.usage.total_tokens}")


def check_stream(chunks, by):
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    said = " ".join("".join(delta for delta in deltas if delta).split())
    check(len([delta for delta in deltas if delta]) > 3, f"{by}: {len(chunks)} chunks")
    check(said.endswith(QUOTED), f"{by}: streamed: {said!r}")
    check(chunks[-1].usage and chunks[-1].usage.total_tokens > 0, f"{by}: the last chunk has the usage")


def check_error(error, status, by):
    message = error.body["message"] if isinstance(error.body, dict) else None
    check(error.status_code == status and message and message in str(error), f"{by}: {status}, {message!r}")
    check(error.response.headers.get("x-litellm-call-id"), f"{by}: the error has a call id")


def ask():
    client = OpenAI(**arguments())
    check_whole(client.chat.completions.create(**QUESTION), "sync")
    check_stream(list(client.chat.completions.create(**STREAM)), "sync")
    check([model.id for model in client.models.list()] == ["sample-model"], "sync: models")

    raw = client.chat.completions.with_raw_response.create(**QUESTION)
    check_whole(raw.parse(), "raw")
    check(len(raw.http_response.headers.get_list("x-litellm-call-id")) == 1, "raw: one call id")

    # A stream that is left early must not harm the next call on the same connection pool.
    left = client.chat.completions.create(**STREAM)
    next(iter(left))
    left.close()
    check_whole(client.chat.completions.create(**QUESTION), "after a stream that was left")


def ask_wrongly():
    for key in ("sk-nobody", KEY[:-1]):
        client = OpenAI(**arguments(key=key))
        error = raises(openai.AuthenticationError, lambda: client.chat.completions.create(**QUESTION))
        check_error(error, 401, f"the key {key!r}")
    error = raises(openai.AuthenticationError, lambda: client.chat.completions.create(**STREAM))
    check_error(error, 401, "a stream with a wrong key")

    error = raises(openai.NotFoundError, lambda: OpenAI(**arguments()).models.retrieve("no-such-model"))
    check_error(error, 404, "the upstream's own 404")
    error = raises(openai.NotFoundError, lambda: OpenAI(**arguments(prefix="/nowhere")).models.list())
    check_error(error, 404, "no route")
    check("/nowhere/models" in error.body["message"], "the message names the path")


async def ask_async():
    async with AsyncOpenAI(**arguments()) as client:
        check_whole(await client.chat.completions.create(**QUESTION), "async")
        check_stream([chunk async for chunk in await client.chat.completions.create(**STREAM)], "async")
        answers = await asyncio.gather(*(client.chat.completions.create(**QUESTION) for _ in range(20)))
        for answer in answers:
            check_whole(answer, "async, 20 at once")
    async with AsyncOpenAI(**arguments(key="sk-nobody")) as client:
        try:
            await client.models.list()
            check(False, "async: a wrong key is refused")
        except openai.AuthenticationError as error:
            check_error(error, 401, "async: a wrong key")


print(f"openai {openai.__version__}")
ask()
ask_wrongly()
asyncio.run(ask_async())
