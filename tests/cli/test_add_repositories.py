"""`imgconv --add-repositories SOURCE [DEST]` (docs/contract.md#--add-repositories)."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import stat
import tarfile
from pathlib import Path

import pytest
from oracle.reading import docker_images, files_of
from support import MATCH, WRAPPERS, run

import convert

#: The top v1 ID of docker20-html, as Docker 20.10 wrote it (docs/formats.md#identifiers).
TOP = "d7884205ab1bf589e8202adb2cae735555acb3affe2231227e5fa673760022bb"
RIGHT = {"example.com:5000/ns/html": {"v1": TOP}, "fmt-html": {"1": TOP, "zz": TOP}}
#: The result line: an image in a docker-save archive has no manifest digest.
RESULT = (
    "fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz"
    "  sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5  -\n"
)
ALREADY = "imgconv: repositories: already there and right, nothing written\n"


def packed(path):
    """Return each member of a tar as it lies: header and content, by name, in order."""
    raw = Path(path).read_bytes()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            size = -(-member.size // 512) * 512 if member.isfile() else 0
            found[member.name] = raw[member.offset : member.offset_data + size]
    return found


def without(name):
    return lambda member, data: None if member == name else data


def replaced(name, content):
    return lambda member, data: content if member == name else data


def repositories(path):
    return json.loads(files_of(path)["repositories"])


def test_what_is_there_and_right_is_not_touched(imgconv, archive):
    source = archive("docker20-html")
    before = os.stat(source)
    done = imgconv("--add-repositories", source)
    assert (done.status, done.out, done.err) == (0, RESULT, ALREADY)
    after = os.stat(source)
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)


@pytest.mark.parametrize("order", [["--add-repositories", "SOURCE"], ["SOURCE", "--add-repositories"]])
def test_a_missing_file_is_added_and_every_other_member_stays_byte_for_byte(imgconv, archive, order):
    source = archive("docker20-html", without("repositories"))
    before = packed(source)
    done = imgconv(*[source if each == "SOURCE" else each for each in order])
    assert (done.status, done.out, done.err) == (0, RESULT, "")
    after = packed(source)
    assert list(after) == [*before, "repositories"]
    assert {name: after[name] for name in before} == before
    assert files_of(source)["repositories"] == json.dumps(RIGHT, separators=(",", ":")).encode() + b"\n"
    assert Path(source).read_bytes().endswith(bytes(1024))
    assert os.listdir() == [source]


def test_it_is_docker_saves_own_file(imgconv, archive):
    original = files_of(archive("docker20-multi"))["repositories"]
    source = archive("docker20-multi", without("repositories"))
    imgconv("--add-repositories", source)
    assert files_of(source)["repositories"] == original


def test_a_second_run_writes_nothing(imgconv, archive):
    source = archive("crane-tarball")
    assert imgconv("--add-repositories", source).status == 0
    before = os.stat(source)
    assert imgconv("--add-repositories", source).err == ALREADY
    assert os.stat(source).st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"fmt-html":{"1":"' + b"0" * 64 + b'"}}',
        b"{}",
        b'{"other":{"1":"' + TOP.encode() + b'"}}',
        b"not json",
        b"null",
    ],
)
def test_a_wrong_file_is_replaced_and_said(imgconv, archive, wrong):
    source = archive("docker20-html", replaced("repositories", wrong))
    before = packed(source)
    done = imgconv("--add-repositories", source)
    assert (done.status, done.out) == (0, RESULT)
    assert re.fullmatch(r"imgconv: repositories: .*; replaced\n", done.err)
    after = packed(source)
    assert repositories(source) == RIGHT
    assert {name: raw for name, raw in after.items() if name != "repositories"} == {
        name: raw for name, raw in before.items() if name != "repositories"
    }
    assert list(after)[-1] == "repositories"


def test_v1_directories_are_added_as_links_where_there_are_none(imgconv, archive):
    source = archive("crane-tarball")
    before = packed(source)
    assert imgconv("--add-repositories", source).status == 0
    after = packed(source)
    assert list(after)[: len(before)] == list(before)
    assert {name: after[name] for name in before} == before
    # No layer byte is there twice.
    assert os.stat(source).st_size < sum(map(len, before.values())) + 40_000
    with tarfile.open(source) as archive_file:
        links = {member.name: member.linkname for member in archive_file if member.issym()}
    assert links
    for name, target in links.items():
        assert re.fullmatch(r"[0-9a-f]{64}/layer\.tar", name)
        assert re.fullmatch(r"\.\./[0-9a-f]{64}\.tar\.gz", target)
    check_old_reader(source)


def check_old_reader(path):
    """Follow `repositories` down the chain of parents, as an engine before 1.10 does."""
    files = files_of(path)
    (image,) = docker_images({name: data for name, data in files.items() if name != "repositories"})
    found = json.loads(files["repositories"])
    assert sorted(f"{name}:{tag}" for name, tags in found.items() for tag in tags) == sorted(image.names)
    (top,) = {v1_id for tags in found.values() for v1_id in tags.values()}
    chain = []
    while top:
        assert files[f"{top}/VERSION"] == b"1.0"
        document = json.loads(files[f"{top}/json"])
        assert document["id"] == top
        chain.append(files[f"{top}/layer.tar"])
        top = document.get("parent")
    assert len(chain) == len(image.diff_ids)
    listed = json.loads(files["manifest.json"])[0]["Layers"]
    assert chain[::-1] == [files[name] for name in listed]


@pytest.mark.parametrize("name", ["podman-docker-archive", "skopeo-docker-archive", "ggcr-legacy"])
def test_v1_directories_that_are_there_stay_and_are_named(imgconv, archive, name):
    original = repositories(archive(name))
    source = archive(name, without("repositories"))
    before = packed(source)
    assert imgconv("--add-repositories", source).status == 0
    after = packed(source)
    assert list(after) == [*before, "repositories"]
    assert {top for tags in repositories(source).values() for top in tags.values()} == {
        top for tags in original.values() for top in tags.values()
    }


def test_an_archive_with_blobs_gets_it_as_docker_25_writes_it(imgconv, archive):
    original = files_of(archive("docker29-hybrid-html"))
    source = archive("docker29-hybrid-html", without("repositories"))
    assert imgconv("--add-repositories", source).status == 0
    assert files_of(source) == original
    source = archive("containerd29-export")
    before = packed(source)
    assert imgconv("--add-repositories", source).status == 0
    assert list(packed(source)) == [*before, "repositories"]
    (image,) = docker_images(files_of(source))
    tops = {top for tags in repositories(source).values() for top in tags.values()}
    assert tops == {image.diff_ids[-1].removeprefix("sha256:")}


def test_mode_and_owner_stay_and_a_symlink_is_followed(imgconv, archive):
    source = archive("docker20-html", without("repositories"))
    os.mkdir("elsewhere")
    os.rename(source, "elsewhere/real.tar")
    os.chmod("elsewhere/real.tar", 0o640)
    if os.geteuid() == 0:
        os.chown("elsewhere/real.tar", 1234, 4321)
    before = os.stat("elsewhere/real.tar")
    os.symlink("elsewhere/real.tar", "link.tar")
    assert imgconv("--add-repositories", "link.tar").status == 0
    after = os.stat("elsewhere/real.tar")
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert os.path.islink("link.tar")
    assert repositories("elsewhere/real.tar") == RIGHT
    assert os.listdir("elsewhere") == ["real.tar"]


def test_with_a_destination_the_source_stays(imgconv, archive):
    source = archive("docker20-html", without("repositories"))
    before = Path(source).read_bytes()
    assert imgconv("--add-repositories", source, "out.tar").status == 0
    assert Path(source).read_bytes() == before
    assert repositories("out.tar") == RIGHT
    done = imgconv("--add-repositories", source, "out.tar")
    assert (done.status, done.err) == (
        2,
        "imgconv: out.tar: the destination exists already (--force replaces it)\n",
    )
    assert imgconv("--add-repositories", source, "out.tar", "--force").status == 0
    whole = archive("docker20-import")
    assert imgconv("--add-repositories", whole, "copy.tar").status == 0
    assert packed("copy.tar") == packed(whole)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_compressed_source_needs_a_destination_and_comes_out_plain(imgconv, archive, wrapper):
    source = archive("docker20-html", without("repositories"))
    plain = Path(source).read_bytes()
    Path("packed").write_bytes(WRAPPERS[wrapper](plain))
    done = imgconv("--add-repositories", "packed")
    assert (done.status, done.out) == (2, "")
    assert f"packed: is compressed ({wrapper}) and cannot be changed in place (give a DEST" in done.err
    assert imgconv("--add-repositories", "packed", "out.tar").status == 0
    imgconv("--add-repositories", source)
    assert Path("out.tar").read_bytes() == Path(source).read_bytes()


def test_standard_input_and_output(tmp_path):
    raw = gzip.decompress((MATCH / "crane-tarball.tar.gz").read_bytes())
    (tmp_path / "in.tar").write_bytes(raw)
    convert.add_repositories(str(tmp_path / "in.tar"), str(tmp_path / "out.tar"))
    wanted = (tmp_path / "out.tar").read_bytes()
    for given in (raw, gzip.compress(raw)):
        assert run("--add-repositories", "-", input=given).stdout == wanted
        assert run("--add-repositories", "-", "-", input=given).stdout == wanted
        assert run("--add-repositories", "-", tmp_path / "new.tar", "--force", input=given).returncode == 0
        assert (tmp_path / "new.tar").read_bytes() == wanted
    assert run("--add-repositories", tmp_path / "in.tar", "-").stdout == wanted
    assert (tmp_path / "in.tar").read_bytes() == raw


@pytest.mark.parametrize("form", ["crane", "docker-oci"])
def test_with_a_target_it_adds_the_same_to_the_output(imgconv, archive, form):
    source = archive("docker20-html")
    imgconv(source, "--to", form, "plain.tar", "-q")
    assert imgconv(source, "--to", form, "with.tar", "--add-repositories", "-q").status == 0
    imgconv("--add-repositories", "plain.tar")
    assert Path("with.tar").read_bytes() == Path("plain.tar").read_bytes()


def test_v1_ids_of_another_scheme_can_be_asked_for(imgconv, archive):
    tops = set()
    for scheme in ("docker", "chain-free", "skopeo"):
        source = archive("crane-tarball")
        assert imgconv("--add-repositories", source, "--v1-ids", scheme).status == 0
        check_old_reader(source)
        tops |= {top for tags in repositories(source).values() for top in tags.values()}
    assert len(tops) == 3


def test_chain_free_names_what_crane_itself_would_name(imgconv, archive):
    """`crane pull --format=legacy` of that image wrote these."""
    written = {top for tags in repositories(archive("ggcr-legacy")).values() for top in tags.values()}
    source = archive("crane-tarball")
    imgconv("--add-repositories", source, "--v1-ids", "chain-free")
    assert {top for tags in repositories(source).values() for top in tags.values()} == written


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("docker20-byid", None, "nothing to put into repositories"),
        ("legacy-repositories-only", None, "has no manifest.json"),
        ("podman-oci-archive", None, "has no manifest.json"),
    ],
)
def test_without_a_name_or_a_manifest_it_is_2_with_a_hint(imgconv, archive, name, change, message):
    source = archive(name, change)
    before = Path(source).read_bytes()
    done = imgconv("--add-repositories", source)
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch(rf"imgconv: .*{message}.* \(--to docker-save .*\)\n", done.err)
    assert Path(source).read_bytes() == before


def test_a_layout_folder_is_2_with_a_hint(imgconv, archive):
    imgconv(archive("docker20-html"), "--to", "oci", "layout", "-q")
    done = imgconv("--add-repositories", "layout")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("imgconv: layout: this is a folder; only a tar can be given a repositories file (")


def test_a_missing_source_is_4_and_damage_is_3(imgconv, archive):
    assert imgconv("--add-repositories", "nothing.tar").status == 4
    source = archive("docker20-html", replaced("manifest.json", b"[{}]"))
    before = Path(source).read_bytes()
    done = imgconv("--add-repositories", source)
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith(f"imgconv: {source}: manifest.json: ")
    assert Path(source).read_bytes() == before
    Path("cut.tar").write_bytes(before[: len(before) // 2])
    assert imgconv("--add-repositories", "cut.tar").status == 3
    assert Path("cut.tar").read_bytes() == before[: len(before) // 2]


@pytest.mark.parametrize(
    "option",
    [
        *(["--image", "x"], ["--platform", "linux/amd64"], ["--tag", "a:1"], ["--as", "crane"]),
        *(["--append"], ["--recompress"]),
    ],
    ids=" ".join,
)
def test_options_that_change_more_need_a_target(imgconv, archive, option):
    done = imgconv("--add-repositories", archive("docker20-html"), *option)
    assert (done.status, done.out) == (2, "")
    assert done.err == f"imgconv: {option[0]} needs --to; --add-repositories alone changes nothing else\n"


def test_several_names_on_one_repository_are_sorted(imgconv, archive):
    source = archive("crane-tarball", retagged(["z/a:2", "b:1", "z/a:1", "docker.io/library/b:0"]))
    assert imgconv("--add-repositories", source).status == 0
    assert list(repositories(source).items()) == [
        ("b", {"0": top(source), "1": top(source)}),
        ("z/a", {"1": top(source), "2": top(source)}),
    ]


def top(source):
    return next(iter(repositories(source).values())).popitem()[1]


def retagged(names):
    def change(member, data):
        if member != "manifest.json":
            return data
        listed = json.loads(data)
        listed[0]["RepoTags"] = names
        return json.dumps(listed).encode()

    return change


# -- v1 directories that are there and wrong -------------------------------------------


def added_to(imgconv, archive, name="crane-tarball"):
    """Return an archive that was given v1 directories, without its `repositories`, and the v1 ID on top."""
    source = archive(name)
    assert imgconv("--add-repositories", source).status == 0
    (top,) = {top for tags in repositories(source).values() for top in tags.values()}
    return source, top


def rewritten(source, change):
    """Write a tar again; `change` gets name and member, returns content, a link (text), None to drop, or the member."""
    raw = Path(source).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(raw)) as old, tarfile.open(source, "w") as new:
        for member in old:
            found = change(member.name, old.extractfile(member).read() if member.isreg() else ...)
            if found is None:
                continue
            if isinstance(found, str):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, found, 0
                new.addfile(member)
            elif isinstance(found, bytes):
                member.type, member.linkname, member.size = tarfile.REGTYPE, "", len(found)
                new.addfile(member, io.BytesIO(found))
            else:
                new.addfile(member)


def changed_json(**values):
    def change(data):
        return json.dumps(json.loads(data) | values).encode()

    return change


WRONG_MEMBERS = {
    "other layer": ("layer.tar", lambda _: b"other bytes".ljust(1024, b"\0")),
    "layer that leads nowhere": ("layer.tar", lambda _: "../nowhere"),
    "layer that leads to a document": ("layer.tar", lambda _: "../manifest.json"),
    "other id": ("json", changed_json(id="0" * 64)),
    "other parent": ("json", changed_json(parent="0" * 64)),
    "other command": ("json", changed_json(config={"Cmd": ["/bin/evil"]})),
    "no config": ("json", changed_json(config=None)),
    "other system": ("json", changed_json(os="windows")),
    "no object": ("json", lambda _: b"[]"),
    "no JSON": ("json", lambda _: b"x"),
    "a key twice": ("json", lambda data: data.replace(b"{", b'{"id":"0",', 1)),
    "other version": ("VERSION", lambda _: b"2.0"),
}


@pytest.mark.parametrize("wrong", WRONG_MEMBERS)
@pytest.mark.parametrize("with_table", [True, False])
def test_a_wrong_v1_directory_is_replaced_and_reported(imgconv, archive, wrong, with_table):
    """`repositories` must not point at bytes that are not the image's."""
    source, top = added_to(imgconv, archive)
    right = files_of(source)
    name, change = f"{top}/{WRONG_MEMBERS[wrong][0]}", WRONG_MEMBERS[wrong][1]

    def spoil(member, data):
        if member == "repositories" and not with_table:
            return None
        if member == name:
            return change(data)
        return data

    rewritten(source, spoil)
    with tarfile.open(source) as spoiled:
        assert name in spoiled.getnames()
    before = Path(source).read_bytes()
    if with_table:
        found = imgconv("validate", source)
        assert found.status == 1
        assert top in found.out
    done = imgconv("--add-repositories", source)
    assert name in done.err
    if wrong in {"no JSON", "a key twice"}:  # the reader needs it to find the image's own v1 IDs
        assert done.status == 3
        assert Path(source).read_bytes() == before
        return
    assert done.status == 0
    assert "replaced" in done.err
    assert "already there" not in done.err
    assert files_of(source) == right
    assert imgconv("--add-repositories", source).err == ALREADY
    assert imgconv("validate", source).status == 0


