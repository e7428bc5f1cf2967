"""What thinness adds to an archive: at most 4 KB for an image (docs/thin.md#size)."""

from __future__ import annotations

import json
import tarfile

import pytest
from support import MATCH, READ
from thin_archives import archive, chain_id, diff_id, layer

import convert
from convert.errors import ImgconvError

TARGETS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "oci", "oci-archive"]
MOST = 4096
SOURCES = sorted([*MATCH.glob("docker*.tar.gz"), *READ.glob("*.tar.gz")])


def spans(path):
    """Return the bytes of each member of a tar with its headers and padding, or of each file of a folder."""
    if path.is_dir():
        return {str(each.relative_to(path)): each.stat().st_size for each in path.rglob("*") if each.is_file()}
    with tarfile.open(path) as tar:
        return {each.name: each.offset_data + -(-each.size // 512) * 512 * each.isreg() - each.offset for each in tar}


def added(full, thin):
    """Return the bytes of a thin archive that are not those of the full one without the members left out."""
    whole, held = spans(full), spans(thin)
    left_out = sum(size for name, size in whole.items() if name not in held)
    if full.is_dir():
        return sum(held.values()) - (sum(whole.values()) - left_out)
    return thin.stat().st_size - (full.stat().st_size - left_out)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_thinness_adds_at_most_4_kb_to_an_image(tmp_path, source):
    tried = 0
    for to in TARGETS:
        full, thin = tmp_path / f"full-{to}", tmp_path / f"thin-{to}"
        try:
            convert.convert(source, full, to=to)
        except ImgconvError:
            continue  # an image that this form cannot hold
        report = convert.convert(source, thin, to=to, without=[str(full)])
        images = {one.image.image_id for one in report.needs}
        assert added(full, thin) <= MOST * len(images)
        tried += bool(images)
    if not tried:
        pytest.skip("there is nothing to leave out")


@pytest.mark.parametrize("to", TARGETS)
def test_the_largest_image_stays_within_4_kb(tmp_path, to):
    """125 layers, the most that dockerd takes, under 30 names, from bases with names that JSON makes long."""
    layers = [layer(seed, 64) for seed in range(125)]
    source = archive(tmp_path / "new.tar", [("app:0", layers)])
    names = [f"registry.example/{'long-' * 12}{number}/app:{number}" for number in range(30)]
    convert.convert(source, tmp_path / "named", to="oci-archive", tags=names)
    base = [{"RootFS": {"Layers": [diff_id(tar) for tar in layers]}, "RepoTags": ["<&>" * 80]}]
    have = tmp_path / "have.json"
    full = tmp_path / "full"
    convert.convert(tmp_path / "named", full, to=to)
    if "docker-save" in to:
        have.write_text(json.dumps(base))
    else:
        document = convert.inspect(full).document
        for image in document["images"]:
            image["names"] = ["<&>" * 80]
        have.write_text(json.dumps(document))
    report = convert.convert(tmp_path / "named", tmp_path / "thin", to=to, without=[str(have)])
    assert len(report.needs[0].layers) == 125
    if report.needs[0].chain_id is not None:
        assert str(report.needs[0].chain_id) == chain_id(layers)
    assert added(full, tmp_path / "thin") <= MOST
    assert convert.validate(tmp_path / "thin").status == 0


def test_a_mark_moves_when_its_name_is_taken_away(tmp_path):
    source = archive(tmp_path / "new.tar", [("app:0", [layer(1), layer(2)])])
    convert.convert(source, tmp_path / "full", to="oci", tags=["app:1", "app:2", "app:3"])
    for ref in ("app:1", "app:2", "app:3"):
        thin = tmp_path / ref
        convert.convert(tmp_path / "full", thin, to="oci", without=[str(source)])
        convert.untag(thin, ref)
        convert.tag(thin, "other:1", old="app:2" if ref != "app:2" else "app:3")
        entries = json.loads((thin / "index.json").read_bytes())["manifests"]
        assert len(entries) == 3
        assert sum("dev.imgconv.needs" in entry["annotations"] for entry in entries) == 1
        assert convert.validate(thin).status == 0
