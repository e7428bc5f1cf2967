"""What is in layers, and what later layers overwrite or delete, against an independent count."""

import hashlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import waste as oracle

from convert import limits
from convert.archive.blob import MemoryBlob
from convert.cancel import Cancel
from convert.layer.contents.read import read_contents
from convert.layer.stored_digests import StoredDigests
from convert.model.digest import Digest
from convert.model.image import Layer

KINDS = {"file": b"0", "dir": b"5", "symlink": b"2", "hardlink": b"1"}


def tar_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, size in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = KINDS[kind], size if kind == "file" else 0
            info.linkname = "a" if kind in {"symlink", "hardlink"} else ""
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


class Stack:
    """What `read_contents` needs of an image."""

    def __init__(self, layers):
        self.layers = tuple(layers)


def layer_of(raw, stored=None):
    named = Digest("sha256", hashlib.sha256(raw).hexdigest())
    return Layer(named, MemoryBlob(raw if stored is None else stored, "layer.tar"))


def analysed(tars):
    image = Stack(layer_of(raw) for raw in tars)
    found = read_contents([image], StoredDigests(may_read=False), file="x", cancel=Cancel())
    return found.images[image], [found.layers[layer] for layer in image.layers]


def check(tars):
    """Compare everything with the independent count."""
    image, layers = analysed(tars)
    expected = [oracle.layer_of(io.BytesIO(raw)) for raw in tars]
    for found, (entries, whiteouts, opaques, size) in zip(layers, expected, strict=True):
        kinds = [kind for kind, _ in entries.values()]
        assert (found.files, found.folders) == (kinds.count("file"), kinds.count("dir"))
        assert (found.links + found.others, found.size) == (kinds.count("other"), size)
        assert (found.whiteouts, found.opaques) == (len(whiteouts), len(opaques))
        # Of equal size, paths come in the order of a walk.
        files = sorted((-size, path) for path, (_, size) in entries.items() if size)[: limits.MAX_SHOWN_PATHS]
        assert [(-each.size, tuple(each.path.split("/"))) for each in found.largest_files] == files
        folders = {}
        for path, (_, each) in entries.items():
            for folder in oracle.above(path):
                folders[folder] = folders.get(folder, 0) + each
        for each in found.largest_folders:
            assert folders[tuple(each.path.split("/"))] == each.size
        assert max(folders.values(), default=0) == max((each.size for each in found.largest_folders), default=0)
    hidden = [
        [one.overwritten_files, one.overwritten_size, one.deleted_files, one.deleted_size] for one in image.layers
    ]
    assert hidden == oracle.hidden(expected)
    largest = image.largest_hidden
    assert (largest is None) == (not any(one[1] or one[3] for one in hidden))
    if largest is not None:
        assert largest.size <= hidden[largest.layer - 1][3 if largest.deleted else 1]
        assert largest.layer < largest.hidden_by <= len(hidden)
    waste, efficiency, wasted, parts = oracle.dive(expected)
    assert (image.waste, image.efficiency, image.wasted_paths) == (waste, efficiency, len(wasted))
    assert [one.waste for one in image.layers] == parts
    shown = {path: (len(times), sum(size for _, size in times)) for path, times in wasted.items()}
    assert all(shown[each.path] == (each.count, each.size) for each in image.wasted)
    assert (image.size, image.upper_size) == (sum(e[3] for e in expected), sum(e[3] for e in expected[1:]))
    return image


#: Layers from the bottom, and what they hold in vain: overwritten and deleted bytes of each layer, waste.
CASES = {
    "one layer": ([[("a", "file", 5)]], [(0, 0)], 0),
    "a file replaced": ([[("a", "file", 5)], [("a", "file", 7)]], [(5, 0), (0, 0)], 12),
    "a file deleted": ([[("a", "file", 5)], [(".wh.a", "file", 0)]], [(0, 5), (0, 0)], 5),
    "a folder deleted": (
        [[("d", "dir", 0), ("d/a", "file", 5), ("d/b", "file", 2)], [(".wh.d", "file", 0)]],
        [(0, 7), (0, 0)],
        # A folder that was deleted once is one occurrence: dive's score has it, its waste does not.
        0,
    ),
    "a folder deleted, made and deleted": (
        [
            [("d", "dir", 0), ("d/a", "file", 5)],
            [(".wh.d", "file", 0)],
            [("d", "dir", 0), ("d/a", "file", 3)],
            [(".wh.d", "file", 0)],
        ],
        [(0, 5), (0, 0), (0, 3), (0, 0)],
        16,
    ),
    "an opaque folder": (
        [[("d/a", "file", 5), ("d/b", "file", 2)], [("d/.wh..wh..opq", "file", 0), ("d/a", "file", 1)]],
        [(5, 2), (0, 0)],
        6,
    ),
    "an opaque root": ([[("a", "file", 5)], [(".wh..wh..opq", "file", 0)]], [(0, 5), (0, 0)], 0),
    "a whiteout in the layer that makes the file anew": (
        [[("a", "file", 5)], [(".wh.a", "file", 0), ("a", "file", 2)]],
        [(5, 0), (0, 0)],
        7,
    ),
    "a whiteout of nothing": ([[("a", "file", 5)], [(".wh.b", "file", 0), ("c", "file", 1)]], [(0, 0), (0, 0)], 0),
    "a file where a folder was": ([[("d/a", "file", 5)], [("d", "file", 3)]], [(5, 0), (0, 0)], 0),
    "a folder where a file was": ([[("d", "file", 5)], [("d/a", "file", 3)]], [(5, 0), (0, 0)], 0),
    "a hard link": ([[("a", "file", 5), ("b", "hardlink", 0)], [(".wh.b", "file", 0)]], [(0, 0), (0, 0)], 0),
    "a file named twice in a layer": (
        [[("a", "file", 5), ("./a", "file", 3)], [("a", "file", 1)]],
        [(3, 0), (0, 0)],
        4,
    ),
    "names that sort before a slash": (
        [[("d/a", "file", 5), ("d-x", "file", 1), ("d!", "dir", 0), ("d!/a", "file", 2)], [(".wh.d", "file", 0)]],
        [(0, 5), (0, 0)],
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_overwritten_and_deleted_files(case):
    layers, hidden, waste = CASES[case]
    found = check([tar_of(members) for members in layers])
    assert [(one.overwritten_size, one.deleted_size) for one in found.layers] == hidden
    assert found.waste == waste


NAMES = st.sampled_from(["a", "b", "c", "a-", "b!"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@st.composite
def members(draw):
    path = draw(PATHS)
    kind = draw(st.sampled_from(["file", "file", "file", "dir", "symlink", "hardlink", "whiteout", "opaque"]))
    folder, slash, name = path.rpartition("/")
    if kind == "whiteout":
        return f"{folder}{slash}.wh.{name}", "file", 0
    if kind == "opaque":
        return draw(st.sampled_from([f"{path}/.wh..wh..opq", ".wh..wh..opq"])), "file", 0
    return draw(st.sampled_from(["", "./", "/"])) + path, kind, draw(st.integers(0, 40))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(members(), max_size=9), min_size=1, max_size=5))
def test_any_layers(layers):
    check([tar_of(one) for one in layers])
