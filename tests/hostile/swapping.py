"""Runs one command again and again, and each time another user swaps something one system call later.

    python swapping.py COMMAND ATTACK FOLDER [STEP]

The other user can write to the folder of the destination, and into a layout that lies
there. Before the n-th call that opens, looks at, names or writes anything he puts a
symbolic link to a folder outside in the place of the destination, of the temporary
files, of their folder, or of `blobs`. Nothing outside may change. Prints one JSON
document: how many runs there were, and what was wrong after them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from hostile.building import PLAIN, Docker, Layout, config, sha256
from sweep import forked

import convert.cli.convert
import convert.cli.digest
import convert.cli.inspect

# Whatever is imported later would be counted.
import convert.commands.add_repositories
import convert.commands.convert
import convert.commands.digest
import convert.commands.verify_output  # noqa: F401 - as above
from convert.archive import folders, temporary
from convert.cli.main import run

CALLS = ("open", "stat", "lstat", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "listdir", "scandir")
CALLS += ("fsync", "fchmod", "write", "pwrite", "ftruncate", "readlink", "utime", "copy_file_range")
#: Calls that end in a ctypes call, so that wrapping `os` does not meet them.
FOLDER_CALLS = ("rename_new", "exchange", "sync_all")

MOST = 3000
OTHER = PLAIN[:-512]

#: Command -> what lies at the destination before, and the arguments.
COMMANDS = {
    "tar new": (None, ["SOURCE", "--to", "docker-save", "DEST"]),
    "tar force": ("file", ["SOURCE", "--to", "crane", "DEST", "--force"]),
    "tar verified": (None, ["SOURCE", "--to", "docker-oci", "DEST", "--verify-output"]),
    "layout new": (None, ["SOURCE", "--to", "oci", "DEST"]),
    "layout fill": ("empty", ["SOURCE", "--to", "oci", "DEST"]),
    "layout force": ("layout", ["SOURCE", "--to", "oci", "DEST", "--force"]),
    "layout append": ("layout", ["SOURCE", "--to", "oci", "DEST", "--append"]),
    "layout append verified": ("layout", ["SOURCE", "--to", "oci", "DEST", "--append", "--verify-output"]),
    "add-repositories": ("archive", ["--add-repositories", "DEST"]),
    "manifest": ("file", ["digest", "SOURCE", "--as", "docker@go1.26", "--manifest", "DEST"]),
    "graph": ("file", ["inspect", "SOURCE", "--graph", "DEST"]),
}
ATTACKS = ("destination", "temporary", "folder", "blobs")


class Swap:
    """`install` it in a process that is about to run imgconv; it cannot be taken away again."""

    def __init__(self, attack, number, place, dest, outside, *, in_place):
        self.attack, self.number = attack, number
        self.place, self.dest, self.outside = place, dest, outside
        self.count = 0
        # A link that is there before a path is opened leads where the user's path leads: it is
        # followed in the path of a folder, and as the source of a change in place.
        self.opening = str(place if attack == "folder" else dest) if attack == "folder" or in_place else None
        self.counts = self.opening is None
        self.busy = False

    def install(self):
        for module, names in ((os, CALLS), (folders, FOLDER_CALLS)):
            for name in names:
                setattr(module, name, self._wrapped(name, getattr(module, name)))

    def _wrapped(self, name, call):
        def counted(*arguments, **options):
            if self.busy:
                return call(*arguments, **options)
            if self.counts:
                self.count += 1
                if self.count == self.number:
                    self.busy = True
                    try:
                        getattr(self, self.attack)()
                    finally:
                        self.busy = False
            done = call(*arguments, **options)
            if name == "open" and arguments[0] == self.opening:
                self.counts = True
            return done

        return counted

    def _replace(self, path, target):
        if os.path.lexists(path):
            os.rename(path, path.with_name(f"stolen-{path.name}"))
        os.symlink(target, path)

    def destination(self):
        is_folder = self.dest.is_dir()
        self._replace(self.dest, self.outside / ("layout" if is_folder else "victim"))

    def temporary(self):
        for folder in (self.place, self.dest) if self.dest.is_dir() else (self.place,):
            for name in os.listdir(folder):
                if temporary.is_temporary(name):
                    target = "temporary" if (folder / name).is_dir() else "victim"
                    self._replace(folder / name, self.outside / target)

    def folder(self):
        self.place.rename(self.place.with_name("moved"))
        self.place.symlink_to(self.outside)

    def blobs(self):
        if self.dest.is_dir():
            self._replace(self.dest / "blobs", self.outside / "layout" / "blobs")


def build_archive(plain=PLAIN):
    return Docker(config=config(sha256(plain)), layers={"layer.tar": plain}).build()


def snapshot(top):
    """Return everything below a folder: kind, mode, size, time and content."""
    found = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        content = None
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        found[str(path.relative_to(top))] = [status.st_mode, status.st_size, status.st_mtime_ns, content]
    return found


def prepare(folder, before):
    """Lay out the folder of the destination, and what must not change outside."""
    if folder.exists():
        shutil.rmtree(folder)
    place, outside = folder / "place", folder / "outside"
    place.mkdir(parents=True)
    outside.mkdir()
    (folder / "in.tar").write_bytes(build_archive())
    (outside / "victim").write_bytes(build_archive(OTHER))
    (outside / "out.svg").write_bytes(b"another's")
    for path in (outside / "layout", outside / "temporary" / "layout", outside / "out"):
        path.mkdir(parents=True)
        Layout().write(path)
    (outside / "temporary" / temporary.MARK).touch()
    dest = place / "out.svg"
    if before == "file":
        dest.write_bytes(b"old")
    elif before == "archive":
        dest.write_bytes(build_archive(OTHER))
    elif before == "empty":
        dest.mkdir()
    elif before == "layout":
        dest.mkdir()
        Layout(config=config(sha256(OTHER)), layer=OTHER).write(dest)
    return place, dest, outside


def sweep(command, attack, folder, step):
    before, words = COMMANDS[command]
    wrong, runs = [], 0
    for number in range(1, MOST, step):
        place, dest, outside = prepare(folder, before)
        names = {"SOURCE": str(folder / "in.tar"), "DEST": str(dest)}
        arguments = [names.get(word, word) for word in words]
        if words[0] not in {"digest", "inspect"}:
            arguments += ["--jobs", "1", "-q"]
        kept = snapshot(outside)
        swap = Swap(attack, number, place, dest, outside, in_place=before == "archive")

        def attacked(swap=swap, arguments=arguments):
            swap.install()
            code = run(arguments)
            sys.stdout.write(f"\ncalls {swap.count}\n")
            return code

        status, printed = forked(attacked)
        calls = [int(line.split()[1]) for line in printed.splitlines() if line.startswith("calls ")]
        if not calls or calls[0] < number:
            if not calls:
                wrong.append(f"{number}: status {status}: {printed[-500:]}")
            break
        runs += 1
        if snapshot(outside) != kept:
            after = snapshot(outside)
            wrong.append(
                f"{number}: changed outside: {[name for name in after | kept if after.get(name) != kept.get(name)]}"
            )
        errors = [line for line in printed.splitlines() if line.startswith("imgconv: ")]
        if status not in {0, 2, 3, 4} or "Traceback" in printed or (status and len(errors) != 1):
            wrong.append(f"{number}: status {status}: {printed[-500:]}")
    return {"runs": runs, "wrong": wrong}


def main():
    command, attack, folder, *step = sys.argv[1:]
    sys.stdout.write(json.dumps(sweep(command, attack, Path(folder), int(step[0]) if step else 1)))


if __name__ == "__main__":
    main()
