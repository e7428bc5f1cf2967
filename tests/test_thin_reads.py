"""A thin archive costs at most what reading its source costs: no layer is read twice, none is encoded twice."""

from __future__ import annotations

import collections
import json

import pytest
from reads import counted_reads
from thin_archives import archive, layer

import convert
from convert.codec import decompress
from convert.layer.transcode import LayerTranscoder
from convert.writer.dest.staging import Staging

LAYERS = [layer(number, 100_000) for number in range(4)]
SIZE = len(LAYERS[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reads")
    archive(folder / "old.tar", [("app:1", LAYERS[:3])])
    archive(folder / "new.tar", [("app:2", LAYERS)])
    # Names of members tell which archive is read.
    convert.convert(folder / "old.tar", folder / "old-save@25", to="docker-save@25")
    for name in ("old", "new"):
        convert.convert(folder / f"{name}.tar", folder / name, to="oci")
    (folder / "have.json").write_text(json.dumps(convert.inspect(folder / "old").document))
    return folder


@pytest.mark.parametrize(
    ("new", "old", "to", "read"),
    [
        ("new.tar", "have.json", "docker-save", 1),
        ("new.tar", "have.json", "docker-save@25", 1),
        ("new.tar", "old-save@25", "docker-save", 4),
        ("new.tar", "old-save@25", "docker-save@25", 4),
        ("new", "have.json", "oci-archive", 1),
        ("new", "have.json", "docker-oci", 1),
        ("new", "old", "docker-oci", 4),
        ("new", "old", "docker-save@25", 4),
        ("new", "old-save@25", "docker-save@25", 4),
        ("new.tar", "old", "docker-save@25", 4),
        ("new.tar", "have.json", "docker-oci", 4),
        # OLD's layers give the digests of those that are left out; in a layout they are compressed, so NEW's do.
        ("new.tar", "old-save@25", "docker-oci", 4),
        ("new.tar", "old-save@25", "oci", 4),
        ("new.tar", "old", "docker-oci", 7),
    ],
)
def test_a_layer_is_read_at_most_once_and_encoded_at_most_once(monkeypatch, made, tmp_path, new, old, to, read):
    """Of layers that an inventory names, none is read; of those of an archive, the archive's or NEW's."""
    encoded = collections.Counter()
    real = LayerTranscoder.encode

    def encode(self, plain, staging, size):
        described, blob = real(self, plain, staging, size)
        encoded[described.digest] += 1
        return described, blob

    monkeypatch.setattr(LayerTranscoder, "encode", encode)
    monkeypatch.setattr(decompress, "FEED_SIZE", 512)
    counts = counted_reads(monkeypatch)
    report = convert.convert(made / new, tmp_path / "thin", to=to, without=[str(made / old)], jobs=1)
    assert len(report.needs[0].layers) == 3
    layers = {member: count for member, count in counts.items() if count > SIZE // 2}
    assert len(layers) == read
    # The first bytes are looked at for a compression, and for one in it.
    assert all(count <= SIZE + 2048 for count in layers.values())
    assert max(encoded.values(), default=1) == 1


@pytest.mark.parametrize(
    ("new", "old", "to"),
    [
        ("new", "old", "docker-save@25"),
        ("new", "have.json", "docker-save@25"),
        ("new", "old-save@25", "docker-save@25"),
        ("new.tar", "old-save@25", "docker-oci"),
        ("new.tar", "old-save@25", "oci-archive"),
    ],
)
def test_what_is_left_out_is_not_written_anywhere(monkeypatch, made, tmp_path, new, old, to):
    """Only the size or the digest of a layer is needed: only the new one is kept."""
    staged = []
    real = Staging.new_blob

    def new_blob(self):
        staged.append(self)
        return real(self)

    monkeypatch.setattr(Staging, "new_blob", new_blob)
    report = convert.convert(made / new, tmp_path / "thin", to=to, without=[str(made / old)])
    assert len(report.needs[0].layers) == 3
    assert len(staged) == 1


@pytest.mark.parametrize("to", ["docker-save", "docker-save@25", "oci-archive", "docker-oci"])
@pytest.mark.parametrize("full", [False, True])
def test_verify_full_reads_the_source_too(monkeypatch, made, tmp_path, full, to):
    counts = counted_reads(monkeypatch)
    given = {"verify": "full"} if full else {}
    convert.convert(made / "new.tar", tmp_path / "t", to=to, without=[str(made / "old-save@25")], **given)
    layers = [count for count in counts.values() if count > SIZE // 2]
    assert len(layers) == (7 if full else 4)
    assert max(layers) < SIZE + 1024
