"""Run the commands of a page in one shell, in a folder that has what the pages refer to.

The folder has a copy of `testdata/` and these files, made from it:

- `app.tar`: what `docker save app:1.0` writes; `image.tar` is the same
- `old.tar`, `new.tar`: two images with the name `app:1.0`
- `all.tar`: two images, `app:1.0` and `web:2.0`
- `multi.tar`: the index `mp:1` for several platforms, as Docker 29 saves it
- `volume`: the storage of a registry with `app:1.0`, `app:2.0` and `team/web:1`

A command whose program is missing is skipped. `registry.example.com` is a registry on this machine if
`docker-registry` is installed. IMGCONV_DOCKER_HOST names an empty Docker engine; the image `app:1.0` is loaded there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from blocks import ROOT, Command
from storages import Storage

REGISTRY = "registry.example.com"
#: Programs that pages use and that a machine may lack: the variable that names another path of it, if there is one.
PROGRAMS = {
    "buildah": "",
    "cosign": "",
    "crane": "IMGCONV_CRANE",
    "crictl": "",
    "ctr": "",
    "curl": "",
    "docker": "IMGCONV_DOCKER",
    "git": "",
    "go": "",
    "jq": "",
    "k3s": "",
    "kind": "",
    "man": "",
    "minikube": "",
    "nerdctl": "",
    "oras": "IMGCONV_ORAS",
    "podman": "IMGCONV_PODMAN",
    "regctl": "IMGCONV_REGCTL",
    "rsync": "",
    "skopeo": "IMGCONV_SKOPEO",
    "umoci": "IMGCONV_UMOCI",
    "zsh": "",
}
#: Where a command begins: at the start of a line or after a separator, behind variables and sudo.
PROGRAM = re.compile(r"(?:^|[|;&(]|\bsudo )\s*(?:[A-Z_]+=\S+ )*(\w[\w.-]*)", re.MULTILINE)
SEPARATOR = "\x1e"
REGISTRY_CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""


def tracked() -> list[str]:
    """Return the files that Git tracks, none in an unpacked sdist."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


