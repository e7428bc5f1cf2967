"""Thin archives of odd sources: nothing is lost on the way, whatever shares a blob with what (docs/thin.md)."""

from __future__ import annotations

import json
import shutil

import pytest
from layouts import FOREIGN, GZIP, LAYER, Layout, digest_of, named, packed, tar_of
from storages import Storage
from thin_archives import archive, content, diff_id, layer

import convert
from convert.errors import ImgconvError, NotRepresentableError

BASE, MIDDLE, TOP = tar_of("base"), tar_of("middle"), tar_of("top")
DIFF_IDS = [digest_of(each) for each in (BASE, MIDDLE, TOP)]
URLS = ["https://example.com/layer"]
DOCKER_SAVE = ["docker-save", "docker-save@25"]


def foreign(layout):
    """An image whose middle layer need not be in a layout, and is."""
    middle = layout.blob(packed(MIDDLE), FOREIGN["oci"], urls=URLS)
    layers = [layout.blob(packed(BASE), GZIP), middle, layout.blob(packed(TOP), GZIP)]
    return [named(layout.manifest(layers, DIFF_IDS), "example.com/app:1")]


def foreign_elsewhere(layout):
    """Two images that share a layer, which only one of them lets be absent."""
    shared = layout.blob(packed(BASE), GZIP)
    one = layout.manifest([shared, layout.blob(packed(TOP), GZIP)], [DIFF_IDS[0], DIFF_IDS[2]])
    two = layout.manifest([shared | {"urls": URLS}, layout.blob(packed(MIDDLE), GZIP)], DIFF_IDS[:2])
    return [named(one, "example.com/app:1"), named(two, "example.com/app:2")]


def absent_foreign(layout):
    """An image whose middle layer is elsewhere."""
    middle = layout.blob(packed(MIDDLE), FOREIGN["oci"], urls=URLS, present=False)
    layers = [layout.blob(packed(BASE), GZIP), middle, layout.blob(packed(TOP), GZIP)]
    return [named(layout.manifest(layers, DIFF_IDS), "example.com/app:1")]


def listed_layer(layout):
    """An index.json that lists a layer of an image too, and an index that does so."""
    layers = [layout.blob(packed(BASE), GZIP), layout.blob(packed(TOP), GZIP)]
    image = layout.manifest(layers, [DIFF_IDS[0], DIFF_IDS[2]])
    return [named(image, "example.com/app:1"), layers[0], layout.index(image, layers[1])]


def artifact_with_a_layer(layout):
    """An artifact that has a layer of an image."""
    layers = [layout.blob(packed(BASE), GZIP), layout.blob(packed(TOP), GZIP)]
    image = layout.manifest(layers, [DIFF_IDS[0], DIFF_IDS[2]])
    config = layout.document({"what": "it is"}, "application/vnd.example.config+json")
    other = layout.manifest([layers[0]], [], config=config)
    return [named(image, "example.com/app:1"), other]


def one_config(layout):
    """Two manifests with one config: the layers compressed, and one of them not."""
    config = layout.config([DIFF_IDS[0], DIFF_IDS[2]])
    ways = [
        [layout.blob(packed(BASE), GZIP), layout.blob(packed(TOP), GZIP)],
        [layout.blob(BASE, LAYER), layout.blob(packed(TOP), GZIP)],
    ]
    one, two = (layout.manifest(layers, [], config=config) for layers in ways)
    return [named(one, "example.com/app:1"), named(two, "example.com/app:2")]


def one_layer_twice(layout):
    """An image with one layer in two places."""
    base, middle = layout.blob(packed(BASE), GZIP), layout.blob(packed(MIDDLE), GZIP)
    diff_ids = [DIFF_IDS[0], DIFF_IDS[1], DIFF_IDS[0]]
    return [named(layout.manifest([base, middle, base], diff_ids), "example.com/app:1")]


