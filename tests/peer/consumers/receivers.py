"""Receivers of thin archives: real programs that keep what they have, unlike those of `engines` and `tools`.

Each has `empty()`, `give(path, form)`, which loads an archive and returns the finished program, and
`state(image)`, which states what became of it: NONE, UNUSABLE, RUNS or COMPLETE. An image RUNS if the receiver makes
the file system of a container of it, and it is COMPLETE if the receiver also gives all of its blobs away again.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from oracle.reading import sha256
from peer.consumers.engines import Ctr, Docker
from peer.consumers.outcome import call

NONE, UNUSABLE, RUNS, COMPLETE = "none", "unusable", "runs", "complete"


def saved_layers(path):
    """Return the DiffIDs and digests of everything in a saved archive, whatever its form; it may end too early."""
    found = set()
    with contextlib.suppress(tarfile.ReadError), tarfile.open(path) as tar:
        for member in tar:
            if member.isreg():
                data = tar.extractfile(member).read()
                found.add(sha256(data))
                if data[:2] == b"\x1f\x8b":
                    found.add(sha256(gzip.decompress(data)))
    return found


class DockerReceiver(Docker):
    """A Docker engine of our own."""

    bases = ("docker-save", "docker-oci")

    def give(self, path, form):
        """Load an archive into what is there."""
        return self._docker("load", "--input", path)

    def state(self, image):
        """Return what the engine has of an image."""
        if image.name not in self.images():
            return NONE
        made = self._docker("create", "--pull", "never", image.name, "x")
        if made.status:
            return UNUSABLE
        container = made.out.split()[-1]
        with tempfile.TemporaryDirectory() as folder:
            exported = self._docker("export", "--output", f"{folder}/files.tar", container)
            self._docker("rm", container)
            if exported.status or not image.files <= names(f"{folder}/files.tar"):
                return UNUSABLE
            saved = self._docker("save", "--output", f"{folder}/saved.tar", image.name)
            found = saved_layers(f"{folder}/saved.tar") if saved.status == 0 else set()
            return COMPLETE if {image.id, *image.diff_ids} <= found else RUNS


def names(path):
    """Return the names in a tar."""
    with tarfile.open(path) as tar:
        return {member.name.removeprefix("./") for member in tar}


class ContainerdReceiver(Ctr):
    """containerd, filled by `ctr images import` without options."""

    bases = ("docker-save", "docker-oci", "oci-archive")

    def __init__(self, ctr, address, snapshotter):
        super().__init__(ctr, address, f"--snapshotter={snapshotter}")
        self._namespace = ""
        self._number = 0

    def empty(self, namespace=None):
        """Start with a new namespace. The others stay: removing takes a while, and may take what is shared."""
        if namespace is not None:
            super().empty(namespace)
        self._number += 1
        self._namespace = f"thin-{os.getpid()}-{self._number}"

    def give(self, path, form):
        """Import an archive into what is there."""
        return self._run(self._namespace, "images", "import", *self._flags, path)

    def state(self, image):
        """Return what containerd has of an image."""
        listed = self._run(self._namespace, "images", "check", *self._flags).out
        line = next((line for line in listed.splitlines() if line.startswith(image.full_name + " ")), "")
        if not line:
            return NONE
        # "complete (4/4)": all blobs are there. An export of containerd 2 may return before its file is written.
        whole = " complete (" in line
        if not self._is_mountable(image):
            return UNUSABLE
        return COMPLETE if whole else RUNS

    def _is_mountable(self, image):
        """Whether the file system of an image can be mounted and has its files."""
        folder = tempfile.mkdtemp(prefix="thin-")
        try:
            done = self._run(self._namespace, "images", "mount", *self._flags, image.full_name, folder)
            found = {str(path.relative_to(folder)) for path in Path(folder).rglob("*")}
            self._run(self._namespace, "images", "unmount", "--rm", *self._flags, folder)
            return done.status == 0 and image.files <= found
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class PodmanReceiver:
    """podman with a store of its own: `podman load`, or `podman pull` of a layout."""

    bases = ("docker-save", "docker-oci", "oci-archive")

    def __init__(self, podman):
        self._podman = podman
        self._store = None

    def version(self):
        """Return the version of the tool."""
        return call(self._podman, "--version").out.split()[-1]

    def _run(self, *arguments):
        store = self._store
        flags = ("--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs")
        return call(self._podman, *flags, "--events-backend", "none", "--tmpdir", f"{store}/tmp", *arguments)

    def empty(self):
        """Start with a new store."""
        if self._store:
            shutil.rmtree(self._store, ignore_errors=True)
        self._store = tempfile.mkdtemp(prefix="thin-podman-")

    def give(self, path, form):
        """Load an archive, or pull a layout."""
        return self._run("pull", f"oci:{path}") if form == "oci" else self._run("load", "--input", path)

    def state(self, image):
        """Return what podman has of an image; it has no names of a layout."""
        listed = self._run("images", "--all", "--quiet", "--no-trunc").out
        if image.id not in listed.replace("\n", " "):
            return NONE
        made = self._run("create", image.id.partition(":")[2], "x")
        if made.status:
            return UNUSABLE
        with tempfile.TemporaryDirectory() as folder:
            exported = self._run("export", "--output", f"{folder}/files.tar", made.out.split()[-1])
            if exported.status or not image.files <= names(f"{folder}/files.tar"):
                return UNUSABLE
            saved = self._run("save", "--output", f"{folder}/saved.tar", image.id.partition(":")[2])
            found = saved_layers(f"{folder}/saved.tar") if saved.status == 0 else set()
        return COMPLETE if {image.id, *image.diff_ids} <= found else RUNS


class RegistryReceiver:
    """A registry, filled by `skopeo copy`; each time one of a new address, which skopeo's cache does not know."""

    bases = ("oci-archive",)

    def __init__(self, skopeo, new_registry):
        self._skopeo = skopeo
        self._new = new_registry
        self._registry = None
        self._own = {}

    def version(self):
        """Return the version of skopeo."""
        return call(self._skopeo, "--version").out.split()[2]

    def empty(self):
        """Start with a new registry."""
        if self._registry:
            self._registry.stop()
        self._registry = self._new()

    def stop(self):
        """Stop the registry."""
        if self._registry:
            self._registry.stop()
        self._registry = None

    def give(self, path, form):
        """Push the only image of an archive, under a tag that is the first word of its name."""
        transport = form if form in {"oci", "oci-archive"} else "docker-archive"
        options = ("--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false")
        tag = path.name.partition("-")[0]
        return call(self._skopeo, *options, f"{transport}:{path}", f"docker://{self._registry.host}/app:{tag}")

    def state(self, image):
        """Return what the registry has: all blobs, and of a layout the manifest that the layout has, or not."""
        for tag in ("thin", "full", "old"):
            try:
                raw, _ = self._registry.manifest("app", tag)
            except OSError:
                continue
            digests = set(re.findall(r"sha256:[0-9a-f]{64}", raw.decode()))
            if image.id not in digests:
                continue
            there = all(self._registry.has_blob("app", digest) for digest in digests)
            return COMPLETE if there and self._is_known(sha256(raw), image) else UNUSABLE
        return NONE

    def _is_known(self, digest, image):
        """Whether a manifest is that of the layout, or of a docker archive: then skopeo makes one of its own."""
        return digest == image.manifest_digest or self._own.setdefault(image.id, digest) == digest
