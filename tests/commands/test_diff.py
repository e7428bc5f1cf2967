"""`diff`: images are paired, and what differs is named, down to the file.

Layouts are put together here, byte by byte; what Python's tarfile reads in their
layers is the judge of which files differ.
"""

import gzip
import io
import json
import tarfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.reading import sha256
from support import MATCH

from convert.archive.blob import MemoryBlob
from convert.archive.open import open_source
from convert.commands.diff import layer_files as layer_files_module
from convert.commands.diff.images import compare
from convert.commands.diff.json_diff import differences
from convert.commands.diff.layer_files import layer_files
from convert.errors import DigestMismatchError, FormatError
from convert.layer.context import ReadContext, ReadOptions
from convert.model.digest import Digest
from convert.model.image import Layer
from convert.reader.detect import read
from convert.report.comparison import ABSENT, By, other_layers

OCI = "application/vnd.oci.image."


# -- documents -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {}, [("a", 1, ABSENT)]),
        ({}, {"a": None}, [("a", ABSENT, None)]),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, [("a.b", "x", "y")]),
        ({"a b": {"c": 1}}, {"a b": {"c": 2}}, [('["a b"].c', 1, 2)]),
        ({"Env": ["A", "B", "C"]}, {"Env": ["A", "C"]}, [("Env[1]", "B", ABSENT)]),
        ({"Env": ["A", "C"]}, {"Env": ["A", "B", "C"]}, [("Env[1]", ABSENT, "B")]),
        ([1, {"x": [1, 2]}, 3], [1, {"x": [1, 9]}, 3], [("[1].x[1]", 2, 9)]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": [True]}, {"a": [1]}, [("a[0]", True, 1)]),
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": []}, {"a": {}}, [("a", [], {})]),
        ("x", "y", [("", "x", "y")]),
    ],
)
def test_documents_are_compared_key_by_key(a, b, wanted):
    assert [(one.path, one.a, one.b) for one in differences(a, b)] == wanted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(a=JSON, b=JSON)
def test_there_is_no_difference_exactly_if_the_documents_say_the_same(a, b):
    found = list(differences(a, b))
    assert (not found) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))
    assert all(str(one).isprintable() for one in found)


def test_a_difference_is_said_in_one_short_line():
    (found,) = differences({"Env": ["A\x1b[2J"]}, {"Env": ["B" * 1000]})
    assert "\x1b" not in str(found)
    assert len(str(found)) < 300
    assert str(found).startswith("Env[0]: ")


# -- files -----------------------------------------------------------------------------


