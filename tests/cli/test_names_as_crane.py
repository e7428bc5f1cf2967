"""What crane finds in a docker archive: members by their exact spelling, images by the first of a name."""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256

import pytest


def tar_of(path, members):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


LAYER = bytes(1024)


def config(**fields):
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + sha256(LAYER).hexdigest()]}
    return json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs, **fields}).encode()


def listed(*items):
    return json.dumps([{"Config": name, "Layers": [layer], "RepoTags": tags} for name, layer, tags in items]).encode()


@pytest.mark.parametrize("what", ["Config", "Layers"])
@pytest.mark.parametrize("member", ["a", "./a", "/a"])
@pytest.mark.parametrize("asked", ["a", "./a", "/a", "//a"])
def test_a_leading_slash_is_part_of_a_name_for_crane_alone(imgconv, tmp_path, what, member, asked):
    """Measured with crane: the same 24 archives, each found or not found."""
    names = {"Config": ("c", "c"), "Layers": ("l", "l"), what: (member, asked)}
    (at_config, config_name), (at_layer, layer) = names["Config"], names["Layers"]
    item = (config_name, layer, ["x/y:1"])
    source = tar_of(tmp_path / "in.tar", {at_config: config(), at_layer: LAYER, "manifest.json": listed(item)})
    done = imgconv("digest", source, "--as", "crane@go1.26")
    if member.startswith("/") == asked.startswith("/"):
        assert done.status == 0, done.err
        assert done.out.startswith("sha256:")
    else:
        assert done.status == 2
        assert not done.out
        assert asked in done.err
    assert imgconv("digest", source, "--as", "docker@go1.26").status == 0


@pytest.mark.parametrize("other", ["a:1", "docker.io/library/a:1", "index.docker.io/library/a:1", "docker.io/a:1"])
def test_a_name_of_two_images_is_reported_and_refused_for_crane(imgconv, tmp_path, other):
    first, second = config(), config(author="x")
    items = listed(("c", "l", ["a:1"]), ("d", "l", [other]))
    source = tar_of(tmp_path / "in.tar", {"c": first, "d": second, "l": LAYER, "manifest.json": items})
    ids = [sha256(raw).hexdigest() for raw in (first, second)]
    done = imgconv("digest", source, "--as", "crane@go1.26")
    assert done.status == 2
    assert not done.out
    shown = imgconv("id", source)
    assert shown.status == 0
    assert all(each in done.err and each in shown.err for each in ids)


def test_an_image_that_is_listed_twice_under_one_name_is_one_image(imgconv, tmp_path):
    items = listed(("c", "l", ["a:1"]), ("c", "l", ["docker.io/library/a:1"]))
    source = tar_of(tmp_path / "in.tar", {"c": config(), "l": LAYER, "manifest.json": items})
    assert imgconv("digest", source, "--as", "crane@go1.26").status == 0
    assert "two images" not in imgconv("id", source).err
