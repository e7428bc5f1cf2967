"""What real receivers do with thin archives is what the newest record states, and so docs/recipes/thin.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import record
import thin_matrix


@pytest.mark.slow
def test_receivers_do_what_the_record_states(tmp_path):
    found = thin_matrix.receivers(tmp_path)
    if not found:
        pytest.skip("no IMGCONV_MATRIX_… names a receiver (tests/peer/matrix.py)")
    recorded = {
        (row["receiver"], row["form"], row["base"]): row["outcome"] for row in record.newest("thin-receivers").rows
    }
    try:
        seen = {(name, form, base): done["outcome"] for name, form, base, done in thin_matrix.run(found)}
    finally:
        thin_matrix.stop(found)
    assert seen.keys() & recorded.keys(), "the record has other versions"
    differing = {key: (recorded[key], each) for key, each in seen.items() if recorded.get(key, each) != each}
    assert differing == {}
