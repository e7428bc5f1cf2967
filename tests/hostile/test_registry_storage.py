"""Hostile storages of a registry: exit 0 to 3, one line, nothing outside, and a bounded amount of work."""

from __future__ import annotations

import io
import json
import os
import tarfile

import pytest
from layouts import INDEX, MANIFEST, dumps
from storages import Storage, write

import convert
from convert.archive import registry_storage, registry_tree
from convert.archive.blob import PreadStream
from convert.cli.main import run
from convert.errors import InputError, UnsafeInputError
from convert.reader.checks import registry_links, registry_names, stored_blobs, stored_manifests

DEAD = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1}


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    storage = Storage(tmp_path / "root")
    storage.image("sound", "1")
    return storage


def commands(source, tmp_path):
    return [
        ["id", source],
        ["inspect", source],
        ["validate", source],
        ["validate", "--format", "github", source],
        ["doctor", source],
        [source, "--to", "oci", str(tmp_path / "out")],
        [source, "--to", "docker-save", str(tmp_path / "out.tar")],
    ]


def _control_characters(s):
    s.image("bad\x1b[31m\n::error::x", "1")
    s.image("app", "\x9b31m")
    write(s.tag_link("app", "1"), b"\x1b]0;title\x07")


def _not_utf_8(s):
    folder = os.fsencode(s.v2 / "repositories") + b"/\xff\xfe"
    os.makedirs(folder + b"/_manifests/tags/1/current")


def _letter_case(s):
    s.image("Sound", "1")
    s.image("SOUND", "1")
    link = s.tag_link("sound", "1")
    write(link.parent.parent.parent / "LATEST" / "current/link", link.read_bytes().upper())


def _special_names(s):
    for name in ("_manifests", "_layers", "a/_other", "..x", "-x", "a" * 250, "x/" * 40 + "x"):
        s.image(name, "1")


def _deep(s):
    s.image("/".join("a" for _ in range(200)), "1")


def _links_everywhere(s):
    repositories = s.v2 / "repositories"
    (repositories / "loop").symlink_to(".")
    (repositories / "out").symlink_to("/etc")
    (s.repository("sound") / "up").symlink_to("..")
    s.image("app", "1")
    for path in (s.repository("app") / "_layers", s.repository("app") / "_manifests/tags/1/current"):
        path.rename(path.with_name("moved"))
        path.symlink_to("moved")


def _special_files(s):
    os.mkfifo(s.v2 / "blobs/sha256/fifo")
    os.mkfifo(s.v2 / "repositories/fifo")
    os.mkfifo(s.repository("sound") / "_manifests/tags/fifo")
    image = s.image("app", "1", files=("other",))
    for path in (s.revision_link("app", image), s.blob_path(image)):
        path.unlink()
        os.mkfifo(path)


def _index_of_itself(s):
    """Only bytes that do not match their digest can list themselves."""
    one = s.index("app", "1", [DEAD])
    two = s.index("app", "2", [one])
    write(s.blob_path(one), dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [two, one]}))


def _deep_indexes(s):
    below = s.image("app")
    for _ in range(30):
        below = s.index("app", "deep", [below])


def _large_link(s):
    os.truncate(s.tag_link("sound", "1"), 1 << 42)


def _large_manifest(s):
    image = s.image("app", "1", files=("other",))
    os.truncate(s.blob_path(image), 1 << 24)


def _strange_json(s):
    documents = [[], "x", {"manifests": {}}, {"subject": []}, {"layers": {}}]
    documents.append({"mediaType": 5, "manifests": [5, {"digest": []}]})
    for number, document in enumerate(documents):
        descriptor = s.blob(dumps(document), MANIFEST)
        for path in (s.revision_link("app", descriptor), s.tag_link("app", str(number))):
            write(path, descriptor["digest"].encode())


HOSTILE = [
    _control_characters,
    _not_utf_8,
    _letter_case,
    _special_names,
    _deep,
    _links_everywhere,
    _special_files,
    _index_of_itself,
    _deep_indexes,
    _large_link,
    _large_manifest,
    _strange_json,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__.strip("_"))
def test_every_command_ends_with_a_documented_status(storage, tmp_path, capsys, make):
    """Nothing raw on the terminal, no traceback, and `validate` finds fault with it."""
    make(storage)
    for arguments in commands(str(storage), tmp_path):
        status = run([*arguments, *(["--jobs", "1"] if arguments[0] == "validate" else [])])
        printed = capsys.readouterr()
        assert status in {0, 1, 2, 3}, (arguments, printed.err)
        text = printed.err + printed.out
        assert "Traceback" not in text
        assert all(char.isprintable() or char == "\n" for char in text), arguments
        assert not any(line.startswith("::error::x") for line in text.splitlines())
    assert convert.validate(str(storage)).findings
    # What is sound is read all the same.
    if make is not _large_link:
        with convert.open(f"{storage}/sound:1") as archive:
            assert list(archive.images())


