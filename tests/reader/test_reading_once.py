"""Readers look at each thing once, however often a source names it, and refuse what has no end.

No test here measures time: before each of them held, its archive took minutes, hours or all memory.
"""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from convert.archive.open import open_source
from convert.errors import UnsafeInputError
from convert.model.digest import Digest
from convert.plan.select_image import select_by_image
from convert.reader.detect import read
from convert.reader.sink import CollectingSink

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PLAIN = bytes(1024)


def dump(value):
    return json.dumps(value).encode()


def tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return str(path)


class Layout:
    """A layout in the making."""

    def __init__(self):
        self.members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(self, data, media_type, **more):
        digest = Digest.of(data)
        self.members[f"blobs/sha256/{digest.hex}"] = data
        return {"mediaType": media_type, "digest": str(digest), "size": len(data), **more}

    def index(self, *children):
        return self.blob(dump({"schemaVersion": 2, "manifests": children}), INDEX)

    def image(self, architecture="amd64", **annotations):
        config = self.blob(config_of(PLAIN, architecture=architecture), CONFIG)
        layers = [self.blob(PLAIN, LAYER)]
        manifest = dump({"schemaVersion": 2, "config": config, "layers": layers, "annotations": annotations})
        return self.blob(manifest, MANIFEST, platform={"os": "linux", "architecture": architecture})

    def write(self, path, *entries):
        self.members["index.json"] = dump({"schemaVersion": 2, "manifests": entries})
        return tar(path, self.members)


def config_of(*layers, **more):
    rootfs = {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]}
    return dump({"architecture": "amd64", "os": "linux", "rootfs": rootfs} | more)


def test_indexes_that_list_each_other_many_times_are_refused(tmp_path):
    """Seven levels of thirty are twenty thousand million images."""
    layout = Layout()
    node = layout.image()
    for _ in range(7):
        node = layout.index(*[node] * 30)
    with open_source(layout.write(tmp_path / "t", node)) as source:
        with pytest.raises(UnsafeInputError, match="lists more than"):
            read(source.tree)
        sink = CollectingSink()
        read(source.tree, sink=sink)
    assert len(sink.faults) == 1


def test_many_names_of_one_large_index_are_refused(tmp_path):
    """Each name stands for each of its images: their number is the product."""
    layout = Layout()
    index = layout.index(*[layout.image()] * 2000)
    with open_source(layout.write(tmp_path / "t", *[index] * 2000)) as source, pytest.raises(UnsafeInputError):
        read(source.tree)


def test_a_shared_index_is_fine_within_reason(tmp_path):
    layout = Layout()
    shared = layout.index(layout.image(), layout.image("arm64"))
    with open_source(layout.write(tmp_path / "t", layout.index(shared, shared), shared)) as source:
        assert len(list(read(source.tree).images())) == 2


def test_a_config_that_several_manifests_name_is_one_object(tmp_path):
    layout = Layout()
    entries = [layout.image(number=str(number)) for number in range(3)]
    with open_source(layout.write(tmp_path / "t", *entries)) as source:
        images = list(read(source.tree).images())
    assert len(images) == 3
    assert len({id(image.config) for image in images}) == 1


def test_a_damaged_manifest_that_is_named_often_is_one_problem(tmp_path):
    layout = Layout()
    bad = layout.blob(b"no JSON", MANIFEST)
    sink = CollectingSink()
    with open_source(layout.write(tmp_path / "t", *[bad] * 50, layout.image())) as source:
        images = read(source.tree, sink=sink)
    assert len(sink.faults) == 1
    assert [entry.node is None for entry in images.entries] == [True] * 50 + [False]


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_of_megabytes_is_refused(tmp_path, folder):
    """Each of its half a million folders would be looked for."""
    manifest = dump([{"Config": "a/" * 500_000 + "a", "RepoTags": None, "Layers": []}])
    if folder:
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "manifest.json").write_bytes(manifest)
        path = str(tmp_path / "t")
    else:
        path = tar(tmp_path / "t", {"manifest.json": manifest})
    with open_source(path) as source, pytest.raises(UnsafeInputError, match="more than 4096 characters"):
        read(source.tree)


def test_two_digests_under_one_name_pick_two_platforms(tmp_path):
    layout = Layout()
    children = [layout.image(architecture) for architecture in ("amd64", "arm64", "s390x")]
    with open_source(layout.write(tmp_path / "t", layout.index(*children))) as source:
        picked = select_by_image(read(source.tree), [child["digest"] for child in children[:2]])
    assert [str(image.platform) for image in picked.images()] == ["linux/amd64", "linux/arm64"]


# -- v1 directories beside layers -------------------------------------------------------


def v1_archive(path, *, tags, tops=1):
    """As podman writes: layers at the top, v1 directories with links; `tops` of them for the top layer."""
    lower, upper = bytes(1024), bytes(2048)
    ids = {"lower": "0" * 64} | {f"top{number}": f"{number + 1:064x}" for number in range(tops)}
    members: dict[str, bytes | str] = {
        "c.json": config_of(lower, upper),
        "lower.tar": lower,
        "upper.tar": upper,
        f"{ids['lower']}/json": dump({"id": ids["lower"]}),
        f"{ids['lower']}/layer.tar": "../lower.tar",
    }
    for number in range(tops):
        top = ids[f"top{number}"]
        # All but the last stand on nothing, so only the last is this image's.
        parent = {"parent": ids["lower"]} if number == tops - 1 else {}
        members |= {f"{top}/json": dump({"id": top} | parent), f"{top}/layer.tar": "../upper.tar"}
    members["manifest.json"] = dump([{"Config": "c.json", "RepoTags": tags, "Layers": ["lower.tar", "upper.tar"]}])
    members["repositories"] = dump({"app": {"1": ids[f"top{tops - 1}"]}})
    return tar(path, members), (ids["lower"], ids[f"top{tops - 1}"])


@pytest.mark.parametrize("tags", [["app:1"], None, []])
def test_v1_ids_are_found_by_name_or_by_the_top_layer(tmp_path, tags):
    path, ids = v1_archive(tmp_path / "t", tags=tags, tops=3)
    with open_source(path) as source:
        (image,) = read(source.tree).images()
    assert image.v1_ids == ids
