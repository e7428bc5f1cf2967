"""Runs of imgconv in a process of their own, with limits and a look at what they cost."""

from __future__ import annotations

import signal
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
#: Seconds after which the system ends a run. It counts ticks of its clock, which on a busy machine are more than
#: the time that the run had a processor for.
_END_TIME = MOST_TIME + 6
#: `PR_SET_CHILD_SUBREAPER` of prctl(2).
_SET_CHILD_SUBREAPER = 36

# A process of its own sets the bounds and looks at the memory: the peak that the
# kernel reports for a child counts what its parent held when it was made, and a
# worker of the suite holds more than a run of imgconv may. On Linux it inherits the
# processes that outlive the run, so that the workers of a batch count too.
_LAUNCH = f"""
import ctypes, os, resource, subprocess, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl({_SET_CHILD_SUBREAPER}, 1, 0, 0, 0)
resource.setrlimit(resource.RLIMIT_CPU, ({_END_TIME}, {_END_TIME + 1}))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))
process = subprocess.Popen(sys.argv[2:], stderr=subprocess.STDOUT)
_, status = os.waitpid(process.pid, 0)
try:
    while True:
        os.wait()
except ChildProcessError:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    file.write(f"{{os.waitstatus_to_exitcode(status)}} {{used.ru_maxrss}} {{used.ru_utime + used.ru_stime}}")
"""


class Run(NamedTuple):
    """What came of a run: its exit status, the end of what it printed, its peak bytes and its processor seconds.

    The status is that of SIGXCPU for a run that took more than `MOST_TIME`.
    """

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
    if float(seconds) > MOST_TIME:
        status = -signal.SIGXCPU
    return Run(int(status), text, int(peak) * (1 if sys.platform == "darwin" else 1024), float(seconds))
