"""Layers that a layout already holds: DiffID to digest, for each profile.

Written beside the blobs where other tools do not look, so that adding a second
image compresses only what the first did not have. The list is a hint, as a layout
may be a stranger's: each blob is proved to be that layer before an image names it.

What was proved is remembered as git's index does it, by what the file system says of
the blob (docs/trust.md, "Proved once"). The marks that say so are no part of the result,
which has the same bytes everywhere: they are an extended attribute of the list.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from convert import documents
from convert.digest import Digest
from convert.errors import InputError
from convert.limits import MAX_DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Beside `blobs/`; image-spec names no file that starts with a dot.
NAME: Final = ".imgconv-layers.json"
#: Of that file: what was proved here, in marks of 16 bytes.
ATTRIBUTE: Final = "user.imgconv.proved"
_VERSION: Final = 1
_MARK_SIZE: Final = 16
#: As many as ext4 takes with what else an inode has; the oldest are forgotten.
_MOST_MARKS: Final = 240
#: Random, new whenever the machine starts, and told to nobody outside (random(4)).
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


@dataclass(slots=True)
class KnownLayers:
    """What is known: profile name and DiffID to digest and size of the blob."""

    layers: dict[tuple[str, Digest], tuple[Digest, int]] = field(default_factory=dict)
    #: Oldest first.
    marks: dict[bytes, None] = field(default_factory=dict)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int] | None:
        """Return digest and size of what `profile` makes of a layer."""
        return self.layers.get((profile, diff_id))

    def add(self, profile: str, diff_id: Digest, digest: Digest, size: int) -> None:
        """Remember what was made in this run."""
        self.layers[profile, diff_id] = (digest, size)

    def is_proved(self, profile: str, diff_id: Digest, status: os.stat_result) -> bool:
        """Whether the blob that is listed was proved to be that layer, here, and is untouched since.

        `status` is the blob's, as it lies now.
        """
        mark = self._mark(profile, diff_id, status)
        return mark is not None and mark in self.marks and status.st_uid == os.geteuid()

    def prove(self, profile: str, diff_id: Digest, status: os.stat_result) -> None:
        """Remember that the blob that is listed is that layer; `status` is from before that was proved.

        It must be one in which any change since would show (`archive/settled.py`).
        """
        mark = self._mark(profile, diff_id, status)
        if mark is not None:
            self.marks.pop(mark, None)
            self.marks[mark] = None

    def _mark(self, profile: str, diff_id: Digest, status: os.stat_result) -> bytes | None:
        listed, key = self.find(profile, diff_id), _key()
        if listed is None or not key:
            return None
        times = (status.st_ctime_ns, status.st_mtime_ns)
        facts = (profile, *map(str, (diff_id, listed[0], status.st_dev, status.st_ino, status.st_size, *times)))
        return hashlib.blake2b("\n".join(facts).encode(), key=key, digest_size=_MARK_SIZE).digest()

    def attribute(self) -> bytes:
        """Return the marks, the latest last, as many as fit."""
        return b"".join(list(self.marks)[-_MOST_MARKS:])

    def document(self) -> bytes:
        """Return the file: compact and sorted, the same for the same layers."""
        profiles: dict[str, dict[str, Any]] = {}
        for (profile, diff_id), (digest, size) in sorted(self.layers.items()):
            profiles.setdefault(profile, {})[str(diff_id)] = {"digest": str(digest), "size": size}
        return json.dumps({"version": _VERSION, "profiles": profiles}, separators=(",", ":")).encode()


def read(folder: int, layout: str) -> KnownLayers:
    """Read what a layout knows; nothing where the file is absent or not ours.

    `folder` is the open layout, `layout` its path. The file only saves work: damage to it is no reason to stop.
    """
    try:
        raw, marks = _read(folder)
        found = KnownLayers(dict(_entries(documents.parse(raw, where=layout, member=NAME))))
    except (OSError, InputError, TypeError, KeyError, AttributeError):
        return KnownLayers()
    for at in range(0, len(marks), _MARK_SIZE):
        found.marks[marks[at : at + _MARK_SIZE]] = None
    return found


def _read(folder: int) -> tuple[bytes, bytes]:
    """Return the list and, where it is this user's own file, its attribute."""
    fd = os.open(NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(NAME)
        marks = b""
        if status.st_uid == os.geteuid() and hasattr(os, "getxattr"):
            with contextlib.suppress(OSError):  # there is none, or the file system has no such thing
                marks = os.getxattr(fd, ATTRIBUTE)
        return file.read(MAX_DOCUMENT_SIZE + 1), marks


def _entries(value: Any) -> Iterator[tuple[tuple[str, Digest], tuple[Digest, int]]]:
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        return
    for profile, layers in value["profiles"].items():
        for diff_id, blob in layers.items():
            if isinstance(blob["size"], int):
                yield (profile, Digest.parse(diff_id)), (Digest.parse(blob["digest"]), blob["size"])


@cache
def _key() -> bytes:
    """Return what a mark cannot be made without; nothing where the system has no such secret.

    So a file system from elsewhere, whose maker chose every number in it, brings no
    mark that is believed, nor does one from before the machine's last start.
    """
    try:
        with open(_BOOT_ID, "rb") as file:
            return file.read(64).strip()
    except OSError:
        return b""
