"""The golden cases of requests against the types of both SDKs.

CASES: the folder. Every `openai` side is what `chat.completions.create` takes, with no field beyond it but the pivot's own;
every `anthropic` side is what `messages.create` takes, or `beta.messages.create`, but those that are refused or say why they are
`untyped`.
"""

import json
import sys
from pathlib import Path

from anthropic.types.beta.message_create_params import MessageCreateParams as BetaMessageCreateParams
from anthropic.types.message_create_params import MessageCreateParams
from checks import check, setting
from openai.types.chat.completion_create_params import CompletionCreateParams
from pydantic import ConfigDict, TypeAdapter, ValidationError

# What stays in the pivot though OpenAI does not take it: the provider's step sends it on or removes it.
FIELDS = {"top_k"}
MESSAGE_FIELDS = {"reasoning_content"}

OPENAI = TypeAdapter(CompletionCreateParams, config=ConfigDict(extra="forbid"))
ANTHROPIC = TypeAdapter(MessageCreateParams)
BETA = TypeAdapter(BetaMessageCreateParams)


def read_through(value):
    """Reads every list to its end: pydantic looks at the entries of an Iterable only then."""
    if isinstance(value, dict):
        value = value.values()
    if hasattr(value, "__iter__") and not isinstance(value, str):
        for entry in value:
            read_through(entry)


def fault(types, value):
    try:
        read_through(types.validate_python(value))
    except ValidationError as error:
        return str(error)
    return None


def without(names, entry):
    return {name: value for name, value in entry.items() if name not in names}


def chat_fault(chat):
    messages = [without(MESSAGE_FIELDS, message) for message in chat["messages"]]
    return fault(OPENAI, without(FIELDS, chat) | {"messages": messages})


faults, chats, requests = [], 0, 0
for file in sorted(Path(setting("CASES")).glob("*.json")):
    case = json.loads(file.read_text())
    if "openai" not in case:
        continue
    chats += 1
    if found := chat_fault(case["openai"]):
        faults.append(f"{file.name}, openai: {found}")
    if "untyped" not in case:
        requests += 1
        if (found := fault(ANTHROPIC, case["anthropic"])) and fault(BETA, case["anthropic"]):
            faults.append(f"{file.name}, anthropic: {found}")
if faults:
    sys.exit("\n".join(["FAILED: the SDKs have other types", *faults]))
check(chats > 50 and requests > 50, f"{chats} chats and {requests} requests have the types of the SDKs")

# The types refuse something, too.
ONE = {"role": "user", "content": "a"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
for message in (
    ONE | {"thinking_blocks": None},
    {"role": "assistant", "content": [PICTURE]},
    {"role": "tool", "tool_call_id": "a", "content": [PICTURE]},
    {"role": "tool", "content": "a"},
):
    check(chat_fault({"model": "m", "messages": [message]}), f"a message {message} is refused")
check(not chat_fault({"model": "m", "messages": [ONE | {"content": [PICTURE]}]}), "a user's picture is accepted")
check(chat_fault({"model": "m", "messages": [ONE], "mcp_servers": []}), "a field of Anthropic's is refused")
check(fault(ANTHROPIC, {"model": "m", "messages": [ONE]}), "a request without max_tokens is refused")
