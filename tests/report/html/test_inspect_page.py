"""`imgconv inspect --html`: what the page says, that it is the same on every run, and where it is written."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.building import DIFF_ID, Docker, config, tar
from report.html.pages import CAPTION, HOSTILE, check, validate
from report.html.samples import model
from report.test_markdown import SPAN
from support import COMMAND, MATCH, READ, REFUSE

from convert.cli.main import run
from convert.errors import FormatError
from convert.report.html.identifiers import identifiers
from convert.report.html.inspect import inspect_page
from convert.report.html.text import shown
from convert.report.inspect import size_text
from convert.report.inspect_markdown import markdown
from convert.report.inspect_sources import InspectedSource, PagePart, Pushes

#: Archives of the default suite: each another form, tool or property.
USUAL = {
    "containerd29-export-multiplatform",
    "docker20-html",
    "oci-zstd-layers",
    "podman-oci-archive",
    "damaged-oci-layer-blob-missing",
    "damaged-oci-index-not-json",
    "damaged-oci-mirror-rotten-layer",
    "oci-buildpacks-previous-sparse",
}


def archives(*folders):
    """Return the archives of folders as parameters; those that the default suite can do without are slow."""
    names = {path.name.removesuffix(".tar.gz"): path for folder in folders for path in sorted(folder.glob("*.tar.gz"))}
    return [
        pytest.param(path, id=name, marks=[] if name in USUAL else [pytest.mark.slow]) for name, path in names.items()
    ]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def imgconv(capsys):
    """Run a command line; gives its output."""

    def call(*arguments, status=0):
        assert run([str(argument) for argument in arguments]) == status, capsys.readouterr().err
        return capsys.readouterr()

    return call


@pytest.fixture
def page_of(imgconv):
    """Inspect with `--html`; gives the page, which was checked, and the output."""

    def call(*arguments, status=0):
        printed = imgconv("inspect", *arguments, "--html", "page.html", status=status)
        return check(Path("page.html").read_bytes()), printed

    return call


def rows(page, caption):
    """Return the rows of the table whose caption begins so, each a list of the texts of its cells."""
    text = page.raw[page.raw.index(f"{CAPTION}{caption}") :]
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    return [
        [" ".join(cell.split(">", 1)[1].split("<")[0].split()) for cell in row.replace("<th", "<td").split("<td")[1:]]
        for row in body.split("<tr")[1:]
    ]


@pytest.mark.parametrize("path", archives(MATCH, READ))
def test_the_page_of_a_real_archive_has_its_images_layers_and_identifiers(page_of, imgconv, path):
    page, printed = page_of(path)
    document = json.loads(imgconv("inspect", path, "--json", "--files").out)
    digests = json.loads(imgconv("digest", path, "--json").out)
    assert page.data["sources"] == [
        {"path": str(path), "error": None, "inspect": document, "pushes": {"error": None, "digest": digests}}
    ]
    assert all(each["digest"] in page.text for each in digests["pushes"])
    assert printed.out == imgconv("inspect", path).out
    for image in document["images"]:
        texts = [image["image_id"], *image["names"], *(layer["diff_id"] for layer in image["layers"])]
        texts += [layer["digest"] for layer in image["layers"] if layer["digest"]]
        assert all(shown(text) in page.text for text in texts)
    links = [each["aria-label"] for each in page.named("a") if "-layer-" in each["href"] and "aria-label" in each]
    assert len(links) == sum(len(image["layers"]) for image in document["images"])


def test_shared_layers_and_bytes_are_those_of_the_archives(page_of):
    page, _ = page_of(MATCH / "docker20-multi.tar.gz", MATCH / "docker20-html.tar.gz")
    images = [image for source in page.data["sources"] for image in source["inspect"]["images"]]
    places = {}
    for number, image in enumerate(images, 1):
        for place, layer in enumerate(image["layers"], 1):
            places.setdefault(layer["diff_id"], []).append((number, place, layer["size"]))
    several = {diff_id: found for diff_id, found in places.items() if len(found) > 1}
    sharing = page.data["sharing"]
    assert several
    assert {
        each["diff_id"]: [(place["image"], place["layer"]) for place in each["places"]]
        for each in sharing["shared_layers"]
    } == {diff_id: [found[:2] for found in them] for diff_id, them in several.items()}
    assert sharing["bytes"] == sum(size for found in places.values() for _, _, size in found)
    assert sharing["bytes_once"] == sum(min(size for _, _, size in found) for found in places.values())
    assert [row[0] for row in rows(page, "Layers that occur more than once")] == ["A", "B", "C", "D", "E"]
    assert f"bytes in all {size_text(sharing['bytes'])}" in page.text
    # One colour for each shared layer, wherever it occurs, and none for others.
    labels = {each["diff_id"]: each["label"] for each in sharing["shared_layers"]}
    assert len(labels) == len(several)
    for image in images:
        for layer in image["layers"]:
            label = labels.get(layer["diff_id"])
            about = next(
                each["aria-label"] for each in page.named("a") if layer["diff_id"] in each.get("aria-label", "")
            )
            assert (f"shared {label}:" in about) == (label is not None)


def test_the_page_is_the_same_in_every_process_time_and_folder(tmp_path):
    """Neither the clock, the zone, the hash seed nor the folder is in it."""
    found = set()
    for name, seed, zone in (("one", "1", "UTC"), ("two", "2", "Asia/Tokyo")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(MATCH / "docker20-duplayer.tar.gz", folder / "image.tar")
        subprocess.run(
            [*COMMAND, "inspect", "image.tar", "--html", "page.html"],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "COLUMNS": "300"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        found.add((folder / "page.html").read_bytes())
    assert len(found) == 1


# -- damage ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", archives(REFUSE))
def test_of_a_damaged_source_the_page_shows_the_fault_and_what_could_be_read(imgconv, capsys, path):
    status = run(["inspect", str(path), "--json"])
    without = capsys.readouterr()
    assert run(["inspect", str(path), "--json", "--html", "page.html"]) == status
    assert capsys.readouterr() == without
    page = check(Path("page.html").read_bytes())
    (source,) = page.data["sources"]
    problems = [source["error"]] if source["error"] else source["inspect"]["problems"]
    # The page is about the layers too, which `inspect` alone does not read.
    assert problems or status == 0
    assert all(shown(each["message"]) in page.text and each["code"] in page.text for each in problems)


def test_several_sources_are_shown_also_if_one_cannot_be_read(page_of, capsys):
    Path("junk").write_bytes(b"junk")
    page, printed = page_of(MATCH / "docker20-html.tar.gz", "junk", "absent", READ / "kaniko-busybox.tar.gz", status=4)
    assert [bool(each["error"]) for each in page.data["sources"]] == [False, True, True, False]
    assert len(page.data["sources"][3]["inspect"]["images"]) == 1
    assert printed.err.count("\n") == 2
    assert "fmt-html:1" in printed.out


# -- what a reader looks for first ---------------------------------------------------------


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions of an image; the second deletes a large file of the base. Gives the folder with their page."""
    folder = tmp_path_factory.mktemp("versions")
    base = tar(("usr/big.bin", b"b" * 200_000), ("usr/lib.so", b"l" * 100_000))
    for name, *rest in (
        ("v1", tar(("main", b"1" * 40_000))),
        ("v2", tar(("main", b"2" * 60_000)), tar(("usr/.wh.big.bin", b""))),
    ):
        layers = [base, *rest]
        steps = [{"created_by": f"step {number}"} for number, _ in enumerate(layers, 1)]
        digests = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
        raw = json.dumps(config(*digests, history=steps)).encode()
        members = [(f"{number:064}/layer.tar", layer) for number, layer in enumerate(layers, 1)]
        item = {"Config": "c.json", "RepoTags": [f"app:{name}"], "Layers": [member for member, _ in members]}
        archive = tar(*members, ("c.json", raw), ("manifest.json", json.dumps([item]).encode()))
        (folder / f"{name}.tar").write_bytes(archive)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert run(["inspect", "v1.tar", "v2.tar", "--html", "page.html"]) == 0
    return folder


