"""Check that a folder that `--force` replaces is an image layout, or a `dir:` folder, and holds nothing else."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from convert.archive import folders, temporary
from convert.errors import DestinationExistsError, InputError
from convert.jsonio import strict
from convert.limits import MAX_DOCUMENT_SIZE
from convert.model import dir_names
from convert.writer.dest.folder_kind import LAYOUT

if TYPE_CHECKING:
    from convert.writer.dest.folder_kind import FolderKind

#: What tools put at the top of a layout: image-spec's own, umoci's and containers/image's,
#: and what imgconv writes beside them.
_FILES: Final = frozenset(
    {"oci-layout", "index.json", "index.json.lock", "manifest.json", "repositories", ".imgconv-layers.json"}
)
_BLOBS: Final = "blobs"
#: The grammar of image-spec, descriptor.md, "Digests".
_ALGORITHM: Final = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*\Z")
_ENCODED: Final = re.compile(r"[a-zA-Z0-9=_-]{22,}\Z")  # 22 characters of base64 are 128 bits
#: The algorithms that the specification registers, with the only form it allows for each.
_REGISTERED: Final = {
    "sha256": re.compile(r"[a-f0-9]{64}\Z"),
    "sha512": re.compile(r"[a-f0-9]{128}\Z"),
    "blake3": re.compile(r"[a-f0-9]{64}\Z"),
}
#: The folder of umoci and containerd for incomplete blobs; only an empty one may be replaced.
_INGEST: Final = "ingest"


def check_replaceable(folder: int, destination: str, kind: FolderKind) -> None:
    """Check that an open folder is one of this kind and holds nothing else.

    Raises:
        DestinationExistsError: it is not.
        OSError: it cannot be read.
    """
    for name in sorted(os.listdir(folder)):
        fault = _fault(folder, name) if kind is LAYOUT else _fault_in_dir(folder, name)
        if fault:
            raise DestinationExistsError(
                f"the destination holds {fault}, so it is more than {kind.noun} and is not replaced",
                code="destination-not-layout",
                file=destination,
                hint="remove it yourself, or choose another DEST",
            )
    for name in (kind.first, kind.last):
        if not (_is_version(folder) if name == dir_names.VERSION else _is_object(folder, name)):
            raise DestinationExistsError(
                f"the destination is not {kind.noun}: {name} is missing or damaged",
                code="destination-not-layout",
                file=destination,
            )


def _fault(folder: int, name: str) -> str:
    """Return why an entry does not belong into a layout, "" if it does."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if name in _FILES:
        return "" if stat.S_ISREG(mode) else f"{name}, which is not a regular file"
    if name == _BLOBS:
        return _fault_in_blobs(folder) if stat.S_ISDIR(mode) else f"{name}, which is not a folder"
    if name == _INGEST and stat.S_ISDIR(mode):
        below = folders.open_folder(folder, name)
        try:
            return f"{name}, which is not empty" if os.listdir(below) else ""
        finally:
            os.close(below)
    return name


def _fault_in_dir(folder: int, name: str) -> str:
    """Return why an entry does not belong into a `dir:` folder, "" if it does."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return f"{name}, which is not a regular file"
    forms = (dir_names.BLOB, dir_names.CHILD, dir_names.SIGNATURE)
    known = name in {dir_names.VERSION, dir_names.MANIFEST} or any(form.match(name) for form in forms)
    return "" if known else name


def _fault_in_blobs(folder: int) -> str:
    """Return why an entry below `blobs` is not a blob, "" if all are."""
    blobs = folders.open_folder(folder, _BLOBS)
    try:
        for algorithm in sorted(os.listdir(blobs)):
            where = f"{_BLOBS}/{algorithm}"
            status = os.stat(algorithm, dir_fd=blobs, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode) or _ALGORITHM.match(algorithm) is None:
                return f"{where}, which is not a folder of blobs"
            below = folders.open_folder(blobs, algorithm)
            try:
                form = _REGISTERED.get(algorithm, _ENCODED)
                with os.scandir(below) as entries:
                    wrong = [entry.name for entry in entries if not _is_blob(entry, form)]
            finally:
                os.close(below)
            if wrong:
                return f"{where}/{min(wrong)}, which is not a blob"
    finally:
        os.close(blobs)
    return ""


def _is_blob(entry: os.DirEntry[str], form: re.Pattern[str]) -> bool:
    named = form.match(entry.name) is not None or temporary.is_temporary(entry.name)
    return named and entry.is_file(follow_symlinks=False)


def _is_object(folder: int, name: str) -> bool:
    """Whether a file in a folder is a JSON object.

    Raises:
        OSError: it is there and cannot be read.
    """
    raw = _content(folder, name)
    try:
        value = strict.parse(raw, where="", member=name) if raw is not None else None
    except InputError:
        return False
    return isinstance(value, dict)


def _is_version(folder: int) -> bool:
    raw = _content(folder, dir_names.VERSION)
    return raw is not None and dir_names.VERSION_TEXT.fullmatch(raw) is not None


def _content(folder: int, name: str) -> bytes | None:
    """Return the bytes of a document, None if it is not there."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read(MAX_DOCUMENT_SIZE + 1)
