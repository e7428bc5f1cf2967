"""Load thin archives of every form into real receivers that have the base, or not; docs/recipes/thin.md has the tables.

    python tests/peer/thin_matrix.py                     load them and print what happened
    python tests/peer/thin_matrix.py --record            add that to bench/records
    python tests/peer/thin_matrix.py --only podman       only receivers and forms whose words hold that

Receivers are found as matrix.py finds consumers. The base is loaded in each form that the receiver reads: a
row `podman@4.3.1 docker-oci from oci-archive` is a thin docker-oci archive in a podman that has the base from an
oci-archive. Each engine is emptied.
"""

from __future__ import annotations

import hashlib
import io
import itertools
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
    NONE,
    RUNS,
    ContainerdReceiver,
    DockerReceiver,
    PodmanReceiver,
    RegistryReceiver,
)
from peer.matrix import given, several
from registry import Registry

import convert

FORMS = ("docker-save", "docker-save@25", "docker-save@29", "docker-oci", "oci-archive", "oci")


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


def layer(number, salt):
    """Return a layer with a file of its own and one that all layers have; `salt` makes it another layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in (f"file{number}", "common"):
            member = tarfile.TarInfo(name)
            data = b"%d %d " % (number, salt) * 4000
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def make(folder, name, numbers, salt):
    """Write a docker-save archive of one image; return its path."""
    layers = [layer(number, salt) for number in numbers]
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
        frozenset({"common", *(f"file{number}" for number in numbers)}),
        str(report.images[0].manifest_digest),
    )


def receivers(folder):
    """Return the receivers that are found, by name and version; registries keep their files in `folder`."""
    found = {}
    client = given("DOCKER") or "docker"
    for name, variable in (
        ("docker@20.10.24", "DOCKER20"),
        ("docker@29.7", "DOCKER29"),
        ("docker-containerd@29.7", "DOCKER29_CONTAINERD"),
    ):
        if given(variable):
            inner = None
            if variable == "DOCKER29_CONTAINERD":
                socket = given("DOCKER29_CONTAINERD_SOCKET")
                inner = ContainerdReceiver(given("CTR2"), socket, "native")
            found[name] = DockerReceiver(client, given(variable), inner)
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
        found[f"registry@skopeo {driver.version()}"] = driver
    return found


def outcome(done, state):
    """Return the words of the tables for what happened."""
    if state == NONE:
        return "refuses"
    if state == COMPLETE:
        return "loads" if done.status == 0 else "loads with an error"
    return "loads, lacks blobs" if state == RUNS else "leaves a name that does not run"


class Archives:
    """The old and the new image in full, and the new one thin, in every form; no two objects share a layer."""

    _count = itertools.count(1)

    def __init__(self, folder):
        salt = next(self._count)
        self._folder = folder / str(salt)
        self._folder.mkdir()
        self.old_path, self.old = make(self._folder, "thin-app:1", (1, 2), salt)
        self.new_path, self.new = make(self._folder, "thin-app:2", (1, 2, 3), salt)

    def full(self, form, *, old=False):
        """Return a full archive."""
        out = self._folder / f"{'old' if old else 'full'}-{form}"
        convert.convert(self.old_path if old else self.new_path, out, to=form)
        return out

    def thin(self, form):
        """Return the thin archive."""
        out = self._folder / f"thin-{form}"
        report = convert.convert(self.new_path, out, to=form, without=[str(self.old_path)])
        assert [str(one.diff_id) for need in report.needs for one in need.layers] == list(self.old.diff_ids)
        return out


def is_read(receiver, archives, form):
    """Return whether an empty receiver takes the full archive of a form."""
    receiver.empty()
    done = receiver.give(archives.full(form), form)
    return done.status == 0 and receiver.state(archives.new) == COMPLETE


def try_form(receiver, archives, form, base):
    """Return what happens to a thin archive of a form where the base came from an archive of another, or is absent."""
    receiver.empty()
    if base:
        done = receiver.give(archives.full(base, old=True), base)
        state = receiver.state(archives.old)
        if done.status or state != COMPLETE:
            raise AssertionError(f"the base does not load: {state}, {done.last_words}")
    done = receiver.give(archives.thin(form), form)
    state = receiver.state(archives.new)
    found = {"outcome": outcome(done, state), "status": done.status, "words": done.last_words}
    if base:
        found["base"] = receiver.state(archives.old)
    return found


def run(found, only=""):
    """Yield receiver, form, the base's form and what happened, for all of them whose words hold `only`."""
    with tempfile.TemporaryDirectory(prefix="thin-") as name_of_folder:
        folder = Path(name_of_folder)
        for name, receiver in found.items():
            for form in FORMS:
                bases = [base for base in (None, *receiver.bases) if only in f"{name} {form} from {base or 'nothing'}"]
                reads = bool(bases) and is_read(receiver, Archives(folder), form)
                for base in bases:
                    done = try_form(receiver, Archives(folder), form, base) if reads else {"outcome": "not read"}
                    yield name, form, base, done
            receiver.empty()


def stop(found):
    """Stop the registries that were started."""
    for receiver in found.values():
        if isinstance(receiver, RegistryReceiver):
            receiver.stop()


def main(*options):
    """Load everything, print what happens, and add it to the records if that is asked for."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
    import record
    from measuring import machine

    only = options[options.index("--only") + 1] if "--only" in options else ""
    rows = []
    with tempfile.TemporaryDirectory(prefix="thin-registry-") as folder:
        found = receivers(folder)
        try:
            for name, form, base, done in run(found, only):
                rows.append({"receiver": name, "form": form, "base": base, "outcome": done["outcome"]})
                state = {key: value for key, value in done.items() if key != "outcome"}
                sys.stdout.write(f"{name} {form} from {base or 'nothing'}: {done['outcome']} {state}\n")
                sys.stdout.flush()
        finally:
            stop(found)
    if "--record" in options:
        versions = {}
        for name in found:
            program, _, version = name.partition("@")
            versions.setdefault(program, []).append(version)
        tools = {program: " and ".join(each) for program, each in versions.items()}
        path = record.write(record.new("thin-receivers", rows, machine=machine(), tools=tools))
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
