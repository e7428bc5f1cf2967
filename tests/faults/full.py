"""A disk that is full after so many bytes: one conversion for each number of them.

    python full.py limit FORM BEFORE SOURCE FOLDER [STEP]

lets no file grow over 0, STEP, 2 STEP … bytes (RLIMIT_FSIZE, as a quota does: EFBIG);

    python full.py tmpfs FORM BEFORE SOURCE FOLDER

mounts a file system of 1, 2, 3 … pages, then one of 1, 2, 3 … inodes, at FOLDER
(Linux, root: ENOSPC as the kernel itself says it). Both go on until the conversion
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
        assert self.run() == DONE
        new = self.state()
        for option, unit in (("size", os.sysconf("SC_PAGE_SIZE")), ("nr_inodes", 1)):
            self.statuses.pop(DONE, None)
            number = 0
            while DONE not in self.statuses:
                number += 1
                mount = ["mount", "-t", "tmpfs", "-o", f"{option}={number * unit}", "tmpfs", str(self.folder)]
                subprocess.run(mount, check=True)
                try:
                    self.judge(f"{option} {number}", self.run, None, new)
                finally:
                    subprocess.run(["umount", str(self.folder)], check=True)

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
