"""Names and whiteouts as members of layers are applied."""

from __future__ import annotations

import random

import pytest

from convert.archive.member import Member
from convert.errors import FormatError
from convert.layer import rootfs
from convert.layer.rootfs import RootFileSystem


class Counting(dict):
    """Children that count how many of them were walked over."""

    walked = 0

    def items(self):
        Counting.walked += len(self)
        return super().items()


def apply(files, layer, number, name):
    kind = "dir" if name.endswith("/") else "file"
    files.apply(layer, number, Member(name.rstrip("/"), kind, 0, ""))


@pytest.mark.parametrize("whiteout", ["d/.wh..wh..opq", ".wh.d", ".wh..wh..opq"])
@pytest.mark.parametrize("first", [True, False])
def test_a_folder_is_walked_once_per_layer(monkeypatch, whiteout, first):
    """Otherwise m whiteouts over m files take m * m steps."""
    count = 300
    monkeypatch.setattr(Counting, "walked", 0)
    files = RootFileSystem()
    apply(files, 0, 0, "d/")
    files.root.children["d"].children = Counting()
    for number in range(count):
        apply(files, 0, number + 1, f"d/old{number}")
    names = [f"d/new{number}" for number in range(count)]
    whiteouts = [whiteout] * count
    # The folder is of the upper layer, so that a whiteout of it keeps it.
    for number, name in enumerate(["d/first", *([*whiteouts, *names] if first else [*names, *whiteouts])]):
        apply(files, 1, number, name)
    assert Counting.walked <= 2 * count + 1
    assert sorted(files.root.children["d"].children) == sorted(["first", *(f"new{n}" for n in range(count))])


def walk_all(folder, layer):
    for text, child in list(folder.children.items()):
        if child.layer != layer:
            del folder.children[text]
        else:
            walk_all(child, layer)


def names_after(members):
    files = RootFileSystem()
    for number, (layer, name) in enumerate(members):
        try:
            apply(files, layer, number, name)
        except FormatError:
            continue
    return [name.path for name in files.names()]


def test_whiteouts_hide_as_if_every_folder_was_walked_each_time(monkeypatch):
    choice = random.Random(7)
    whiteouts = 0
    for _ in range(400):
        members = []
        for layer in range(3):
            for _ in range(choice.randrange(1, 14)):
                folder = "".join(f"{choice.choice('ab')}/" for _ in range(choice.randrange(3)))
                last = choice.choice(["a", "b", "c", "a/", "b/", ".wh.a", ".wh.b", ".wh..wh..opq"])
                whiteouts += last.startswith(".wh")
                members.append((layer, folder + last))
        found = names_after(members)
        with monkeypatch.context() as patch:
            patch.setattr(rootfs, "_hide_children", walk_all)
            assert names_after(members) == found, members
    assert whiteouts > 1000
