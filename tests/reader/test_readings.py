"""A source that is read once for several uses."""

from __future__ import annotations

import pytest

from convert.errors import FormatError
from convert.model.image_set import ImageSet, SourceFormat
from convert.reader.readings import Readings
from convert.reader.sink import CollectingSink, Fault, Sink


class Tree:
    where = "a.tar"


EMPTY = ImageSet(entries=(), format=SourceFormat.DOCKER_ARCHIVE)


def test_a_reader_runs_once_for_sinks_that_take_the_same():
    calls = []

    def reader(reading):
        calls.append(reading)
        return EMPTY

    readings = Readings(Tree())
    for sink in (Sink(), CollectingSink(), Sink(accepts_absent=True)):
        assert readings.read(reader, sink) is EMPTY
    assert len(calls) == 1


def test_a_reader_that_fails_runs_once_for_each_kind_of_sink():
    """An index of too many manifests was read anew for each format and set of edits of `--for`."""
    calls = []

    def reader(reading):
        calls.append(reading)
        reading.sink.report(Fault(FormatError("no", code="invalid-json")))
        return EMPTY

    readings = Readings(Tree())
    for _ in range(3):
        with pytest.raises(FormatError, match="no"):
            readings.read(reader, Sink())
        collecting = CollectingSink()
        assert readings.read(reader, collecting) is EMPTY
        assert [fault.error.message for fault in collecting.faults] == ["no"]
    assert len(calls) == 2
