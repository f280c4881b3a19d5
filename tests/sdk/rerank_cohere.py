"""Rerank by Cohere's SDK, versions 1 and 2 of the API, and by plain HTTP, on routes with `auth: true`.

BASE_URL: Tollgate. KEY: a key that opens the routes.
"""

import asyncio
import http.client
import json
from urllib.parse import urlsplit

import cohere
from checks import check, raises, setting
from cohere.core.api_error import ApiError

BASE_URL, KEY = setting("BASE_URL"), setting("KEY")
QUESTION = {
    "model": "rerank-english-v3.0",
    "query": "Which city is the capital of Norway?",
    "top_n": 2,
    "documents": [
        "Bergen is famous for its rain.",
        "Oslo is the capital city of Norway.",
        "A capital letter opens a sentence.",
    ],
}


def check_ranking(answer, by):
    indices = [result.index for result in answer.results]
    check(len(indices) == 2 and indices[0] == 1, f"{by}: the document that answers comes first ({indices})")


def check_refusal(error, status, by):
    message = (error.body or {}).get("error", {}).get("message")
    check(error.status_code == status and message, f"{by}: {status}, {message!r}")


async def ask_async():
    async with cohere.AsyncClientV2(api_key=KEY, base_url=BASE_URL, timeout=30) as client:
        check_ranking(await client.rerank(**QUESTION), "AsyncClientV2")


def ask_plainly(headers):
    connection = http.client.HTTPConnection(urlsplit(BASE_URL).netloc, timeout=30)
    connection.request("POST", "/v1/rerank", json.dumps(QUESTION), {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


print(f"cohere {cohere.__version__}")
for maker in (cohere.Client, cohere.ClientV2):
    client = maker(api_key=KEY, base_url=BASE_URL, timeout=30)
    check_ranking(client.rerank(**QUESTION), maker.__name__)

    stranger = maker(api_key="sk-nobody", base_url=BASE_URL, timeout=30, max_retries=0)
    refusal = raises(ApiError, lambda: stranger.rerank(**QUESTION))
    check(isinstance(refusal, cohere.UnauthorizedError), f"{maker.__name__}: a wrong key is an UnauthorizedError")
    check_refusal(refusal, 401, maker.__name__)

asyncio.run(ask_async())

status, answer = ask_plainly({"authorization": f"Bearer {KEY}"})
check(status == 200 and answer["results"][0]["index"] == 1, f"plain HTTP with the key: {status} {answer}")
status, answer = ask_plainly({})
check(status == 401 and answer["error"]["message"], f"plain HTTP without a key: {status} {answer}")
