"""The commands that pages and tables give against findings: run on archives with these findings."""

import gzip
import re
import shlex
from collections import Counter

import pytest
from commands import test_validate as sound
from commands import test_validate_rules as rules
from commands.test_validate_layers import layout_of
from layer_tars import ONE

from convert.cli.main import run
from convert.commands.validate import RULES, validate
from convert.consumers.rule import Repair
from convert.report.helps import FOR_FINDING, FOR_REPAIR, help_for

#: Archives with findings, from the tests of `validate`.
ARCHIVES = {
    **{f"docker-save: {name}": make for name, (make, _) in sound.DOCKER_DAMAGE.items()},
    **{f"notes of docker-save: {name}": entry[0] for name, entry in sound.NOTES.items()},
    **{f"layout: {name}": make for name, (make, _) in sound.LAYOUT_DAMAGE.items()},
    **{f"notes of layouts: {name}": entry[0] for name, entry in sound.LAYOUT_NOTES.items()},
    **{f"rules: {name}": make for name, (make, *_) in rules.DAMAGE.items()},
    **{f"both: {name}": lambda change=change: sound.both(change) for name, change in sound.BOTH_DAMAGE.items()},
    **{f"legacy: {name}": lambda each=each: sound.legacy(each[0]) for name, each in sound.LEGACY_DAMAGE.items()},
}
ARCHIVES["something behind a layer"] = lambda: layout_of(ONE, stored=gzip.compress(ONE, mtime=0) + b"junk")
ARCHIVES["the mark of a thin archive"] = sound.docker(lambda a: a.files.update({".imgconv-needs.json": b"{}"}))
#: What stands for something that only a person knows.
PLACEHOLDER = re.compile(r"\b(?:NAME|OLD|NEW|OS/ARCH)\b")


def rules_of(path):
    return {found.rule for found in validate(str(path)).findings}


def test_every_rule_has_its_help():
    assert set(FOR_FINDING) == set(RULES)
    assert set(FOR_REPAIR) == set(Repair)


def test_commands_have_the_tag_that_the_text_names():
    for rule, helps in FOR_FINDING.items():
        assert ("--tag" in helps.text) == ("--tag" in helps.command), rule


@pytest.mark.parametrize(
    ("rule", "stops", "offered"),
    [
        ("repo-tag", {"repo-tag"}, True),
        ("repo-tag", {"diff-id", "repo-tag"}, False),
        ("missing", {"missing"}, True),
        ("absent-child", {"missing"}, True),
        ("missing", {"missing", "digest"}, False),
        ("unreferenced", {"schema"}, False),
    ],
)
def test_no_conversion_is_offered_that_another_error_stops(rule, stops, offered):
    text, command = help_for(rule, "x.tar", frozenset(stops))
    assert bool(command) == offered
    assert ("First mend" in text) != offered


@pytest.mark.slow
def test_commands_remove_the_finding(tmp_path, monkeypatch, capsys):
    """For each rule with a command there is a conversion that succeeds and gives an archive without the finding."""
    monkeypatch.chdir(tmp_path)
    tried, helped = Counter(), Counter()
    for make in ARCHIVES.values():
        (tmp_path / "x.tar").write_bytes(make())
        for rule in sorted(rules_of("x.tar")):
            command = FOR_FINDING[rule].line("x.tar")
            if not command or PLACEHOLDER.search(command):
                continue
            tried[rule] += 1
            (tmp_path / "DEST.tar").unlink(missing_ok=True)
            if run(shlex.split(command)[1:]) == 0:
                helped[rule] += rule not in rules_of("DEST.tar")
    capsys.readouterr()
    assert set(helped) == set(tried)
    assert all(helped.values()), helped
    expected = {rule for rule, each in FOR_FINDING.items() if each.command and not PLACEHOLDER.search(each.command)}
    assert expected == set(tried)
