"""`imgconv validate --html` and `--format markdown`: findings where they belong, what helps, hostile text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import storages
from commands.test_validate import DOCKER_DAMAGE, LAYOUT_DAMAGE, Docker, docker
from commands.test_validate_rules import DAMAGE
from report.html.hostile_documents import hostile_findings
from report.html.pages import HOSTILE, check
from report.html.test_diff_page import BASE, OLD, archive_of
from report.html.test_inspect_page import hostile_document
from report.test_markdown import SPAN
from support import MATCH, REFUSE

from convert.cli.main import run
from convert.report.blame import blame
from convert.report.html.text import numbers_text, pieces, shown
from convert.report.html.validate import validate_page
from convert.report.validate import refused_text
from convert.report.validate_markdown import markdown


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def validated(capsys):
    """Validate with and without `--html`, which must agree; gives page, status and the document."""

    def call(*sources):
        words = [str(source) for source in sources]
        status = run(["validate", *words, "--json"])
        printed = capsys.readouterr()
        assert run(["validate", *words, "--json", "--html", "page.html"]) == status
        assert capsys.readouterr() == printed
        page = check(Path("page.html").read_bytes())
        document = json.loads(printed.out)
        assert page.data["validate"] == document
        assert not page.data["left_out"]
        return page, document

    return call


def links(page):
    """Return the numbers of findings, and the identifiers that the table leads to."""
    return [each["id"] for _, each in page.elements if re.fullmatch(r"source-\d+-finding-\d+", each.get("id", ""))]


CASES = {
    **{f"docker-save: {name}": make for name, (make, _) in DOCKER_DAMAGE.items()},
    **{f"layout: {name}": make for name, (make, _) in LAYOUT_DAMAGE.items()},
    **{f"rules: {name}": DAMAGE[name][0] for name in ("Cmd a string", "126 layers", "no blobs", "an empty list")},
}


def sampled(names, step):
    """Return parameters of which every `step`th is in the default suite, because each takes a second."""
    return [
        pytest.param(name, marks=() if number % step == 0 else pytest.mark.slow) for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("case", sampled(CASES, 9))
def test_every_finding_is_on_the_page_once_and_errors_come_first(validated, case):
    Path("x.tar").write_bytes(CASES[case]())
    page, document = validated("x.tar")
    (source,) = document["sources"]
    assert len(links(page)) == len(source["findings"])
    # Digests are elements of their own.
    text = "".join(page.text.split())
    assert all("".join(shown(found["message"]).split()) in text for found in source["findings"])
    ordered, groups = blame(source["findings"], page.data["inspect"][0])
    severities = ["error", "warning", "note"]
    weights = [severities.index(each.finding["severity"]) for each in ordered]
    assert weights == sorted(weights)
    assert sum(len(part.findings) for group in groups for part in group.parts) == len(ordered)
    assert ("Mend this first" in page.text) == bool(source["status"] and source["findings"])


#: A fault, and where its first finding belongs: the number of the image, the kind of part, the number of the layer.
PLACES = {
    "another layer": (DOCKER_DAMAGE, 1, "layer", 2),
    "a gzip cut short": (DOCKER_DAMAGE, 1, "layer", 1),
    "no version": (DOCKER_DAMAGE, 1, "layer", 1),
    "a tag of its own": (DOCKER_DAMAGE, 0, "archive", 0),
    "a step too many": (DOCKER_DAMAGE, 1, "config", 0),
    "a size too large": (LAYOUT_DAMAGE, 1, "layer", 1),
    "no layer": (LAYOUT_DAMAGE, 1, "layer", 1),
    "two DiffIDs": (LAYOUT_DAMAGE, 1, "manifest", 0),
    "another tar": (LAYOUT_DAMAGE, 1, "layer", 1),
    "no architecture": (LAYOUT_DAMAGE, 1, "config", 0),
    "spaces in a name": (LAYOUT_DAMAGE, 0, "archive", 0),
    "another platform": (LAYOUT_DAMAGE, 0, "index", 0),
    "a rotten layer": (LAYOUT_DAMAGE, 1, "layer", 1),
}


@pytest.mark.parametrize("case", sampled(PLACES, 3))
def test_a_finding_belongs_to_its_part(validated, case):
    table, image, kind, layer = PLACES[case]
    Path("x.tar").write_bytes(table[case][0]())
    page, document = validated("x.tar")
    _, groups = blame(document["sources"][0]["findings"], page.data["inspect"][0])
    found = [
        (group.number, part.kind, part.number if part.kind == "layer" else 0)
        for group in groups
        for part in group.parts
        for each in part.findings
        if each.number == 1
    ]
    assert found == [(image, kind, layer)]


@pytest.mark.parametrize("path", sampled(sorted(REFUSE.glob("*.tar.gz")), 4))
def test_what_other_commands_refuse_has_its_page(validated, path):
    validated(path)


def test_several_sources_of_which_one_is_not_there(validated):
    page, document = validated(MATCH / "docker20-html.tar.gz", "absent", MATCH / "docker24-html.tar.gz")
    assert [source["status"] for source in document["sources"]][1] == 4
    assert "not read" in page.text
    assert document["sources"][1]["error"] in page.text


def test_the_commands_of_the_page_name_the_source(validated):
    name = "a b&c.tar"
    Path(name).write_bytes(docker(lambda a: a.files.update({"junk": b"x"}) or a.item.update(RepoTags=["A:1"]))())
    page, _ = validated(name)
    assert "imgconv 'a b&c.tar' --tag NAME --to docker-save DEST.tar" in page.text


def test_damaged_content_comes_before_names_and_stops_conversions(validated):
    archive_of("x.tar", BASE, OLD, stored={1: OLD.replace(b"aaaa", b"bbbb")}, name="App:1")
    page, document = validated("x.tar")
    (source,) = document["sources"]
    ordered, _ = blame(source["findings"], page.data["inspect"][0])
    assert [each.finding["rule"] for each in ordered[:2]] == ["diff-id", "repo-tag"]
    assert "DEST.tar" not in page.text
    assert "First mend diff-id" in page.text
    assert run(["-q", "x.tar", "--to", "docker-save", "DEST.tar"]) == 3
    assert "1/layer.tar is sha256:" in page.text
    assert "Nothing wrong with: the config, layer 1." in page.text
    assert "(imgconv validate x.tar --verbose )" in page.text.replace("( ", "(")


def test_table_and_block_name_the_same_refusals(validated):
    archive_of("x.tar", BASE, name="App:1")
    page, document = validated("x.tar")
    finding = next(each for each in document["sources"][0]["findings"] if each["rule"] == "repo-tag")
    text = refused_text(finding)
    assert text.startswith("dockerd; also refused by (see imgconv doctor): docker-containerd, containerd, ")
    assert page.text.count(text) == 2
    assert "imgconv x.tar --tag NAME --to docker-save DEST.tar" in page.text


@pytest.mark.parametrize(
    ("known", "consumers", "text"),
    [
        (None, [], ""),
        ("every tool", [("podman/oci", "all")], "every tool"),
        ("dockerd, podman", [("docker", "from 20 to before 30"), ("podman/oci", "all")], "dockerd, podman"),
        ("dockerd from 29", [("docker", "all")], "dockerd from 29; also refused by (see imgconv doctor): docker"),
        (None, [("k3s", "all"), ("crane", "from 1")], "(see imgconv doctor) k3s, crane from 1"),
        ("dockerd, containerd", [("docker", "all")], "dockerd, containerd; nerdctl and kind as the containerd in them"),
        (
            None,
            [("containerd", "from 1.6 to before 2")],
            "(see imgconv doctor) containerd from 1.6 to before 2; nerdctl and kind as the containerd in them",
        ),
    ],
)
def test_refusals_in_words(known, consumers, text):
    listed = [{"consumer": consumer, "versions": versions} for consumer, versions in consumers]
    assert refused_text({"refused_by": known, "consumers": listed}) == text


def test_digests_in_a_text_stand_alone_with_what_sticks_to_them():
    digest, digits = "sha256:" + "a" * 64, "b" * 64
    assert list(pieces(f"x {digest}, y {digits}/layer.tar {'c' * 65} {digits}")) == [
        ("x ", digest, ","),
        (" y ", digits, "/layer.tar"),
        (f" {'c' * 65} ", digits, ""),
    ]
    assert list(pieces("x")) == [("x", "", "")]


def test_numbers_in_words():
    assert numbers_text("layer", [2]) == "layer 2"
    assert numbers_text("layer", [1, 3]) == "layers 1 and 3"
    assert numbers_text("layer", [1, 2, 3, 5, 9, 10]) == "layers 1 to 3, 5, 9 and 10"
    assert numbers_text("layer", list(range(1, 99, 2))).endswith(" 19 and others")


def test_the_storage_of_a_registry_has_its_page(validated, tmp_path):
    storage = storages.Storage(tmp_path / "registry")
    storage.image("app", "1.0")
    link = storage.tag_link("app", "1.0")
    link.write_text("sha256:" + "0" * 64)
    page, document = validated(storage)
    assert {found["rule"] for found in document["sources"][0]["findings"]} >= {"registry-tag"}
    assert "app:1.0" in page.text


# -- hostile text ------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_everywhere(text):
    page = check(validate_page(hostile_findings(f"x{text}"), [hostile_document(f"x{text}"), None]))
    harmless = check(validate_page(hostile_findings("x"), [hostile_document("x"), None]))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_in_markdown_but_code_spans(text):
    def outside(text):
        return [SPAN.sub("code", line) for line in markdown(hostile_findings(text), notes=True).split("\n")]

    assert outside(f"x{text}") == outside("x")


def test_names_of_an_archive_with_hostile_names_are_shown(validated):
    archive = Docker()
    archive.item["RepoTags"] += [text for text in HOSTILE if text != "\ud800"]
    archive.finish() if hasattr(archive, "finish") else None
    Path("x.tar").write_bytes(archive.bytes())
    page, document = validated("x.tar")
    assert any(found["rule"] == "repo-tag" for found in document["sources"][0]["findings"])
    assert "<script>alert" in page.text


# -- limits ------------------------------------------------------------------------------


def test_ten_thousand_findings_give_a_page_that_says_what_it_left_out():
    document = hostile_findings("x" * 500)
    document["sources"][0]["findings"] *= 700
    page = check(validate_page(document, [None, None]))
    assert "What is left out" in page.text
    assert len(links(page)) < 10_000
    assert page.data["left_out"]


# -- Markdown ----------------------------------------------------------------------------


def test_markdown_has_a_row_for_each_finding(capsys):
    Path("x.tar").write_bytes(DOCKER_DAMAGE["a layer less"][0]())
    assert run(["validate", "x.tar", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["sources"][0]["findings"]
    assert run(["validate", "x.tar", "--format", "markdown", "-v"]) == 1
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith(("| error", "| warning", "| note"))]
    assert sorted(re.search(r"`([a-z0-9-]+)`", row)[1] for row in rows) == sorted(each["rule"] for each in findings)
    assert run(["validate", "x.tar", "--format", "markdown"]) == 1
    assert "| note |" not in capsys.readouterr().out
