"""What requests count by Python's tiktoken and OpenAI's published recipes, beside what tests/golden/tokens says they do.

CASES: the folder of cases; ASSETS: one with tiktoken's vocabularies, as they are published. WRITE: set, the cases are
written with the numbers of this script, instead of compared.

The recipes are the cookbook's "How to count tokens with tiktoken", sections 6 and 7, and the guide "Images and vision",
"Calculating costs". Where they are silent, this holds, in `src/translate/count` as here:
- A call's texts count like those of a message: its id, type, name and arguments. Content in parts counts by its texts.
- What a property holds counts as a property, by the same numbers, and so does what a list's items hold.
- The schema of an answer counts as one function, without the end of a list of them.
- An image behind a URL counts as 1024 by 1024, a file as 1500 tokens for every 50,000 bytes begun.
"""

import base64
import json
import math
import os
import struct
from pathlib import Path

from checks import check, setting

# Never the network, never a cache of this machine. tiktoken compares what it reads with a digest of its own.
os.environ["TIKTOKEN_CACHE_DIR"] = os.getcwd()

import tiktoken
import tiktoken.load

CASES, ASSETS = Path(setting("CASES")), Path(setting("ASSETS"))
tiktoken.load.read_file = lambda url: (ASSETS / url.rsplit("/", 1)[1]).read_bytes()


def encoding_of(model):
    try:
        return tiktoken.encoding_for_model(model)
    except KeyError:
        return tiktoken.get_encoding("o200k_base")


def texts_of(value):
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in inner for text in texts_of(item)]


class Counter:
    def __init__(self, model):
        self.model, self.encoding = model, encoding_of(model)
        self.func_init = 10 if self.encoding.name == "cl100k_base" else 7

    def text(self, text):
        return len(self.encoding.encode(text, disallowed_special=()))

    def chat(self, chat):
        total = 3 + sum(self.message(message) for message in chat["messages"])
        if chat.get("tools"):
            total += 12 + sum(self.function(tool["function"], "parameters") for tool in chat["tools"])
        if "response_format" in chat:
            total += self.function(chat["response_format"]["json_schema"], "schema")
        return total

    def message(self, message):
        total = 3
        for name, value in message.items():
            if name == "content" and isinstance(value, list):
                total += sum(self.part(part) for part in value)
            elif name in ("role", "content", "name", "tool_call_id", "tool_calls", "refusal"):
                total += sum(self.text(text) for text in texts_of(value)) + (name == "name")
        return total

    def part(self, part):
        if part["type"] == "image_url":
            return self.image(**part["image_url"])
        if part["type"] == "file":
            data = part["file"]["file_data"].split(",", 1)[1]
            return 1500 * math.ceil(len(base64.b64decode(data)) / 50_000)
        return self.text(part["text"])

    def function(self, function, schema):
        line = function["name"] + ":" + function.get("description", "").removesuffix(".")
        return self.func_init + self.text(line) + self.schema(function.get(schema, {}))

    def schema(self, schema):
        total = 0
        for name in ("items", "anyOf", "$defs"):
            inner = schema.get(name, [])
            inner = inner if isinstance(inner, list) else inner.values() if name == "$defs" else [inner]
            total += sum(self.schema(one) for one in inner)
        if "enum" in schema:
            total += -3 + sum(3 + self.text(item) for item in schema["enum"])
        properties = schema.get("properties", {})
        if properties:
            total += 3
        for name, one in properties.items():
            kind = one.get("type", "")
            kind = kind if isinstance(kind, str) else "|".join(kind)
            line = f"{name}:{kind}:{one.get('description', '').removesuffix('.')}"
            total += 3 + self.text(line) + self.schema(one)
        return total

    def image(self, url, detail="auto"):
        width, height = 1024, 1024
        if url.startswith("data:image/png;base64,"):
            width, height = struct.unpack(">II", base64.b64decode(url.split(",", 1)[1])[16:24])
        factors = {"gpt-4.1-mini": 1.62, "gpt-4.1-nano": 2.46, "o4-mini": 1.72}
        if self.model in factors:
            return math.ceil(self.patches(width, height) * factors[self.model])
        base, tile = {"gpt-4o-mini": (2833, 5667), "gpt-5": (70, 140), "o3": (75, 150)}.get(self.model, (85, 170))
        if detail == "low":
            return base
        shrink = min(1, 2048 / max(width, height))
        width, height = width * shrink, height * shrink
        shrink = min(1, 768 / min(width, height))
        return base + tile * math.ceil(width * shrink / 512) * math.ceil(height * shrink / 512)

    def patches(self, width, height):
        patches = math.ceil(width / 32) * math.ceil(height / 32)
        if patches <= 1536:
            return patches
        shrink = math.sqrt(1536 * 32**2 / (width * height))
        across, down = width * shrink / 32, height * shrink / 32
        shrink *= min(math.floor(across) / across, math.floor(down) / down)
        return math.ceil(round(width * shrink / 32, 6)) * math.ceil(round(height * shrink / 32, 6))


cases = sorted(CASES.glob("*.json"))
check(len(cases) >= 20, f"{len(cases)} cases, tiktoken {tiktoken.__version__}")
for path in cases:
    case = json.loads(path.read_text("utf-8"))
    counted = Counter(case["model"]).chat(case["chat"])
    if os.environ.get("WRITE"):
        case["tokens"] = counted
        path.write_text(json.dumps(case, indent=2, ensure_ascii=False) + "\n", "utf-8")
    check(case["tokens"] == counted, f"{path.stem}: {case['tokens']} are written, {counted} counted")
