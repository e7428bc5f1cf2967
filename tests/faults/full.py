"""A disk that is full after so many bytes: one conversion for each number of them.

    python full.py limit FORM BEFORE SOURCE FOLDER [STEP]

lets no file grow over 0, STEP, 2 STEP … bytes (RLIMIT_FSIZE, as a quota does: EFBIG);

    python full.py tmpfs FORM BEFORE SOURCE FOLDER

mounts a file system at FOLDER in which 0, 1, 2 … pages are free, then one in which 0, 1, 2 …
inodes are (Linux, root: ENOSPC as the kernel itself says it). Both go on until the command
succeeds, and print what sweep.py prints.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sweep import Sweep, forked

#: Status of a run for which there was no room, and of one for which there was.
FULL, DONE = 4, 0
#: What a file system has one more of.
UNITS = {"size": os.sysconf("SC_PAGE_SIZE"), "nr_inodes": 1}


class FullDisk(Sweep):
    """A sweep whose fault is the room that there is."""

    def __init__(self, form, before, source, folder):
        super().__init__("full", form, before, source, folder)
        self.statuses = {}

    def go_limited(self, step):
        self.prepare()
        old = self.state()
        assert self.run() == DONE
        new = self.state()
        size = 0
        while self.statuses.get(DONE, 0) < 2:
            self.prepare()

            def limited(size=size):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                return self.run()

            self.judge(size, limited, old, new)
            size += step

    def go_mounted(self):
        self.folder.mkdir(exist_ok=True)
        self.prepare()
        old = self.state()
        assert self.run() == DONE
        new = self.state()
        for option in ("size", "nr_inodes"):
            self.statuses.pop(DONE, None)
            number = -1
            while DONE not in self.statuses:
                number += 1
                self.mount("rw")
                try:
                    self.prepare()
                    size = self.used(option) + number * UNITS[option]
                    if not size:
                        continue  # that would be a file system without a limit
                    self.mount(f"remount,{option}={size}")
                    self.judge(f"{option} {number}", self.run, old, new)
                finally:
                    subprocess.run(["umount", str(self.folder)], check=True)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], check=True)

    def used(self, option):
        """Return the bytes or inodes that what was prepared takes."""
        there = os.statvfs(self.folder)
        if option == "size":
            return (there.f_blocks - there.f_bfree) * there.f_frsize
        return there.f_files - there.f_ffree

    def again(self, number, new, found):
        """Nothing: a full file system is still full."""

    def judge(self, number, action, old, new):
        status, printed = forked(action)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.faults += status == FULL
        self.check(number, status, printed, old, new)


def main():
    kind, form, before, source, folder, *step = sys.argv[1:]
    full = FullDisk(form, before, source, folder)
    if kind == "tmpfs":
        full.go_mounted()
    else:
        full.go_limited(int(step[0]) if step else 1)
    sys.stdout.write(json.dumps({"faults": full.faults, "wrong": full.wrong}))


if __name__ == "__main__":
    main()
