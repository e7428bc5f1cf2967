"""`import convert`: what the README shows, and what its docstrings promise."""

from __future__ import annotations

import ast
import contextlib
import gzip
import hashlib
import inspect
import io
import tarfile
from pathlib import Path

import pytest
from oracle.reading import check, contents, docker_images, members, plain
from support import FORMATS, MATCH, ROOT, run

import convert
from convert.archive import spool
from convert.errors import (
    DestinationExistsError,
    DigestMismatchError,
    FormatError,
    ImgconvError,
    InputError,
    NotRepresentableError,
    SelectionError,
    StorageError,
    TruncatedError,
    UnknownFormatError,
    UnsafeInputError,
    UnsupportedError,
    UsageError,
)

HTML = MATCH / "docker20-html.tar.gz"
MULTI = MATCH / "docker20-multi.tar.gz"


def test_an_archive_lists_names_and_reads_its_images_lazily():
    expected = docker_images(members(plain(MULTI)))
    with convert.open(str(MULTI)) as archive:
        assert archive.format == "docker-save"
        images = list(archive.images())
        assert [str(image.image_id) for image in images] == [image.image_id for image in expected]
        assert [list(archive.names(image)) for image in images] == [image.names for image in expected]
        assert [[str(layer.diff_id) for layer in image.layers] for image in images] == [
            image.diff_ids for image in expected
        ]
        # One of the configs is odd, and says so.
        assert {str(image.platform) for image in images} == {"linux/amd64", "linux/amd64/v8"}


@pytest.mark.parametrize("name", ["docker20-html", "crane-tarball", "containerd29-export", "docker29-hybrid-html"])
def test_layers_stream_plain_and_as_they_are_stored(name):
    with convert.open(MATCH / f"{name}.tar.gz") as archive:
        (image,) = list(archive.images())
        for layer in image.layers:
            with archive.open_plain(layer) as stream:
                data = stream.read()
            assert "sha256:" + hashlib.sha256(data).hexdigest() == str(layer.diff_id)
            with archive.open_stored(layer) as stream:
                stored = stream.read()
            assert data in (stored, gzip.decompress(stored) if stored.startswith(b"\x1f\x8b") else None)
            # Each start is a fresh one, also while another is under way.
            one, two = archive.open_plain(layer), archive.open_plain(layer)
            assert one.read(100) == two.read(100) == data[:100]
            for stream in (one, two):
                with pytest.warns(convert.UnverifiedWarning):
                    stream.close()
                assert not stream.verified


@pytest.mark.parametrize("name", ["docker20-html", "crane-tarball"])
@pytest.mark.parametrize("opened", ["open_plain", "open_stored"])
def test_layers_are_buffered_streams_that_know_whether_they_are_verified(name, opened):
    with convert.open(MATCH / f"{name}.tar.gz") as archive:
        (image,) = list(archive.images())
        for layer in image.layers:
            with getattr(archive, opened)(layer) as stream:
                data = b""
                while chunk := stream.read(1000):
                    data += chunk
                    assert len(chunk) == 1000 or not stream.read(1)
            assert stream.closed
            with getattr(archive, opened)(layer) as again:
                assert again.read() == data
            if layer.stored is not None or opened == "open_plain":
                assert stream.verified
                assert again.verified


