"""`convert` and `validate` accept the same sources, but for the rules that STRICTER lists."""

from __future__ import annotations

import fixtures
import pytest
from commands.test_validate import (
    BOTH_DAMAGE,
    DOCKER_DAMAGE,
    LAYOUT_DAMAGE,
    LAYOUT_NOTES,
    LEGACY_DAMAGE,
    NOTES,
    both,
    docker,
    folder,
    legacy,
)
from commands.test_validate_layers import docker_of, layout_of
from commands.test_validate_rules import DAMAGE
from hostile.test_hostile import CASES
from layer_tars import BROKEN
from support import MATCH, READ, REFUSE

from convert.cli.main import run
from convert.commands.validate import RULES, Severity, validate

HOSTILE = {case.name: case.build for case in CASES}
#: Sources that take half a second each.
LARGE = {"10,001 layers", "a million objects", "a million values", "a million manifests"}


def no_json(archive):
    archive.files[f"{folder(archive.layers[0])}/json"] = b"{"


#: Rules of severity error whose breach does not stop a conversion, why, and a source that needs the exception.
STRICTER = {
    "duplicate-member": ("two members of one name that no image needs", HOSTILE["two others of one name"]),
    "history-too-long": ("dockerd refuses it, the layout is sound", DOCKER_DAMAGE["a step too many"][0]),
    "index-manifest": (
        "tools that read one of the lists see another image; imgconv warns of names",
        lambda: both(BOTH_DAMAGE["a name more"]),
    ),
    "inline-only": ("imgconv reads content in `data`, other tools do not", DAMAGE["a config only inline"][0]),
    "json": ("v1 metadata that no image needs", docker(no_json)),
    "digest": (
        "blobs that no document names, and those that no image needs",
        LAYOUT_DAMAGE["a stray blob that is not its name"][0],
    ),
    "layer-count": ("an OCI config without DiffIDs is carried as an artifact", DAMAGE["no rootfs"][0]),
    "layer-tar": ("layers are copied and never unpacked", lambda: layout_of(BROKEN["text"])),
    "repo-tag": ("imgconv drops an invalid name with a warning", HOSTILE["a name in upper case"]),
    "run-config": ("configs are copied with their bytes", DAMAGE["Cmd a string"][0]),
    "schema": ("fields that imgconv does not read", HOSTILE["an empty name"]),
    "v1-id": ("v1 IDs are computed again, never taken from the source", DOCKER_DAMAGE["another config"][0]),
}


def accepts(source, out):
    """Convert with every layer verified; return whether that succeeds, None where the request itself does not fit."""
    status = run([str(source), "--to", "oci", str(out), "--jobs", "1", "--verify", "full"])
    return None if status == 2 else status == 0


def errors_of(verdict):
    return {found.rule for found in verdict.findings if found.severity is Severity.ERROR}


def check(source, tmp_path):
    accepted = accepts(source, tmp_path / "out")
    verdict = validate(str(source))
    errors = errors_of(verdict)
    if accepted is False and not errors and any(found.rule == "left-out" for found in verdict.findings):
        return  # a thin archive is valid, and a conversion needs --with
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
    for case in CASES:
        if not case.options:
            yield pytest.param(case.build, id=case.name, marks=[pytest.mark.slow] if case.name in LARGE else [])
    for group, table in tables.items():
        yield from (pytest.param(row[0], id=f"{group}: {name}") for name, row in table.items())
    for name, change in BOTH_DAMAGE.items():
        yield pytest.param(lambda change=change: both(change), id=f"both: {name}")
    for name, (change, _) in LEGACY_DAMAGE.items():
        yield pytest.param(lambda change=change: legacy(change), id=f"legacy: {name}")
    for name, raw in BROKEN.items():
        yield pytest.param(lambda raw=raw: layout_of(raw), id=f"layer of a layout: {name}")
        yield pytest.param(lambda raw=raw: docker_of(raw), id=f"layer of docker save: {name}")


@pytest.mark.parametrize("build", list(built()))
def test_damaged_sources_are_accepted_by_both_or_by_neither(build, tmp_path, capsys):
    (tmp_path / "in.tar").write_bytes(build())
    check(tmp_path / "in.tar", tmp_path)


def stored():
    yield from (pytest.param(path, id=path.name) for path in sorted(MATCH.glob("*.tar.gz")))
    for group in (READ, REFUSE):
        paths = [path for path in sorted(group.iterdir()) if path.suffix != ".md"]
        yield from (pytest.param(path, id=f"{group.name}: {path.name}") for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("path", list(stored()))
def test_archives_of_engines_are_accepted_by_both_or_by_neither(path, tmp_path, capsys):
    check(path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", fixtures.names("images"))
def test_published_archives_are_accepted_by_both_or_by_neither(name, tmp_path, capsys):
    check(fixtures.get(f"images/{name}"), tmp_path)


@pytest.mark.parametrize("rule", STRICTER)
def test_every_exception_is_needed(rule, tmp_path, capsys):
    (tmp_path / "in.tar").write_bytes(STRICTER[rule][1]())
    assert accepts(tmp_path / "in.tar", tmp_path / "out")
    assert rule in errors_of(validate(str(tmp_path / "in.tar")))


def test_the_table_names_rules_that_are_errors():
    assert {rule for rule in STRICTER if RULES[rule].severity is not Severity.ERROR} == {"duplicate-member"}
