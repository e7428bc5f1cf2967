"""`imgconv doctor --html`: the table at a glance, reasons, what helps; hostile text."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from pathlib import Path

import pytest
from report.html.hostile_documents import hostile_verdicts
from report.html.pages import CAPTION, HOSTILE, check
from report.html.test_diff_page import BASE, OLD, archive_of
from support import MATCH
from support import run as run_apart

# tests/peer has a package of the name of this folder.
sys.path.insert(0, str(Path(__file__).parents[2] / "consumers"))

from cases import CASES, build

from convert.cli.main import run
from convert.commands.doctor import doctor
from convert.report.html import doctor as pages
from convert.report.html.text import shown


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def asked(capsys):
    """Ask with and without `--html`, which must agree; gives page and document."""

    def call(*words):
        words = [str(word) for word in words]
        status = run(["doctor", *words, "--json"])
        printed = capsys.readouterr()
        assert run(["doctor", *words, "--json", "--html", "page.html"]) == status
        assert capsys.readouterr() == printed
        page = check(Path("page.html").read_bytes())
        document = json.loads(printed.out)
        assert page.data["doctor"] == document
        return page, document

    return call


def glance(page):
    """Return the verdicts in the table at a glance: consumer and source to verdict."""
    text = page.raw[page.raw.index(f"{CAPTION}Where the sources load") :]
    head = [
        f"source-{number}" for number, _ in enumerate(re.findall(r'<th scope="col">', text[: text.index("</thead>")]))
    ][1:]
    found = {}
    for row in text[text.index("<tbody>") : text.index("</tbody>")].split("<tr>")[1:]:
        consumer = re.search(r'<th scope="row">([^<]*)</th>', row)[1]
        cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        for source, cell in zip(head, cells, strict=True):
            found[consumer, source] = " ".join(re.sub(r"<[^>]*>", "", cell).split())
    return found


def test_the_table_at_a_glance_has_every_verdict(asked):
    paths = [MATCH / "docker20-html.tar.gz", build("misnamed-archive", Path.cwd())]
    page, document = asked(*paths)
    found = glance(page)
    for number, source in enumerate(document["sources"], 1):
        for each in source["consumers"]:
            (cell,) = (
                text
                for (consumer, ident), text in found.items()
                if consumer.split(" (")[0] == f"{each['consumer']} {each['version']}" and ident == f"source-{number}"
            )
            assert cell.endswith(each["verdict"])
            text = "".join(page.text.split())  # digests are elements of their own
            assert all("".join(shown(reason["message"]).split()) in text for reason in each["reasons"])
            assert all(image["name"] in page.text for image in each["images"] if image["name"])


@pytest.mark.slow
def test_a_command_for_a_refusal_gives_what_loads(asked, tmp_path, capsys):
    """The consumer loads the result of the command that the page gives, or the command states what else is wrong.

    A consumer stops at the first fault, and an archive may have others.
    """
    helped = Counter()
    for case in CASES:
        path = build(case, tmp_path)
        _, document = asked(path, "--for", "docker,containerd,podman,umoci,skopeo")
        for each in document["sources"][0]["consumers"]:
            for reason in each["reasons"]:
                if each["verdict"] != "refuses" or not reason["helps"]:
                    continue
                told = pages._reason(reason, each, str(path))
                if not told.command or re.search(r"\b(?:OLD=NEW|OS/ARCH)\b|\{name\}", told.command):
                    continue
                dest = tmp_path / f"{case}-{each['consumer']}-{reason['helps'][:5]}"
                words = [str(dest) if word == "DEST" else word for word in shlex.split(told.command)[1:]]
                status = run(words)
                error = capsys.readouterr().err
                if status:
                    assert status in {2, 3}
                    assert not dest.exists()
                    assert error.startswith("imgconv: ")
                    continue
                (one,) = doctor(str(dest), consumers=[f"{each['consumer']}@{each['version']}"]).diagnoses
                assert one.verdict.fits, (told.command, one)
                helped[reason["helps"]] += 1
    assert helped["another format: --for"] > 20
    assert helped["--prune"] > 0


def test_a_source_that_cannot_be_read_is_shown(asked):
    Path("junk").write_bytes(b"junk")
    page, document = asked("junk", MATCH / "docker20-html.tar.gz", "absent")
    assert [source["status"] for source in document["sources"]] == [3, 0, 4] or document["status"] == 4
    for source in document["sources"]:
        if source["error"]:
            assert shown(source["error"]["message"]) in page.text


def test_damage_is_said_once_and_with_it_that_others_find_it(asked):
    archive_of("x.tar", BASE, OLD, stored={1: OLD.replace(b"aaaa", b"bbbb")}, name="App:1")
    page, document = asked("x.tar")
    consumers = document["sources"][0]["consumers"]
    said = Counter(reason["message"] for each in consumers for reason in each["reasons"] if reason["rule"] is None)
    ((message, count),) = said.items()
    assert count > 1
    assert "".join(page.text.split()).count("".join(message.split())) == 1
    assert [each["href"] for each in page.named("a")].count("#source-1-wrong") == count
    assert page.text.count("It loads here, but") == sum(each["verdict"] == "loads" for each in consumers) > 0


def test_identifiers_are_labelled(asked):
    page, document = asked(MATCH / "docker20-html.tar.gz")
    (image,) = json.loads(run_apart("inspect", MATCH / "docker20-html.tar.gz", "--json").stdout)["images"]
    rows = page.raw.split('<div id="source-1-consumer-')[1:]
    for row, each in zip(rows, document["sources"][0]["consumers"], strict=True):
        for known in each["images"]:
            label = "image ID" if known["id"] == image["image_id"] else "manifest or index digest"
            assert f'<span class="dim">{label}</span> <code class="digest">{known["id"]}</code>' in row


# -- hostile text ------------------------------------------------------------------------


def page_of(document):
    return check(pages.doctor_page(document))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_everywhere(text):
    page, harmless = page_of(hostile_verdicts(f"x{text}")), page_of(hostile_verdicts("x"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]


def test_many_names_give_a_page_that_says_what_it_left_out():
    document = hostile_verdicts("x" * 300)
    document["sources"][0]["consumers"][0]["images"] *= 20_000
    page = page_of(document)
    assert "What is left out" in page.text
    assert page.data["left_out"]
