"""What a sink does with warnings and faults decides how far a source is read."""

from __future__ import annotations

import pytest
from hostile import cases_docker, cases_keys

from convert.archive.open import open_source
from convert.errors import FormatError, InputError, UnsafeInputError
from convert.limits import MAX_PROBLEMS
from convert.reader.detect import read
from convert.reader.sink import CollectingSink, Fault, Part, Sink


def fault(error):
    return Fault(error, Part())


def test_a_sink_raises_the_first_fault():
    error = FormatError("x")
    with pytest.raises(FormatError) as caught:
        Sink().report(fault(error))
    assert caught.value is error


def test_a_collecting_sink_keeps_faults_without_their_frames():
    sink = CollectingSink()
    try:
        raise FormatError("x")
    except FormatError as error:
        sink.report(fault(error))
    assert [type(one.error) for one in sink.faults] == [FormatError]
    assert sink.faults[0].error.__traceback__ is None


def test_hostile_faults_concern_the_whole_source():
    sink = CollectingSink()
    sink.report(fault(UnsafeInputError("x")))
    assert sink.faults[0].part is None


def test_collecting_has_an_end():
    sink = CollectingSink()
    for _ in range(MAX_PROBLEMS + 1):
        sink.report(fault(FormatError("x")))
    with pytest.raises(UnsafeInputError):
        sink.report(fault(FormatError("x")))
    assert len(sink.faults) == MAX_PROBLEMS + 1


def test_a_warning_is_kept_once():
    sink = Sink()
    for _ in range(2):
        sink.warn("x")
    assert sink.warnings == ["x"]


@pytest.mark.parametrize("case", [*cases_docker.CASES, *cases_keys.CASES], ids=lambda case: case.name)
def test_the_first_fault_that_is_collected_is_the_one_that_is_raised(case, tmp_path):
    (tmp_path / "x.tar").write_bytes(case.build())
    raised, collected = None, CollectingSink()
    with open_source(str(tmp_path / "x.tar")) as opened:
        try:
            read(opened.tree)
        except InputError as error:
            raised = error
        try:
            read(opened.tree, sink=collected)
        except InputError as error:
            collected.faults.append(Fault(error))
    first = collected.faults[0].error if collected.faults else None
    assert (type(first), str(first)) == (type(raised), str(raised))
