"""Receivers of thin archives: real programs that keep what they have, unlike those of `engines` and `tools`.

Each has `empty()`, `give(path, form)`, which loads an archive and returns the finished program, and
`state(image)`, which states what became of it: NONE, INCOMPLETE or COMPLETE. An image is complete if the
receiver makes a container of it and gives all of its blobs away again.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from oracle.reading import sha256
from peer.consumers.engines import Ctr, Docker
from peer.consumers.outcome import call

NONE, INCOMPLETE, COMPLETE = "none", "incomplete", "complete"


def saved_layers(path):
    """Return the DiffIDs and digests of everything in a saved archive, whatever its form."""
    found = set()
    with tarfile.open(path) as tar:
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
            return INCOMPLETE
        container = made.out.split()[-1]
        with tempfile.TemporaryDirectory() as folder:
            exported = self._docker("export", "--output", f"{folder}/files.tar", container)
            self._docker("rm", container)
            saved = self._docker("save", "--output", f"{folder}/saved.tar", image.name)
            if exported.status or saved.status or not image.files <= names(f"{folder}/files.tar"):
                return INCOMPLETE
            found = saved_layers(f"{folder}/saved.tar")
            return COMPLETE if {image.id, *image.diff_ids} <= found else INCOMPLETE


def names(path):
    """Return the names in a tar."""
    with tarfile.open(path) as tar:
        return {member.name.removeprefix("./") for member in tar}


class ContainerdReceiver(Ctr):
    """containerd, filled by `ctr images import` without options."""

    bases = ("docker-save", "docker-oci", "oci-archive")

    def __init__(self, ctr, address, snapshotter):
        super().__init__(ctr, address, f"--snapshotter={snapshotter}")
        self._namespace = "thin"

    def empty(self, namespace="thin"):
        """Remove everything."""
        super().empty(namespace)

    def give(self, path, form):
        """Import an archive into what is there."""
        return self._run(self._namespace, "images", "import", *self._flags, path)

    def state(self, image):
        """Return what containerd has of an image."""
        listed = self._run(self._namespace, "images", "check", *self._flags).out
        line = next((line for line in listed.splitlines() if line.startswith(image.full_name + " ")), "")
        if not line:
            return NONE
        with tempfile.TemporaryDirectory() as folder:
            exported = self._run(self._namespace, "images", "export", f"{folder}/saved.tar", image.full_name)
            whole = exported.status == 0 and set(image.diff_ids) <= saved_layers(f"{folder}/saved.tar")
        mounted = self._is_mountable(image)
        return COMPLETE if whole and mounted else INCOMPLETE + (" (runs)" if mounted else "")

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
            return INCOMPLETE
        with tempfile.TemporaryDirectory() as folder:
            exported = self._run("export", "--output", f"{folder}/files.tar", made.out.split()[-1])
            saved = self._run("save", "--output", f"{folder}/saved.tar", image.id.partition(":")[2])
            whole = exported.status == 0 and image.files <= names(f"{folder}/files.tar")
            found = saved_layers(f"{folder}/saved.tar") if saved.status == 0 else set()
        return COMPLETE if whole and {image.id, *image.diff_ids} <= found else INCOMPLETE


class RegistryReceiver:
    """A registry, filled by `skopeo copy`; each time one of a new address, which skopeo's cache does not know."""

    bases = ("oci-archive",)

    def __init__(self, skopeo, new_registry):
        self._skopeo = skopeo
        self._new = new_registry
        self._registry = None

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
        """Push the only image of an archive."""
        transport = form if form in {"oci", "oci-archive"} else "docker-archive"
        options = ("--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false")
        return call(self._skopeo, *options, f"{transport}:{path}", f"docker://{self._registry.host}/app:1")

    def state(self, image):
        """Return what the registry has: the manifest of the full image and all blobs, or not."""
        try:
            raw, _ = self._registry.manifest("app")
        except OSError:
            return NONE
        digests = set(re.findall(rb"sha256:[0-9a-f]{64}", raw))
        if image.id.encode() not in digests:
            return NONE
        there = all(self._registry.has_blob("app", digest.decode()) for digest in digests)
        return COMPLETE if there and sha256(raw) == image.manifest_digest else INCOMPLETE