@pytest.fixture(scope="module")
def two(versions):
    return check((versions / "page.html").read_bytes())


def test_the_page_begins_with_the_largest_waste(two):
    begin = two.text[: two.text.index(" Sources ", two.text.index("Waste Sources") + 14)]
    assert "200.0 kB of 360.0 kB (55.6 %) is deleted or overwritten by later layers" in begin
    assert "largest waste: 200.0 kB, usr/big.bin , in layer 1 , deleted by layer 3" in begin
    assert "app:v1" not in begin
    assert {"#image-2-inside", "#image-2-layer-1", "#image-2-layer-3"} <= {each["href"] for each in two.named("a")}
    assert (
        "dive shows an efficiency of 44.4 %, and a waste of 3.3 times the size of the layers above the base" in two.text
    )
    assert rows(two, "Paths of image 2 that later layers overwrite or delete")[0][:2] == ["200.0 kB", "2"]
    assert "in how many layers" in two.text
    order = [
        two.raw.index(text) for text in (f"{CAPTION}Paths of image 2", f"{CAPTION}Layers of image 2", 'id="pushes"')
    ]
    assert order == sorted(order)


def test_the_largest_files_and_folders_come_first(two):
    caption = "Largest files and folders of the layers of image 2"
    found = rows(two, caption)
    table = two.raw[two.raw.index(f"{CAPTION}{caption}") :].split("</tbody>")[0]
    cells = re.findall(r'<td class="number" data-value="(\d+)">', table)
    sizes = [int(size) for size in cells[1::2]]
    assert len(sizes) == len(found) == 4
    assert sizes == sorted(sizes, reverse=True)
    # The part of a layer that is hidden has as many digits as the other parts.
    assert "66.7 %" in two.text


