"""The rules of `imgconv doctor` against the programs themselves: matrix.py over the archives that the rules name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "consumers"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from cases import CASES, build
from peer import matrix

DRIVERS = matrix.consumers()


@pytest.mark.slow
@pytest.mark.skipif(not DRIVERS, reason="no IMGCONV_MATRIX_… names a consumer (tests/peer/matrix.py)")
@pytest.mark.parametrize("name", DRIVERS or ["none"])
def test_the_rules_state_what_a_consumer_does(name, tmp_path):
    wrong = []
    for case in CASES:
        archive = build(case, tmp_path)
        outcome = DRIVERS[name].load(archive).document()
        wrong += [f"{case}: {text}" for text in matrix.differences(name, archive, outcome)]
    assert wrong == []
