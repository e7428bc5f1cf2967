"""Load thin archives of every form into real receivers that have the base, or not; docs/recipes/thin.md has the tables.

    python tests/peer/thin_matrix.py OUTCOMES.json       load, and keep what happened
    python tests/peer/thin_matrix.py OUTCOMES.json RECORD.json      the same, as a record of bench/records

Receivers are found as matrix.py finds consumers. The base is loaded in each form that the receiver reads: a
row `podman@4.3.1 docker-oci from oci-archive` is a thin docker-oci archive in a podman that has the base from an
oci-archive. Each engine is emptied.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from consumers.receivers import (
    COMPLETE,
    INCOMPLETE,
    NONE,
    ContainerdReceiver,
    DockerReceiver,
    PodmanReceiver,
    RegistryReceiver,
)
from peer.matrix import given, several
from registry import Registry

import convert

FORMS = ("docker-save", "docker-save@25", "docker-save@29", "docker-oci", "oci-archive", "oci")
#: The forms of the base that the tables of the documentation are about; other receivers have it from an oci-archive.
DOCKER_BASE, OTHER_BASE = "docker-save", "oci-archive"


@dataclass(frozen=True, slots=True)
class Expected:
    """An image as its receiver should have it."""

    name: str
    id: str
    diff_ids: tuple[str, ...]
    files: frozenset[str]
    manifest_digest: str

    @property
    def full_name(self):
        """The name as containerd has it."""
        return f"docker.io/library/{self.name}"


def layer(number):
    """Return a layer with a file of its own and one that all layers have."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in (f"file{number}", "shared"):
            member = tarfile.TarInfo(name)
            data = b"%d " % number * 4000
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def make(folder, name, numbers):
    """Write a docker-save archive of one image; return its path."""
    layers = [layer(number) for number in numbers]
    digests = [hashlib.sha256(data).hexdigest() for data in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": f"step {number}"} for number in numbers],
    }
    raw = json.dumps(config).encode()
    image_id = hashlib.sha256(raw).hexdigest()
    members = {f"{digest}.tar": data for digest, data in zip(digests, layers, strict=True)}
    listed = [{"Config": f"{image_id}.json", "RepoTags": [name], "Layers": list(members)}]
    members |= {f"{image_id}.json": raw, "manifest.json": json.dumps(listed).encode()}
    path = folder / f"{name.replace(':', '-')}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    layout = folder / f"{name.replace(':', '-')}-layout"
    report = convert.convert(path, layout, to="oci")
    return path, Expected(
        name,
        f"sha256:{image_id}",
        tuple(f"sha256:{digest}" for digest in digests),
        frozenset({"shared", *(f"file{number}" for number in numbers)}),
        str(report.images[0].manifest_digest),
    )


def receivers(folder):
    """Return the receivers that are found, by name and version; registries keep their files in `folder`."""
    found = {}
    client = given("DOCKER") or "docker"
    for name, variable in (
        ("docker", "DOCKER20"),
        ("docker", "DOCKER29"),
        ("docker-containerd", "DOCKER29_CONTAINERD"),
    ):
        if given(variable):
            inner = None
            if variable == "DOCKER29_CONTAINERD":
                socket = given("DOCKER29_CONTAINERD_SOCKET")
                inner = ContainerdReceiver(given("CTR2"), socket, "native")
            driver = DockerReceiver(client, given(variable), inner)
            found[f"{name}@{driver.version()}"] = driver
    for variable in ("16", "22", "2"):
        if given(f"CONTAINERD{variable}"):
            driver = ContainerdReceiver(
                given(f"CTR{variable}"), given(f"CONTAINERD{variable}"), given("SNAPSHOTTER") or "overlayfs"
            )
            found[f"containerd@{driver.version().removeprefix('v').partition('~')[0]}"] = driver
    for path in several("PODMAN"):
        driver = PodmanReceiver(path)
        found[f"podman@{driver.version()}"] = driver
    for path in several("SKOPEO"):

        def new_registry():
            return Registry(Path(tempfile.mkdtemp(dir=folder)))

        driver = RegistryReceiver(path, new_registry)
        found[f"registry@{driver.version()}"] = driver
    return found


def outcome(done, state):
    """Return the words of the tables for what happened."""
    if done.status == 0 and state == COMPLETE:
        return "loads"
    if done.status == 0 and state.startswith(INCOMPLETE):
        return "loads, incomplete"
    if state == NONE:
        return "refuses"
    return "refuses, leaves a name" if state.startswith(INCOMPLETE) else "complete despite an error"


class Archives:
    """The archives of one run: the old and the new image in full, and the new one thin, in every form."""

    def __init__(self, folder):
        self._folder = folder
        self.old_path, self.old = make(folder, "thin-app:1", (1, 2))
        self.new_path, self.new = make(folder, "thin-app:2", (1, 2, 3))

    def full(self, form, *, old=False):
        """Return a full archive."""
        out = self._folder / f"{'old' if old else 'full'}-{form}"
        if not out.exists():
            convert.convert(self.old_path if old else self.new_path, out, to=form)
        return out

    def thin(self, form):
        """Return the thin archive."""
        out = self._folder / f"thin-{form}"
        if not out.exists():
            report = convert.convert(self.new_path, out, to=form, without=[str(self.old_path)])
            assert [str(one.diff_id) for need in report.needs for one in need.layers] == list(self.old.diff_ids)
        return out


def try_form(receiver, archives, form, base):
    """Return what happens to a thin archive of a form where the base came from an archive of another, or is absent."""
    receiver.empty()
    done = receiver.give(archives.full(form), form)
    if done.status or receiver.state(archives.new) != COMPLETE:
        return {"outcome": "not read", "error": done.last_words}
    receiver.empty()
    if base:
        done = receiver.give(archives.full(base, old=True), base)
        if done.status or receiver.state(archives.old) != COMPLETE:
            raise AssertionError(f"the base does not load: {done.last_words}")
    done = receiver.give(archives.thin(form), form)
    state = receiver.state(archives.new)
    found = {"outcome": outcome(done, state), "state": state, "error": done.last_words if done.status else ""}
    if base:
        found["base"] = receiver.state(archives.old)
    return found


def run(found, forms=FORMS):
    """Yield receiver, form, the base's form and what happened, for all of them."""
    with tempfile.TemporaryDirectory(prefix="thin-") as folder:
        archives = Archives(Path(folder))
        for name, receiver in found.items():
            for form in forms:
                for base in (None, *receiver.bases):
                    yield name, form, base, try_form(receiver, archives, form, base)
            receiver.empty()


def main(outcomes, record=None):
    """Load everything, print and keep what happened."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="thin-registry-") as folder:
        found = receivers(folder)
        for name, form, base, done in run(found):
            rows.append({"receiver": name, "form": form, "base": base, **done})
            sys.stdout.write(f"{name} {form} from {base or 'nothing'}: {done['outcome']} {done.get('base', '')}\n")
            sys.stdout.flush()
            Path(outcomes).write_text(json.dumps(rows, indent=1) + "\n")
        for receiver in found.values():
            if isinstance(receiver, RegistryReceiver):
                receiver.stop()
    if record:
        document = {"kind": "thin", "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "rows": rows}
        Path(record).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
