"""Runs of imgconv in a process of their own, with limits and a look at what they cost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import NamedTuple

from support import COMMAND

MIB = 1 << 20
#: Seconds of a processor, and bytes resident. Most need a tenth.
MOST_TIME = 20
MOST_MEMORY = 300 * MIB
#: Of what a run prints, this much is looked at: documents of many megabytes stay in a file.
_SHOWN = 64 << 10

# A process of its own sets the bounds and looks at the memory: the peak that the
# kernel reports for a child counts what its parent held when it was made, and a
# worker of the suite holds more than a run of imgconv may.
_LAUNCH = f"""
import os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_TIME}, {MOST_TIME + 1}))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))
process = subprocess.Popen(sys.argv[2:], stderr=subprocess.STDOUT)
_, status, used = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{{os.waitstatus_to_exitcode(status)}} {{used.ru_maxrss}} {{used.ru_utime + used.ru_stime}}")
"""


class Run(NamedTuple):
    """What came of a run: its exit status, the end of what it printed, its peak bytes and its processor seconds."""

    status: int
    text: str
    peak: int
    seconds: float


def run_bounded(words):
    """Run a command of imgconv within the bounds."""
    with tempfile.NamedTemporaryFile("r") as told, tempfile.TemporaryFile() as printed:
        launch = [sys.executable, "-P", "-c", _LAUNCH, told.name, *COMMAND, *map(str, words)]
        subprocess.run(launch, stdout=printed, check=True)
        size = printed.seek(0, 2)
        printed.seek(max(0, size - _SHOWN))
        text = printed.read().decode(errors="replace")
        status, peak, seconds = told.read().split()
    return Run(int(status), text, int(peak) * (1 if sys.platform == "darwin" else 1024), float(seconds))
