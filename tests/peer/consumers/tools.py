"""podman, skopeo, crane and umoci."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from peer.consumers.outcome import Outcome, call


def document(path, name):
    """Return a JSON document of an archive or folder, None if it cannot be read."""
    try:
        if Path(path).is_dir():
            return json.loads((Path(path) / name).read_bytes())
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.removeprefix("./") == name:
                    return json.load(archive.extractfile(member))
    except (OSError, ValueError, tarfile.TarError, RecursionError, AttributeError, EOFError):
        return None
    return None


class Podman:
    """`podman load` into a store of its own."""

    def __init__(self, podman):
        self._podman = podman

    def version(self):
        """Return the version of the tool."""
        return call(self._podman, "--version").out.split()[-1]

    def load(self, path):
        """Load an archive into an empty store."""
        store = tempfile.mkdtemp(prefix="podman-")
        try:
            flags = (
                "--root",
                f"{store}/root",
                "--runroot",
                f"{store}/run",
                "--storage-driver",
                "vfs",
                "--events-backend",
                "none",
            )
            flags += ("--tmpdir", f"{store}/tmp")
            done = call(self._podman, *flags, "load", "--input", path)
            outcome = Outcome(loads=False, error=done.last_words, calls=[f"podman load --input {path}"])
            listed = call(self._podman, *flags, "images", "--all", "--format", "json")
            for image in json.loads(listed.out or "[]") if listed.status == 0 else []:
                for name in image.get("Names") or [image["Id"]]:
                    outcome.images[name] = f"sha256:{image['Id']}"
            outcome.loads = done.status == 0 and bool(outcome.images)
            return outcome
        finally:
            shutil.rmtree(store, ignore_errors=True)


class Skopeo:
    """`skopeo copy` of each image by its address, over one transport."""

    def __init__(self, skopeo, transport):
        self._skopeo = skopeo
        self._transport = transport

    def version(self):
        """Return the version of the tool."""
        return call(self._skopeo, "--version").out.split()[2]

    def load(self, path):
        """Copy the only image, or else each one by `:@N`, its name, or its ref.name."""
        outcome = self._copy(path, "")
        if outcome.loads:
            return outcome
        for addresses in self._addresses(path):
            found = [self._copy(path, address) for address in addresses]
            if found and all(each.loads for each in found):
                outcome.loads = True
                for each in found:
                    outcome.images |= each.images
                    outcome.calls += each.calls
                return outcome
            outcome.error += "".join(
                f" || {address}: {each.error}" for address, each in zip(addresses, found, strict=True) if not each.loads
            )[:900]
        return outcome

    def _addresses(self, path):
        """Yield lists of addresses that name every image."""
        if self._transport == "docker-archive":
            listed = document(path, "manifest.json")
            count = len(listed) if isinstance(listed, list) else 0
            if count > 1:
                yield [f"@{number}" for number in range(count)]
            return
        index = document(path, "index.json")
        entries = index.get("manifests") if isinstance(index, dict) else None
        entries = entries if isinstance(entries, list) else []
        if len(entries) > 1:
            yield [f"@{number}" for number in range(len(entries))]
            names = [((each.get("annotations") or {}).get("org.opencontainers.image.ref.name")) for each in entries]
            if all(names) and len(set(names)) == len(names):
                yield names

    def _copy(self, path, address):
        folder = tempfile.mkdtemp(prefix="skopeo-")
        try:
            source = f"{self._transport}:{path}" + (f":{address}" if address else "")
            done = call(self._skopeo, "--insecure-policy", "copy", "--quiet", source, f"dir:{folder}/to")
            outcome = Outcome(loads=done.status == 0, error=done.last_words, calls=[f"skopeo copy {source} dir:"])
            if outcome.loads:
                manifest = json.loads(Path(folder, "to", "manifest.json").read_bytes())
                outcome.images[address] = manifest.get("config", {}).get("digest", "")
            return outcome
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Crane:
    """`crane push` into a registry of our own."""

    def __init__(self, crane, registry):
        self._crane = crane
        self._registry = registry

    def version(self):
        """Return the version of the tool."""
        return call(self._crane, "version").out.strip()

    def load(self, path):
        """Push an archive."""
        name = re.sub(r"[^a-z0-9]+", "-", Path(path).name.lower()).strip("-") or "x"
        reference = f"{self._registry}/{name}:matrix"
        done = call(self._crane, "push", path, reference)
        outcome = Outcome(loads=done.status == 0, error=done.last_words, calls=[f"crane push {path}"])
        if outcome.loads:
            digest = call(self._crane, "manifest", done.out.strip().splitlines()[-1])
            try:
                image_id = json.loads(digest.out).get("config", {}).get("digest", "")
            except ValueError:
                image_id = ""
            outcome.images[""] = image_id or done.out.strip().rpartition("@")[2]
        return outcome


class Umoci:
    """`umoci unpack` of every ref.name of a layout folder."""

    def __init__(self, umoci):
        self._umoci = umoci

    def version(self):
        """Return the version of the tool."""
        return call(self._umoci, "--version").out.split()[2]

    def load(self, path):
        """Unpack each image of the layout."""
        outcome = Outcome(loads=False)
        listed = call(self._umoci, "ls", "--layout", path)
        outcome.error = listed.last_words
        outcome.calls.append(f"umoci ls --layout {path}")
        names = listed.out.split("\n")[:-1] if listed.status == 0 else []
        if not names:
            return outcome
        outcome.loads = True
        index = document(path, "index.json") or {}
        for name in dict.fromkeys(names):
            folder = tempfile.mkdtemp(prefix="umoci-")
            try:
                done = call(self._umoci, "unpack", "--image", f"{path}:{name}", f"{folder}/bundle")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            outcome.calls.append(f"umoci unpack --image {path}:{name}")
            if done.status:
                outcome.loads = False
                outcome.error = f"{name}: {done.last_words}"
            else:
                outcome.images[name] = next(
                    (
                        each["digest"]
                        for each in index["manifests"]
                        if (each.get("annotations") or {}).get("org.opencontainers.image.ref.name") == name
                    ),
                    "",
                )
        return outcome
