"""`imgconv diff --html` and `--format markdown`: what differs first, files with sizes, what an update costs."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from hostile.building import DIFF_ID, config
from oracle.reading import sha256
from report.html.hostile_documents import hostile_diff
from report.html.pages import HOSTILE, check
from report.html.test_inspect_page import hostile_document
from report.test_markdown import SPAN
from support import MATCH, READ

from convert.cli.main import run
from convert.report.diff_markdown import markdown
from convert.report.html.diff import diff_page
from convert.report.html.text import shown
from convert.report.inspect import size_text
from convert.report.update_cost import update_cost


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def compared(capsys):
    """Compare with and without `--html`, which must agree; gives page and document."""

    def call(*words, status=None):
        words = [str(word) for word in words]
        found = run(["diff", *words, "--json"])
        assert status is None or found == status
        printed = capsys.readouterr()
        assert run(["diff", *words, "--json", "--html", "page.html"]) == found
        assert capsys.readouterr() == printed
        page = check(Path("page.html").read_bytes())
        document = json.loads(printed.out) if printed.out else None
        assert page.data["diff"] == document
        return page, document

    return call


def layer(*named):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in named:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive_of(path, *layers, stored=None, name="app:1", **changes):
    """Write a docker-save archive with these layers; `stored` are other bytes for some of them."""
    raw = json.dumps(config(*(sha256(each) for each in layers), **changes)).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    held = [(stored or {}).get(number, each) for number, each in enumerate(layers)]
    listed = [{"Config": f"{sha256(raw)[7:]}.json", "RepoTags": [name], "Layers": names}]
    built = {
        listed[0]["Config"]: raw,
        **dict(zip(names, held, strict=True)),
        "manifest.json": json.dumps(listed).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for name, data in built.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


BASE = layer(("etc/os", b"x" * 900))
OLD = layer(("app", b"a" * 100), ("gone", b"g" * 70), ("same", b"s" * 10), ("changed", b"1" * 50))
NEW = layer(("app", b"a" * 160), ("new", b"n" * 40), ("same", b"s" * 10), ("changed", b"2" * 50))


def test_files_have_the_sizes_of_the_tars(compared):
    archive_of("old.tar", BASE, OLD)
    archive_of("new.tar", BASE, NEW)
    page, document = compared("old.tar", "new.tar", status=1)
    assert not document["same"]
    (found,) = page.data["files"]
    assert (found["a"], found["b"], found["total"]) == (sha256(OLD), sha256(NEW), 4)
    assert found["sums"] == {
        "added": {"files": 1, "size_a": 0, "size_b": 40},
        "removed": {"files": 1, "size_a": 70, "size_b": 0},
        "changed": {"files": 2, "size_a": 150, "size_b": 210},
    }
    # The largest differences first; a change within a file counts with all of it.
    assert [(each["change"], each["path"], each["size_a"], each["size_b"]) for each in found["files"]] == [
        ("removed", "gone", 70, None),
        ("changed", "app", 100, 160),
        ("changed", "changed", 50, 50),
        ("added", "new", None, 40),
    ]
    assert "same" not in [each["path"] for each in found["files"]]
    assert "1 added (40 B), 1 removed (70 B), 2 changed (150 B in A, 210 B in B)" in page.text


def test_each_side_has_its_name_and_the_verdict_says_why(compared):
    archive_of("old.tar", BASE, OLD, name="app:1")
    archive_of("new.tar", BASE, NEW, layer(("more", b"")), name="app:2")
    page, document = compared("old.tar", "new.tar", status=1)
    assert "1: app:1 (A) and app:2 (B)" in page.text
    assert re.search("A: app:1 .*B: app:2", page.text)
    keys = len(document["images"][0]["config"])
    assert (
        "The image IDs differ because the configs differ (an image ID is the sha256 of the config): "
        f"layer 2 has other content, layer 3 is new, {keys} keys of the config differ."
    ) in page.text
    assert "shared 1: in A and B" in page.text
    assert "most tools compress them on a push" in page.text


def test_what_neither_has_is_not_called_the_same(compared, capsys):
    archive_of("old.tar", BASE, OLD, name="app:1")
    archive_of("new.tar", BASE, NEW, layer(("more", b"")), name="app:2")
    page, document = compared("old.tar", "new.tar", status=1)
    (one,) = document["images"]
    assert one["a"]["manifest_digest"] is one["b"]["manifest_digest"] is None
    assert "manifest digest none none neither has one" in page.text
    # The commands of the page tell what it cannot.
    commands = [text for tag, text in page.texts if tag == "code" and text.startswith("imgconv digest")]
    printed = []
    for command in commands:
        assert run([*command.split()[1:], "--json"]) == 0
        printed.append({each["digest"] for each in json.loads(capsys.readouterr().out)["pushes"]})
    assert len(printed) == 2
    assert not printed[0] & printed[1]
    assert run(["inspect", "old.tar", "new.tar", "--html", "inspect.html"]) == 0
    capsys.readouterr()
    updates = check(Path("inspect.html").read_bytes()).data["updates"]
    first, second = re.search(r"from image (\d+) → (\d+)", page.text).groups()
    assert {"from": int(first), "to": int(second)} in [{key: each[key] for key in ("from", "to")} for each in updates]
    assert one["words"].startswith("layer 2 (of 2 in A, of 3 in B) differs: ")


def test_a_whiteout_is_shown_as_a_deletion(compared):
    archive_of("old.tar", BASE, OLD)
    archive_of("new.tar", BASE, NEW, layer(("d/.wh.x", b""), (".wh.new", b""), ("d/.wh..wh..opq", b"")))
    page, _ = compared("old.tar", "new.tar", status=1)
    assert "deleted d/x none none whiteout: deletes d/x" in page.text
    # The layer below has the file.
    assert "deleted new none none whiteout: deletes new (40 B)" in page.text
    assert "whiteout: hides what lower layers have in /d" in page.text
    assert "no layer of A and layer 3 of B 3 deleted" in page.text
    compared("new.tar", "old.tar", status=1)


def test_entries_that_are_added_and_deletions_are_counted_apart(compared):
    archive_of("old.tar", BASE)
    archive_of("new.tar", BASE, layer(("etc/", b""), ("etc/.wh.os", b""), ("etc/new", b"n" * 9)))
    page, _ = compared("old.tar", "new.tar", status=1)
    assert page.data["files"][0]["sums"]["added"]["files"] == 3
    assert "2 added (9 B), 1 deleted" in page.text
    # The folder is in the layer below too.
    assert re.search("added etc none none folder: an entry of this layer", page.text)


def test_the_layers_of_an_image_that_only_one_archive_has_are_numbered(compared):
    page, document = compared(MATCH / "docker20-multi.tar.gz", MATCH / "docker20-html.tar.gz", status=1)
    assert any(one["b"] is None for one in document["images"])
    titles = re.findall(r"Files: \S+ layer \S+ of A|Files: layer \d+ of A", page.text)
    assert "Files: layer 1 of A" in titles
    assert not any("no layer" in title for title in titles)


def test_an_update_costs_the_layers_that_a_lacks(compared):
    archive_of("old.tar", BASE, OLD)
    archive_of("new.tar", BASE, OLD, NEW)
    page, _ = compared("old.tar", "new.tar", status=1)
    (cost,) = page.data["updates"]
    assert cost["new"] == {"layers": 1, "bytes": len(NEW)}
    assert cost["kept"] == {"layers": 2, "bytes": len(BASE) + len(OLD)}
    assert cost["recompressed"] == {"layers": 0, "bytes": 0}
    assert cost["uncompressed"]
    assert f"1 new layer, {size_text(len(NEW))}" in page.text


def test_a_layer_that_is_compressed_otherwise_is_sent_again(capsys):
    archive_of("x.tar", BASE, OLD)
    assert run(["-q", "x.tar", "--to", "oci", "one"]) == 0
    assert run(["-q", "x.tar", "--to", "oci", "--compress", "go1.26-9", "other"]) == 0
    capsys.readouterr()
    assert run(["diff", "--by", "digest", "one", "other", "--json", "--html", "page.html"]) == 1
    page = check(Path("page.html").read_bytes())
    (cost,) = page.data["updates"]
    sizes = [each["size"] for each in page.data["b"]["images"][0]["layers"]]
    assert cost["recompressed"] == {"layers": 2, "bytes": sum(sizes)}
    assert cost["new"] == cost["kept"] == {"layers": 0, "bytes": 0}


def image(*layers):
    return {"layers": [dict(zip(("diff_id", "digest", "size", "compression"), each, strict=True)) for each in layers]}


def test_costs_of_odd_images():
    old = image(("a", "x", 5, "gzip"), ("b", None, 50, "none"))
    new = image(("a", "x", 5, "gzip"), ("a", "x", 5, "gzip"), ("b", "y", 9, "gzip"), ("c", "z", None, None))
    cost = update_cost(old, new)
    # A layer that occurs twice is sent once; what A has uncompressed may be the same when it is pushed.
    assert cost["kept"] == {"layers": 2, "bytes": 14}
    assert cost["new"] == {"layers": 1, "bytes": 0}
    assert cost["unknown_sizes"] == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("docker20-html", "docker24-html"),
        ("docker20-multi", "docker20-html"),
        ("docker29-hybrid-duplayer", "docker20-duplayer"),
    ],
)
def test_real_archives_side_by_side(compared, a, b):
    page, document = compared(MATCH / f"{a}.tar.gz", MATCH / f"{b}.tar.gz")
    for one in document["images"]:
        assert shown(one["words"]) in page.text
        for side in (one["a"], one["b"]):
            assert side is None or side["image_id"] in page.text
    order = re.findall(r'<td class="word">(same|differs)</td><td class="text">', page.raw)
    assert order == sorted(order)
    assert len(order) == len(document["images"])


def test_what_is_the_same_is_said_to_be(compared):
    page, _ = compared(MATCH / "docker20-html.tar.gz", MATCH / "docker20-html.tar.gz", status=0)
    assert "Both have the same images" in page.text
    assert page.data["files"] == []


# -- damage ------------------------------------------------------------------------------


def test_a_damaged_layer_does_not_change_the_exit_status(compared):
    archive_of("old.tar", BASE, OLD)
    archive_of("new.tar", BASE, NEW, stored={1: NEW[:1000]})
    page, _ = compared("old.tar", "new.tar", status=1)
    (found,) = page.data["files"]
    assert found["problem"]["code"] in {"truncated", "diff-id-mismatch"}
    assert found["problem"]["code"] in page.text


def test_an_archive_that_cannot_be_read_is_shown_beside_the_other(compared):
    Path("junk").write_bytes(b"junk")
    archive_of("new.tar", BASE, NEW)
    page, _ = compared("junk", "new.tar", status=3)
    assert "The archives were not compared" in page.text
    (problem,) = page.data["problems"]
    assert problem["path"] == "junk"
    assert page.data["b"]["images"][0]["names"] == ["app:1"]
    page, _ = compared("new.tar", "absent", status=4)
    assert [each["path"] for each in page.data["problems"]] == ["absent"]


# -- hostile text ------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_everywhere(text):
    page, harmless = (check(diff_page(hostile_diff(each, hostile_document(each)))) for each in (f"x{text}", "x"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_in_markdown_but_code_spans(text):
    def outside(text):
        found = hostile_diff(text, None)
        document = found.document
        path = f"{text}/file"
        change = {"change": "changed", "path": path, "attributes": {"size": {"a": "5", "b": "6"}}}
        document["images"][0]["files"] = [{"a": DIFF_ID, "b": None, "files": [change]}]
        return [SPAN.sub("code", line) for line in markdown(document).split("\n")]

    assert outside(f"x{text}") == outside("x")


def test_file_names_of_a_layer_are_text(compared):
    names = [text.replace("/", "|") for text in HOSTILE if "\n" not in text and text != "\ud800"]
    archive_of("old.tar", BASE)
    archive_of("new.tar", BASE, layer(*((name, b"x") for name in names)))
    page, _ = compared("old.tar", "new.tar", status=1)
    assert all(shown(name) in " ".join(text for _, text in page.texts) for name in names)


# -- limits ------------------------------------------------------------------------------


def test_many_files_give_a_page_that_says_what_it_left_out(compared):
    archive_of("old.tar", BASE)
    many = layer(*((f"d/{'x' * 80}{number}", b"y" * (number % 7)) for number in range(6000)))
    archive_of("new.tar", BASE, many)
    page, _ = compared("old.tar", "new.tar", status=1)
    (found,) = page.data["files"]
    assert found["total"] == found["sums"]["added"]["files"] == 6000
    assert "What is left out" in page.text or "more files differ" in page.text


# -- Markdown and JSON ---------------------------------------------------------------------


def test_markdown_has_the_files(capsys):
    archive_of("old.tar", BASE, OLD)
    archive_of("new.tar", BASE, NEW)
    assert run(["diff", "old.tar", "new.tar", "--files", "--format", "markdown"]) == 1
    text = capsys.readouterr().out
    rows = {
        line.split("|")[2].strip()
        for line in text.splitlines()
        if line.startswith(("| added", "| removed", "| changed"))
    }
    assert rows == {"`app`", "`gone`", "`new`", "`changed`"}
    assert run(["diff", "old.tar", "new.tar", "--json", "--format", "markdown"]) == 2


def test_format_json_is_json(capsys):
    words = ["diff", str(READ / "kaniko-busybox.tar.gz"), str(READ / "podman-test-info.tar.gz")]
    assert run([*words, "--json"]) == run([*words, "--format", "json"]) == 1
    printed = capsys.readouterr().out
    half = len(printed) // 2
    assert printed[:half] == printed[half:]
