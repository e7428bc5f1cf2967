"""Every rule has an archive that it fits, built here; what it states is tried in tests/peer/test_consumers.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import rules_table
from cases import CASES, build
from support import ROOT, run

from convert.archive.open import open_source
from convert.commands.doctor import doctor
from convert.consumers.consumer import PROGRAMS, Versions, newest, parse_consumer, parse_consumers, parse_version
from convert.consumers.contents import Contents
from convert.consumers.diagnose import diagnose
from convert.consumers.rule import Verdict
from convert.consumers.rules import RULES
from convert.consumers.values import UnknownError
from convert.errors import UsageError
from convert.model.platform import Platform
from convert.reader.findings import RULES as FINDINGS

HOST = Platform("linux", "amd64")
#: Consumers that load each of the archives without a fault, and the name under which they hold it.
PLAIN = {
    "plain": {
        "docker": "example.com/app:1",
        "kind": "example.com/app:1",
        "podman": "example.com/app:1",
        "skopeo": "",
        "crane": "",
    },
    "layout-archive": {"docker-containerd": "example.com/app:1", "containerd@1.6": "example.com/app:1", "skopeo": ""},
    "folder": {"umoci": "1", "crane": "", "skopeo": ""},
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Return the path of every case."""
    folder = tmp_path_factory.mktemp("cases")
    return {name: build(name, folder) for name in CASES}


@pytest.mark.parametrize(
    ("rule", "case"),
    sorted({(rule.check, rule.case) for rule in RULES}, key=lambda pair: (pair[1], pair[0].__name__)),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_rule_fits_the_archive_that_it_names(rule, case, archives):
    with open_source(str(archives[case])) as opened:
        try:
            text = rule(Contents(opened, HOST))
        except UnknownError as error:
            text = str(error)
    assert text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("case", "who", "name"), [(case, *pair) for case, found in PLAIN.items() for pair in found.items()]
)
def test_an_archive_without_faults_loads(case, who, name, archives):
    report = doctor(archives[case], consumers=[who])
    (found,) = report.diagnoses
    assert found.verdict is Verdict.LOADS, found.reasons
    assert [each.name for each in found.known] == [name]
    assert all(each.id is not None for each in found.known)
    assert report.status == 0


def test_every_rule_is_complete():
    for rule in RULES:
        program = rule.consumer.partition("/")[0]
        assert program in PROGRAMS
        assert rule.source.count("@") == 1
        assert "/" in rule.source
        assert rule.check.__doc__
        assert not rule.finding or rule.finding in FINDINGS
        assert any(
            parse_version(version) in rule.versions
            for version in (
                *PROGRAMS[program].tried,
                *(inside for each in PROGRAMS.values() for _, inside in each.inside),
            )
        ), f"{rule.consumer} {rule.versions}: no version that was tried"


def test_consumers_are_named_with_versions():
    assert [str(each) for each in parse_consumers("kind, docker@20.10,skopeo@1.9")] == [
        "kind@0.32",
        "docker@20.10.24",
        "skopeo@1.9.3",
    ]
    assert parse_consumer("kind@0.31").reads_as == ("containerd", (2, 2))
    assert len(newest()) == len(PROGRAMS)


@pytest.mark.parametrize("text", ["docker@19", "docker@x", "dockr", "", "kind@0.27", "docker,", "containerd@2.0"])
def test_what_has_no_rules_is_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_consumers(text)
    assert caught.value.code == "unknown-consumer"


@given(st.lists(st.integers(0, 99), min_size=1, max_size=3), st.lists(st.integers(0, 99), min_size=1, max_size=3))
@settings(max_examples=200)
def test_versions_compare_as_numbers(one, other):
    first, end = sorted([tuple(one), tuple(other)])
    versions = Versions(".".join(map(str, first)), ".".join(map(str, end)))
    assert (first in versions) == (first < end)
    assert end not in versions


def test_the_pages_have_the_tables():
    for page, tables in (("doctor", (rules_table.consumers, rules_table.rules)), ("validate", (rules_table.findings,))):
        lines = (ROOT / "docs" / f"{page}.md").read_text().splitlines()
        for table in tables:
            missing = [line for line in table() if line not in lines]
            assert missing == [], f"docs/{page}.md: python tests/consumers/rules_table.py prints the table"


def test_a_damaged_document_is_no_guess(tmp_path, archives):
    """What imgconv cannot read and some consumer may is unknown, and counts as not loading."""
    path = tmp_path / "layout"
    build("folder", tmp_path).rename(path)
    (path / "index.json").write_bytes(b'{"manifests":[],"Manifests":[]}')
    with open_source(str(path)) as opened:
        found = diagnose(Contents(opened, HOST), [parse_consumer("skopeo")])
    assert [each.verdict for each in found] == [Verdict.UNKNOWN]


def test_the_document_follows_its_schema(archives):
    import jsonschema

    done = run("doctor", archives["plain"], archives["host-absent"], "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((ROOT / "schemas" / "report-doctor.json").read_text()))
    assert [each["status"] for each in document["sources"]] == [1, 1]
