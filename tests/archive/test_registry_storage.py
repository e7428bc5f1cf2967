"""Sources `registry:ROOT[/REPOSITORY[:TAG|@DIGEST]]`: what is read, under which names, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import PLATFORM
from storages import V2, Storage, write
from support import COMMAND, run

import convert
from convert.archive import registry_storage, transport
from convert.archive.open import open_source
from convert.errors import ImgconvError, InputError, NoImageError, SelectionError, UnsafeInputError, UsageError


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "root")


def names_in(source):
    """Return digest -> names of what a source shows."""
    with convert.open(source) as archive:
        found = {}
        for entry in archive.image_set.entries:
            found.setdefault(str(entry.descriptor.digest), []).append(entry.name.ref_name if entry.name else None)
        return found


def read_all(source):
    with convert.open(source):
        pass


@pytest.mark.parametrize("below", ["", "/docker", "/docker/registry", f"/{V2}"])
def test_every_root_gives_all_tags_with_the_manifests_bytes(storage, below):
    """ROOT is the volume, or any folder down to v2."""
    first = storage.image("app", "1")
    second = storage.image("team/app", "2.0", files=("a", "b"))
    assert names_in(f"{storage}{below}") == {first["digest"]: ["app:1"], second["digest"]: ["team/app:2.0"]}
    assert names_in(f"{storage}{below}/team/app:2.0") == {second["digest"]: ["team/app:2.0"]}
    with convert.open(f"{storage}{below}/app:1") as archive:
        (image,) = archive.images()
        assert archive.format == "registry"
        assert image.manifest.raw == storage.blob_path(first).read_bytes()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("top", ["", "docker", "volume"])
def test_a_tar_of_the_storage(storage, tmp_path, mode, top):
    """Made of the volume, of what is in it, or of a folder above; compressed or not."""
    wanted = storage.image("app", "1")
    tar = tmp_path / "backup"
    with tarfile.open(tar, mode) as archive:
        archive.add(storage.folder if top != "docker" else storage.folder / "docker", arcname=top or ".")
    assert names_in(f"registry:{tar}") == {wanted["digest"]: ["app:1"]}
    assert names_in(f"registry:{tar}/app:1") == {wanted["digest"]: ["app:1"]}
    assert names_in(f"registry:{tar}/app@{wanted['digest']}") == {wanted["digest"]: [None]}


def test_a_layout_has_the_digest_of_the_registry(storage, tmp_path):
    """Index and image stay byte for byte."""
    children = [
        {**storage.image("app", platform={"os": "linux", "architecture": name}), "platform": {**PLATFORM}}
        for name in ("amd64", "arm64")
    ]
    children[1]["platform"] = {"os": "linux", "architecture": "arm64"}
    wanted = storage.index("app", "multi", children)
    convert.convert(f"{storage}/app:multi", tmp_path / "out", to="oci")
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    assert [entry["digest"] for entry in index["manifests"]] == [wanted["digest"]]
    blob = tmp_path / "out/blobs" / wanted["digest"].replace(":", "/")
    assert blob.read_bytes() == storage.blob_path(wanted).read_bytes()


def test_what_refers_to_a_tagged_manifest_comes_with_its_repository(storage):
    """An artifact without a tag is read with ROOT and REPOSITORY, not with one TAG; other manifests are dropped."""
    wanted = storage.image("app", "1")
    artifact = storage.artifact("app", wanted)
    about_artifact = storage.artifact("app", artifact, data=b"[]")
    storage.image("app", files=("untagged",))
    lines = []
    with convert.open(f"{storage}/app", warn=lines.append) as archive:
        found = {str(entry.descriptor.digest) for entry in archive.image_set.entries}
    assert found == {one["digest"] for one in (wanted, artifact, about_artifact)}
    assert [line.code for line in lines] == ["dropped-manifest"]
    assert set(names_in(f"{storage}/app:1")) == {wanted["digest"]}


def test_one_tag_is_found_without_the_other_repositories(storage, monkeypatch):
    """Neither another repository nor another tag is looked at."""
    storage.image("app", "1")
    storage.image("other/app", "1")
    shutil.rmtree(storage.tag_link("app", "1").parent.parent.parent / "2", ignore_errors=True)
    opened = []
    real = os.open

    def spy(path, *arguments, **options):
        opened.append(os.fspath(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", spy)
    assert len(names_in(f"{storage}/app:1")) == 1
    assert "other" not in opened
    assert opened


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{0}", ("{0}", "")),
        ("{0}/app", ("{0}", "app")),
        ("{0}/app:1", ("{0}", "app:1")),
        ("{0}/docker/registry:1", ("{0}", "docker/registry:1")),
        ("{0}/docker", ("{0}/docker", "")),
        ("{0}/docker/app:1", ("{0}/docker", "app:1")),
        ("{0}/nothing/here:1", ("{0}", "nothing/here:1")),
        ("-", ("-", "")),
        ("-/app:1", ("-", "app:1")),
        ("nowhere/app:1", ("nowhere/app:1", "")),
    ],
)
def test_where_root_ends(storage, text, wanted):
    """The shortest path that has the repository is ROOT; a path that exists is ROOT as a whole."""
    storage.image("app", "1")
    storage.image("docker/registry", "1")
    root = str(storage.folder)
    assert transport.parse("registry:" + text.format(root)) == ("registry", *(one.format(root) for one in wanted))


def test_a_path_of_that_name_wins(tmp_path, monkeypatch):
    """`registry:x` that exists is a path, as with the other transports."""
    monkeypatch.chdir(tmp_path)
    Path("registry:x").mkdir()
    assert transport.parse("registry:x") == ("", "registry:x", "")


@pytest.mark.parametrize(
    ("what", "error", "code"),
    [
        ("/app:9", SelectionError, "no-such-image"),
        ("/ap:1", SelectionError, "no-such-image"),
        (f"/app@sha256:{'0' * 64}", SelectionError, "no-such-image"),
        ("/app@sha256:0", UsageError, "invalid-registry-selection"),
        ("/app:1@sha256:0", UsageError, "invalid-registry-selection"),
        ("/App:1", UsageError, "invalid-registry-selection"),
        ("/app:-", UsageError, "invalid-registry-selection"),
    ],
)
def test_a_selection_that_fits_nothing(storage, what, error, code):
    """Exit 2, before anything else is read."""
    storage.image("app", "1")
    with pytest.raises(error) as raised:
        read_all(f"{storage}{what}")
    assert (raised.value.code, raised.value.exit_status) == (code, 2)


def test_storage_without_repositories_or_tags(storage, tmp_path):
    """Exit 3, and the cause is named."""
    digest = storage.image("app")["digest"]
    with pytest.raises(NoImageError) as raised:
        read_all(str(storage))
    assert raised.value.code == "no-tags"
    assert set(names_in(f"{storage}/app@{digest}")) == {digest}
    shutil.rmtree(storage.v2 / "repositories")
    with pytest.raises(NoImageError) as raised:
        read_all(str(storage))
    assert (raised.value.code, raised.value.exit_status) == ("no-repositories", 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as other:
        read_all(f"registry:{tmp_path}/empty")
    assert other.value.code == "not-registry-storage"


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


def _symlink(path):
    path.unlink()
    path.symlink_to("/etc/hostname")


_BROKEN_LINKS = {
    "gone": (Path.unlink, "missing-link"),
    "empty": (lambda path: path.write_bytes(b""), "invalid-link"),
    "newline": (lambda path: path.write_bytes(path.read_bytes() + b"\n"), "invalid-link"),
    "upper case": (lambda path: path.write_bytes(path.read_bytes().upper()), "invalid-link"),
    "not a digest": (lambda path: path.write_bytes(b"\xff\x1b[31m"), "invalid-link"),
    "huge": (lambda path: os.truncate(path, 1 << 40), "invalid-link"),
    "a FIFO": (_fifo, "not-a-file"),
    "a link out": (_symlink, "link-outside"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "not-a-file"),
    "to nothing": (lambda path: path.write_bytes(b"sha256:" + b"0" * 64), "missing-link"),
}


@pytest.mark.parametrize(("damage", "code"), _BROKEN_LINKS.values(), ids=_BROKEN_LINKS)
def test_a_broken_link_ends_only_what_asks_for_it(storage, damage, code):
    """A tag with a broken link is exit 3 by itself and with all; with --image another tag is read."""
    sound = storage.image("app", "1")
    storage.image("bad", "2")
    damage(storage.tag_link("bad", "2"))
    for source in (f"{storage}/bad:2", f"{storage}/bad", str(storage)):
        with pytest.raises(InputError) as raised:
            read_all(source)
        assert raised.value.code == code
    assert set(names_in(f"{storage}/app:1")) == {sound["digest"]}
    if isinstance(raised.value, UnsafeInputError):
        return  # what is hostile is not excused because it was not selected
    with convert.open(str(storage), images=["app:1"]) as archive:
        assert [str(image.manifest.digest) for image in archive.images()] == [sound["digest"]]


def test_a_revision_that_is_not_linked_is_not_served(storage):
    """A registry answers 404 for such a tag."""
    storage.revision_link("app", storage.image("app", "1")).unlink()
    with pytest.raises(InputError) as raised:
        read_all(f"{storage}/app:1")
    assert raised.value.code == "missing-link"


def test_links_in_a_storage_are_not_followed_out_of_it(storage, tmp_path):
    """A blob, a repository and the storage itself as symbolic links."""
    image = storage.image("app", "1")
    path = storage.blob_path(image)
    path.rename(tmp_path / "data")
    path.symlink_to(tmp_path / "data")
    with pytest.raises(InputError) as raised:
        read_all(f"{storage}/app:1")
    assert raised.value.code == "link-outside"
    path.unlink()
    (tmp_path / "data").rename(path)
    storage.image("sound", "1")
    (storage.v2 / "repositories" / "linked").symlink_to(tmp_path)
    lines = []
    with convert.open(f"{storage}", images=["sound:1"], warn=lines.append):
        pass
    assert "registry-ignored" in {line.code for line in lines}
    other = tmp_path / "other"
    other.mkdir()
    (other / "docker").symlink_to(storage.folder / "docker")
    with pytest.raises(InputError) as raised:
        read_all(f"registry:{other}")
    assert raised.value.code == "link-outside"


def test_uploads_and_names_that_are_not_names_are_not_read(storage):
    """`_uploads` is silent; a folder that no registry serves is a warning."""
    wanted = storage.image("app", "1")
    write(storage.repository("app") / "_uploads/1/data", b"half")
    storage.image("App_", "1")
    storage.image("app/.hidden", "1")
    storage.image("app", "-x")
    lines = []
    with convert.open(str(storage), warn=lines.append) as archive:
        assert [str(entry.descriptor.digest) for entry in archive.image_set.entries] == [wanted["digest"]]
    assert sorted(line.data["member"].rpartition("/")[2] for line in lines) == ["-x", ".hidden", "App_"]


def test_indexes_in_a_circle(storage):
    """A digest cannot name itself; a damaged storage can pretend to. It ends with one error."""
    first = storage.index("app", "1", [])
    second = storage.index("app", "2", [first])
    storage.blob_path(first).write_bytes(storage.blob_path(second).read_bytes().replace(b"x", b"x"))
    for source in (str(storage), f"{storage}/app:1"):
        with pytest.raises(InputError):
            read_all(source)


def test_a_blob_that_is_replaced_is_looked_at_once_more(storage, tmp_path):
    """As by a second push while the storage is read: the bytes are the same, the file is another."""
    image = storage.image("app", "1")
    with convert.open(f"{storage}/app:1") as archive:
        (found,) = archive.images()
        path = next(path for path in storage.v2.glob("blobs/*/*/*/data") if path.read_bytes()[:2] == b"\x1f\x8b")
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        with archive.open_plain(found.layers[0]) as layer:
            assert layer.read()
        path.unlink()
        with pytest.raises(ImgconvError):
            archive.open_plain(found.layers[0])
    assert image


def test_commands_that_change_their_source_refuse_a_storage(storage):
    """Nothing is written to a registry's storage."""
    storage.image("app", "1")
    before = sorted(path for path in storage.folder.rglob("*"))
    for call in (
        lambda: convert.tag(f"{storage}/app:1", "app:2"),
        lambda: convert.untag(f"{storage}/app:1", "app:1"),
        lambda: convert.add_repositories(f"{storage}/app:1"),
    ):
        with pytest.raises(UsageError) as raised:
            call()
        assert raised.value.code == "registry-storage"
    assert before == sorted(path for path in storage.folder.rglob("*"))