def entry(name, content=b"", **more):
    """Return a tar member and its content; `more` overrides fields of the member."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mtime = 1
    for key, value in more.items():
        setattr(member, key, value)
    return member, content


def tar(*entries, form=tarfile.PAX_FORMAT):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=form) as archive:
        for member, content in entries:
            archive.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return output.getvalue()


def layer(raw, packed=None):
    return Layer(Digest.parse(sha256(raw)), MemoryBlob(packed if packed is not None else raw, "layer"))


def files(a, b):
    """Return the differences between two tars as path -> (change, attributes)."""
    found = list(layer_files(layer(a), layer(b), (ReadContext(), ReadContext())))
    with mock.patch.object(layer_files_module, "_IN_MEMORY", 0):
        assert found == list(layer_files(layer(a), layer(b), (ReadContext(), ReadContext())))
    paths = [one.path for one in found]
    assert paths == sorted(paths, key=lambda path: path.encode("utf-8", "surrogateescape"))
    return {one.path: (one.change, {name: (mine, its) for name, mine, its in one.attributes}) for one in found}


def test_files_of_one_layer_alone_are_added_or_removed():
    a = tar(entry("both", b"x"), entry("etc", type=tarfile.DIRTYPE), entry("etc/old", b"old"))
    b = tar(entry("both", b"x"), entry("link", type=tarfile.SYMTYPE, linkname="both"))
    assert files(a, b) == {
        "etc": ("removed", {"type": ("dir", None)}),
        "etc/old": ("removed", {"type": ("file", None), "size": ("3", None)}),
        "link": ("added", {"type": (None, "symlink"), "link": (None, "both")}),
    }


@pytest.mark.parametrize(
    ("a", "b", "attributes"),
    [
        ({"content": b"x"}, {"content": b"y"}, {"content": (sha256(b"x"), sha256(b"y"))}),
        (
            {"content": b"x"},
            {"content": b"xx"},
            {"size": ("1", "2"), "content": (sha256(b"x"), sha256(b"xx"))},
        ),
        ({"mode": 0o644}, {"mode": 0o4755}, {"mode": ("0644", "4755")}),
        # What kind of file it is, some engines repeat in the mode.
        ({"mode": 0o644}, {"mode": 0o100644}, {}),
        ({"uid": 0}, {"uid": 1000}, {"owner": ("0:0", "1000:0")}),
        ({"gid": 5}, {"gid": 3_000_000}, {"owner": ("0:5", "0:3000000")}),
        ({"uname": "root"}, {"uname": ""}, {"owner": ("0:0 (root:)", "0:0")}),
        ({"mtime": 1}, {"mtime": 2}, {"mtime": ("1", "2")}),
        ({"mtime": 1}, {"mtime": 1.5}, {"mtime": ("1", "1.5")}),
        ({"mtime": -1}, {"mtime": 1}, {"mtime": ("-1", "1")}),
        (
            {"type": tarfile.SYMTYPE, "linkname": "a"},
            {"type": tarfile.SYMTYPE, "linkname": "b"},
            {"link": ("a", "b")},
        ),
        (
            {"type": tarfile.SYMTYPE, "linkname": "a"},
            {"type": tarfile.LNKTYPE, "linkname": "a"},
            {"type": ("symlink", "hardlink")},
        ),
        (
            {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
            {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
            {"device": ("1,3", "1,5")},
        ),
        (
            {"pax_headers": {"SCHILY.xattr.user.a": "x"}},
            {"pax_headers": {"SCHILY.xattr.user.a": "y"}},
            {"xattr": ("SCHILY.xattr.user.a=78", "SCHILY.xattr.user.a=79")},
        ),
        ({"pax_headers": {"comment": "x"}}, {}, {}),
    ],
)
def test_what_changed_of_a_file_is_told(a, b, attributes):
    found = files(tar(entry("f", **a)), tar(entry("f", **b)))
    assert found == ({"f": ("changed", attributes)} if attributes else {})


def test_large_owners_are_read_from_gnu_headers_too():
    """GNU tar writes them in base 256, PAX as a decimal record."""
    member = {"uid": 3_000_000, "mtime": 1 << 40}
    assert files(tar(entry("f", **member), form=tarfile.GNU_FORMAT), tar(entry("f", **member))) == {}


def test_whiteouts_are_shown_as_what_they_are():
    a = tar(entry("d/x", b"x"))
    b = tar(entry("d/.wh.x"), entry("e/.wh..wh..opq"))
    found = files(a, b)
    assert found["d/.wh.x"][1]["type"] == (None, "whiteout")
    assert found["e/.wh..wh..opq"][1]["type"] == (None, "opaque whiteout")


def test_of_a_path_that_is_there_twice_the_last_counts():
    assert files(tar(entry("f", b"old"), entry("f", b"new")), tar(entry("f", b"new"))) == {}


def test_two_spellings_of_a_path_are_one_file():
    found = files(tar(entry("./f", b"x")), tar(entry("f", b"x")))
    assert found == {"f": ("changed", {"name": ("./f", None)})}


def test_names_that_are_no_utf8_are_compared():
    raw = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert set(files(tar(entry(raw, b"x"), form=tarfile.GNU_FORMAT), tar(entry("f")))) == {raw, "f"}


def test_the_order_of_members_is_no_difference():
    a, b = entry("a", b"1"), entry("b", b"2")
    assert files(tar(a, b), tar(b, a)) == {}


def test_a_layer_without_a_byte_has_no_files():
    """Docker loads it: the layer without bytes has a DiffID (docs/formats.md#identifiers)."""
    assert files(b"", tar(entry("f", b"x"))) == {"f": ("added", {"type": (None, "file"), "size": (None, "1")})}


def test_compressed_layers_are_unpacked():
    a, b = tar(entry("f", b"x")), tar(entry("f", b"y"))
    found = list(layer_files(layer(a, gzip.compress(a)), layer(b), (ReadContext(), ReadContext())))
    assert [one.path for one in found] == ["f"]


def test_a_layer_that_is_not_its_diff_id_is_refused():
    a, b = tar(entry("f", b"x")), tar(entry("f", b"y"))
    with pytest.raises(DigestMismatchError):
        list(layer_files(layer(a, b), layer(b), (ReadContext(ReadOptions(file="a.tar")), ReadContext())))


def test_a_layer_that_is_no_tar_is_refused():
    with pytest.raises(FormatError, match="not a tar"):
        list(layer_files(layer(b"x" * 2048), None, (ReadContext(), ReadContext())))


FILES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c/d", "c/e", "f"]),
        st.binary(max_size=3),
        st.sampled_from([0o644, 0o755]),
        st.sampled_from([1, 2]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(a=FILES, b=FILES)
def test_the_files_that_differ_are_those_that_tarfile_reads_otherwise(a, b):
    def judged(raw):
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            return {one.name: (archive.extractfile(one).read(), one.mode, one.mtime) for one in archive}

    raws = [
        tar(*(entry(name, content, mode=mode, mtime=mtime) for name, content, mode, mtime in side)) for side in (a, b)
    ]
    left, right = map(judged, raws)
    wanted = dict.fromkeys(left.keys() - right.keys(), "removed")
    wanted |= dict.fromkeys(right.keys() - left.keys(), "added")
    wanted |= {name: "changed" for name in left.keys() & right.keys() if left[name] != right[name]}
    assert {path: change for path, (change, _) in files(*raws).items()} == wanted


# -- images ----------------------------------------------------------------------------


class Shop:
    """Puts layouts together."""

    def __init__(self, folder):
        self.folder = folder
        self.opened = []

    def layout(self, *images):
        path = self.folder / f"layout{len(list(self.folder.iterdir()))}"
        (path / "blobs" / "sha256").mkdir(parents=True)

        def put(raw, kind, **more):
            (path / "blobs" / "sha256" / sha256(raw)[7:]).write_bytes(raw)
            return {"mediaType": OCI + kind, "digest": sha256(raw), "size": len(raw)} | more

        entries = []
        for one in images:
            layers = [put(one["pack"](raw), one["kind"]) for raw in one["tars"]]
            config = put(one["config"], "config.v1+json")
            document = {"schemaVersion": 2, "config": config, "layers": layers} | one["manifest"]
            for name in one["names"] or [None]:
                more = {"annotations": {"io.containerd.image.name": name}} if name else {}
                entries.append(put(json.dumps(document).encode(), "manifest.v1+json", **more))
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return path

    def compare(self, a, b, **options):
        with open_source(str(a)) as one, open_source(str(b)) as other:
            return compare(read(one.tree), read(other.tree), encoder=lambda _: None, **options)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def packed(level):
    return lambda raw: gzip.compress(raw, level, mtime=0)


FAST = packed(1)


def image(*tars, names=("example.com/x:1",), pack=FAST, kind="layer.v1.tar+gzip", indent=None, **config):
    manifest = config.pop("manifest", {})
    document = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(raw) for raw in tars]},
    } | config
    raw = json.dumps(document, indent=indent).encode()
    return {"tars": tars, "names": names, "pack": pack, "kind": kind, "config": raw, "manifest": manifest}