def test_a_file_that_is_replaced_is_overwritten():
    document = contents_of(hostile_document("x"), "x")
    for image in document["images"]:
        image["contents"]["largest_hidden"]["deleted"] = False
    page = check(inspect_page([InspectedSource("x", document)]))
    assert "largest waste: 2 B, x , in layer 1 , overwritten by layer 2" in page.text


def test_the_picture_claims_nothing_about_ids_of_the_source_and_uncompressed_layers(two):
    drawing = two.raw[two.raw.index('id="image-2-identifiers"') :].split("</svg>")[0]
    assert "v1 ID (the source" in drawing
    # One arrow is not drawn: that from the ChainID to the v1 ID.
    assert drawing.count("marker-end") == 9
    assert ">as it is<" in drawing
    assert ">compressed<" not in drawing
    image = model(1, 2)["images"][0] | {"ident": "x"}
    assert identifiers(image).count("marker-end") == 10
    assert ">compressed<" in identifiers(image)


def test_updates_say_what_is_new_and_whose_bytes_they_are(two):
    assert '<th scope="colgroup" class="over" colspan="4">bytes to a registry, pushed by</th>' in two.raw
    assert "1: app:v1 → 2: app:v2 : 2 new layers (2, 3)" in two.text
    assert "docker-containerd pushes layers as the archive holds them" in two.text


def test_sizes_at_the_registry_are_exact(two):
    for source in two.data["sources"]:
        name = source["inspect"]["source"]["path"]
        sizes = {sum(layer["size"] for layer in each["layers"]) for each in source["pushes"]["digest"]["pushes"]}
        assert len(sizes) > 2
        assert {row[4] for row in rows(two, f"Digests of pushes of {name}")} == {f"{size:,} B" for size in sizes}


def test_every_command_of_the_page_gives_what_it_stands_for(versions, two, imgconv, monkeypatch):
    monkeypatch.chdir(versions)
    commands = {text for tag, text in two.texts if tag == "code" and text.startswith("imgconv ")}
    assert "imgconv inspect v1.tar v2.tar --files" in commands
    for command in commands:
        words = shlex.split(command.replace(" FILE", " other.html"))[1:]
        printed = imgconv(*words).out
        if words[0] == "inspect":
            assert "--files" in words
            assert "usr/big.bin" in printed
    assert Path("other.html").read_bytes() == Path("page.html").read_bytes()


