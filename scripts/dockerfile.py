"""Reads a Dockerfile: its stages, and their instructions in order. Nothing is built or judged here."""

import json
import re
from dataclasses import dataclass, field


@dataclass
class Instruction:
    name: str
    text: str

    def words(self):
        """The exec form's words; None when it is written for a shell."""
        try:
            words = json.loads(self.text)
        except json.JSONDecodeError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None

    def flag(self, name):
        """The value of --name=VALUE."""
        found = re.search(rf"(?:^|\s)--{name}=(\S+)", self.text)
        return found.group(1) if found else None

    def arguments(self):
        """The words after the flags."""
        return [word for word in self.text.split() if not word.startswith("--")]


@dataclass
class Stage:
    base: str
    name: str = ""
    instructions: list = field(default_factory=list)

    def all(self, name):
        return [one for one in self.instructions if one.name == name]

    def last(self, name):
        """The one that counts; None when there is none."""
        return (self.all(name) or [None])[-1]

    def variables(self):
        pairs = (word.partition("=") for one in self.all("ENV") for word in one.text.split())
        return {name: value for name, _, value in pairs}


def health_command(instruction):
    """The exec form behind HEALTHCHECK's CMD; None when there is none."""
    _, found, command = instruction.text.partition("CMD ")
    return Instruction("CMD", command).words() if found else None


def read(text):
    """The stages of the file."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    stages = []
    for line in filter(str.strip, whole.splitlines()):
        name, _, rest = line.strip().partition(" ")
        name, rest = name.upper(), " ".join(rest.split())
        if name == "FROM":
            base, *alias = rest.split()
            stages.append(Stage(base, alias[1] if len(alias) == 2 else ""))
        elif stages:
            stages[-1].instructions.append(Instruction(name, rest))
    return stages
