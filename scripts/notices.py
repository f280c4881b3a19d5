"""Prints what the licences of others ask for where Tollgate is handed out: the crates that are linked into it, and their notices.

The law: a crate that is linked is named, with its version and its licence, and every file of it that looks like a licence or a
notice is there, C sources that it brings included; a text that many have is printed once. `make audit` judges the licences.
It reads what cargo has fetched already, and asks nobody.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)([.-].*)?", re.IGNORECASE)


def metadata():
    cargo = os.environ.get("CARGO", "cargo")
    host = subprocess.run([cargo, "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search(r"^host: (.*)$", host, re.MULTILINE)[1]
    command = [cargo, "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def linked(data):
    """The packages that end up in the executable: no macros, no build scripts, no tests."""
    packages = {one["id"]: one for one in data["packages"]}
    nodes = {one["id"]: one for one in data["resolve"]["nodes"]}
    seen, ahead = set(), [data["resolve"]["root"]]
    while ahead:
        name = ahead.pop()
        if name in seen or any("proc-macro" in target["kind"] for target in packages[name]["targets"]):
            continue
        seen.add(name)
        for one in nodes[name]["deps"]:
            if any(kind["kind"] is None for kind in one["dep_kinds"]):
                ahead.append(one["pkg"])
    seen.discard(data["resolve"]["root"])
    return sorted((packages[name] for name in seen), key=lambda one: (one["name"], one["version"]))


def main():
    texts = {}
    print("Tollgate is linked with these, each under its own licence; the texts follow.\n")
    for package in linked(metadata()):
        title = f"{package['name']} {package['version']}"
        authors = ", ".join(re.sub(r" *<.*>", "", name) for name in package["authors"])
        print(f"{title}: {package['license'] or 'see its text'}{f' ({authors})' if authors else ''}")
        folder = Path(package["manifest_path"]).parent
        for file in sorted(folder.rglob("*")):
            if NOTICE.fullmatch(file.name) and file.is_file() and file.suffix not in (".rs", ".c", ".h", ".py", ".sh"):
                text = file.read_text(errors="replace").strip()
                texts.setdefault(text, []).append(f"{title}: {file.relative_to(folder)}")
    if not texts:
        sys.exit("notices: no crate has a licence's text, which cannot be")
    for text, places in texts.items():
        print(f"\n{'-' * 100}\n" + "\n".join(places) + f"\n\n{text}")


main()
