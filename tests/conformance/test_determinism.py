"""One input and one set of options give one output in every environment.

Rule 4 of docs/contract.md#rules-of-identity.
"""

from __future__ import annotations

import os
import subprocess
import threading

import pytest
from oracle.reading import check, contents, members, plain
from support import COMMAND, FORMATS, MATCH, TARS, WRAPPERS, run

import convert

#: Several images and layers; a repeated layer; a layout with an index; compressed layers; links; v1 dirs alone.
SOURCES = [
    "docker20-multi",
    "docker20-duplayer",
    "docker29-hybrid-html",
    "containerd29-export",
    "crane-tarball",
    "podman-docker-archive",
    "legacy-repositories-only",
]
#: One of the images of docker20-multi.
PICKED = "fmt-html:1"


#: A process or two for each case: fewer of them.
FEW = ["docker20-multi", "containerd29-export"]


@pytest.fixture
def source(request, tmp_path):
    path = tmp_path / f"{request.param}.tar"
    path.write_bytes(plain(MATCH / f"{request.param}.tar.gz"))
    return path


def made(source, out, form, **options):
    convert.convert(str(source), str(out), to=form, **options)
    return contents(out)


def piped(data, out, form, *options):
    """Convert from a real pipe, which arrives in small pieces."""
    done = run("-", "--to", form, out, "-q", *options, input=data)
    assert (done.returncode, done.stderr) == (0, b"")
    return contents(out)


@pytest.mark.parametrize("source", SOURCES, indirect=True)
@pytest.mark.parametrize("form", FORMATS)
def test_jobs_and_repetition_change_nothing(tmp_path, source, form):
    one = made(source, tmp_path / "one", form, jobs=1)
    assert check(tmp_path / "one", form)
    assert made(source, tmp_path / "again", form, jobs=1) == one
    assert made(source, tmp_path / "many", form, jobs=5) == one


@pytest.mark.parametrize("source", SOURCES, indirect=True)
@pytest.mark.parametrize("form", FORMATS)
def test_a_pipe_gives_what_a_file_gives(tmp_path, source, form):
    assert piped(source.read_bytes(), tmp_path / "piped", form) == made(source, tmp_path / "out", form)


@pytest.mark.parametrize("source", FEW, indirect=True)
@pytest.mark.parametrize("form", ["docker-save", "oci", "crane"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_changes_nothing_in_a_file_or_a_pipe(tmp_path, source, form, wrapper):
    wrapped = tmp_path / "wrapped"
    wrapped.write_bytes(WRAPPERS[wrapper](source.read_bytes()))
    plain = made(source, tmp_path / "out", form)
    assert made(wrapped, tmp_path / "file", form) == plain
    assert piped(wrapped.read_bytes(), tmp_path / "piped", form, "--jobs", "1") == plain


@pytest.mark.parametrize("form", FORMATS)
def test_only_what_is_selected_is_written_from_file_and_pipe(tmp_path, form):
    """A pipe's layers are compressed before anyone knows which are wanted."""
    data = plain(MATCH / "docker20-multi.tar.gz")
    (tmp_path / "in.tar").write_bytes(data)
    out = made(tmp_path / "in.tar", tmp_path / "out", form, images=[PICKED])
    (image,) = check(tmp_path / "out", form)
    alone = made(tmp_path / "out", tmp_path / "alone", "docker-save")
    assert piped(data, tmp_path / "piped", form, "--image", PICKED) == out
    assert piped(WRAPPERS["zstd"](data), tmp_path / "wrapped", form, "--image", PICKED) == out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "in.tar", "out", "piped", "wrapped"]
    if form in {"oci", "oci-archive"}:
        names = out if form == "oci" else members(out)
        blobs = [name for name in names if name.startswith("blobs/")]
        assert len(blobs) == 2 + len(set(image.layers))
    assert alone == made(MATCH / "docker20-html.tar.gz", tmp_path / "html", "docker-save", tags=[PICKED])


@pytest.mark.parametrize("form", FORMATS)
def test_a_platform_is_picked_alike_from_file_and_pipe(tmp_path, form):
    data = plain(MATCH / "containerd29-export-multiplatform.tar.gz")
    (tmp_path / "in.tar").write_bytes(data)
    out = made(tmp_path / "in.tar", tmp_path / "out", form, platforms=["linux/amd64"])
    assert len(check(tmp_path / "out", form)) == 1
    assert piped(data, tmp_path / "piped", form, "--platform", "linux/amd64") == out


@pytest.mark.parametrize("form", FORMATS)
def test_layers_recompressed_from_a_pipe_are_those_from_a_file(tmp_path, form):
    data = plain(MATCH / "containerd29-export.tar.gz")
    (tmp_path / "in.tar").write_bytes(data)
    out = made(tmp_path / "in.tar", tmp_path / "out", form, recompress=True, compress="go1.27-6")
    assert piped(data, tmp_path / "piped", form, "--recompress", "--compress", "go1.27-6") == out


@pytest.mark.parametrize("source", FEW, indirect=True)
@pytest.mark.parametrize("form", TARS)
def test_standard_output_and_a_fifo_get_the_bytes_of_a_file(tmp_path, source, form):
    out = made(source, tmp_path / "out", form)
    assert run(source, "--to", form, "-").stdout == out
    assert run(source, "--to", form, "/dev/stdout").stdout.startswith(out)
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    convert.convert(str(source), str(tmp_path / "fifo"), to=form)
    reader.join(20)
    assert got == [out]


@pytest.mark.parametrize("form", FORMATS)
def test_the_environment_changes_nothing(tmp_path, form):
    source = MATCH / "docker20-multi.tar.gz"
    out = made(source, tmp_path / "out", form)
    worlds = [
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1"},
        {"TZ": "", "LC_ALL": "C", "PYTHONHASHSEED": "2", "HOME": "/nonexistent", "COLUMNS": "3", "UMASK": "077"},
    ]
    for number, world in enumerate(worlds):
        path = tmp_path / str(number)
        umask = int(world.pop("UMASK", "022"), 8)
        done = subprocess.run(
            [*COMMAND, str(source), "--to", form, str(path)],
            env={"PATH": os.environ["PATH"], **world},
            umask=umask,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert contents(path) == out


def test_where_the_source_lies_and_what_it_is_called_changes_nothing(tmp_path):
    data = plain(MATCH / "docker20-html.tar.gz")
    results = []
    for name in ("a.tar", "b.zip", "über änderung.json"):
        (tmp_path / name).write_bytes(data)
        results.append(made(tmp_path / name, tmp_path / f"{name}-out", "oci"))
    assert results[0] == results[1] == results[2]
