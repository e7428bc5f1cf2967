"""Another user swaps links into the destination's folder while a command runs (see swapping.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.swapping import ATTACKS, COMMANDS

SCRIPT = Path(__file__).parent / "swapping.py"
#: In every run of the suite: each kind of destination, each attack, every n-th call.
QUICK = [
    ("tar new", "temporary", 5),
    ("tar force", "destination", 11),
    ("layout new", "temporary", 11),
    ("layout fill", "folder", 23),
    ("layout force", "destination", 23),
    ("layout append", "blobs", 17),
    ("add-repositories", "destination", 17),
    ("manifest", "destination", 17),
    ("graph", "destination", 17),
]


def swept(tmp_path, command, attack, step=1):
    words = [sys.executable, SCRIPT, command, attack, tmp_path / "swaps", str(step)]
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("command", "attack", "step"), QUICK)
def test_links_that_are_swapped_in_here_and_there_lead_nothing_outside(tmp_path, command, attack, step):
    result = swept(tmp_path, command, attack, step)
    assert result["wrong"] == []
    assert result["runs"]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_links_that_are_swapped_in_at_every_call_lead_nothing_outside(tmp_path, command, attack):
    result = swept(tmp_path, command, attack)
    assert result["wrong"] == []
    assert result["runs"] > 10
