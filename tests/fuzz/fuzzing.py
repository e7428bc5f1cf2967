"""What all targets share: what may come of an input, and running under atheris.

A target is `one(data)`: the input is accepted or raises `InputError`; anything
else is a finding. As a script it fuzzes with coverage (pip install atheris):

    python tests/fuzz/references.py -max_total_time=600 CORPUS testdata/fuzz/references

CORPUS receives what is new; testdata/fuzz/<target> holds the seeds that plain
pytest replays (tests/fuzz/test_seeds.py). tests/fuzz/long.py runs them all.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "testdata" / "fuzz"
#: Seconds of a processor for one input. Not of a clock: a machine that does other work is not a finding.
MOST_TIME = 5.0


def fuzz(one, *modules):
    """Run `one` under atheris, which traces `modules`; does not return."""
    import atheris

    def traced(data):
        begin = time.process_time()
        one(data)
        assert time.process_time() - begin < MOST_TIME

    # Instrumented after import, so that the targets stay plain modules for pytest.
    for module in modules:
        for name in dir(module):
            part = getattr(module, name)
            if callable(part) and getattr(part, "__module__", None) == module.__name__ and hasattr(part, "__code__"):
                setattr(module, name, atheris.instrument_func(part))
            elif isinstance(part, type) and part.__module__ == module.__name__:
                for method, body in list(vars(part).items()):
                    if hasattr(body, "__code__"):
                        setattr(part, method, atheris.instrument_func(body))
    atheris.Setup(sys.argv, traced)
    atheris.Fuzz()


def one_line(error):
    """Check that an error can be shown: one line, nothing that a terminal obeys."""
    assert str(error).isprintable()


def in_memory(data):
    """Return a descriptor of a file with these bytes."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("fuzz")
        os.write(fd, data)
        return fd
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


def stream(data):
    return io.BytesIO(data)