def test_layers_have_their_step_beside_the_sizes_and_small_ones_a_label(two):
    assert [row[4] for row in rows(two, "Layers of image 2")] == ["", "", ""]
    head = two.raw[two.raw.index(f"{CAPTION}Layers of image 2") :].split("</thead>")[0]
    assert 'unpacked</th><th scope="col">made by</th><th scope="col">stored as' in head
    assert [row[5] for row in rows(two, "Layers of image 2")] == ["uncompressed"] * 3
    # Those that occur once have their numbers, whether the text is in the block or beside it.
    assert re.search(r"<text [^>]*>layer 2: [\d.]+ k?B</text>", two.raw)
    assert re.search(r"<text [^>]*>layer 3: [\d.]+ k?B</text>", two.raw)
    assert not re.search(r"<text [^>]*>layer 1: ", two.raw)


# -- the file ----------------------------------------------------------------------------


@pytest.mark.parametrize("put", ["folder", "link", "source", "inside", "-", ""])
def test_a_page_replaces_nothing_but_a_regular_file(imgconv, put):
    shutil.copy(MATCH / "docker20-html.tar.gz", "image.tar")
    before = Path("image.tar").read_bytes()
    name = {"source": "image.tar", "inside": "layout/blobs/page.html"}.get(
        put, put if put in {"-", ""} else "page.html"
    )
    source = "image.tar"
    if put == "folder":
        Path(name).mkdir()
    elif put == "link":
        Path(name).symlink_to("image.tar")
    elif put == "inside":
        imgconv("image.tar", "--to", "oci", "layout")
        source = "layout"
    imgconv("inspect", source, "--html", name, status=2)
    assert Path("image.tar").read_bytes() == before
    assert sorted(os.listdir()) == sorted(
        {"image.tar", *({"layout"} if put == "inside" else {}), *({"page.html"} if put in {"folder", "link"} else {})}
    )


def test_a_regular_file_is_replaced_and_keeps_its_mode(page_of):
    Path("page.html").write_text("old")
    Path("page.html").chmod(0o604)
    page, _ = page_of(MATCH / "docker20-html.tar.gz")
    assert page.named("svg")
    assert Path("page.html").stat().st_mode & 0o777 == 0o604


def test_without_a_page_nothing_of_it_is_imported():
    """`inspect` without `--html` starts as fast as before."""
    script = (
        "import sys; from convert.cli.main import run; "
        f"assert run(['inspect', {str(MATCH / 'docker20-html.tar.gz')!r}, '-q']) == 0; "
        "found = [name for name in sys.modules if name.split('.')[0] in ('jinja2', 'markupsafe') or '.html' in name]; "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)


# -- several sources as JSON and Markdown --------------------------------------------------


def test_json_of_several_sources_has_each_and_what_they_share(imgconv):
    paths = [MATCH / "docker20-html.tar.gz", MATCH / "docker24-html.tar.gz"]
    found = json.loads(imgconv("inspect", *paths, "--json").out)
    validate(found)
    assert [each["inspect"] for each in found["sources"]] == [
        json.loads(imgconv("inspect", path, "--json").out) for path in paths
    ]
    assert found["sharing"]["layers"] == sum(
        len(image["layers"]) for each in found["sources"] for image in each["inspect"]["images"]
    )


def test_json_of_several_sources_is_an_inventory(imgconv):
    """`--without` takes it: the receiver has the layers of all of them."""
    imgconv(MATCH / "docker20-html.tar.gz", "--to", "docker-save", "old.tar")
    Path("have.json").write_text(imgconv("inspect", "old.tar", READ / "kaniko-busybox.tar.gz", "--json").out)
    imgconv("old.tar", "--without", "have.json", "--to", "docker-save", "thin.tar")
    (image,) = json.loads(imgconv("inspect", "thin.tar", "--json", "-q").out)["images"]
    assert [layer["present"] for layer in image["layers"]] == [False, False, False]


