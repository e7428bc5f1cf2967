"""Diagnostics are values: `copy` and `pickle` keep them, so results pass between processes."""

import copy
import pickle

import pytest
from layer_tars import member

from convert import diagnostics
from convert.commands.validate import validate
from convert.diagnostics import Diagnostic, Diagnostics, Dropped

LINES = {
    "a warning": Diagnostic("a.tar: is odd", code="layout-version-missing", member="oci-layout"),
    "something dropped": Dropped("2 names dropped", what="name", of="a:1", number=2),
}


def parts(line):
    return type(line), str(line), line.code, line.data, line.entry()


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
@pytest.mark.parametrize("case", LINES)
def test_a_copy_of_a_line_has_its_code_and_data(case, again):
    assert parts(again(LINES[case])) == parts(LINES[case])


def test_a_copied_list_still_keeps_each_line_once_and_has_an_end(monkeypatch):
    monkeypatch.setattr(diagnostics, "MAX_WARNINGS", 3)
    lines = Diagnostics(Diagnostic(str(number), code="odd") for number in range(9))
    again = pickle.loads(pickle.dumps(lines))
    assert list(map(parts, again)) == list(map(parts, lines))
    again.append(Diagnostic("0", code="odd"))
    again.append(Diagnostic("more", code="odd"))
    assert len(again) == len(lines) == 4


def test_a_verdict_passes_between_processes(tmp_path):
    (tmp_path / "in.tar").write_bytes(member("index.json", b'{"schemaVersion": 2, "manifests": []}'))
    verdict = validate(str(tmp_path / "in.tar"))
    # The archive has no end, which the reader of tars reports as a diagnostic.
    assert "tar" in {found.rule for found in verdict.findings}
    assert pickle.loads(pickle.dumps(verdict)) == verdict
