"""`convert` and `validate` accept the same sources, but for the rules that STRICTER lists."""

from __future__ import annotations

import fixtures
import pytest
from commands.test_validate import DOCKER_DAMAGE, LAYOUT_DAMAGE, LAYOUT_NOTES, NOTES
from commands.test_validate_rules import DAMAGE
from hostile.test_hostile import CASES
from support import MATCH, READ, REFUSE

from convert.cli.main import run
from convert.commands.validate import RULES, Severity, validate

#: Rules of severity error whose breach does not stop a conversion, and why.
STRICTER = {
    "duplicate-member": "two members of one name that no image needs",
    "history-too-long": "dockerd refuses it, the layout is sound",
    "index-manifest": "tools that read one of the lists see another image; imgconv warns of names",
    "inline-only": "imgconv reads content in `data`, other tools do not",
    "json": "v1 metadata that no image needs",
    "digest": "blobs that no document names, and those that no image needs",
    "layer-count": "an OCI config without DiffIDs is carried as an artifact",
    "layer-tar": "layers are copied and never unpacked",
    "repo-tag": "imgconv drops an invalid name with a warning",
    "run-config": "configs are copied with their bytes",
    "schema": "fields that imgconv does not read",
    "v1-id": "v1 IDs are computed again, never taken from the source",
}


def accepts(source, out):
    """Convert with every layer verified; return whether that succeeds, None where the request itself does not fit."""
    status = run([str(source), "--to", "oci", str(out), "--jobs", "1", "--verify", "full"])
    return None if status == 2 else status == 0


def check(source, tmp_path):
    accepted = accepts(source, tmp_path / "out")
    verdict = validate(str(source))
    errors = {found.rule for found in verdict.findings if found.severity is Severity.ERROR}
    if accepted:
        assert errors <= STRICTER.keys()
        assert verdict.status < 3
    elif accepted is False:
        assert errors or verdict.status == 3


def built():
    tables = {
        "docker": DOCKER_DAMAGE,
        "layout": LAYOUT_DAMAGE,
        "note": NOTES,
        "layout note": LAYOUT_NOTES,
        "rule": DAMAGE,
    }
    yield from (pytest.param(case.build, id=case.name) for case in CASES if not case.options)
    for group, table in tables.items():
        yield from (pytest.param(row[0], id=f"{group}: {name}") for name, row in table.items())


@pytest.mark.parametrize("build", list(built()))
def test_damaged_sources_are_accepted_by_both_or_by_neither(build, tmp_path, capsys):
    (tmp_path / "in.tar").write_bytes(build())
    check(tmp_path / "in.tar", tmp_path)


def stored():
    yield from (pytest.param(path, id=path.name) for path in sorted(MATCH.glob("*.tar.gz")))
    for folder in (READ, REFUSE):
        paths = [path for path in sorted(folder.iterdir()) if path.suffix != ".md"]
        yield from (pytest.param(path, id=f"{folder.name}: {path.name}") for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("path", list(stored()))
def test_archives_of_engines_are_accepted_by_both_or_by_neither(path, tmp_path, capsys):
    check(path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", fixtures.names("images"))
def test_published_archives_are_accepted_by_both_or_by_neither(name, tmp_path, capsys):
    check(fixtures.get(f"images/{name}"), tmp_path)


def test_the_table_names_rules_that_are_errors():
    assert {rule for rule in STRICTER if RULES[rule].severity is not Severity.ERROR} == {"duplicate-member"}