def test_markdown_has_the_tables_and_a_diagram(imgconv):
    text = imgconv(
        "inspect", MATCH / "docker20-multi.tar.gz", MATCH / "docker20-html.tar.gz", "--format", "markdown"
    ).out
    assert text.count("```mermaid") == 1
    assert text.count("\n#### Image ") == 8
    assert len([line for line in text.splitlines() if line.startswith("| A |")]) == 1


def test_markdown_fits_into_a_step_summary(imgconv):
    """GitHub refuses more than 1 MiB."""
    text = markdown([InspectedSource("model.tar", model(600, 2, text="\u202e\U000e0100<" * 200))])
    assert 10_000 < len(text.encode()) < 1 << 20
    assert " more images; --format json has them all." in text


# -- hostile text ------------------------------------------------------------------------


def hostile_document(text):
    """Return the document of a real archive with a text in place of every one that an archive can choose."""
    reference = f"example.com/{text}"
    step = {"created": text, "created_by": text, "author": text, "comment": text, "empty_layer": False}
    digest = DIFF_ID
    layer = {
        "diff_id": digest, "chain_id": digest, "v1_id": "0" * 64, "digest": digest, "media_type": text,
        "compression": "gzip", "size": 7, "plain_size": None, "member": text, "urls": [text], "present": True,
        "verified": False, "problem": {"code": "invalid-input", "message": text}, "encoder": None,
        "encoder_members": None, "encoder_hint": text, "contents": None, "history": step,
    }  # fmt: skip
    manifest = {
        "digest": digest, "media_type": text, "size": 3, "made_up": False, "config_media_type": text,
        "annotations": {text: text},
    }  # fmt: skip
    engines = dict.fromkeys(("docker", "docker-containerd", "podman", "cri-o", "containerd"), digest)
    image = {
        "names": [text, reference], "image_id": digest, "manifest_digest": digest, "index_digest": digest,
        "platform": text, "present": True, "engines": engines, "indexes": [digest], "created": text,
        "config": {"digest": digest, "size": 9}, "manifest": manifest, "parent": None, "v1_ids": "docker",
        "layers": [layer, copy.deepcopy(layer)], "contents": None, "history": [step],
    }  # fmt: skip
    child = {
        "digest": digest, "media_type": text, "size": 1, "annotations": {text: text}, "kind": "image",
        "platform": text, "image_id": digest, "present": True,
    }  # fmt: skip
    problem = {"code": "invalid-input", "member": text, "message": text, "hint": text}
    return {
        "report": "inspect", "version": 2,
        "source": {"path": text, "format": "oci", "wrapper": None, "producer": {"name": text, "evidence": [text]}},
        "names": [{"name": text, "reference": reference, "ref_name": text, "digest": digest, "present": False}],
        "images": [image, copy.deepcopy(image)],
        "indexes": [
            {"names": [text], "digest": digest, "media_type": text, "size": 2, "annotations": {text: text},
             "children": [child], "images_present": 1}
        ],
        "artifacts": [
            {"names": [text], "digest": digest, "media_type": text, "size": 2, "type": text, "subject": digest,
             "image_id": None, "blobs": []}
        ],
        "notes": [{"code": "x", "message": text}], "warnings": [{"code": "x", "message": text}],
        "problems": [problem],
    }  # fmt: skip


def hostile_source(text):
    """Return a source with its page part, where every text that an archive or the command line can choose is `text`."""
    document = hostile_document(text)
    row = {
        "pusher": "crane@go1.26", "go": "go1.26", "names": [text], "image_id": DIFF_ID, "platform": text,
        "digest": DIFF_ID, "media_type": text, "size": 1,
        "layers": [{"digest": DIFF_ID, "media_type": text, "size": 1}],
    }  # fmt: skip
    digest = {
        "report": "digest", "version": 2, "source": {"path": text, "format": "oci", "wrapper": None}, "pushes": [row],
        "refused": [{"code": "x", "pusher": "docker@go1.26", "reason": text}],
        "warnings": [{"code": "x", "message": text}],
    }  # fmt: skip
    error = FormatError(text, member=text, hint=text)
    return [
        InspectedSource(text, document, page=PagePart(contents_of(document, text), Pushes(digest))),
        InspectedSource(text, None, error),
        InspectedSource(text, document, page=PagePart(document, Pushes(error=error))),
    ]


