"""`validate registry:ROOT`: each blob is read once, each planted fault is found, and none is invented."""

from __future__ import annotations

import collections
import io
import json
import os
import signal
import tarfile

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import GZIP, LAYER, MANIFEST, PLATFORM, dumps, tar_of
from reads import counted_reads
from storages import Storage, write
from support import ROOT

from convert import cancel
from convert.archive import registry_storage
from convert.archive.folder_tree import FolderTree
from convert.archive.tree import Tree
from convert.cli.main import run
from convert.commands.validate import validate
from convert.report.sarif import sarif
from convert.report.validate import document

ARM = {"os": "linux", "architecture": "arm64"}


class Filled(Storage):
    """A storage with everything that a sound one has; attributes are the descriptors."""

    def __init__(self, folder):
        super().__init__(folder)
        self.one = self.image("app", "1", files=("base", "one"))
        self.two = self.image("app", "2", files=("base", "two"))
        self.other = self.image("team/app", "1", files=("base", "one"))
        self.arm = self.image("multi", files=("base", "arm"), platform=ARM)
        self.amd = self.image("multi", files=("base", "one"))
        self.multi = self.index("multi", "1", [self.amd | {"platform": PLATFORM}, self.arm | {"platform": ARM}])
        self.sbom = self.artifact("app", self.one)
        self.referrers = self.index("app", self.one["digest"].replace(":", "-"), [self.sbom])
        write(self.repository("app") / "_uploads/1/data", b"half")
        base, top = self.layers(self.one)
        self.base, self.top = base, top

    def json(self, descriptor):
        return json.loads(self.blob_path(descriptor).read_bytes())

    def layers(self, descriptor):
        return self.json(descriptor)["layers"]

    def config(self, descriptor):
        return self.json(descriptor)["config"]

    def damage(self, descriptor, change):
        path = self.blob_path(descriptor)
        path.write_bytes(change(path.read_bytes()))

    def again(self, repository, tag, descriptor, **more):
        """Push a manifest like another one, changed."""
        return self.manifest(repository, self.json(descriptor) | more, tag)


@pytest.fixture
def storage(tmp_path):
    return Filled(tmp_path / "root")


def found(source, **more):
    """Return rule, severity and names of each finding."""
    return collections.Counter(
        (one.rule, one.severity.value, one.names) for one in validate(str(source), **more).findings
    )


def test_a_sound_storage_has_no_finding(storage, tmp_path):
    """Not even a note; as a folder, by repository, and as a tar."""
    assert validate(str(storage)).status == 0
    for source in (storage, f"{storage}/app", f"{storage}/app:1", f"{storage}/multi:1"):
        assert not validate(str(source)).findings, source
    with tarfile.open(tmp_path / "t", "w") as archive:
        archive.add(storage.folder, arcname="v")
    assert not validate(f"registry:{tmp_path}/t").findings


BASE = ("app:1", "app:2", "multi:1", "team/app:1")
TOP = ("app:1", "multi:1", "team/app:1")
ONE = ("app:1", "multi:1", "team/app:1")  # one manifest under three names
DEAD = "sha256:" + "0" * 64


def _truncate(s):
    s.damage(s.top, lambda data: data[:-5])


def _flip(s):
    s.damage(s.base, lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:])


def _change_config(s):
    s.damage(s.config(s.two), lambda data: data.replace(b"amd64", b"AMD64"))


def _change_manifest(s):
    s.damage(s.two, lambda data: data.replace(b"schemaVersion", b"schemaversion"))


def _wrong_child_type(s):
    wrong = s.multi["digest"]
    children = s.json(s.multi)["manifests"]
    children[1]["mediaType"] = "application/vnd.oci.image.index.v1+json"
    s.index("multi", "2", children)
    return wrong


def _wrong_layer_type(s):
    plain = s.part("app", tar_of("plain"), GZIP)
    s.again("app", "3", s.one, layers=[s.base, plain])


def _wrong_size(s):
    layers = s.layers(s.one)
    layers[0]["size"] += 1
    s.again("app", "3", s.one, layers=layers)


def _wrong_count(s):
    s.again("app", "3", s.one, layers=s.layers(s.one)[:1])


def _mixed_families(s):
    document = s.json(s.one)
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    s.manifest("app", document, "3")


def _foreign_referrer(s):
    s.index("app", s.two["digest"].replace(":", "-"), [s.sbom])


def _forgotten_referrer(s):
    s.artifact("app", s.one, data=b"[1]")


def _symlink(s):
    path = s.blob_path(s.two)
    path.unlink()
    path.symlink_to("/etc/hostname")


