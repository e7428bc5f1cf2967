"""What a thin archive holds besides new layers (docs/thin.md#size)."""

from __future__ import annotations

import json
import tarfile

import pytest
from support import MATCH, READ
from thin_archives import archive, chain_id, content, diff_id, layer

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


def beside(path):
    """Return the bytes of an archive that are not those of its configs, manifests and layers."""
    held = content(path)
    documents = {"index.json", "manifest.json", "repositories", "oci-layout", ".imgconv-needs.json"}
    size = path.stat().st_size if path.is_file() else sum(map(len, held.values()))
    return size - sum(len(data) for name, data in held.items() if name not in documents)


def thin(folder, to, images, *, kept=0):
    """Write a thin archive of images, given as numbers of layers, of which it holds `kept` from the top."""
    named = [(f"app:{n}", [layer(100 * n + seed, 64) for seed in range(count)]) for n, count in enumerate(images)]
    source = archive(folder / "new.tar", named)
    old = archive(folder / "old.tar", [(name, layers[: len(layers) - kept]) for name, layers in named])
    report = convert.convert(source, folder / "thin", to=to, without=[str(old)], force=True)
    assert [len(need.layers) for need in report.needs] == [count - kept for count in images]
    return folder / "thin"


@pytest.mark.parametrize("to", TARGETS)
def test_no_member_belongs_to_a_layer_that_is_left_out(tmp_path, to):
    few, many = (content(thin(tmp_path, to, [count], kept=1)) for count in (2, 125))
    assert len(few) == len(many)
    assert not [name for name in many if name.endswith(("/json", "/VERSION")) or name == "repositories"]


#: Bytes that each layer takes in the documents, whether it is left out or not: names, and LayerSources.
LINES = {"docker-save": 78, "docker-save@25": 333, "docker-save@29": 333, "docker-oci": 78}


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("layers", [2, 10, 60])
def test_an_image_takes_at_most_4_kb_besides_its_blobs(tmp_path, to, layers):
    """Besides lines in documents; what is there once in an archive is at most 5 KB."""
    one, three = (beside(thin(tmp_path, to, [layers] * count, kept=1)) for count in (1, 3))
    lines = LINES.get(to, 16) * layers
    image = (three - one) / 2
    # The last block of a member is filled up.
    assert image <= MOST + lines
    assert one - image <= 5120


@pytest.mark.parametrize("to", ["docker-save", "docker-save@25"])
def test_repositories_and_v1_metadata_are_there_on_request(tmp_path, to):
    source = archive(tmp_path / "new.tar", [("app:0", [layer(1), layer(2)])])
    old = archive(tmp_path / "old.tar", [("app:0", [layer(1)])])
    convert.convert(source, tmp_path / "full", to=to)
    convert.convert(source, tmp_path / "thin", to=to, without=[str(old)], add_repositories=True)
    whole, held = content(tmp_path / "full"), content(tmp_path / "thin")
    assert len(whole.keys() - held.keys()) == 1
    assert held.keys() - whole.keys() == {".imgconv-needs.json"}
    # What is not left out is the full archive, v1 metadata included.
    convert.convert(source, tmp_path / "whole", to=to, without=[str(archive(tmp_path / "x.tar", [("x", [layer(9)])]))])
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "full").read_bytes()


@pytest.mark.parametrize("scheme", ["docker", "chain-free", "skopeo", "keep"])
@pytest.mark.parametrize("kept", [0, 1])
def test_v1_ids_of_layers_that_are_left_out_are_not_lost(tmp_path, scheme, kept):
    """The names of layers give them, so that filling with `--v1-ids keep` gives the v1 directories of the full one."""
    layers = [layer(seed) for seed in range(4)]
    source = archive(tmp_path / "new.tar", [("app:0", layers)])
    old = archive(tmp_path / "old.tar", [("app:0", layers[: 4 - kept])])
    convert.convert(source, tmp_path / "full", to="docker-save", v1_ids=scheme)
    convert.convert(source, tmp_path / "thin", to="docker-save", v1_ids=scheme, without=[str(old)])
    assert convert.validate(tmp_path / "thin").status == 0
    for again in ("keep", "docker", "chain-free"):
        convert.convert(tmp_path / "full", tmp_path / "direct", to="docker-save", v1_ids=again, force=True)
        given = {"v1_ids": again, "with_": [str(old)], "force": True}
        convert.convert(tmp_path / "thin", tmp_path / "filled", to="docker-save", **given)
        assert (tmp_path / "filled").read_bytes() == (tmp_path / "direct").read_bytes()


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