class Session:
    """One folder with its files, programs and registry."""

    def __init__(self, folder: Path, archives: Path | None = None) -> None:
        """`archives` is a folder that `make_archives` filled; None for a session without them."""
        self.folder = folder / "work"
        self.programs = folder / "bin"
        self.home = folder / "home"
        for path in (self.folder, self.programs, self.home):
            path.mkdir(parents=True)
        self._registry: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._engine = False
        self._programs()
        (self.folder / "build").mkdir()  # as pip leaves it
        (self.folder / ".venv").mkdir()
        (self.folder / ".venv" / "bin").symlink_to(self.programs)
        shutil.copytree(ROOT / "testdata", self.folder / "testdata")
        for path in archives.iterdir() if archives else ():
            shutil.copy(path, self.folder)
        if archives:
            volume = Storage(self.folder / "volume")
            volume.image("app", "1.0", files=("base", "app"))
            volume.image("app", "2.0", files=("base", "app2"))
            volume.image("team/web", "1", files=("base", "web"))

    def _programs(self) -> None:
        words = f'exec {sys.executable} -P -c "from convert.cli import main; main()" "$@"\n'
        python = f'exec {sys.executable} -P "$@"\n'
        for name, text in (("imgconv", words), ("python", python), ("python3", python)):
            path = self.programs / name
            path.write_text(f"#!/bin/sh\n{text}")
            path.chmod(0o755)
        for name, variable in PROGRAMS.items():
            given = os.environ.get(variable, "").split(":")[0] if variable else ""
            if given:
                (self.programs / name).symlink_to(os.path.realpath(given))

    def make_archives(self) -> Path:
        """Make the archives that pages refer to; return their folder."""
        archives = "testdata/match/archives"
        self.shell(
            f"imgconv -q {archives}/docker20-html.tar.gz --image fmt-html:1 --tag app:1.0 --to docker-save app.tar && "
            "cp app.tar image.tar && cp app.tar old.tar && "
            f"imgconv -q {archives}/docker20-duplayer.tar.gz --tag app:1.0 --to docker-save new.tar && "
            "imgconv -q app.tar --to oci all && imgconv -q new.tar --tag web:2.0 --to oci all --append && "
            "imgconv -q all --to docker-save all.tar && rm -r all && "
            f"imgconv -q {archives}/containerd29-export-multiplatform.tar.gz --to docker-oci multi.tar && "
            "mkdir made && mv *.tar made",
        )
        return self.folder / "made"

    def shell(self, script: str) -> str:
        """Run a script that has to succeed; return what it prints."""
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def missing(self, text: str) -> str:
        """Return why a command cannot be run here, "" if it can."""
        path = self._environment()["PATH"]
        names = PROGRAM.findall(text)
        for name in names:
            if name in PROGRAMS and shutil.which(name, path=path) is None:
                return f"{name} is not installed"
            if name == "docker" and (reason := self._fill_engine()):
                return reason
        # imgconv itself never talks to a registry.
        if REGISTRY in text and PROGRAMS.keys() & set(names) and not self.port and not self._start_registry():
            return "docker-registry is not installed"
        return ""

    def _fill_engine(self) -> str:
        """Load `app.tar` into the Docker engine; return why there is none, "" if there is one."""
        if self._engine:
            return ""
        if not os.environ.get("IMGCONV_DOCKER_HOST"):
            return "IMGCONV_DOCKER_HOST names no Docker engine"
        if self.shell("docker image ls --quiet"):
            return "the Docker engine of IMGCONV_DOCKER_HOST is not empty"
        self.shell("docker load --quiet --input app.tar")
        self._engine = True
        return ""

    def run(self, commands: list[Command]) -> list[tuple[int, str]]:
        """Run the commands in one shell; return the exit status and the output of each."""
        here = f"localhost:{self.port}" if self.port else REGISTRY
        lines = []
        for command in commands:
            text = command.text.replace(REGISTRY, here)
            lines += [f"{text}", "status=$?", f"printf '\\n{SEPARATOR}%s{SEPARATOR}\\n' $status", "(exit $status)"]
        script = "set -o pipefail\n" + "\n".join(lines) + "\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )
        printed = done.stdout.decode(errors="replace").replace(here, REGISTRY)
        results = re.findall(f"(.*?)\n{SEPARATOR}(\\d+){SEPARATOR}\n", printed, re.DOTALL)
        assert len(results) == len(commands), printed
        return [(int(status), output) for output, status in results]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "CONTAINERS_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "DOCKER_HOST": os.environ.get("IMGCONV_DOCKER_HOST", ""),
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
            "PATH": os.pathsep.join([str(self.programs), os.environ["PATH"]]),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "120",
        }

    def _start_registry(self) -> bool:
        """Start a registry on this machine, and tell skopeo, podman and regctl that it has no certificate."""
        program = shutil.which("docker-registry")
        if program is None:
            return False
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.home / "registry.yml"
        config.write_text(REGISTRY_CONFIG.format(folder=self.home / "registry", port=self.port))
        self._registry = subprocess.Popen(
            [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                break
            time.sleep(0.05)
        address = f"localhost:{self.port}"
        containers = self.home / ".config" / "containers"
        containers.mkdir(parents=True)
        (containers / "registries.conf").write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        (containers / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.home / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{self.home}/run"\ngraphroot = "{self.home}/graph"\n'
        )
        (self.home / ".regctl").mkdir()
        (self.home / ".regctl" / "config.json").write_text(json.dumps({"hosts": {address: {"tls": "disabled"}}}))
        return True

    def close(self) -> None:
        """End the registry, and empty the engine."""
        if self._engine:
            self.shell("docker image rm --force $(docker image ls --quiet)")
        if self._registry is not None:
            self._registry.kill()
            self._registry.wait()
