"""The list of layers in a layout: for each profile, DiffID to digest and size of the blob.

It is stored beside the blobs under a name that other tools ignore, so that adding a second
image compresses only layers that the first does not have. The list is a hint, as somebody
else may have written the layout: an image names a listed blob only if it is verified
to unpack to that layer (`dest/existing_layout.py`).

Each entry that this user's imgconv verified is marked with a keyed hash, so that the
next `--append` need not unpack the blob again; the blob itself is still hashed in place.
The marks are not part of the result, which has the same bytes everywhere: they
are an extended attribute of the list. The key is the user's own (`user_key.py`), so a
container, an archive or another user cannot create a mark.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.errors import InputError
from convert.jsonio import strict
from convert.limits import MAX_DOCUMENT_SIZE
from convert.model.digest import Digest
from convert.writer.user_key import user_key

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Beside `blobs/`; image-spec names no file that starts with a dot.
NAME: Final = ".imgconv-layers.json"
#: Extended attribute of that file: the marks, 16 bytes each.
ATTRIBUTE: Final = "user.imgconv.verified"
_VERSION: Final = 1
_MARK_SIZE: Final = 16
#: What fits into an inode of ext4 with its other attributes; the oldest are dropped.
_MAX_MARKS: Final = 240


@dataclass(slots=True)
class LayerCache:
    """Profile name and DiffID to digest and size of the blob, and the marks of verified entries."""

    layers: dict[tuple[str, Digest], tuple[Digest, int]] = field(default_factory=dict)
    #: Oldest first.
    marks: dict[bytes, None] = field(default_factory=dict)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int] | None:
        """Return digest and size of the blob that `profile` gives for a layer, None if it is not listed."""
        return self.layers.get((profile, diff_id))

    def add(self, profile: str, diff_id: Digest, digest: Digest, size: int) -> None:
        """List a blob."""
        self.layers[profile, diff_id] = (digest, size)

    def is_verified(self, profile: str, diff_id: Digest) -> bool:
        """Whether this user's imgconv verified that the blob that is listed unpacks to that layer."""
        mark = self._mark(profile, diff_id)
        return mark is not None and mark in self.marks

    def mark(self, profile: str, diff_id: Digest) -> None:
        """Mark a listed blob: it was verified to unpack to that layer."""
        mark = self._mark(profile, diff_id)
        if mark is not None:
            self.marks.pop(mark, None)
            self.marks[mark] = None

    def _mark(self, profile: str, diff_id: Digest) -> bytes | None:
        listed, key = self.find(profile, diff_id), user_key()
        if listed is None or not key:
            return None
        facts = "\n".join((profile, *map(str, (diff_id, *listed))))
        return hashlib.blake2b(facts.encode(), key=key, digest_size=_MARK_SIZE).digest()

    def attribute(self) -> bytes:
        """Return the marks, the latest last, as many as fit."""
        return b"".join(list(self.marks)[-_MAX_MARKS:])

    def document(self) -> bytes:
        """Return the file: compact and sorted, the same for the same layers."""
        profiles: dict[str, dict[str, Any]] = {}
        for (profile, diff_id), (digest, size) in sorted(self.layers.items()):
            profiles.setdefault(profile, {})[str(diff_id)] = {"digest": str(digest), "size": size}
        return json.dumps({"version": _VERSION, "profiles": profiles}, separators=(",", ":")).encode()


def read(folder: int, layout: str) -> LayerCache:
    """Read the list of a layout; an empty one where the file is absent or was not written by imgconv.

    `folder` is the open layout, `layout` its path. The list only saves work, so a damaged one is ignored.
    """
    try:
        raw, marks = _read(folder)
        found = LayerCache(dict(_entries(strict.parse(raw, where=layout, member=NAME))))
    except (OSError, InputError, TypeError, KeyError, AttributeError):
        return LayerCache()
    for at in range(0, len(marks), _MARK_SIZE):
        found.marks[marks[at : at + _MARK_SIZE]] = None
    return found


def _read(folder: int) -> tuple[bytes, bytes]:
    """Return the list and the marks."""
    fd = os.open(NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(NAME)
        marks = b""
        if hasattr(os, "getxattr"):
            with contextlib.suppress(OSError):  # it has none, or the file system does not support them
                marks = os.getxattr(fd, ATTRIBUTE)
        return file.read(MAX_DOCUMENT_SIZE + 1), marks


def _entries(value: Any) -> Iterator[tuple[tuple[str, Digest], tuple[Digest, int]]]:
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        return
    for profile, layers in value["profiles"].items():
        for diff_id, blob in layers.items():
            if isinstance(blob["size"], int):
                yield (profile, Digest.parse(diff_id)), (Digest.parse(blob["digest"]), blob["size"])
