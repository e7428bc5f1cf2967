"""Whether the status of a file would show that it was changed afterwards.

A change sets the ctime, which nobody can choose. But the clock of files goes in steps:
within the step in which a file was last changed, it may change again and look the same
(git, Documentation/technical/racy-git.txt).
"""

from __future__ import annotations

import os
import time
from typing import Final

#: CLOCK_REALTIME_COARSE of linux/time.h, by which local file systems tell the time.
_COARSE_CLOCK: Final = 5
#: Of file systems that count in seconds, or in twos.
_WHOLE_SECONDS: Final = 2_000_000_000
_SECOND: Final = 1_000_000_000
_SLOWEST_STEP: Final = 10_000_000


def now(folder: int) -> int:
    """Return the time by which the file system of the open `folder` stamps a change, in nanoseconds; it is set on it.

    Raises:
        OSError: the folder is not ours to touch.
    """
    os.utime(folder)
    return os.stat(folder).st_mtime_ns


def shows_changes(status: os.stat_result, since: int) -> bool:
    """Whether a change would show that came after `since`, a time from `now` that is older than `status`."""
    return status.st_ctime_ns + _step(status) < since


def wait(folder: int, statuses: list[os.stat_result]) -> int:
    """Return the time now; wait for a step of the clock, or two, if later changes to a file would not show yet.

    Raises:
        OSError: the folder is not ours to touch.
    """
    for _ in range(3):
        since = now(folder)
        missing = [_step(status) for status in statuses if not shows_changes(status, since)]
        if not any(step < _WHOLE_SECONDS for step in missing):
            break
        time.sleep(_tick() / _SECOND)
    return since


def _step(status: os.stat_result) -> int:
    return _tick() if status.st_ctime_ns % _SECOND else _WHOLE_SECONDS


def _tick() -> int:
    """Return the length of one step of the clock, in nanoseconds."""
    try:
        return int(time.clock_getres(_COARSE_CLOCK) * _SECOND)
    except OSError:
        return _SLOWEST_STEP
