"""`validate` looks into layers: what engines cannot unpack, refuse, or read differently.

tests/layer/test_tar_check.py has the check of the tar itself.
"""

import gzip
import json
import os
import threading

import pytest
from commands.test_validate import Docker, Layout, counted, noted, tar
from layer_tars import BROKEN, END, ONE, TWICE, member
from oracle.reading import members, plain, sha256
from support import MATCH

from convert.commands.validate import validate
from convert.layer import tar_check


def layout_of(raw, stored=None, kind="layer.v1.tar+gzip"):
    built = Layout()
    built.config["rootfs"]["diff_ids"] = [sha256(raw)]
    built.blobs.clear()
    built.layers = [built.put(stored if stored is not None else gzip.compress(raw, mtime=0), kind)]
    built.finish()
    return tar(built.files())


def docker_of(raw):
    archive = Docker()
    archive.files[archive.layers[0]] = raw
    archive.config["rootfs"]["diff_ids"][0] = sha256(raw)
    archive.edit_config()
    return archive.bytes()


def legacy_of(raw):
    files = members(plain(MATCH / "legacy-repositories-only.tar.gz"))
    files[next(name for name in files if name.endswith("/layer.tar"))] = raw
    return tar(files)


def from_file_and_pipe(raw, folder):
    """Validate an archive as a file and from a pipe, which must agree."""
    (folder / "x.tar").write_bytes(raw)
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes(raw))
    writer.start()
    piped = validate(str(folder / "pipe"))
    writer.join()
    verdict = validate(str(folder / "x.tar"))
    assert [(one.rule, one.message) for one in piped.findings] == [(one.rule, one.message) for one in verdict.findings]
    assert piped.status == verdict.status
    return verdict


def validate_layer(raw, folder, **options):
    return from_file_and_pipe(layout_of(raw, **options), folder)


@pytest.mark.parametrize("make", [layout_of, docker_of, legacy_of])
@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (BROKEN["text"], "layer-tar"),
        (BROKEN["ends in a content"], "layer-tar"),
        (TWICE["./"][0], "layer-path-twice"),
        (member("x", b"10 path=p\n", b"x") * 2 + ONE, "layer-header"),
    ],
    ids=["no tar", "cut", "twice", "disputed"],
)
def test_every_form_of_archive_has_its_layers_looked_into(make, raw, rule, tmp_path):
    verdict = from_file_and_pipe(make(raw), tmp_path)
    # Another layer gives Docker's v1 IDs to others.
    assert counted(verdict) - {"v1-id"} == {rule}
    assert verdict.status == 1


def zstd(raw):
    import zstandard

    return zstandard.compress(raw)


@pytest.mark.parametrize(
    ("stored", "kind", "rules"),
    [
        (gzip.compress(ONE + END) + b"garbage", "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + b"g", "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + bytes(512), "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE + END) + os.urandom(8) * 300_000, "layer.v1.tar+gzip", {"layer-trailing"}),
        (gzip.compress(ONE) + gzip.compress(END), "layer.v1.tar+gzip", set()),
        (zstd(ONE + END) + b"garbage", "layer.v1.tar+zstd", {"layer-damaged"}),
        (zstd(ONE) + zstd(END), "layer.v1.tar+zstd", set()),
    ],
    ids=["garbage", "one byte", "zeros", "megabytes", "two gzip members", "zstd and garbage", "two frames"],
)
def test_what_follows_a_compressed_layer(stored, kind, rules, tmp_path):
    assert counted(validate_layer(ONE + END, tmp_path, stored=stored, kind=kind)) == rules


def test_names_beyond_the_limit_are_reported_as_a_note(monkeypatch, tmp_path):
    monkeypatch.setattr(tar_check, "MAX_LAYER_NAMES", 5)
    raw = b"".join(member(f"f{number}") for number in range(9)) + END
    assert noted(validate_layer(raw, tmp_path)) == {"layer-not-compared"}


def test_a_layer_is_reported_once_however_many_images_name_it(tmp_path):
    archive = Docker()
    archive.bytes()
    files = dict(archive.files)
    files[archive.layers[0]] = TWICE["two files"][0]
    files["manifest.json"] = json.dumps(archive.manifest * 50).encode()
    (tmp_path / "x.tar").write_bytes(tar(files))
    found = [one for one in validate(str(tmp_path / "x.tar")).findings if one.rule == "layer-path-twice"]
    assert len(found) == 1
    assert found[0].refused_by