def _fifo(s):
    path = s.layer_link("app", s.base)
    path.unlink()
    os.mkfifo(path)


REFERRERS = "app:sha256-{}"

#: Fault -> what plants it, and the findings: rule, severity, names. Together with the tags that follow from the fault.
FAULTS = {
    "truncated layer": (
        _truncate,
        {("digest", "error", TOP): 1, ("size", "error", TOP): 1},
    ),
    "changed byte in a layer": (_flip, {("digest", "error", BASE): 1}),
    "changed config": (_change_config, {("digest", "error", ("app:2",)): 1}),
    "changed manifest": (
        _change_manifest,
        {("digest", "error", ("app:2",)): 1, ("unreferenced", "note", ()): 2},
    ),
    "layer is gone": (lambda s: s.blob_path(s.base).unlink(), {("missing", "error", BASE): 1}),
    "config is gone": (lambda s: s.blob_path(s.config(s.two)).unlink(), {("missing", "error", ("app:2",)): 1}),
    "manifest is gone": (
        lambda s: s.blob_path(s.two).unlink(),
        {("missing", "error", ("app:2",)): 1, ("unreferenced", "note", ()): 2},
    ),
    "child of an index is gone": (
        lambda s: s.blob_path(s.arm).unlink(),
        {("missing", "error", ("multi:1",)): 1, ("unreferenced", "note", ()): 2},
    ),
    "child of an index is deleted": (
        lambda s: (s.blob_path(s.arm).unlink(), s.revision_link("multi", s.arm).unlink()),
        {("absent-child", "warning", ("multi:1",)): 1, ("unreferenced", "note", ()): 2},
    ),
    "child of an index is not linked": (
        lambda s: s.revision_link("multi", s.arm).unlink(),
        {("registry-revision", "error", ("multi:1",)): 1},
    ),
    "layer is not linked": (
        lambda s: s.layer_link("app", s.top).unlink(),
        {("registry-layer", "error", ("app:1",)): 1},
    ),
    "config is not linked": (
        lambda s: s.layer_link("app", s.config(s.two)).unlink(),
        {("registry-layer", "error", ("app:2",)): 1},
    ),
    "tag without revision": (
        lambda s: s.revision_link("app", s.two).unlink(),
        {("registry-tag", "error", ("app:2",)): 1},
    ),
    "tag without link": (
        lambda s: s.tag_link("app", "2").unlink(),
        {("registry-tag", "error", ("app:2",)): 1},
    ),
    "tag leads to nothing": (
        lambda s: s.tag_link("app", "2").write_text(DEAD),
        {("registry-tag", "error", ("app:2",)): 1, ("registry-tag-index", "warning", ("app:2",)): 1},
    ),
    "tag that does not list its manifest": (
        lambda s: s.tag_index_link("app", "2", s.two).unlink(),
        {("registry-tag-index", "warning", ("app:2",)): 1},
    ),
    "link with a newline": (
        lambda s: s.tag_link("app", "2").write_text(s.two["digest"] + "\n"),
        {("registry-link", "error", ("app:2",)): 1},
    ),
    "empty link": (
        lambda s: s.layer_link("app", s.base).write_text(""),
        {("registry-link", "error", ("app",)): 1},
    ),
    "link to another blob": (
        lambda s: s.layer_link("app", s.base).write_text(s.top["digest"]),
        {("registry-link", "error", ("app",)): 1},
    ),
    "huge link": (
        lambda s: os.truncate(s.revision_link("app", s.two), 1 << 40),
        {("registry-link", "error", ("app",)): 1},
    ),
    "link that is a FIFO": (_fifo, {("registry-link", "error", ("app",)): 1}),
    "revision of nothing": (
        lambda s: write(s.revision_link("app", {"digest": DEAD}), DEAD.encode()),
        {("missing", "error", (f"app@{DEAD}",)): 1},
    ),
    "link to nothing": (
        lambda s: write(s.layer_link("app", {"digest": DEAD}), DEAD.encode()),
        {("registry-stale-link", "note", ("app",)): 1},
    ),
    "orphan": (lambda s: s.blob(b"orphan", LAYER), {("unreferenced", "note", ()): 1}),
    "upload without a manifest": (lambda s: s.part("app", b"new", LAYER), {("unreferenced", "note", ()): 1}),
    "wrong media type of a child": (_wrong_child_type, {("media-type", "error", ("multi:1", "multi:2")): 1}),
    "wrong media type of a layer": (_wrong_layer_type, {("layer-type", "warning", ("app:3",)): 1}),
    "media types of two families": (_mixed_families, {("docker-type", "warning", ("app:3",)): 1}),
    "wrong size": (_wrong_size, {("size", "error", (*BASE[:2], "app:3", *BASE[2:])): 1}),
    "wrong number of layers": (_wrong_count, {("layer-count", "error", ("app:3",)): 1}),
    "ambiguous manifest": (
        lambda s: s.again("app", "3", s.one, manifests=[]),
        {("ambiguous", "error", ("app:3",)): 1, ("schema", "error", ("app:3",)): 1},
    ),
    "not JSON": (lambda s: _raw(s, b"{"), {("json", "error", ("app:3",)): 1}),
    "not a manifest": (lambda s: _raw(s, b"[]"), {("schema", "error", ("app:3",)): 1}),
    "referrers of another manifest": (_foreign_referrer, {("referrers", "warning", None): 1}),
    "referrer that is not listed": (_forgotten_referrer, {("referrers", "warning", None): 1}),
    "artifact about nothing": (
        lambda s: s.artifact("app", {"mediaType": MANIFEST, "digest": DEAD, "size": 1}),
        {("absent-subject", "note", None): 1},
    ),
    "blob that is a link": (
        _symlink,
        {
            ("registry-name", "warning", ()): 1,
            ("missing", "error", ("app:2",)): 1,
            ("unreferenced", "note", ()): 2,
        },
    ),
    "blob under another prefix": (
        lambda s: write(s.v2 / "blobs/sha256/00" / s.top["digest"].split(":")[1] / "data", b""),
        {("registry-name", "warning", ()): 1},
    ),
    "name in upper case": (
        lambda s: write(s.repository("App_x") / "_manifests/x", b""),
        {("registry-name", "warning", ()): 1},
    ),
    "name of a tag": (
        lambda s: write(s.tag_link("app", ".x"), DEAD.encode()),
        {("registry-name", "warning", ()): 1},
    ),
}