def nested(layout):
    """An index in an index, two names for it, and one of its images beside it."""
    one, two = layout.image("base", "top"), layout.image("base", "middle")
    inner = layout.index(one, two)
    outer = layout.index(inner, layout.image("other"))
    return [named(outer, "example.com/app:1"), named(outer, "example.com/app:2"), named(one, "example.com/app:3")]


def attested(layout):
    """An image with an attestation, whose layer is a document."""
    image = layout.image("base", "top", described={"platform": {"architecture": "amd64", "os": "linux"}})
    statement = layout.document({"_type": "x"}, "application/vnd.in-toto+json")
    attestation = layout.manifest([statement], [digest_of(b"x")])
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]}
    platform = {"architecture": "unknown", "os": "unknown"}
    index = layout.index(image, attestation | {"annotations": about, "platform": platform})
    return [named(index, "example.com/app:1")]


def empty(layout):
    """An image without layers beside one with some."""
    none = layout.manifest([], [])
    return [named(none, "example.com/app:1"), named(layout.image("base", "top"), "example.com/app:2")]


SOURCES = [
    foreign,
    foreign_elsewhere,
    absent_foreign,
    listed_layer,
    artifact_with_a_layer,
    one_config,
    one_layer_twice,
    nested,
    attested,
    empty,
]


def same(first, second):
    """Whether two results are the same bytes; which layers this run compressed does not count."""
    if not first.is_dir():
        return first.read_bytes() == second.read_bytes()
    results = [content(each) for each in (first, second)]
    for each in results:
        each.pop(".imgconv-layers.json", None)
    return results[0] == results[1]


@pytest.mark.parametrize("bottom", [False, True], ids=["all", "bottom"])
@pytest.mark.parametrize(
    "form",
    [
        "docker-oci",
        "oci",
        "docker-save@25",
        *(pytest.param(form, marks=pytest.mark.slow) for form in ("oci-archive", "docker-save")),
    ],
)
@pytest.mark.parametrize("make", SOURCES)
def test_filling_an_odd_thin_archive_gives_the_full_conversion(tmp_path, make, form, bottom):
    layout = Layout(tmp_path / "new")
    source = layout.write(*make(layout))
    old = source
    if bottom:
        base = Layout(tmp_path / "old")
        old = base.write(named(base.image("base"), "example.com/base:1"))
    full, thin = tmp_path / "full", tmp_path / "thin"
    try:
        convert.convert(source, full, to=form)
    except NotRepresentableError:
        with pytest.raises(NotRepresentableError):
            convert.convert(source, thin, to=form, without=[old])
        return
    report = convert.convert(source, thin, to=form, without=[old])
    before, after = (convert.validate(each) for each in (full, thin))
    # The mark states exactly what is absent: no finding is new, and no layer is absent without a note.
    assert {one.rule for one in after.findings if one.counts} <= {one.rule for one in before.findings if one.counts}
    assert after.status <= before.status
    for to in dict.fromkeys(("oci", "docker-save", form)):
        try:
            convert.convert(full, tmp_path / f"direct-{to}", to=to)
        except NotRepresentableError:
            continue
        if report.needs:
            with pytest.raises(ImgconvError):
                convert.convert(thin, tmp_path / f"bare-{to}", to=to)
            assert not (tmp_path / f"bare-{to}").exists()
        convert.convert(thin, tmp_path / f"filled-{to}", to=to, with_=[source])
        assert same(tmp_path / f"direct-{to}", tmp_path / f"filled-{to}")


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-oci"])
def test_a_layer_that_an_artifact_needs_is_kept(tmp_path, form):
    """The digest of a layer shows only after it was compressed that something else in the result has this blob."""
    old = archive(tmp_path / "old.tar", [("app:1", [layer(1), layer(2)])])
    convert.convert(old, tmp_path / "compressed", to="oci")
    document = convert.inspect(tmp_path / "compressed").document
    digest = document["images"][0]["layers"][1]["digest"]
    blob = (tmp_path / "compressed/blobs" / digest.replace(":", "/")).read_bytes()
    layout = Layout(tmp_path / "new")
    layers = [layout.blob(each, LAYER) for each in (layer(1), layer(2), layer(3))]
    image = layout.manifest(layers, map(diff_id, (layer(1), layer(2), layer(3))))
    config = layout.document({"what": "it is"}, "application/vnd.example.config+json")
    other = layout.manifest([layout.blob(blob, GZIP)], [], config=config)
    source = layout.write(named(image, "example.com/app:2"), other)
    convert.convert(source, tmp_path / "full", to=form, recompress=True)
    report = convert.convert(source, tmp_path / "thin", to=form, recompress=True, without=[str(old)])
    assert [str(one.diff_id) for need in report.needs for one in need.layers] == [diff_id(layer(1))]
    convert.convert(tmp_path / "thin", tmp_path / "filled", to=form, with_=[str(old)])
    assert same(tmp_path / "filled", tmp_path / "full")
    assert digest.partition(":")[2] in "".join(content(tmp_path / "thin"))


