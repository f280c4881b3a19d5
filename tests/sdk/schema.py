"""Every configuration shipped, and every one that the tests call valid, against the shipped JSON Schema.

SCHEMA: the schema. FOLDERS: the folders whose *.yaml are checked, separated by `:`.
"""

import json
import sys
from pathlib import Path

import yaml
from checks import check, setting
from jsonschema import Draft202012Validator


class Loader(yaml.SafeLoader):
    """YAML 1.2, as Tollgate reads it: only true and false are booleans, and a date is text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", yaml.resolver.re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def problems(text):
    found = validator.iter_errors(yaml.load(text, Loader))
    return [f"{error.json_path}: {error.message}" for error in found]


schema = json.loads(Path(setting("SCHEMA")).read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)

failed = False
for folder in setting("FOLDERS").split(":"):
    files = sorted(Path(folder).glob("*.yaml"))
    check(files, f"{folder} has configurations: {len(files)}")
    for file in files:
        found = problems(file.read_text())
        print(f"{'BAD' if found else 'ok'}: {file.name}", *found, sep="\n  ")
        failed |= bool(found)
if failed:
    sys.exit("FAILED: the schema refuses what Tollgate serves")

# The schema refuses something, too.
ENTRY = "general_settings: {{pass_through_endpoints: [{{path: /a, target: 'http://localhost/', {} }}]}}"
check(not problems(ENTRY.format("auth: true")), "an entry with auth: true is accepted")
check(problems(ENTRY.format("auth: 'true'")), "a quoted boolean is refused")
check(problems(ENTRY.format("include_subpaths: true")), "a key that no entry has is refused")
check(problems(ENTRY.format("headers: []")), "headers that are a list are refused")
check(problems("general_settings: []"), "general_settings that is a list is refused")
