"""Every answer, stream and error that tests/golden expects, through the types of the official Anthropic SDK, and streams
through its own reader and accumulator. GOLDEN: the folder tests/golden/anthropic.
"""

import json
import pathlib

from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from checks import check, setting
from pydantic import TypeAdapter, ValidationError

GOLDEN = pathlib.Path(setting("GOLDEN"))
EVENTS = TypeAdapter(RawMessageStreamEvent)
# Documented, but not among the SDK's types; it goes by the status there.
UNTYPED = {"request_too_large", "conflict_error"}
# Arguments that are not JSON are passed as they came; the SDK raises, which is how its user learns of it.
MALFORMED = {"tool_call_arguments_malformed"}


def cases(folder):
    found = sorted((GOLDEN / folder).glob("*.json"))
    check(len(found) > 5, f"{len(found)} cases of {folder}")
    for path in found:
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))


def as_expected(name, build):
    try:
        return build()
    except (ValidationError, ValueError, RuntimeError) as error:
        check(False, f"{name}: {error}")


def error_holds(name, body):
    kind = body["error"]["type"]
    if kind in UNTYPED:
        body = {**body, "error": {**body["error"], "type": "api_error"}}
    said = as_expected(name, lambda: ErrorResponse.model_validate(body))
    check(said.error.message and said.request_id, f"{name}: {kind}")


def same_blocks(name, message):
    """The accumulated blocks hold what the deltas held."""
    for block in message.content:
        if block.type == "tool_use":
            check(isinstance(block.input, dict) and block.id and block.name, f"{name}: {block.name} {block.input}")
        else:
            check(bool(block.text if block.type == "text" else block.thinking), f"{name}: {block.type}")


def stream_holds(name, events):
    """The events as bytes, read by the SDK's decoder as its client would."""
    written = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    message, buffers = None, {}
    for read in SSEDecoder().iter_bytes(iter([written])):
        if read.event == "ping":
            continue
        if read.event == "error":
            return error_holds(name, read.json())
        event = as_expected(name, lambda: EVENTS.validate_python(read.json()))
        if name in MALFORMED and event.type == "content_block_delta":
            continue
        message = as_expected(
            name, lambda: accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
        )
    check(message is not None and message.stop_reason, f"{name}: {message.stop_reason}, {message.usage.output_tokens}")
    as_expected(name, lambda: Message.model_validate(message.to_dict()))
    same_blocks(name, message)


for name, case in cases("response"):
    if "expected" in case:
        message = as_expected(name, lambda: Message.model_validate(case["expected"]))
        check(message.stop_reason and message.id.startswith("msg_"), f"{name}: {message.stop_reason}")
for name, case in cases("stream"):
    stream_holds(name, case["expected"])
for name, case in cases("error"):
    error_holds(name, case["expected"]["body"])