#: What occurs twice in a tar: a member, as a function of the storage, and the names that it affects.
TWICE = {
    "a layer": (lambda s: s.blob_path(s.top), TOP),
    "a shared layer": (lambda s: s.blob_path(s.base), BASE),
    "a config": (lambda s: s.blob_path(s.config(s.two)), ("app:2",)),
    "a manifest": (lambda s: s.blob_path(s.two), ("app:2",)),
    "the child of an index": (lambda s: s.blob_path(s.arm), ("multi:1",)),
    "the link of a layer": (lambda s: s.layer_link("app", s.base), ("app",)),
    "the link of a manifest": (lambda s: s.revision_link("app", s.two), ("app",)),
    "a tag": (lambda s: s.tag_link("app", "2"), ("app:2",)),
}


@pytest.mark.parametrize("selected", ["", "/app:2"])
@pytest.mark.parametrize(("path_of", "names"), TWICE.values(), ids=TWICE)
def test_what_is_in_a_tar_twice_is_reported_as_that(storage, tmp_path, path_of, names, selected):
    """An error if the members differ, else a warning; it is not missing, and no name is wrong."""
    path = path_of(storage)
    for content, severity in ((path.read_bytes(), "warning"), (path.read_bytes() + b"x", "error")):
        with tarfile.open(tmp_path / "t", "w") as archive:
            archive.add(storage.folder, arcname=".")
            member = tarfile.TarInfo(f"./{path.relative_to(storage.folder)}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        findings = [
            one for one in validate(f"registry:{tmp_path}/t{selected}").findings if one.severity.value != "note"
        ]
        if selected and not any(name.startswith(selected[1:]) or name == "app" for name in names):
            assert not findings
            continue
        assert {(one.rule, one.severity.value) for one in findings} == {("duplicate-member", severity)}, findings
        assert len(findings) == 1
        if severity == "error" and not selected:
            assert findings[0].names == names


def _raw(s, data):
    """Push bytes as a manifest, as a registry of another program could have taken them."""
    descriptor = s.blob(data, MANIFEST)
    for path in (
        s.revision_link("app", descriptor),
        s.tag_link("app", "3"),
        s.tag_index_link("app", "3", descriptor),
    ):
        write(path, descriptor["digest"].encode())


def findings_of(source, wanted):
    """Return what is found, without the names where `wanted` leaves them open."""
    got = found(source)
    for rule, _, names in wanted:
        if names is None:
            pairs = [
                ((one, weight, None if one == rule else whose), count) for (one, weight, whose), count in got.items()
            ]
            got = collections.Counter(dict(pairs))
    return got


