"""A thin archive costs at most what reading its source costs: no layer is read twice, none is encoded twice."""

from __future__ import annotations

import collections
import json

import pytest
from reads import counted_reads
from thin_archives import archive, layer

import convert
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
        ("new.tar", "have.json", "docker-oci", 4),
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
    counts = counted_reads(monkeypatch)
    report = convert.convert(made / new, tmp_path / "thin", to=to, without=[str(made / old)], jobs=1)
    assert len(report.needs[0].layers) == 3
    layers = {member: count for member, count in counts.items() if count > SIZE // 2}
    assert len(layers) == read
    # The first bytes are looked at for a compression.
    assert all(count <= SIZE + 1024 for count in layers.values())
    assert max(encoded.values(), default=1) == 1


def test_what_is_left_out_is_not_written_anywhere(monkeypatch, made, tmp_path):
    """docker-save@25 needs the size of each layer, so compressed ones are unpacked; only the new one is kept."""
    staged = []
    real = Staging.new_blob

    def new_blob(self):
        staged.append(self)
        return real(self)

    monkeypatch.setattr(Staging, "new_blob", new_blob)
    for old in ("old", "have.json"):
        staged.clear()
        report = convert.convert(made / "new", tmp_path / old, to="docker-save@25", without=[str(made / old)])
        assert len(report.needs[0].layers) == 3
        assert len(staged) == 1
