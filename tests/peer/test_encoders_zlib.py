"""pigz, GNU gzip and busybox against the tools themselves, byte for byte, on inputs made for the purpose.

IMGCONV_BUSYBOX names the busybox of Docker's image. IMGCONV_ENCODER_CASES says how many mutated inputs each tool gets
(default 60, a process each). What was run by hand, and how often, is recorded in bench/records.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from convert.codec import profile as profiles

sys.path.insert(0, str(Path(__file__).parent))
import input_mutation as mutation

CASES = int(os.environ.get("IMGCONV_ENCODER_CASES", "60"))
SEED = int(os.environ.get("IMGCONV_ENCODER_SEED", "1"))
BUSYBOX = os.environ.get("IMGCONV_BUSYBOX")


def first_lines(*command: str) -> str:
    """Return what a program says about its version, "" if it is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


#: Profile, command, what the program says of itself, and what that must match: zlib-ng writes other bytes.
TOOLS = {
    "pigz": (
        "pigz-{level}",
        ("pigz", "-{level}n", "-p2"),
        ("pigz", "-vV"),
        r"pigz 2\.(3\.4|[4-8])\nzlib 1\.(2\.\d+|3|3\.1)\n",
    ),
    "gzip": (
        "gzip-{level}-rsyncable",
        ("gzip", "-{level}nc", "--rsyncable"),
        ("gzip", "--version"),
        r"gzip 1\.([7-9]|1\d)\b",
    ),
    "busybox": ("busybox", (BUSYBOX or "no busybox", "gzip", "-c"), (BUSYBOX or "no busybox",), r"BusyBox v1\.37\.0 "),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_mutated_inputs_give_the_bytes_of_the_tool(tool: str) -> None:
    profile, command, asked, expected = TOOLS[tool]
    if not re.match(expected, first_lines(*asked)):
        pytest.skip(f"no {tool} of a known version is installed, or IMGCONV_BUSYBOX names none")
    chance = random.Random(SEED)
    base = mutation.base()
    for number in range(CASES):
        data = mutation.mutated(base, chance, 18 if number % 20 else 20)
        level = chance.randrange(1, 10)
        with tempfile.TemporaryFile() as file:  # a pipe may deliver less than was asked for
            file.write(data)
            file.seek(0)
            call = [word.format(level=level) for word in command]
            made = subprocess.run(call, stdin=file, capture_output=True, check=True).stdout
        encoder = profiles.get(profile.format(level=level)).encoder()
        assert encoder.write(data) + encoder.finish() == made, (SEED, number, level)
