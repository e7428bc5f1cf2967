"""Thin archives and bases with lies at random: the right bytes come out, or exit status 2 or 3 and nothing."""

from __future__ import annotations

import copy
import io
import json
import random
import shutil
import tarfile

import pytest
from oracle.reading import check
from thin_archives import archive, content, layer

import convert
from convert.errors import ImgconvError

POOL = [layer(number, 300) for number in range(7)]
FORMS = ["docker-save", "docker-save@25", "docker-oci", "oci-archive", "oci"]
LIES = ["flip", "drop", "swap", "repeat", "cut", "mark"]
#: Lies after which an archive may be another valid one: a document is of another type or another image.
REWRITING = {"flip", "swap", "repeat"}


def images(chance, name):
    """Return images of random layers, some without any."""
    counts = [chance.choice([0, 1, 2, 3, 4, 5]) for _ in range(chance.randint(1, 3))]
    return [(f"{name}{number}:1", chance.choices(POOL, k=count)) for number, count in enumerate(counts)]


def lied(chance, path, out):
    """Write an archive or a layout with one lie; return its kind."""
    kind = chance.choice(LIES)
    if path.is_dir():
        _lie_in_folder(chance, path, out, kind)
        return kind
    members = []
    with tarfile.open(path) as tar:
        members = [[member, tar.extractfile(member).read() if member.isreg() else None] for member in tar]
    files = [each for each in members if each[1] is not None]
    one, other = chance.choice(files), chance.choice(files)
    if kind == "flip" and one[1]:
        one[1] = _flipped(chance, one[1])
    elif kind == "drop":
        members.remove(one)
    elif kind == "swap":
        one[1], other[1] = other[1], one[1]
    elif kind == "repeat":
        members.insert(chance.randrange(len(members) + 1), [copy.copy(one[0]), other[1]])
    elif kind == "cut":
        one[1] = one[1][: chance.randrange(len(one[1]) + 1)]
    for each in members if kind == "mark" else ():
        if each[0].name == ".imgconv-needs.json":
            each[1] = chance.choice([b"", b"{}", b'{"images":[]}', b'{"version":1,"images":[{"id":1}]}'])
    with tarfile.open(out, "w") as tar:
        for member, data in members:
            if data is not None:
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data) if data is not None else None)
    return kind


def _lie_in_folder(chance, path, out, kind):
    shutil.copytree(path, out)
    files = sorted(each for each in out.rglob("*") if each.is_file())
    one, other = chance.choice(files), chance.choice(files)
    if kind == "flip" and one.stat().st_size:
        one.write_bytes(_flipped(chance, one.read_bytes()))
    elif kind == "drop":
        one.unlink()
    elif kind == "swap":
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    elif kind == "cut":
        one.write_bytes(one.read_bytes()[: chance.randrange(one.stat().st_size + 1)])
    elif kind == "mark" and (out / "index.json").exists():
        index = json.loads((out / "index.json").read_bytes())
        for entry in index["manifests"]:
            marks = ["", "{}", '{"blobs":[]}', '{"blobs":["000000000000"]}', "[]"]
            entry.setdefault("annotations", {})["dev.imgconv.needs"] = chance.choice(marks)
        (out / "index.json").write_text(json.dumps(index))


def _flipped(chance, data):
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def run(source, out, **given):
    """Convert; return whether that succeeded. An error has its exit status and leaves nothing."""
    status = 0
    try:
        convert.convert(source, out, **given)
    except ImgconvError as error:
        status = error.exit_status
    assert status in {0, 2, 3}
    assert (status == 0) == out.exists()
    return status == 0


def same(first, second):
    results = [content(each) if each.is_dir() else each.read_bytes() for each in (first, second)]
    for each in results:
        if isinstance(each, dict):
            each.pop(".imgconv-layers.json", None)
    return results[0] == results[1]


def bases(chance, folder, new):
    """Return what a receiver may have: archives of any form, compressed in another way, or thin themselves."""
    found = []
    for number in range(chance.randint(1, 3)):
        old = archive(folder / f"old{number}.tar", images(chance, "old"), compress=chance.random() < 0.3)
        given = {"to": chance.choice([*FORMS, "dir"])}
        if "save" not in given["to"] and chance.random() < 0.3:
            given["compress"] = chance.choice(["zstd", "go1.26-9", "zlib-6"])
        if given["to"] != "dir" and chance.random() < 0.3:
            given["without"] = [str(new)]
        if chance.random() < 0.7 and run(old, folder / f"other{number}", **given):
            old = folder / f"other{number}"
        found.append(old)
    return found


SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 400))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lie_gives_the_right_bytes_or_nothing(tmp_path, seed):
    chance = random.Random(seed)
    new = archive(tmp_path / "new.tar", images(chance, "new"), compress=chance.random() < 0.3)
    olds = bases(chance, tmp_path, new)
    given = list(olds)
    for number, old in enumerate(olds):
        if chance.random() < 0.3:
            lied(chance, old, tmp_path / f"lie{number}")
            given[number] = tmp_path / f"lie{number}"
    form, to = chance.choice(FORMS), chance.choice([*FORMS, "crane"])
    full, thin, direct = (tmp_path / name for name in ("full", "thin", "direct"))
    if not run(new, full, to=form) or not run(full, direct, to=to):
        return
    if not run(new, thin, to=form, without=[str(each) for each in given]):
        assert given != olds
        return
    lie, source = "", thin
    if chance.random() < 0.4:
        source = tmp_path / "lied"
        lie = lied(chance, thin, source)
    if run(source, tmp_path / "bare", to=to):
        # Nothing was left out, or nothing that the lie kept.
        assert lie in REWRITING or check(tmp_path / "bare", to) is not None
        assert lie or same(tmp_path / "bare", direct)
    for name, with_ in (("olds", olds), ("given", given)):
        filled = tmp_path / f"filled-{name}"
        if run(source, filled, to=to, with_=[str(each) for each in with_]):
            assert lie in REWRITING or check(filled, to) is not None
            assert lie not in {"", "mark"} or same(filled, direct)
        else:
            assert lie or given != olds