def test_a_tar_with_members_that_tools_dispute(tmp_path):
    """Repeated members that differ, links out of it, and names that lead out: refused or found."""
    storage = Storage(tmp_path / "root")
    storage.image("other", "1", files=("other",))
    image = storage.image("app", "1")
    blob = str(storage.blob_path(image).relative_to(storage.folder))

    def build(change):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for path in sorted(storage.folder.rglob("*")):
                archive.add(path, str(path.relative_to(storage.folder)), recursive=False)
            change(archive)
        path = tmp_path / "t.tar"
        path.write_bytes(raw.getvalue())
        return f"registry:{path}"

    def again(archive):
        member = tarfile.TarInfo(blob)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"xyz"))

    def link(archive):
        member = tarfile.TarInfo("docker/registry/v2/repositories/evil")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(member)

    def out(archive):
        member = tarfile.TarInfo("../docker/registry/v2/repositories/evil/_manifests/tags/1/current/link")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"xyz"))

    source = build(again)
    with pytest.raises(InputError), convert.open(source):
        pass
    assert convert.validate(source).status == 1
    for change in (link, out):
        source = build(change)
        assert {one.rule for one in convert.validate(source).findings} <= {"registry-name", "tar"}
        with convert.open(source) as archive:
            assert image["digest"] in [str(one.manifest.digest) for one in archive.images()]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (stored_blobs, "MAX_STORED_BLOBS"),
        (registry_names, "MAX_STORED_TAGS"),
        (stored_manifests, "MAX_STORED_PARTS"),
        (registry_links, "MAX_STORED_PARTS"),
    ],
)
def test_what_validate_compares_is_bounded(storage, monkeypatch, module, name):
    """A storage over a limit is exit 3 with a finding, never an endless run."""
    for tag in range(5):
        storage.image("app", str(tag), files=(str(tag),))
    monkeypatch.setattr(module, name, 3)
    verdict = convert.validate(str(storage))
    assert verdict.status == 3
    assert any(f"more than {3}" in one.message for one in verdict.findings)


def test_tags_that_are_read_at_once_are_bounded(storage, monkeypatch):
    """The hint names the way out, which works."""
    for tag in range(5):
        storage.image("app", str(tag), files=(str(tag),))
    monkeypatch.setattr(registry_tree, "MAX_ALL_IMAGES", 3)
    with pytest.raises(UnsafeInputError) as raised, convert.open(str(storage)):
        pass
    assert raised.value.code == "too-many-images"
    with convert.open(f"{storage}/sound") as archive:
        assert list(archive.images())


def test_one_large_manifest_under_many_tags_is_read_once(storage, monkeypatch):
    """A tag costs a few small files, and must not cost the reading of its manifest."""
    children = [
        DEAD | {"digest": f"sha256:{number:064x}", "platform": {"os": "a", "architecture": "b"}}
        for number in range(2000)
    ]
    image = storage.image("app")
    index = storage.index("app", "0", [image, *children])
    for tag in range(1, 100):
        for path in (storage.tag_link("app", str(tag)), storage.tag_index_link("app", str(tag), index)):
            write(path, index["digest"].encode())
    size, read, real = index["size"], [], PreadStream.read

    def count(self, *arguments):
        data = real(self, *arguments)
        read.append(len(data))
        return data

    monkeypatch.setattr(PreadStream, "read", count)
    verdict = convert.validate(str(storage))
    assert size < sum(read) < 2 * size
    assert {one.rule for one in verdict.findings} == {"absent-child"}
    assert verdict.findings[0].name_count == 100
    read.clear()
    with convert.open(str(storage), images=["sound:1"]):
        pass
    assert sum(read) < 4 * size  # once for its type, and once for its reader


def test_referrers_in_a_long_chain(storage):
    """Each artifact refers to the one before it: found in time that grows with their number."""
    subject = storage.image("app", "1")
    for number in range(300):
        subject = storage.artifact("app", subject, data=str(number).encode())
    with convert.open(f"{storage}/app") as archive:
        assert len(archive.image_set.entries) == 301
    assert not convert.validate(str(storage)).findings


def test_a_name_never_leaves_a_document(storage, capsys):
    """JSON stays JSON, whatever a storage calls its repositories."""
    _not_utf_8(storage)
    _control_characters(storage)
    run(["validate", "--json", str(storage)])
    assert json.loads(capsys.readouterr().out)["sources"]