@pytest.mark.parametrize("form", DOCKER_SAVE)
def test_a_mark_lists_each_image_once(tmp_path, form):
    layout = Layout(tmp_path / "new")
    source = layout.write(*one_config(layout))
    convert.convert(source, tmp_path / "thin", to=form, without=[source])
    marked = json.loads(content(tmp_path / "thin")[".imgconv-needs.json"])["images"]
    assert len(marked) == len({one["id"] for one in marked}) == 1


# -- bases that contradict each other, or are thin, or of another transport ---------------------


@pytest.fixture
def old(tmp_path):
    return archive(tmp_path / "old.tar", [("app:1", [layer(1), layer(2), layer(3)])])


@pytest.fixture
def new(tmp_path):
    return archive(tmp_path / "new.tar", [("app:2", [layer(1), layer(2), layer(9)]), ("tool:1", [layer(7), layer(1)])])


def lying(path, layers, claimed):
    """Write an archive whose config claims other DiffIDs than its layers have."""
    archive(path, [("lie:1", layers)])
    raw = path.read_bytes()
    for true, false in zip(layers, claimed, strict=True):
        raw = raw.replace(diff_id(true)[7:].encode(), diff_id(false)[7:].encode())
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("form", ["docker-save", "docker-oci", "oci"])
def test_one_lying_base_among_several_is_refused_or_unused(tmp_path, new, old, form, order):
    """A layer of a base is verified whichever base gives it; one that gives nothing is not read."""
    lie = lying(tmp_path / "lie.tar", [layer(5), layer(6)], [layer(1), layer(2)])
    convert.convert(new, tmp_path / "full", to=form)
    bases = [str(lie), str(old)][::order]
    try:
        convert.convert(new, tmp_path / "thin", to=form, without=bases)
    except ImgconvError:
        assert not (tmp_path / "thin").exists()
        convert.convert(new, tmp_path / "thin", to=form, without=[str(old)])
    try:
        convert.convert(tmp_path / "thin", tmp_path / "filled", to=form, with_=bases)
    except ImgconvError:
        assert not (tmp_path / "filled").exists()
    else:
        assert same(tmp_path / "filled", tmp_path / "full")


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci"])
def test_a_thin_base_counts_for_what_it_holds(tmp_path, new, old, form):
    parts = archive(tmp_path / "parts.tar", [("base:1", [layer(1)])])
    convert.convert(old, tmp_path / "thin-old", to=form, without=[str(parts)])
    convert.convert(new, tmp_path / "full", to=form)
    report = convert.convert(new, tmp_path / "alone", to=form, without=[str(tmp_path / "thin-old")])
    # Layer 1 is not in the base, so Docker would not find layer 2 above it either.
    left = {str(one.diff_id) for need in report.needs for one in need.layers}
    assert left == ({diff_id(layer(2))} if form == "oci" else set())
    both = [str(tmp_path / "thin-old"), str(parts)]
    report = convert.convert(new, tmp_path / "thin", to=form, without=both)
    assert diff_id(layer(2)) in {str(one.diff_id) for need in report.needs for one in need.layers}
    convert.convert(tmp_path / "thin", tmp_path / "filled", to=form, with_=both[::-1])
    assert same(tmp_path / "filled", tmp_path / "full")
    if diff_id(layer(1)) in {str(one.diff_id) for need in report.needs for one in need.layers}:
        with pytest.raises(ImgconvError):
            convert.convert(tmp_path / "thin", tmp_path / "no", to=form, with_=both[:1])
        assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("form", ["docker-save", "docker-oci", "oci"])
