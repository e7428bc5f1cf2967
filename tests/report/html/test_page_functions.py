"""The pages of the Python API are those of the command line, of sources that cannot be read too."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from report.html.pages import check
from support import MATCH, REFUSE

import convert
from convert.cli.main import run
from convert.commands import inspect_page


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(MATCH / "docker20-html.tar.gz", "good.tar")
    shutil.copy(MATCH / "docker20-duplayer.tar.gz", "other.tar")
    shutil.copy(REFUSE / "damaged-oci-layer-blob-missing.tar.gz", "damaged.tar")
    Path("junk").write_bytes(b"junk")


def reported(command, source, **options):
    """Call a command; an error that it raises becomes a `Failure`."""
    try:
        return command(source, **options)
    except convert.ImgconvError as error:
        return convert.Failure(error, (source,))


def page_of(*words):
    """Return the page of a command line."""
    run([*words, "-q", "--html", "page.html"])
    page = Path("page.html").read_bytes()
    os.unlink("page.html")
    return page


SOURCES = ["good.tar", "damaged.tar", "junk", "absent.tar"]


@pytest.mark.parametrize("sources", [SOURCES, SOURCES[2:3], SOURCES[3:]], ids=["several", "junk", "absent"])
@pytest.mark.parametrize(
    ("command", "options", "page"),
    [
        (convert.inspect, {"page": True}, convert.inspect_page),
        (convert.validate, {"page": True}, convert.validate_page),
        (convert.doctor, {}, convert.doctor_page),
    ],
    ids=["inspect", "validate", "doctor"],
)
def test_pages_of_sources(sources, command, options, page):
    reports = [reported(command, source, **options) for source in sources]
    if len(sources) == 1 and sources != ["junk"]:
        assert isinstance(reports[0], convert.Failure)
    found = page(iter(reports))
    check(found)
    assert found == page_of(command.__name__, *sources)


@pytest.mark.parametrize("options", [{}, {"by": "layers", "platforms": ["linux/amd64"]}, {"files": True}])
def test_the_page_of_a_comparison(options):
    report = convert.diff("good.tar", "other.tar", page=True, **options)
    words = {"by": ["--by", "layers"], "platforms": ["--platform", "linux/amd64"], "files": ["--files"]}
    found = convert.diff_page(report)
    check(found)
    assert found == page_of("diff", "good.tar", "other.tar", *(word for key in options for word in words[key]))
    assert report.document == convert.diff("good.tar", "other.tar", **options).document


@pytest.mark.parametrize("pair", [("good.tar", "junk"), ("absent.tar", "good.tar")])
def test_the_page_of_archives_that_cannot_be_compared(pair):
    with pytest.raises(convert.ImgconvError) as caught:
        convert.diff(*pair, page=True)
    found = convert.diff_page(convert.Failure(caught.value, pair))
    assert caught.value.message in check(found).text
    assert found == page_of("diff", *pair)


def test_a_source_is_named_as_it_was_given():
    assert run(["good.tar", "--to", "oci", "layout", "-q"]) == 0
    report = convert.inspect("oci:layout", page=True)
    assert report.given == "oci:layout"
    assert convert.inspect_page([report]) == page_of("inspect", "oci:layout")


def test_a_report_without_what_a_page_needs_is_refused():
    with pytest.raises(ValueError, match="page=True"):
        convert.inspect_page([convert.inspect("good.tar")])
    with pytest.raises(ValueError, match="page=True"):
        convert.diff_page(convert.diff("good.tar", "other.tar"))


def test_the_option_changes_no_finding():
    with_page, without = convert.validate("damaged.tar", page=True), convert.validate("damaged.tar")
    assert with_page.findings == without.findings
    assert with_page.status == without.status
    assert with_page.inspected is not None
    assert without.inspected is None


def test_a_page_of_very_many_images_has_no_digests_of_pushes(monkeypatch):
    """It took 36 seconds for 10,000, of which a page shows few."""
    monkeypatch.setattr(inspect_page, "MAX_SHOWN", 0)
    monkeypatch.setattr(inspect_page, "digest_opened", None)
    report = convert.inspect("good.tar", page=True)
    assert report.page.pushes.error.code == "too-many-images"
    raw = convert.inspect_page([report])
    check(raw)
    assert b"at most 0 images" in raw


def test_a_page_of_very_many_layers_has_no_digests_of_pushes(monkeypatch):
    """It took 40 seconds and 550 MB for four images that share 10,000 layers."""
    digest_opened = inspect_page.digest_opened
    monkeypatch.setattr(inspect_page, "digest_opened", None)
    layers = sum(len(image["layers"]) for image in convert.inspect("good.tar").document["images"])
    monkeypatch.setattr(inspect_page, "MAX_PAGE_LAYERS", layers - 1)
    report = convert.inspect("good.tar", page=True)
    assert report.page.pushes.error.code == "too-many-layers"
    raw = convert.inspect_page([report])
    check(raw)
    assert f"at most {layers - 1} layers together".encode() in raw
    monkeypatch.setattr(inspect_page, "digest_opened", digest_opened)
    monkeypatch.setattr(inspect_page, "MAX_PAGE_LAYERS", layers)
    assert convert.inspect("good.tar", page=True).page.pushes.error is None