def test_doctor_names_what_helps(storage):
    """No consumer reads a storage; a conversion for it does."""
    storage.image("app", "1")
    assert convert.doctor(f"{storage}/app:1").status == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    link=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=90).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.from_regex(rb"\Asha(256|512|1):[0-9a-fA-F]{0,130}\n?\Z"),
    ),
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
        lambda text: text not in {".", ".."} and len(text.encode()) < 200
    ),
    place=st.sampled_from(["tag", "revision", "layer"]),
)
def test_damaged_links_and_names_never_end_in_a_traceback(tmp_path_factory, monkeypatch, link, name, place):
    """Any bytes in a link and any name of a folder: read, or refused as the source's fault."""
    monkeypatch.setattr(registry_storage, "_PAUSE", 0)
    storage = Storage(tmp_path_factory.mktemp("storage") / "root")
    sound = storage.image("sound", "1")
    image = storage.image("app", "1")
    path = {
        "tag": storage.tag_link("app", "1"),
        "revision": storage.revision_link("app", image),
        "layer": storage.layer_link("app", json.loads(storage.blob_path(image).read_bytes())["config"]),
    }[place]
    path.write_bytes(link)
    for folder in (storage.v2 / "repositories", storage.repository("app") / "_manifests/tags"):
        shutil.copytree(storage.repository("sound"), folder / name, dirs_exist_ok=True)
    for source in (str(storage), f"{storage}/app"):
        with contextlib.suppress(InputError):  # exit status 3
            read_all(source)
    assert set(names_in(f"{storage}/sound:1")) == {sound["digest"]}


