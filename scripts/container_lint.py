"""The rules of the Dockerfile, .dockerignore and compose.yaml, each with a change that it must find.

container_lint.py: says what breaks a rule; fails when anything does, or when a rule is blind to its change.
"""

import sys
from pathlib import Path

import yaml

import dockerfile

ROOT = Path(__file__).resolve().parent.parent
SECRET = ("KEY", "SECRET", "TOKEN", "PASSWORD")
# What is being served may take 30 s to end.
GRACE = 35


def lint_dockerfile(text):
    stages = dockerfile.read(text)
    if len(stages) < 2:
        return ["two stages: one builds, one runs"]
    names = {stage.name for stage in stages}
    out = []

    def rule(holds, what):
        if not holds:
            out.append(what)

    for stage in stages:
        tag = stage.base.partition(":")[2]
        rule(stage.base in names or (tag and tag != "latest"), f"FROM {stage.base}: name a version")
        rule(not stage.all("ADD"), "COPY, not ADD: ADD unpacks and downloads")
        for one in stage.all("ENV") + stage.all("ARG"):
            named = [word.partition("=")[0] for word in one.text.split()]
            rule(not any(part in name for name in named for part in SECRET), f"{one.name} {one.text}: no secret in an image")
        for one in stage.all("RUN"):
            if "apt-get install" in one.text:
                rule("--no-install-recommends" in one.text, "apt-get install --no-install-recommends")
                rule("rm -rf /var/lib/apt/lists" in one.text, "remove apt's lists in the step that fetched them")
            if "cargo build" in one.text:
                rule("--locked" in one.text, "cargo build --locked")
            rule("curl" not in one.text and "wget" not in one.text, f"RUN {one.text}: nothing is downloaded by hand")
    rule(any("cargo build" in one.text for stage in stages[:-1] for one in stage.all("RUN")), "the binary is built here")

    last = stages[-1]
    rule(not last.all("RUN"), "the last stage runs nothing: it has no package manager's work")
    rule(not last.all("VOLUME"), "no VOLUME: nothing is written")
    user = last.last("USER")
    ids = user.text.split(":") if user else []
    rule(len(ids) == 2 and all(one.isdigit() and int(one) > 0 for one in ids), "USER in numbers, and not 0")
    for name in ("ENTRYPOINT", "CMD"):
        rule(last.last(name) is not None and last.last(name).words() is not None, f"{name} in exec form")
    entry = last.last("ENTRYPOINT")
    rule(entry is not None and entry.words() == ["tollgate"], 'ENTRYPOINT ["tollgate"]: the binary is PID 1')
    stop = last.last("STOPSIGNAL")
    rule(stop is not None and stop.text == "SIGTERM", "STOPSIGNAL SIGTERM")
    health = last.last("HEALTHCHECK")
    command = dockerfile.health_command(health) if health else None
    rule(command is not None and command[:2] == ["tollgate", "health"], "HEALTHCHECK by the binary itself, in exec form")
    rule(any(one.text == "4000" for one in last.all("EXPOSE")), "EXPOSE 4000")
    rule(last.variables().get("HOST") == "0.0.0.0", "ENV HOST=0.0.0.0: loopback in a container is reached by nobody")
    state = [one for one in last.all("COPY") if one.arguments()[-1] == last.variables().get("STATE_DIRECTORY")]
    rule(user is not None and [one.flag("chown") for one in state] == [user.text], "the state's folder is the user's")
    copied = [one.arguments()[-1] for one in last.all("COPY")]
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/usr/local/bin/tollgate"):
        rule(path in copied, f"{path} is copied")
    return out


def lint_ignore(text, docker):
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    out = [] if lines[:1] == ["*"] else [".dockerignore begins with *: what is let in is named"]
    allowed = [line[1:] for line in lines if line.startswith("!")]
    out += [f".dockerignore: !{name} is not there" for name in allowed if not (ROOT / name).exists()]
    hidden = ("target", ".git", ".env", "config.yaml", "conf", "tests")
    out += [f".dockerignore lets {name} in" for name in allowed if name in hidden or name.endswith((".pem", ".key"))]
    for stage in dockerfile.read(docker):
        for one in stage.all("COPY"):
            if one.flag("from") is None:
                sources = one.arguments()[:-1]
                out += [f"COPY {name}: .dockerignore keeps it out" for name in sources if name not in (".", *allowed)]
    return out