def contents_of(document, text):
    """Return a document with contents of layers whose paths are `text`."""
    document = copy.deepcopy(document)
    sizes = [{"path": text, "size": 3}]
    hidden = dict.fromkeys(
        ("overwritten_files", "overwritten_size", "deleted_files", "deleted_size", "size", "waste"), 1
    )
    for image in document["images"]:
        image["contents"] = {
            "size": 6, "upper_size": 3, "hidden_size": 2, "hidden_percent": 33.3, "waste": 2, "waste_percent": 66.7,
            "efficiency": 0.5, "wasted_paths": 1,
            "largest_hidden": {"path": text, "size": 2, "layer": 1, "hidden_by": 2, "deleted": True},
            "wasted": [{"path": text, "count": 2, "size": 2}], "complete": False,
        }  # fmt: skip
        for layer in image["layers"]:
            layer["contents"] = {
                "files": 1, "folders": 1, "links": 0, "others": 0, "whiteouts": 0, "opaques": 0, "size": 3,
                "largest_files": sizes, "largest_folders": sizes, "hidden": {**hidden, "percent": 33.3},
                "left_out": 0, "complete": True,
            }  # fmt: skip
    return document


@functools.cache
def harmless_page():
    return check(inspect_page(hostile_source("x")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_everywhere_in_the_page(text):
    page = check(inspect_page(hostile_source(text)))
    harmless = harmless_page()
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    assert page.text.count(" ".join(shown(text).split())) >= 20


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_in_markdown_but_code_spans(text):
    def outside(text):
        """Return the lines with every code span replaced; a span does not cross the end of a line here."""
        lines = markdown([InspectedSource(text, hostile_document(text))]).split("\n")
        assert all(line.isprintable() for line in lines)
        return [line if line.startswith("```") else SPAN.sub("code", line) for line in lines]

    assert outside(f"x{text}") == outside("x")


def test_an_archive_with_a_hostile_name_and_history_is_shown(page_of):
    name = '<img src=x onerror=alert(1)>"&.tar'
    archive = Docker(config=config(history=[{"created_by": HOSTILE[0]}], author=HOSTILE[1], architecture="<b>"))
    Path(name).write_bytes(archive.build())
    page, _ = page_of(name)
    assert shown(HOSTILE[0]) in page.text
    assert name in page.text


# -- size ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "layers", "options"),
    [
        (1, 10_000, {}),
        (100, 400, {"files": 20}),
        (10_000, 1, {}),
        (2, 60, {"files": 20, "text": "<&\u202e\U000e0100" * 1000}),
    ],
    ids=["10,000 layers", "40,000 layers of a million files", "10,000 images", "long hostile texts"],
)
@pytest.mark.slow
def test_a_large_source_gives_a_page_within_5_mb_that_says_what_it_leaves_out(images, layers, options):
    document = model(images, layers, **options)
    page = check(inspect_page([InspectedSource("model.tar", document)]))
    assert "What is left out" in page.text
    kept = {each["list"]: (each["kept"], each["total"]) for each in page.data["left_out"]}
    found = page.data["sources"][0]["inspect"]["images"]
    assert kept.get("sources[].inspect.images", (images, images)) == (len(found), images)
    shown_layers = [each for _, each in page.elements if "-layer-" in each.get("id", "")]
    assert 0 < len(shown_layers) <= min(images * layers, 6000)
    if images == 1:
        assert f"{len(shown_layers):,} of {layers:,} layers; all of them: imgconv inspect" in page.text
    # The figures are those of everything.
    assert page.data["sharing"]["layers"] == images * layers