def test_an_exception_is_not_covered_by_the_warning_of_a_layer_closed_early():
    with convert.open(HTML) as archive:
        (image,) = list(archive.images())
        with pytest.raises(ZeroDivisionError), archive.open_plain(image.layers[0]) as stream:
            stream.write(bytes(stream.read(1)[0] // 0))


def _as_tar(folder):
    (folder / "a.tar").write_bytes(plain(HTML))
    return folder / "a.tar"


def _as_pipe(folder):
    (folder / "a.tar.gz").write_bytes(gzip.compress(plain(HTML), 1))
    return folder / "a.tar.gz"


def _as_folder(folder):
    convert.convert(HTML, folder / "layout", to="oci")
    return folder / "layout"


@pytest.mark.parametrize(("make", "small"), [(_as_tar, 0), (_as_pipe, -1), (_as_pipe, 1 << 20), (_as_folder, 0)])
def test_a_closed_archive_cannot_be_read(tmp_path, monkeypatch, make, small):
    """Not even if the number of its descriptor now belongs to another file."""
    monkeypatch.setattr(spool, "_SMALL", small)
    with convert.open(make(tmp_path)) as archive:
        layers = [layer for image in archive.images() for layer in image.layers]
        started = [opened(layer) for layer in layers for opened in (archive.open_plain, archive.open_stored)]
    with contextlib.ExitStack() as stack:
        for number in range(20):
            other = stack.enter_context((tmp_path / f"other{number}").open("w+b"))
            other.truncate(1 << 20)
        for layer in layers:
            for read in (archive.open_plain, archive.open_stored):
                with pytest.raises(UsageError, match="the archive is closed") as caught:
                    read(layer)
                assert caught.value.code == "archive-closed"
        if small <= 0:  # bytes in memory cannot become those of another file
            calls = [call for layer in layers for call in (layer.blob.open, layer.blob.extent)]
            for call in [*calls, *(stream.read for stream in started)]:
                with pytest.raises(UsageError, match="the archive is closed"):
                    call()
        for stream in started:
            if small > 0:
                stream.read()
            stream.close()
    archive.close()


def test_an_image_is_picked_as_on_the_command_line():
    with convert.open(MULTI) as archive:
        image = archive.image("fmt-html:1")
        assert archive.image(str(image.image_id)) is image
        with pytest.raises(SelectionError, match="no image 'nothing:1'"):
            archive.image("nothing:1")


def test_reading_a_rotten_layer_to_its_end_raises(tmp_path):
    raw = bytearray(plain(HTML))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        member = next(each for each in archive if each.name.endswith("layer.tar"))
    raw[member.offset_data + 513] ^= 1
    (tmp_path / "rotten.tar").write_bytes(raw)
    with convert.open(tmp_path / "rotten.tar") as archive:
        rotten = next(
            layer
            for image in archive.images()
            for layer, v1_id in zip(image.layers, image.v1_ids, strict=True)
            if v1_id == member.name.partition("/")[0]
        )
        with archive.open_plain(rotten) as stream, pytest.raises(DigestMismatchError) as error:
            stream.read()
        assert not stream.verified
    assert error.value.wanted == str(rotten.diff_id)
    assert error.value.member == member.name


@pytest.mark.parametrize("form", FORMATS)
def test_convert_does_what_the_command_does(tmp_path, form):
    result = convert.convert(str(MULTI), tmp_path / "api", to=form)
    done = run(MULTI, "--to", form, tmp_path / "cli")
    assert contents(tmp_path / "api") == contents(tmp_path / "cli")
    lines = [f"{' '.join(image.names)}  {image.image_id}  {image.manifest_digest or '-'}" for image in result.images]
    assert done.stdout.decode().splitlines() == lines
    assert {str(image.image_id) for image in result.images} == {
        image.image_id for image in check(tmp_path / "api", form)
    }


def test_remarks_and_progress_come_through_callbacks(tmp_path):
    class Counter:
        expected = done = 0

        def begin(self, _, __):
            return self.advance

        def expect(self, size):
            self.expected += size

        def advance(self, size):
            self.done += size

        def close(self):
            pass

    counter, warnings = Counter(), []
    convert.convert(str(MULTI), tmp_path / "out", to="oci", warn=warnings.append, progress=counter)
    assert counter.done > 0
    assert [line.code for line in warnings] == ["result-address", "result-commands"]
    assert warnings[0].startswith("wrote 7 names; in skopeo and podman use oci:")


def test_add_repositories_is_there_too(tmp_path):
    (tmp_path / "in.tar").write_bytes(plain(MATCH / "crane-tarball.tar.gz"))
    convert.add_repositories(str(tmp_path / "in.tar"))
    assert "repositories" in members((tmp_path / "in.tar").read_bytes())


def test_errors_carry_file_member_and_hint(tmp_path):
    with pytest.raises(StorageError) as missing:
        convert.convert("nothing:1", tmp_path / "out", to="oci")
    assert missing.value.file == "nothing:1"
    assert "docker save nothing:1" in missing.value.hint
    with pytest.raises(UnknownFormatError) as unknown:
        convert.open(ROOT / "README.md")
    assert unknown.value.file == str(ROOT / "README.md")
    assert str(unknown.value).startswith(f"{ROOT / 'README.md'}: ")


def test_every_error_has_its_place_and_status():
    tree = {
        UsageError: (ImgconvError, 2),
        SelectionError: (UsageError, 2),
        NotRepresentableError: (UsageError, 2),
        DestinationExistsError: (UsageError, 2),
        InputError: (ImgconvError, 3),
        UnknownFormatError: (InputError, 3),
        FormatError: (InputError, 3),
        TruncatedError: (FormatError, 3),
        DigestMismatchError: (InputError, 3),
        UnsafeInputError: (InputError, 3),
        UnsupportedError: (InputError, 3),
        StorageError: (ImgconvError, 4),
    }
    for error, (base, status) in tree.items():
        assert error.__bases__ == (base,)
        assert error.exit_status == status
        assert getattr(convert, error.__name__) is error


def test_all_is_sorted_documented_and_really_there():
    assert list(convert.__all__) == sorted(convert.__all__)
    for name in convert.__all__:
        thing = getattr(convert, name)
        assert inspect.getdoc(thing)
    with pytest.raises(AttributeError):
        _ = convert.nothing_of_that_name
    assert set(convert.__all__) <= set(dir(convert))


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "convert" / "py.typed").exists()


def test_the_readmes_library_example_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    assert "convert.open" in code
    monkeypatch.chdir(tmp_path)
    Path("image.tar").write_bytes(plain(HTML))
    exec(compile(ast.parse(code), "README.md", "exec"), {})
    assert "fmt-html:1" in capsys.readouterr().out
    assert check("from-python", "oci")
    # And it fails, as its comment says, where a layer is not what its DiffID says.
    raw = bytearray(plain(HTML))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        raw[next(each for each in archive if each.name.endswith("layer.tar")).offset_data + 513] ^= 1
    Path("image.tar").write_bytes(raw)
    with pytest.raises(DigestMismatchError):
        exec(compile(ast.parse(code.partition("report = convert.convert(")[0]), "README.md", "exec"), {})