def tar_of_storage(storage, path, *more):
    """Write a tar of a storage, with members behind it: pairs of name and content."""
    with tarfile.open(path, "w") as archive:
        archive.add(storage.folder, arcname=".")
        for name, data in more:
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("where", ["folder", "tar", "pipe"])
@pytest.mark.parametrize(("linked", "selected"), [("blob", "/app:1"), ("docker", "")])
def test_the_hint_for_a_link_that_leads_out_works(storage, tmp_path, where, selected, linked):
    """What it says gives the image, for the form that the source has."""
    image = storage.image("app", "1")
    outside = tmp_path / "outside"
    moved = storage.blob_path(image) if linked == "blob" else storage.folder / "docker"
    moved.rename(outside)
    moved.symlink_to(outside)
    tar = tar_of_storage(storage, tmp_path / "t.tar")
    source = {"folder": f"{storage}{selected}", "tar": f"registry:{tar}{selected}", "pipe": f"registry:-{selected}"}[
        where
    ]
    done = run("id", source, input=tar.read_bytes() if where == "pipe" else None)
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
    hint = done.stderr.decode().strip().removesuffix(")").partition(" (")[2]
    if linked == "docker" and where == "folder":
        assert "ROOT" in hint
        return
    command = (
        hint.partition(": ")[2].replace("ROOT", str(storage.folder)).replace("imgconv", shlex.join([*COMMAND, "id"]))
    )
    done = subprocess.run(command.removesuffix("..."), shell=True, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    assert done.stdout


@pytest.mark.parametrize("fault", ["its blob is gone", "its link is gone", "it is no JSON"])
def test_a_manifest_whose_tag_has_a_fault_is_not_without_a_tag(storage, fault):
    """The tag is reported, and only what no tag names is said to have none."""
    storage.image("app", "sound")
    image = storage.image("app", "1", files=("other",))
    if fault == "its blob is gone":
        storage.blob_path(image).unlink()
    elif fault == "its link is gone":
        storage.revision_link("app", image).unlink()
    else:
        storage.blob_path(image).write_bytes(b"{")
    for alone in (0, 1):
        if alone:
            storage.image("app", files=("alone",))
        with open_source(f"{storage}/app") as opened:
            assert opened.tree.find("index.json") is not None
            assert [name for name, _ in opened.tree.unresolved] == ["app:1"]
            said = " ".join(opened.tree.warnings)
        assert ("1 manifest without a tag" in said) == bool(alone), said
        assert "2 manifests" not in said