def lint_compose(text, docker):
    service = (yaml.safe_load(text).get("services") or {}).get("tollgate") or {}
    health = dockerfile.read(docker)[-1].last("HEALTHCHECK")
    command = dockerfile.health_command(health) if health else None
    volumes = service.get("volumes") or []
    ports = service.get("ports") or []
    grace = str(service.get("stop_grace_period", "0s")).rstrip("s")
    rules = {
        "read_only: true": service.get("read_only") is True,
        "cap_drop: [ALL]": service.get("cap_drop") == ["ALL"] and not service.get("cap_add"),
        "no-new-privileges": "no-new-privileges:true" in (service.get("security_opt") or []),
        "the healthcheck is the image's": (service.get("healthcheck") or {}).get("test") == ["CMD", *(command or [])],
        "config.yaml read-only, a volume for state, and no more": volumes
        == ["./config.yaml:/app/config.yaml:ro", "state:/var/lib/tollgate"],
        "ports on loopback": bool(ports) and all(str(port).startswith("127.0.0.1:") for port in ports),
        f"stop_grace_period of {GRACE} s or more": grace.isdigit() and int(grace) >= GRACE,
        "no privileges": not service.get("privileged") and "network_mode" not in service and "pid" not in service,
        "the image's user": "user" not in service,
        "no secret in the file": not service.get("environment"),
    }
    return [f"compose.yaml: {what}" for what, holds in rules.items() if not holds]


def lint(files):
    docker = files["Dockerfile"]
    return (
        lint_dockerfile(docker) + lint_ignore(files[".dockerignore"], docker) + lint_compose(files["compose.yaml"], docker)
    )


# A file, a text in it, what is put in its place: each must be found.
CHANGES = [
    ("Dockerfile", "debian:bookworm-slim", "debian:latest"),
    ("Dockerfile", "debian:bookworm-slim", "debian"),
    ("Dockerfile", "USER 65532:65532", "USER tollgate"),
    ("Dockerfile", "USER 65532:65532", "USER 0:0"),
    ("Dockerfile", "USER 65532:65532", ""),
    ("Dockerfile", 'ENTRYPOINT ["tollgate"]', "ENTRYPOINT tollgate"),
    ("Dockerfile", 'ENTRYPOINT ["tollgate"]', 'ENTRYPOINT ["sh", "-c", "tollgate"]'),
    ("Dockerfile", 'CMD ["--config", "/app/config.yaml"]', "CMD --config /app/config.yaml"),
    ("Dockerfile", 'CMD ["tollgate", "health"]', "CMD curl -f http://localhost:4000/health/liveliness"),
    ("Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
    ("Dockerfile", "ENV HOST=0.0.0.0", "ENV HOST=127.0.0.1"),
    ("Dockerfile", "ENV HOST=0.0.0.0", "ENV HOST=0.0.0.0 COHERE_API_KEY=x"),
    ("Dockerfile", "--chown=65532:65532", ""),
    ("Dockerfile", "ENV STATE_DIRECTORY=/var/lib/tollgate", ""),
    ("Dockerfile", "EXPOSE 4000", "EXPOSE 4000\nRUN apt-get update"),
    ("Dockerfile", "EXPOSE 4000", "EXPOSE 4000\nVOLUME /app"),
    ("Dockerfile", "COPY LICENSE", "ADD LICENSE"),
    ("Dockerfile", "COPY LICENSE", "COPY README.md LICENSE"),
    ("Dockerfile", " --locked", ""),
    ("Dockerfile", " --no-install-recommends", ""),
    ("Dockerfile", " /etc/ssl/certs/ca-certificates.crt\n", " /certs.crt\n"),
    (".dockerignore", "*\n", "target\n"),
    (".dockerignore", "!src", "!src\n!target"),
    (".dockerignore", "!LICENSE", ""),
    (".dockerignore", "!src", "!sources"),
    ("compose.yaml", "read_only: true", "read_only: false"),
    ("compose.yaml", "cap_drop: [ALL]", "cap_drop: [NET_RAW]"),
    ("compose.yaml", "no-new-privileges:true", "apparmor:unconfined"),
    ("compose.yaml", '"tollgate", "health"]', '"tollgate", "check"]'),
    ("compose.yaml", "config.yaml:ro", "config.yaml"),
    ("compose.yaml", '"127.0.0.1:4000:4000"', '"4000:4000"'),
    ("compose.yaml", "stop_grace_period: 40s", "stop_grace_period: 10s"),
    ("compose.yaml", "restart: unless-stopped", "restart: unless-stopped\n    privileged: true"),
    ("compose.yaml", "restart: unless-stopped", "restart: unless-stopped\n    environment: [COHERE_API_KEY=x]"),
]


def main():
    files = {name: (ROOT / name).read_text() for name in ("Dockerfile", ".dockerignore", "compose.yaml")}
    broken = lint(files)
    for name, text, other in CHANGES:
        if text not in files[name]:
            broken.append(f"the change of {name} from {text!r} finds nothing to change")
        elif not lint({**files, name: files[name].replace(text, other)}):
            broken.append(f"no rule finds {other!r} in {name}")
    for what in broken:
        print(f"container-lint: {what}", file=sys.stderr)
    if not broken:
        print(f"container-lint: every rule holds, and finds its change ({len(CHANGES)} tried)")
    return 1 if broken else 0


sys.exit(main())
