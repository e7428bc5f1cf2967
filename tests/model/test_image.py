"""The parts of an archive are keys: they compare and hash by identity, whatever they hold."""

import pytest

from convert.archive.blob import MemoryBlob
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Child, Image, Index, Layer, Manifest, Other
from convert.model.image_set import Entry, ImageSet

DIGEST = Digest("sha256", "ab" * 32)
DESCRIPTOR = Descriptor("application/x", DIGEST, 1, annotations={"key": "value"})
MANIFEST = Manifest(b"{}", "application/x", DIGEST, DESCRIPTOR, ())
BLOB = MemoryBlob(b"x", "x")
MADE = {
    "blob": lambda: MemoryBlob(b"x", "x"),
    "layer": lambda: Layer(DIGEST, BLOB, DESCRIPTOR),
    "image": lambda: Image(None, (), MANIFEST),
    "artifact": lambda: Artifact(MANIFEST, {}),
    "index": lambda: Index(b"{}", "application/x", DIGEST, ()),
    "other": lambda: Other(BLOB, DESCRIPTOR),
    "child": lambda: Child(DESCRIPTOR, None),
    "entry": lambda: Entry(None, None, DESCRIPTOR),
}


@pytest.mark.parametrize("kind", MADE)
def test_equal_parts_are_two_keys(kind):
    one, other = MADE[kind](), MADE[kind]()
    assert {one: 1, other: 2}[one] == 1


def test_a_node_under_two_names_counts_once_and_an_equal_one_on_its_own():
    one, other = MADE["artifact"](), MADE["artifact"]()
    index = Index(b"{}", "application/x", DIGEST, (Child(DESCRIPTOR, one), Child(DESCRIPTOR, None)))
    images = ImageSet((Entry(one), Entry(index), Entry(one), Entry(other), Entry(None)), "oci")
    found = list(images.artifacts())
    assert len(found) == 2
    assert found[0] is one
    assert found[1] is other
