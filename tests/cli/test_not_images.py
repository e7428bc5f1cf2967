"""What is not an archive of an image: each kind is named, with the way out, from file and from pipe."""

import gzip
import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile

import pytest
from support import MATCH, run

import convert
from convert.errors import ImgconvError

PIPE = "a pipe"
TEXT = b"a line\n" * 100
BOX = "0" * 64


def tar(*members):
    """Return a tar; a name without content is a folder."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content or b""))
    return raw.getvalue()


FILES = {
    "what PowerShell's > made of a tar": (
        b"\xff\xfe" + tar(("manifest.json", b"[]")).decode("cp437").encode("utf-16-le"),
        ("UTF-16", "docker save -o"),
    ),
    "big endian UTF-16": (b"\xfe\xff" + "text".encode("utf-16-be"), ("UTF-16",)),
    "a page of a failed download": (b"\n<!DOCTYPE html>\n<html>" + TEXT, ("web page", "download failed")),
    "a short page with a mark": (b"\xef\xbb\xbf<HTML>", ("web page",)),
    "an error of an object store": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", ("XML", "download failed")),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ("git lfs pull",)),
    "a zip archive": (b"PK\x03\x04" + bytes(600), ("zip archive", "unzip")),
    "a 7-Zip archive": (b"7z\xbc\xaf\x27\x1c" + bytes(600), ("7-Zip",)),
    "a RAR archive": (b"Rar!\x1a\x07\x01\x00", ("RAR",)),
    "LZ4": (b"\x04\x22\x4d\x18" + bytes(600), ("lz4 -dc",)),
    "lzip": (b"LZIP\x01" + bytes(20), ("lzip -dc",)),
    "compress": (b"\x1f\x9d\x90" + bytes(20), ("gzip -dc",)),
    "LZMA": (b"]\x00\x00\x80\x00" + bytes(20), ("xz -dc",)),
    "squashfs": (b"hsqs" + bytes(600), ("squashfs",)),
    "a Singularity image": (b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC" + bytes(600), ("Singularity",)),
    "one document of an unpacked archive": (b'[{"Config":"x.json"}]', ("JSON document", "folder")),
    "a config": (b'{"architecture":"amd64"}' + b" " * 600, ("JSON document",)),
    "other text": (TEXT, ('text that begins with "a line"', "in place of an archive")),
    "a command's output before a tar": (b"Pulling from app\r\n" + tar(("x", b"")), ('"Pulling from app"', "before it")),
    "a long line": (b"word " * 200, ('"word word ', '…"')),
    "text with codes of a terminal": (b"\x1b[31mred\x1b[0m\n" * 50, ("not a tar archive",)),
    "text with other codes": ("früh\u202e\n".encode() * 50, ("not a tar archive",)),
    "one byte": (b"x", ("not a tar archive",)),
}
TARS = {
    "docker export": ((("bin/", None), ("etc/passwd", TEXT), ("usr/", None)), ("file system", "docker import")),
    "docker export from .": ((("./bin/sh", TEXT), ("./etc/passwd", TEXT), ("./usr/x", b"")), ("file system",)),
    "a system with documents that look like an image's": (
        (("etc/apk/repositories", TEXT), ("usr/app/manifest.json", b"{}"), ("var/x", b""), (f"usr/app/{BOX}", b"")),
        ("file system",),
    ),
    "archives": ((("a.tar", TEXT), ("more/b.tar.gz", TEXT)), ("holds archives: a.tar, more/b.tar.gz", "unpack it")),
    "many archives": (tuple((f"{name}.tgz", b"") for name in "abcdef"), ("a.tgz, b.tgz, c.tgz, …",)),
    "an odd name": ((("two words.tar", b""),), ('"two words.tar"',)),
    "a folder with a layout": ((("image/oci-layout", b"{}"), ("image/index.json", b"{}")), ("folder image", "tar -x")),
    "a folder with a docker archive": (
        (("x/image/manifest.json", b"[]"), (f"x/image/{BOX}.json", b"{}")),
        ("folder x/image",),
    ),
    "layers whose documents are lost": (((f"{BOX}.tar", b""), ("other", b"")), ("layers, but not the documents",)),
    "layers in folders without json": (((f"{BOX}/layer.tar", b""),), ("layers, but not the documents",)),
    "nothing": ((), ("it is empty",)),
    "something else": ((("app/manifest.json", b"{}"), ("app/main.js", b"")), ("has no manifest.json",)),
}


@pytest.fixture
def check(imgconv, tmp_path, monkeypatch):
    """Check that commands refuse a source with these words, in one line."""
    monkeypatch.chdir(tmp_path)

    def call(source, *expected, content=b""):
        for arguments in (("id", source), (source, "--to", "oci", "out")):
            with pipe_of(content) as pipe:
                named = [f"/dev/fd/{pipe.fileno()}" if part == PIPE else part for part in arguments]
                done = imgconv(*named)
            assert done.status == 3
            assert len(done.err.splitlines()) == 1
            for part in expected:
                assert part in done.err
        assert not os.path.exists("out")

    return call


def pipe_of(content):
    """Return the reading end of a pipe that holds this and is closed."""
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(content)
    return open(reader, "rb")


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_files_that_are_not_tars_are_named(check, content, expected, squeeze):
    with open("source", "wb") as file:
        file.write(squeeze(content))
    check("source", *expected)
    check(PIPE, *expected, content=squeeze(content))


@pytest.mark.parametrize(("members", "expected"), TARS.values(), ids=TARS)
def test_tars_without_an_image_are_named(check, members, expected):
    content = tar(*members)
    with open("source", "wb") as file:
        file.write(content)
    check("source", *expected)
    check(PIPE, *expected, content=content)


def test_folders_without_an_image_are_named(check):
    for name in ("rootfs/etc/x", "rootfs/bin/x", "rootfs/usr/x", "images/a.tar", "outer/image/oci-layout"):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb"):
            pass
    os.mkdir("nothing")
    check("rootfs", "file system of a container", "tar -C rootfs -c . | docker import - NAME:TAG")
    check("images", "holds archives: a.tar (pass one of them)")
    check("outer", "folder image holds one (pass outer/image)")
    check("nothing", "it is empty")


#: Each format, and its documents from before Docker 1.10 alone.
FORMS = ["docker-save", "docker-save@25", "docker-oci", "crane", "oci-archive", "v1", "dir"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", ["image", "a/b c", "-x"])
def test_an_image_below_a_folder_is_read_as_the_hint_says(tmp_path, monkeypatch, form, folder):
    monkeypatch.chdir(tmp_path)
    source = MATCH / ("legacy-repositories-only.tar.gz" if form == "v1" else "docker20-html.tar.gz")
    if form == "v1":
        wanted = ["--to", "docker-save"]
        (tmp_path / folder).mkdir(parents=True)
        subprocess.run(["tar", "-xzf", source, "-C", f"./{folder}"], check=True)
    else:
        wanted = ["--to", form]
        assert run(source, *wanted, "made", "-q").returncode == 0
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        if form == "dir":
            os.rename("made", folder)
        else:
            os.mkdir(folder)
            subprocess.run(["tar", "-xf", "made", "-C", f"./{folder}"], check=True)
    subprocess.run(["tar", "-cf", "in.tar", f"./{folder}"], check=True)
    shutil.rmtree(folder.partition("/")[0])
    with pytest.raises(ImgconvError) as caught:
        convert.identify("in.tar")
    assert (caught.value.code, caught.value.exit_status) == ("image-in-folder", 3)
    ((unpack, again),) = re.findall(r"^(.*), then pass .* or pack it again: (.*)$", caught.value.hint)
    subprocess.run(f"{unpack} && {again}", shell=True, check=True)
    (passed,) = re.findall(r"then pass (.*), or pack", caught.value.hint)
    ids = [image.id for image in convert.identify("NEW.tar").images]
    assert ids
    assert ids == [image.id for image in convert.identify(*shlex.split(passed)).images]


def test_a_root_file_system_has_a_code_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open("root fs.tar", "wb") as file:
        file.write(tar(("bin/", None), ("etc/passwd", TEXT), ("usr/", None)))
    with pytest.raises(ImgconvError) as caught:
        convert.identify("root fs.tar")
    assert (caught.value.code, caught.value.exit_status) == ("root-file-system", 3)
    assert "docker import 'root fs.tar' NAME:TAG" in caught.value.hint


@pytest.mark.parametrize("commands", [["id", "{}"], ["{}", "--to", "oci", "out"], ["inspect", "{}"]])
def test_a_wrapper_cut_short_names_the_file_once(imgconv, tmp_path, monkeypatch, commands):
    monkeypatch.chdir(tmp_path)
    content = gzip.compress(tar(("manifest.json", os.urandom(100_000))))
    with open("cut.tar.gz", "wb") as file:
        file.write(content[:50_000])
    done = imgconv(*(part.format("cut.tar.gz") for part in commands))
    assert done.status == 3
    assert done.err.count("cut.tar.gz") == 1