def test_other_bytes_that_unpack_to_the_layer_are_right(imgconv, archive):
    source, top = added_to(imgconv, archive)
    layer = files_of(source)[f"{top}/layer.tar"]
    plain = gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer
    rewritten(source, lambda name, data: plain if name == f"{top}/layer.tar" else data)
    assert imgconv("--add-repositories", source).err == ALREADY


@pytest.mark.parametrize("how", ["link", "folder"])
def test_a_wrong_member_that_something_else_needs_is_refused(imgconv, archive, how):
    source, top = added_to(imgconv, archive)
    name = f"{top}/layer.tar"
    rewritten(source, lambda member, data: b"other" if member == name else data)
    if how == "link":
        link = tarfile.TarInfo("other")
        link.type, link.linkname = tarfile.SYMTYPE, name
        with tarfile.open(source, "a") as out:
            out.addfile(link)
    else:
        rewritten(source, lambda member, data: None if member == name else data)
        folder = tarfile.TarInfo(name)
        folder.type = tarfile.DIRTYPE
        with tarfile.open(source, "a") as out:
            out.addfile(folder)
    before = Path(source).read_bytes()
    done = imgconv("--add-repositories", source)
    assert (done.status, done.out) == (3, "")
    assert name in done.err
    assert ("cannot be replaced" if how == "link" else "folder") in done.err
    assert Path(source).read_bytes() == before


def test_a_layer_that_lies_in_a_v1_directory_is_verified_before_it_is_called_right(imgconv, archive):
    source = archive("docker20-html", replaced(f"{TOP}/layer.tar", b"other bytes".ljust(1024, b"\0")))
    before = Path(source).read_bytes()
    done = imgconv("--add-repositories", source)
    assert done.status == 3
    assert "already there" not in done.err
    assert Path(source).read_bytes() == before