@pytest.mark.parametrize(("plant", "wanted"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_once_and_nothing_else(storage, monkeypatch, plant, wanted):
    """Rule, severity and the tags that it affects; a repository where it affects no tag."""
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    plant(storage)
    got = findings_of(storage, wanted)
    assert got == wanted
    assert validate(str(storage)).status == int(any(severity != "note" for _, severity, _ in wanted))


def test_all_faults_at_once_are_all_found(storage, monkeypatch):
    """Faults do not hide each other; a second run finds the same."""
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    together = [
        "truncated layer",
        "config is gone",
        "child of an index is not linked",
        "tag that does not list its manifest",
        "orphan",
        "link to nothing",
        "revision of nothing",
        "wrong number of layers",
        "referrer that is not listed",
    ]
    for name in together:
        FAULTS[name][0](storage)
    rules = {rule for name in together for rule, _, _ in FAULTS[name][1]}
    first = validate(str(storage), jobs=1)
    assert {one.rule for one in first.findings} == rules
    assert first.findings == validate(str(storage), jobs=7).findings


@pytest.fixture
def reads(monkeypatch):
    """Count the bytes that are read of each blob."""
    return counted_reads(monkeypatch)


def test_every_blob_is_read_once(tmp_path, reads):
    """Whoever shares it; at least 8 times fewer bytes than tag by tag."""
    storage = Filled(tmp_path / "root")
    for number in range(12):
        storage.image("big", f"t{number}", files=("base", f"own {number}"))
    big = storage.blob_path(storage.base)
    assert not validate(str(storage)).findings
    blobs = {member: count for member, count in reads.items() if member.endswith("/data")}
    assert blobs == {
        str(path.relative_to(storage.folder)): path.stat().st_size for path in storage.v2.glob("blobs/*/*/*/data")
    }
    assert str(big.relative_to(storage.folder)) in blobs


def test_a_storage_costs_less_than_its_tags(tmp_path, reads):
    """40 repositories with 20 tags are the peer test; here 8 with 5 that share their bases, counted."""
    storage = Storage(tmp_path / "root")
    base = storage.part("x", os.urandom(300_000), "application/octet-stream")
    for repository in range(8):
        for tag in range(5):
            name = f"team/{repository}"
            write(storage.layer_link(name, base), base["digest"].encode())
            config = storage.part(name, b"{}", "application/vnd.oci.empty.v1+json")
            own = storage.part(name, f"{repository} {tag}".encode(), "application/octet-stream")
            manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "a/b", "config": config}
            storage.manifest(name, manifest | {"layers": [base, own]}, str(tag))
    assert validate(str(storage)).status == 0
    together = sum(reads.values())
    reads.clear()
    for repository in range(8):
        for tag in range(5):
            validate(f"{storage}/team/{repository}:{tag}")
    assert sum(reads.values()) > 8 * together


def test_one_tag_is_unpacked_like_an_archive(storage):
    """DiffIDs are checked where one manifest is selected, and the links of just that one."""
    document = storage.json(storage.config(storage.one))
    document["rootfs"]["diff_ids"].reverse()
    config = storage.part("app", dumps(document), storage.config(storage.one)["mediaType"])
    storage.again("app", "3", storage.one, config=config)
    assert {rule for rule, _, _ in found(f"{storage}/app:3")} == {"diff-id"}
    assert not found(storage)
    storage.layer_link("app", config).unlink()
    storage.layer_link("team/app", storage.base).unlink()
    assert {rule for rule, _, _ in found(f"{storage}/app:3")} == {"diff-id", "registry-layer"}
    assert {rule for rule, _, _ in found(f"{storage}/app@{storage.one['digest']}")} == set()
    assert set(found(f"{storage}/team/app")) == {("registry-layer", "error", ("team/app:1",))}


@pytest.mark.parametrize("again", [True, False])
def test_a_blob_that_vanishes_is_looked_at_once_more(storage, monkeypatch, again):
    """A blob that is there again is read; one that stays away is missing."""
    path = storage.blob_path(storage.top)
    data = path.read_bytes()
    real = FolderTree.children
    seen = []

    def children(self, folder):
        # The list of blobs is complete when the first repository is listed.
        if folder.endswith("/repositories") and not seen:
            seen.append(folder)
            return real(self, folder)
        if "repositories/app/_layers" in folder and len(seen) == 1:
            seen.append(folder)
            path.unlink()
            if again:
                path.write_bytes(data)
        return real(self, folder)

    monkeypatch.setattr(FolderTree, "children", children)
    assert set(found(storage)) == (set() if again else {("missing", "error", TOP)})


def test_a_manifest_that_is_deleted_during_the_run_is_no_fault(storage, monkeypatch):
    """As the garbage collection of a registry deletes it with its layers."""
    real = Tree.read

    def read(self, name, *more):
        data = real(self, name, *more)
        if name.endswith("tags/2/current/link"):
            for link in (storage.tag_link("app", "2"), storage.revision_link("app", storage.two)):
                link.unlink(missing_ok=True)
            if storage.blob_path(storage.two).exists():
                own = storage.layers(storage.two)[1]
                for blob in (own, storage.two):
                    storage.blob_path(blob).unlink()
        return data

    monkeypatch.setattr(Tree, "read", read)
    assert not any(severity == "error" for _, severity, _ in found(storage))


def test_a_run_can_be_cancelled(storage):
    """A signal ends it at the next chunk."""

    class Ends:
        def expect(self, size):
            pass

        def begin(self, name, size):
            return self.advance

        def advance(self, size):
            cancel.TOKEN.request(signal.SIGINT)

        def close(self):
            pass

    try:
        with pytest.raises(cancel.Cancelled):
            validate(str(storage), progress=Ends())
    finally:
        cancel.TOKEN.clear()


def test_progress_counts_each_blob_once(storage):
    """What is expected is what is counted."""

    class Counts:
        expected = done = 0

        def expect(self, size):
            self.expected += size

        def begin(self, name, size):
            return self.advance

        def advance(self, size):
            self.done += size

        def close(self):
            pass

    counts = Counts()
    validate(str(storage), progress=counts)
    assert counts.done == sum(path.stat().st_size for path in storage.v2.glob("blobs/*/*/*/data"))
    assert counts.expected <= counts.done


def test_the_documents_name_the_tags(storage, capsys, tmp_path):
    """text, json, github and sarif; names from a storage cannot break a line."""
    _flip(storage)
    verdict = validate(str(storage))
    schema = json.loads((ROOT / "schemas/report-validate.json").read_text())
    value = document([verdict])
    jsonschema.validate(value, schema)
    (source,) = value["sources"]
    assert source["format"] == "registry"
    assert [(one["names"], one["name_count"]) for one in source["findings"]] == [(list(BASE), 4)]
    assert "app:1" in sarif([verdict], "1")["runs"][0]["results"][0]["message"]["text"]
    page = tmp_path / "page.html"
    assert run(["validate", str(storage), "--format", "markdown", "--html", str(page)]) == 1
    assert "app:1, app:2, multi:1 and 1 more" in capsys.readouterr().out
    assert "app:1, app:2, multi:1, team/app:1" in page.read_text()
    for form in ("text", "github"):
        assert run(["validate", str(storage), "--format", form]) == 1
        (line,) = capsys.readouterr().out.splitlines()
        assert "app:1, app:2, multi:1 and 1 more" in line


def test_storage_without_manifests_is_exit_3(tmp_path):
    """A repository with blobs only, and no repository."""
    storage = Storage(tmp_path / "root")
    storage.part("app", b"x", LAYER)
    verdict = validate(str(storage))
    assert (verdict.status, {one.rule for one in verdict.findings}) == (3, {"no-images", "unreferenced"})
    empty = Storage(tmp_path / "empty")
    empty.blob(b"x", LAYER)
    verdict = validate(str(empty))
    assert verdict.status == 3
    assert verdict.findings


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_findings(tmp_path_factory, monkeypatch, data):
    """Any bytes in any file of a storage, or any of them gone: findings, an exit status, never a traceback."""
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    storage = Filled(tmp_path_factory.mktemp("storage") / "root")
    files = sorted(path for path in storage.v2.rglob("*") if path.is_file() and "_uploads" not in str(path))
    changed = data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True))
    for path in changed:
        content = path.read_bytes()
        choice = data.draw(st.sampled_from(["gone", "cut", "flip", "any"]))
        if choice == "gone":
            path.unlink()
        elif choice == "cut":
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        elif choice == "flip":
            at = data.draw(st.integers(0, len(content) - 1))
            path.write_bytes(content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :])
        else:
            path.write_bytes(data.draw(st.binary(max_size=200).filter(lambda new, old=content: new != old)))
    verdict = validate(str(storage))
    assert verdict.status == (1 if any(one.counts for one in verdict.findings) else 0)
    assert verdict.findings, changed
    for source in (f"{storage}/app", f"{storage}/app:1", f"{storage}/multi:1"):
        validate(source)
