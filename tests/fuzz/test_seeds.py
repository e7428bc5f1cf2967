"""What fuzzing found, and its seeds, replayed without a fuzzer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SEEDS = HERE.parents[1] / "testdata" / "fuzz"
TARGETS = ["tar_index", "references", "json_documents", "v1_metadata", "image_documents", "archives"]


def target(name):
    sys.path.insert(0, str(HERE))
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted_or_refused(name):
    """`one` raises on anything else than acceptance or an `InputError`."""
    seeds = sorted((SEEDS / name).iterdir())
    assert seeds
    module = target(name)
    for seed in seeds:
        module.one(seed.read_bytes())


def test_a_thousand_mutations_of_real_archives_are_read_rightly_or_refused():
    """The same mutations each time; tests/fuzz/archives.py makes others."""
    module = target("archives")
    archives = module.sources()
    for seed in range(1000):
        name, data = module.made(seed, archives)
        try:
            module.one(data)
        except Exception as error:
            raise AssertionError(f"seed {seed} of {name}") from error
