"""The lock that CI installs by hash holds all that pyproject.toml asks for, in versions that it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [Requirement(text) for text in (*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["docs"])]
LOCK = (ROOT / ".ci" / "requirements.lock").read_text()
PINNED = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", LOCK, re.MULTILINE))


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_is_asked_for_is_pinned_in_a_version_that_fits(asked):
    assert asked.specifier.contains(PINNED[canonicalize_name(asked.name)])


def test_each_pin_has_hashes():
    """One without would let pip take whatever the index gives."""
    parts = re.split(r"\n(?=[A-Za-z0-9])", LOCK)
    pinned = [part for part in parts if "==" in part.partition("\n")[0] and not part.startswith("#")]
    assert len(pinned) == len(PINNED)
    assert all("--hash=sha256:" in part for part in pinned)
    assert "://" not in "".join(line for line in LOCK.splitlines() if not line.lstrip().startswith("#"))
