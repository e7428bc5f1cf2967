"""Docker engines and containerd, which are emptied before each archive."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import http.client
import itertools
import json
import os
import re
import socket
import tempfile
from pathlib import Path

from peer.consumers.outcome import Outcome, call

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_NUMBERS = itertools.count(1)


class Docker:
    """An engine of our own at `host`; `ctr` reaches the containerd inside, where the engine has a store there."""

    def __init__(self, client, host, ctr=None):
        self._client = client
        self._env = {"DOCKER_HOST": host}
        self._ctr = ctr

    def _docker(self, *arguments):
        return call(self._client, *arguments, env=self._env)

    def version(self):
        """Return the version of the engine."""
        return self._docker("version", "--format", "{{.Server.Version}}").out.strip()

    def load(self, path):
        """Load an archive into the empty engine."""
        self.empty()
        done = self._docker("load", "--input", path)
        outcome = Outcome(loads=False, error=done.last_words, calls=[f"docker load --input {path}"])
        outcome.images = self.images()
        outcome.loads = done.status == 0 and bool(outcome.images)
        unpacked = re.findall(r"Error unpacking image (\S+): ", done.out + done.err)
        outcome.unusable = list(unpacked)
        if self._ctr and outcome.loads:
            for name, digest in outcome.images.items():
                made = self._docker("create", "--pull", "never", digest, "x")
                if made.status == 0:
                    self._docker("rm", made.out.split()[-1])
                elif name not in outcome.unusable:
                    outcome.unusable.append(name)
        return outcome

    def images(self):
        """Return the names under which the engine holds images, with their IDs; an ID names one without a name.

        The engine is asked itself: its client does not show an image whose name has no tag.
        """
        found = {}
        for image in self._listed():
            for name in image.get("RepoTags") or [image["Id"]]:
                found[image["Id"] if name == "<none>:<none>" else name] = image["Id"]
        return found

    def _listed(self):
        connection = http.client.HTTPConnection("engine")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(self._env["DOCKER_HOST"].removeprefix("unix://"))
        with contextlib.closing(connection):
            connection.request("GET", "/images/json?all=1")
            return json.loads(connection.getresponse().read())

    def empty(self):
        """Remove every image, and with them every layer."""
        if self._ctr:
            self._ctr.empty("moby")
            return
        for _ in range(5):
            left = self._docker("image", "ls", "--all", "--quiet", "--no-trunc").out.split()
            if not left:
                return
            self._docker("image", "rm", "--force", *left)


class Ctr:
    """containerd, filled by `ctr images import` as `flags` say; each archive into a namespace of its own."""

    def __init__(self, ctr, address, *flags):
        self._command = (ctr, "--address", address)
        self._address = address
        self._flags = flags

    def _run(self, namespace, *arguments):
        return call(*self._command, "--namespace", namespace, *arguments)

    def version(self):
        """Return the version of the daemon."""
        text = call(*self._command, "version").out
        return re.findall(r"Version:\s*(\S+)", text)[-1]

    def load(self, path, *, importer=""):
        """Import an archive into an empty namespace, with another program than ctr if there is an `importer`."""
        namespace = f"m{os.getpid()}-{next(_NUMBERS)}"
        if importer:
            done = call(importer, self._address, namespace, path)
        else:
            done = self._run(namespace, "images", "import", *self._flags, path)
        outcome = Outcome(
            loads=False, error=done.last_words, calls=[f"ctr images import {' '.join(self._flags)} {path}"]
        )
        for line in self._run(namespace, "images", "ls").out.splitlines()[1:]:
            parts = line.split()
            digest = _SHA256.search(" ".join(parts[2:]))
            outcome.images[parts[0]] = digest[0] if digest else ""
        outcome.loads = done.status == 0 and bool(outcome.images)
        self.empty(namespace)
        return outcome

    def empty(self, namespace):
        """Remove images, content and snapshots of a namespace."""
        for kind, listing in (("images", ("ls", "-q")), ("content", ("ls", "-q")), ("leases", ("ls", "-q"))):
            names = self._run(namespace, kind, *listing).out.split()
            if names:
                self._run(namespace, kind, "rm", *names)
        for _ in range(40):
            listed = self._run(namespace, "snapshots", *self._snapshotter(), "ls").out.splitlines()[1:]
            keys = [line.split()[0] for line in listed]
            if not keys:
                return
            for key in reversed(keys):
                self._run(namespace, "snapshots", *self._snapshotter(), "rm", key)

    def _snapshotter(self):
        given = [flag.split("=", 1)[1] for flag in self._flags if flag.startswith("--snapshotter=")]
        return ("--snapshotter", given[0]) if given else ()


class K3s:
    """An import as k3s does it for its folder of archives; `importer` calls it: address, namespace and archive."""

    def __init__(self, importer, ctr, address, snapshotter):
        self._importer = importer
        self._ctr = Ctr(ctr, address, snapshotter)
        self._address = address

    def version(self):
        """Return the version of the daemon."""
        return self._ctr.version()

    def load(self, path):
        """Import an archive into an empty namespace, decompressed as its name says."""
        endings = ("tar.lz4", "tar.bz2", "tbz", "tar.gz", "tgz", "tar.zst", "tzst")
        name = path.name.lower()
        if not name.endswith((".tar", *endings)):
            return Outcome(loads=False, error="unhandled file type")
        with tempfile.TemporaryDirectory() as folder:
            plain = path
            if name.endswith(endings):
                opener = gzip.open if name.endswith(("gz",)) else bz2.open if name.endswith(("bz2", "tbz")) else None
                if opener is None:
                    return Outcome(loads=False, error="not tried")
                plain = Path(folder, "archive.tar")
                with opener(path) as source:
                    plain.write_bytes(source.read())
            return self._ctr.load(plain, importer=self._importer)