ONE, TWO, THREE = (tar(entry(name, name.encode() * 99)) for name in ("one", "two", "three"))


def same(found):
    return {by.value for by in By if found.same(by)}


@pytest.mark.parametrize(
    ("a", "b", "ways", "words"),
    [
        (image(ONE, TWO), image(ONE, TWO), {"id", "layers", "digest"}, "same"),
        (
            image(ONE),
            image(ONE, names=["example.com/x:2"]),
            {"id", "layers", "digest"},
            "same image, other names: example.com/x:1 in A, example.com/x:2 in B",
        ),
        (
            image(ONE, TWO),
            image(ONE, TWO, pack=packed(9)),
            {"id", "layers"},
            "same content, recompressed: layer 1, gzip in both; and 1 more layer",
        ),
        (
            image(ONE),
            image(ONE, pack=bytes, kind="layer.v1.tar"),
            {"id", "layers"},
            "same content, recompressed: layer 1 gzip in A, not compressed in B",
        ),
        (
            image(ONE),
            image(ONE, manifest={"annotations": {"a": "b"}}),
            {"id", "layers"},
            'same image and layers, another manifest: annotations: absent in A, {"a": "b"} in B',
        ),
        (
            image(ONE),
            image(ONE, author="me", created="2020-01-01T00:00:00Z"),
            {"layers"},
            'same layers, another config: author: absent in A, "me" in B; and 1 more difference',
        ),
        (
            image(ONE),
            image(ONE, indent=1),
            {"layers"},
            "same layers, and a config with the same content in other bytes (spacing, order of keys)",
        ),
        (
            image(ONE, TWO),
            image(ONE, THREE),
            set(),
            f"layer 2 of 2 differs: DiffID {sha256(TWO)} in A, {sha256(THREE)} in B",
        ),
        (image(ONE, TWO), image(ONE), set(), "2 layers in A, 1 in B; the first is the same"),
        (image(), image(ONE), set(), "0 layers in A, 1 in B; none is the same"),
    ],
)
def test_the_first_difference_is_said_in_words(shop, a, b, ways, words):
    found = shop.compare(shop.layout(a), shop.layout(b))
    (one,) = found.images
    assert one.words == words
    assert same(found) == ways


