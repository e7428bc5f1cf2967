"""Go's times: golden readings by Go itself, and what Docker sets on files."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import FormatError
from convert.jsonio.go_time import EPOCH, ZERO, Time

GOLDEN = json.loads((Path(__file__).parents[2] / "testdata/match/gojson.json").read_bytes())["times"]
TAKEN = [case for case in GOLDEN if case["written"] is not None]
REFUSED = [case["text"] for case in GOLDEN if case["written"] is None]


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case["text"])
def test_times_are_read_and_written_as_go_does(case):
    time = Time.parse(case["text"])
    assert (time.text, time.seconds, time.nanoseconds) == (case["written"], case["seconds"], case["nanoseconds"])


@pytest.mark.parametrize("text", REFUSED)
def test_what_go_does_not_take_for_a_time_is_refused(text):
    with pytest.raises(FormatError, match="is not a valid RFC 3339 time"):
        Time.parse(text)


@given(st.datetimes(timezones=st.timezones()))
def test_seconds_agree_with_the_standard_library(when):
    offset = when.utcoffset()
    assert offset is not None
    if offset.seconds % 60 or offset.microseconds:
        # Zones of the nineteenth century have seconds, RFC 3339 has not.
        when = when.replace(tzinfo=dt.UTC)
    time = Time.parse(when.isoformat())
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    since = when - epoch
    assert time.seconds == since.days * 86400 + since.seconds
    assert time.nanoseconds == when.microsecond * 1000


@given(st.datetimes(timezones=st.just(dt.UTC)), st.integers(0, 10**9 - 1))
def test_what_is_written_is_read_as_the_same_instant(when, nanoseconds):
    time = Time.parse(f"{when:%H:%M:%S}".join([f"{when.year:04}-{when:%m-%d}T", f".{nanoseconds:09}Z"]))
    assert time.nanoseconds == nanoseconds
    assert Time.parse(time.text) == time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2020-02-02T02:02:02.999Z", 1580608922),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:59:59+01:00", 0),
        ("1969-12-31T23:59:59.9Z", 0),
        ("1960-02-02T02:02:02Z", 0),
        # The last instant whose nanoseconds fit in 63 bits, and the next one.
        ("2262-04-11T23:47:16.854775807Z", 9223372036),
        ("2262-04-11T23:47:16.854775808Z", 0),
        (ZERO, 0),
        (EPOCH, 0),
    ],
)
def test_files_get_the_epoch_where_docker_cannot_set_the_time(text, seconds):
    assert Time.parse(text).file_seconds == seconds