def test_a_dir_folder_is_a_base(tmp_path, new, old, form):
    convert.convert(old, tmp_path / "dir", to="dir")
    convert.convert(new, tmp_path / "full", to=form)
    for given in (str(tmp_path / "dir"), f"dir:{tmp_path / 'dir'}"):
        shutil.rmtree(tmp_path / "thin", ignore_errors=True)
        report = convert.convert(new, tmp_path / "thin", to=form, without=[given], force=True)
        assert report.needs
        convert.convert(tmp_path / "thin", tmp_path / "filled", to=form, with_=[given], force=True)
        assert same(tmp_path / "filled", tmp_path / "full")


@pytest.mark.parametrize("form", ["docker-save", "docker-oci", "oci"])
def test_the_storage_of_a_registry_is_a_base(tmp_path, form):
    storage = Storage(tmp_path / "registry")
    storage.image("base", "1", files=("base", "middle"))
    layout = Layout(tmp_path / "new")
    plain = [tar_of(name, f"content of {name}".encode()) for name in ("base", "middle", "top")]
    image = layout.manifest([layout.blob(packed(each), GZIP) for each in plain], map(digest_of, plain))
    new = layout.write(named(image, "example.com/app:1"))
    convert.convert(new, tmp_path / "full", to=form)
    report = convert.convert(new, tmp_path / "thin", to=form, without=[str(storage)])
    assert len(report.needs[0].layers) == 2
    convert.convert(tmp_path / "thin", tmp_path / "filled", to=form, with_=[f"{storage}/base:1"])
    assert same(tmp_path / "filled", tmp_path / "full")


@pytest.mark.parametrize("form", ["docker-save", "docker-save@25", "docker-oci", "oci"])
def test_no_line_states_a_command_that_needs_a_whole_archive(tmp_path, new, old, form):
    """The addresses of skopeo and the commands of crane and docker are those of a full result."""
    codes = []
    for without in ([], [str(old)]):
        report = convert.convert(new, tmp_path / f"out{len(without)}", to=form, without=without)
        codes.append([line.code for line in report.warnings])
    assert {"result-address", "result-commands"} & set(codes[0])
    assert "result-commands" not in codes[1]
    assert ("result-address" in codes[1]) == (form == "oci")


def test_nothing_is_added_to_a_sparse_layout(tmp_path, new, old):
    """`--append` does not complete a layout, and adds nothing to one that lacks what is added."""
    convert.convert(new, tmp_path / "thin", to="oci", without=[str(old)])
    before = content(tmp_path / "thin")
    other = archive(tmp_path / "other.tar", [("other:1", [layer(8)])])
    with pytest.raises(ImgconvError):
        convert.convert(tmp_path / "thin", tmp_path / "thin2", to="oci", append=True)
    for source in (other, old):
        try:
            convert.convert(source, tmp_path / "thin", to="oci", append=True)
        except ImgconvError:
            assert content(tmp_path / "thin") == before
        else:
            assert convert.validate(tmp_path / "thin").status == 0
            before = content(tmp_path / "thin")
