"""A big upload by the OpenAI SDK: multipart of 20 MB, by the sync and the async client.

BASE_URL: Tollgate. KEY: a key that opens `/openai`, which leads to something that takes files and answers with the
SHA-256 of what it got as the file's id.
"""

import asyncio
import hashlib
import random

import openai
from checks import check, setting
from openai import AsyncOpenAI, OpenAI

SIZE = 20_000_000
ARGUMENTS = {"base_url": setting("BASE_URL") + "/openai", "api_key": setting("KEY"), "max_retries": 0, "timeout": 120}


def content(seed):
    """Bytes of every value, the same for the same seed."""
    return random.Random(seed).randbytes(SIZE)


def check_file(answer, sent, by):
    check(answer.bytes == SIZE, f"{by}: {answer.bytes} bytes arrived")
    check(answer.id == f"file-{hashlib.sha256(sent).hexdigest()}", f"{by}: {answer.id}")
    check(answer.filename == "grüße.bin", f"{by}: the file's name is {answer.filename!r}")


async def upload_async():
    async with AsyncOpenAI(**ARGUMENTS) as client:
        sent = [content(seed) for seed in (2, 3)]
        calls = (client.files.create(file=("grüße.bin", one), purpose="batch") for one in sent)
        for answer, one in zip(await asyncio.gather(*calls), sent):
            check_file(answer, one, "async, two at once")


print(f"openai {openai.__version__}")
whole = content(1)
check_file(OpenAI(**ARGUMENTS).files.create(file=("grüße.bin", whole), purpose="batch"), whole, "sync")
asyncio.run(upload_async())
