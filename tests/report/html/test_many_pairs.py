"""The page of `diff` of archives with very many images: each document is searched once."""

from __future__ import annotations

import json

import pytest
from hostile import dimensions
from hostile.building import END, Docker, config, dump, member, sha256
from report.html.pages import check

import convert
from convert.commands.diff import page as diff_parts
from convert.report.html import page as pages
from convert.report.html import room
from convert.report.sharing import find_sharing


class Counted(list):
    """A list that counts how often it is gone through."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        return super().__iter__()


class Looked(dict):
    """An object that counts how often its manifest is looked at."""

    looks = 0

    def __getitem__(self, key):
        type(self).looks += key == "manifest"
        return super().__getitem__(key)


def archive(path, count, **changes):
    items = [{"Config": f"c{n}.json", "RepoTags": [f"a:{n}"], "Layers": ["layer.tar"]} for n in range(count)]
    configs = tuple((f"c{n}.json", dump(config(number=n, **changes))) for n in range(count))
    path.write_bytes(Docker(manifest=items, extra=configs).build())
    return path


@pytest.fixture
def compare(tmp_path):
    def call(count):
        a, b = archive(tmp_path / "a.tar", count), archive(tmp_path / "b.tar", count, author="x")
        return convert.diff(a, b, page=True)

    return call


@pytest.mark.parametrize("count", [3, 30])
def test_no_pair_searches_all_images(compare, count):
    """Each looked at every image of both archives: 10,000 took 36 seconds."""
    report = compare(count)
    for side in report.page.sides:
        side.inspected["images"] = Counted(side.inspected["images"])
    Counted.passes = 0
    check(convert.diff_page(report))
    assert 2 <= Counted.passes < 20


@pytest.mark.parametrize("count", [3, 30])
def test_no_pair_searches_the_images_of_one_config(count, tmp_path):
    """Each looked at every image with its image ID: 10,000 of one ID took 6 seconds."""
    a, b = tmp_path / "a.tar", tmp_path / "b.tar"
    a.write_bytes(b"".join(dimensions.v1_images(count)))
    b.write_bytes(Docker(config=config(other=1)).build())
    report = convert.diff(a, b, page=True)
    for side in report.page.sides:
        side.inspected["images"] = [Looked(image) for image in side.inspected["images"]]
    assert len({image["image_id"] for image in report.page.sides[0].inspected["images"]}) == 1
    Looked.looks = 0
    check(convert.diff_page(report))
    assert count <= Looked.looks < 4 * count + 10


def test_the_data_is_measured_once(compare, monkeypatch):
    """Each attempt to make a page small enough looked at all values of its data for the longest list."""
    calls = []
    longest = room._longest
    monkeypatch.setattr(room, "_longest", lambda data: calls.append(data) or longest(data))
    monkeypatch.setattr(pages, "MAX_PAGE_SIZE", 300_000)
    report = compare(100)
    check(convert.diff_page(report))
    assert len(calls) == 1


@pytest.mark.parametrize("count", [3, 30])
def test_no_layer_searches_all_layers(count, tmp_path):
    """Each looked for itself among all layers: 10,000 took 38 seconds."""
    layers = {f"{n}.tar": member(b"f%d" % n, b"x") + END for n in range(count)}
    digests = [sha256(data) for data in layers.values()]
    (tmp_path / "a.tar").write_bytes(Docker(config=config(*digests), layers=layers).build())
    (tmp_path / "b.tar").write_bytes(Docker(config=config(other=1)).build())
    report = convert.diff(tmp_path / "a.tar", tmp_path / "b.tar", page=True)
    assert len(report.page.files) >= count
    for side in report.page.sides:
        for image in side.inspected["images"]:
            image["layers"] = Counted(image["layers"])
    Counted.passes = 0
    check(convert.diff_page(report))
    assert 2 <= Counted.passes < 25


def test_a_layer_that_occurs_often_lists_its_images_once():
    """Each time that a chart showed it, all its places were counted again."""
    layer = {"diff_id": "sha256:" + "0" * 64, "size": 1}
    (shared,) = find_sharing([{"layers": [layer] * 5}, {"layers": [layer]}]).shared.values()
    assert shared.images is shared.images
    assert shared.images == (1, 2)


def test_files_of_more_pairs_than_a_page_shows_are_not_read(compare, tmp_path, monkeypatch):
    monkeypatch.setattr(diff_parts, "MAX_SHOWN", 2)
    a = archive(tmp_path / "a.tar", 4)
    (tmp_path / "b.tar").write_bytes(Docker(tags=["other:1"], config=config(other=1)).build())
    report = convert.diff(a, tmp_path / "b.tar", page=True)
    problems = [found.problem for found in report.page.files]
    assert problems[:2] == [None, None]
    assert {problem and problem[0] for problem in problems[2:]} == {"too-many-images"}
    page = check(convert.diff_page(report))
    assert json.dumps(page.data).count("too-many-images") == len(problems) - 2


def test_files_of_more_layers_than_a_page_shows_are_not_read(tmp_path, monkeypatch):
    """A page had a section for each of 40,000 layers: 26 seconds and 372 MB."""
    monkeypatch.setattr(diff_parts, "MAX_PAGE_LAYERS", 3)
    layers = {f"{n}.tar": member(b"f%d" % n, b"x") + END for n in range(6)}
    digests = [sha256(data) for data in layers.values()]
    (tmp_path / "a.tar").write_bytes(Docker(config=config(*digests), layers=layers).build())
    (tmp_path / "b.tar").write_bytes(Docker(config=config(other=1)).build())
    report = convert.diff(tmp_path / "a.tar", tmp_path / "b.tar", page=True)
    problems = [found.problem and found.problem[0] for found in report.page.files]
    assert problems[:4] == [None, None, None, "too-many-layers"]
    assert len(problems) - problems.count("too-many-layers") == 3
    page = check(convert.diff_page(report))
    assert "3 pairs of layers are compared" in json.dumps(page.data)
