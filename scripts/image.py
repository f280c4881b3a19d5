"""Runs the image without an engine: the last stage of the Dockerfile step by step, on a root of its own.

The base image is stood for by the libraries that the binary needs; what the first stage builds, by the binary in BIN_DIR
(target/release). Then, in namespaces of its own (processes, mounts, network), on a root that is read-only, as the image's
user and with no-new-privileges, ENTRYPOINT is started as PID 1, HEALTHCHECK is run beside it, and SIGTERM must end it with
0. What this machine cannot do is said; with IMAGE_TEST_STRICT=1 it is a failure.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dockerfile

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 15
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEYED = """general_settings:
  master_key: os.environ/TOLLGATE_MASTER_KEY
  pass_through_endpoints:
    - path: /v1/rerank
      target: https://api.cohere.com/v1/rerank
      auth: true
      headers:
        Authorization: bearer os.environ/COHERE_API_KEY
"""
# As in LiteLLM's tutorial: a key that everybody knows, and a route that says nothing of who may use it.
TUTORIAL = KEYED.replace("os.environ/TOLLGATE_MASTER_KEY", "sk-1234").replace("      auth: true\n", "")
SECRETS = {"TOLLGATE_MASTER_KEY": "sk-image-test-0123456789", "COHERE_API_KEY": "co-example"}


def fail(what):
    sys.exit(f"image: {what}")


def below(root, path):
    return root / path.lstrip("/")


def put(source, root, path):
    target = below(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def lay_out(stage, root, binary):
    """The files of the image."""
    for line in subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path:
            put(path, root, path)
    for name in ("proc", "dev", "tmp", "etc"):
        below(root, name).mkdir(parents=True, exist_ok=True)
    # As engines do.
    for name in ("resolv.conf", "hosts"):
        if Path("/etc", name).exists():
            put(f"/etc/{name}", root, f"/etc/{name}")
    # Mounted over by the machine's own.
    for name in ("null", "urandom"):
        below(root, f"dev/{name}").touch()
    built = {"/tollgate": binary, "/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt"}
    for one in stage.instructions:
        if one.name == "COPY":
            *sources, target = one.arguments()
            for source in sources:
                if source == "/state":
                    below(root, target).mkdir(parents=True)
                    continue
                found = built.get(source) if one.flag("from") else ROOT / source
                if found is None:
                    fail(f"COPY {source}: what the first stage makes of it is not known here")
                put(found, root, target)
        elif one.name == "WORKDIR":
            below(root, one.text).mkdir(parents=True, exist_ok=True)
        elif one.name in ("RUN", "ADD", "SHELL", "VOLUME"):
            fail(f"{one.name} cannot be run without an engine")


def bring_lo_up():
    """A network namespace begins with its loopback down."""
    with socket.socket() as sock:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack("16xh22x", fcntl.ioctl(sock, 0x8913, request))
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh22x", b"lo", flags | 1))


def inside(plan):
    """PID 1 of the container, until it becomes what the image starts."""
    root = plan["root"]
    bring_lo_up()

    def mount(*arguments):
        subprocess.run(["mount", *arguments], check=True)

    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-t", "proc", "proc", f"{root}/proc")
    for name in ("null", "urandom"):
        mount("--bind", f"/dev/{name}", f"{root}/dev/{name}")
    mount("-o", "remount,bind,ro", root)
    os.chroot(root)
    os.chdir(plan["folder"])
    os.setgroups([])
    os.setgid(plan["gid"])
    os.setuid(plan["uid"])
    # PR_SET_NO_NEW_PRIVS
    if ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) != 0:
        fail("no-new-privileges cannot be set")
    for path in ("/app/written", "/tmp/written", "/etc/written"):
        try:
            open(path, "w").close()
            fail(f"{path} can be written")
        except OSError:
            pass
    os.execvpe(plan["command"][0], plan["command"], plan["environment"])


class Container:
    def __init__(self, plan, arguments, config, more=None):
        self.config = below(Path(plan["root"]), "app/config.yaml")
        self.config.write_text(config)
        self.config.chmod(0o644)
        environment = {**plan["environment"], **SECRETS, **(more or {})}
        whole = {**plan, "command": [*plan["entrypoint"], *arguments], "environment": environment}
        self.output = tempfile.TemporaryFile()
        command = ["unshare", "--pid", "--mount", "--net", "--fork", "--kill-child", sys.executable, __file__, "--inside"]
        self.process = subprocess.Popen([*command, json.dumps(whole)], stdout=self.output, stderr=self.output)
        self.plan = whole

    def printed(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")[:4000]

    def first(self):
        """PID 1, as this machine counts."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, command):
        """COMMAND beside PID 1, in its namespaces, on its root, as its user."""
        ids = ["-S", str(self.plan["uid"]), "-G", str(self.plan["gid"])]
        # nsenter looks for the command on the container's root.
        binary = f"/usr/local/bin/{command[0]}"
        enter = ["nsenter", "-t", str(self.first()), "--mount", "--pid", "--net", "--root", "--wd", *ids, binary]
        return subprocess.run([*enter, *command[1:]], env=self.plan["environment"], capture_output=True, text=True)

    def ended(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            fail(f"it does not end within {PATIENCE} s:\n{self.printed()}")


def await_health(container, command):
    end = time.monotonic() + PATIENCE
    while True:
        if container.process.poll() is not None:
            fail(f"it ended with {container.process.returncode}:\n{container.printed()}")
        if "listening on" in container.printed():
            found = container.run(command)
            if found.returncode == 0:
                return
            if time.monotonic() > end:
                fail(f"HEALTHCHECK says {found.returncode}: {found.stderr}\n{container.printed()}")
        elif time.monotonic() > end:
            fail(f"it does not listen:\n{container.printed()}")
        time.sleep(0.2)


def serve_and_stop(plan, arguments, health):
    container = Container(plan, arguments, KEYED)
    await_health(container, health)
    status = Path(f"/proc/{container.first()}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if fields["Uid"].split() != [str(plan["uid"])] * 4 or fields["CapEff"].strip("0") or fields["NoNewPrivs"] != "1":
        fail(f"PID 1 has another user, or powers:\n{status}")
    if fields["NSpid"].split()[-1] != "1":
        fail("what serves is not PID 1")
    os.kill(container.first(), signal.SIGTERM)
    code = container.ended()
    if code != 0:
        fail(f"SIGTERM to PID 1 ends with {code}:\n{container.printed()}")
    if "listening on http://0.0.0.0:4000" not in container.printed():
        fail(f"it does not listen on HOST:\n{container.printed()}")


def refuse_the_tutorial(plan):
    """In a container the tutorial's key would be known to everybody who reaches the port."""
    container = Container(plan, ["--config", "/app/config.yaml"], TUTORIAL)
    code, printed = container.ended(), container.printed()
    if code != 1 or "master_key" not in printed or "write auth: true or auth: false" not in printed:
        fail(f"the tutorial's file in a container: exit {code}\n{printed}")


def cannot():
    """Why this machine cannot run the image; None when it can."""
    if os.geteuid() != 0:
        return "namespaces and another root need root"
    missing = [name for name in ("unshare", "nsenter", "mount") if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} is not installed (util-linux)"
    tried = subprocess.run(["unshare", "--pid", "--mount", "--net", "--fork", "true"], capture_output=True, text=True)
    return f"unshare: {tried.stderr.strip()}" if tried.returncode else None


def main():
    if sys.argv[1:2] == ["--inside"]:
        inside(json.loads(sys.argv[2]))
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{PATH}"
    binary = str(Path(os.environ.get("BIN_DIR", ROOT / "target/release")) / "tollgate")
    stage = dockerfile.read((ROOT / "Dockerfile").read_text())[-1]
    health = dockerfile.health_command(stage.last("HEALTHCHECK"))
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        lay_out(stage, root, binary)
        print(f"image: laid out {sum(1 for path in root.rglob('*') if path.is_file())} files")
        why = cannot()
        if why:
            print(f"image: NOT TRIED: PID 1, read-only root, HEALTHCHECK, SIGTERM: {why}", file=sys.stderr)
            return 1 if os.environ.get("IMAGE_TEST_STRICT") == "1" else 0
        uid, gid = (int(one) for one in stage.last("USER").text.split(":"))
        plan = {
            "root": str(root),
            "folder": stage.last("WORKDIR").text,
            "uid": uid,
            "gid": gid,
            "entrypoint": stage.last("ENTRYPOINT").words(),
            "environment": {"PATH": PATH, **stage.variables()},
        }
        serve_and_stop(plan, stage.last("CMD").words(), health)
        print("image: CMD serves as PID 1 on a read-only root, HEALTHCHECK finds it, SIGTERM ends it with 0")
        serve_and_stop(plan, ["--config", "/app/config.yaml", "--detailed_debug"], health)
        print("image: so does LiteLLM's command line")
        refuse_the_tutorial(plan)
        print("image: a public key and a silent route are refused in a container")
    return 0


sys.exit(main())