def test_the_encoder_is_named_where_it_is_known(shop):
    a, b = shop.layout(image(ONE)), shop.layout(image(ONE, pack=packed(9)))
    blobs = {
        (path / "blobs" / "sha256" / sha256(packed(level)(ONE))[7:]).read_bytes(): name
        for path, level, name in ((a, 1, "this-1"), (b, 9, "that-9"))
    }

    def encoder(blob):
        with blob.open() as stream:
            return blobs[stream.read()]

    with open_source(str(a)) as one, open_source(str(b)) as other:
        found = compare(read(one.tree), read(other.tree), encoder=encoder)
    assert found.images[0].words == "same content, recompressed: layer 1 this-1 in A, that-9 in B"


def test_images_are_paired_by_name_then_by_image_id_then_as_the_last_ones(shop):
    a = shop.layout(
        image(ONE, names=["example.com/a:1"]), image(TWO, names=["example.com/b:1"]), image(THREE, names=[])
    )
    b = shop.layout(
        image(TWO, names=["example.com/c:1"]), image(ONE, names=["example.com/z:1"]), image(TWO, THREE, names=[])
    )
    found = shop.compare(a, b)
    pairs = [(one.a and one.a.names, one.b and one.b.names) for one in found.images]
    assert pairs == [
        (("example.com/a:1",), ("example.com/z:1",)),
        (("example.com/b:1",), ("example.com/c:1",)),
        ((), ()),
    ]
    # One name wins over one ID.
    found = shop.compare(a, shop.layout(image(TWO, names=["example.com/a:1"]), image(ONE, names=["example.com/b:1"])))
    assert [(one.a.names, one.b.names) for one in found.images if one.b] == [
        (("example.com/a:1",), ("example.com/a:1",)),
        (("example.com/b:1",), ("example.com/b:1",)),
    ]
    assert [one.words for one in found.images][2:] == ["only in A"]


def test_an_image_without_a_partner_is_a_difference(shop):
    a = shop.layout(image(ONE), image(TWO, names=["example.com/y:1"]))
    b = shop.layout(image(ONE))
    assert [one.words for one in shop.compare(a, b).images] == ["same", "only in A"]
    assert [one.words for one in shop.compare(b, a).images] == ["same", "only in B"]
    assert same(shop.compare(a, b)) == set()


def test_one_name_on_two_platforms_is_paired_by_platform(shop):
    amd, arm = image(ONE), image(ONE, TWO, architecture="arm64")
    found = shop.compare(shop.layout(amd, arm), shop.layout(arm, amd))
    assert same(found) == {"id", "layers", "digest"}


HTML = ["docker20-html", "docker24-html", "docker25-hybrid-html", "docker29-hybrid-html", "podman-docker-archive"]


@pytest.mark.parametrize("name", HTML[1:])
def test_one_image_saved_by_several_engines_is_one(shop, name):
    found = shop.compare(MATCH / f"{HTML[0]}.tar.gz", MATCH / f"{name}.tar.gz")
    assert same(found) >= {"id", "layers"}


def test_a_layer_put_in_between_is_the_only_one_whose_files_are_looked_at(shop):
    found = shop.compare(shop.layout(image(ONE, THREE)), shop.layout(image(ONE, TWO, THREE)))
    pairs = [(a and str(a.diff_id), b and str(b.diff_id)) for a, b in other_layers(found.images[0])]
    assert pairs == [(None, sha256(TWO))]


def test_artifacts_count_by_digest_only(shop):
    a = shop.layout(image(ONE))
    b = shop.layout(image(ONE))
    raw = json.dumps(
        {"schemaVersion": 2, "config": {"mediaType": "application/x", "digest": sha256(b"{}"), "size": 2}, "layers": []}
    ).encode()
    for data in (raw, b"{}"):
        (Path(b) / "blobs" / "sha256" / sha256(data)[7:]).write_bytes(data)
    index = json.loads((b / "index.json").read_text())
    index["manifests"].append({"mediaType": OCI + "manifest.v1+json", "digest": sha256(raw), "size": len(raw)})
    (b / "index.json").write_text(json.dumps(index))
    found = shop.compare(a, b)
    assert same(found) == {"id", "layers"}
    assert (found.only_a, found.only_b) == ((), (Digest.parse(sha256(raw)),))
