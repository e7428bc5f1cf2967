"""A valid archive with one lie: converted with the right digests, or refused in one line, never anything else."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, given, note, settings

sys.path.insert(0, str(Path(__file__).parent))

from lies import archives
from oracle.judging import judge

#: In every run of the suite; `python tests/fuzz/test_lies.py N` draws N others.
EXAMPLES = 400


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(archive=archives())
def test_an_archive_with_one_lie_is_read_rightly_or_refused(archive):
    """Judged by code that is not ours."""
    note(f"{archive.lie}; to be refused: {archive.refused}")
    judge(archive.data, refused=archive.refused)


if __name__ == "__main__":
    body = test_an_archive_with_one_lie_is_read_rightly_or_refused.hypothesis.inner_test
    many = settings(
        max_examples=int(sys.argv[1]), database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    many(given(archive=archives())(body))()
