"""Recognise files that are not tar archives by their first bytes."""

from __future__ import annotations

from typing import Final

from convert.errors import UnknownFormatError

#: First bytes, what has them, and the way out.
_MAGICS: Final = (
    (b"\xff\xfe", "UTF-16 text", "PowerShell converts what > and | carry: write the archive with docker save -o FILE"),
    (b"\xfe\xff", "UTF-16 text", "PowerShell converts what > and | carry: write the archive with docker save -o FILE"),
    (b"version https://git-lfs", "a Git LFS pointer", "git lfs pull fetches the file itself"),
    (b"PK\x03\x04", "a zip archive", "unzip it and pass what it holds"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and pass what it holds"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it and pass what it holds"),
    (b"\x04\x22\x4d\x18", "LZ4 data", "decompress it first: lz4 -dc FILE | imgconv -"),
    (b"LZIP", "lzip data", "decompress it first: lzip -dc FILE | imgconv -"),
    (b"\x1f\x9d", "data of compress (.Z)", "decompress it first: gzip -dc FILE | imgconv -"),
    (b"]\x00\x00", "LZMA data", "decompress it first: xz -dc --format=lzma FILE | imgconv -"),
    (b"hsqs", "a squashfs file system", "it holds files of an image, not its config and layers"),
    (b"SQLite format 3\0", "a SQLite database", None),
    (b"\x7fELF", "a program", None),
)
_SIF: Final = (32, b"SIF_MAGIC")
_TEXTS: Final = (
    (b"<!doctype html", "a web page", "the download failed; the page may state the reason"),
    (b"<html", "a web page", "the download failed; the page may state the reason"),
    (b"<?xml", "an XML document", "the download failed; the document may state the reason"),
    (b"{", "a JSON document", "pass the archive or the folder that it belongs to"),
    (b"[", "a JSON document", "pass the archive or the folder that it belongs to"),
)
_SHORTEST_LINE: Final = 4
_LONGEST_LINE: Final = 60
_BOM: Final = b"\xef\xbb\xbf"


def not_a_tar(head: bytes, where: str) -> UnknownFormatError:
    """Return the error for a file whose first block, or what there is of one, is not a tar header."""
    what, hint = _kind(head)
    message = "this is not a tar archive, a compressed tar or a folder"
    return UnknownFormatError(
        f"{message}, but {what}" if what else message, code="not-an-archive", file=where, hint=hint
    )


def _kind(head: bytes) -> tuple[str, str | None]:
    for magic, what, hint in _MAGICS:
        if head.startswith(magic):
            return what, hint
    start, magic = _SIF
    if head[start:].startswith(magic):
        return "a Singularity image (SIF)", "singularity build reads archives, and nothing writes them back"
    text = head.removeprefix(_BOM).lstrip().lower()
    for magic, what, hint in _TEXTS:
        if text.startswith(magic):
            return what, hint
    line = head.removeprefix(_BOM).lstrip().partition(b"\n")[0].rstrip(b"\r")
    if len(line) >= _SHORTEST_LINE and line.isascii() and line.decode().isprintable():
        shown = line[:_LONGEST_LINE].decode() + ("…" if len(line) > _LONGEST_LINE else "")
        return (
            f'text that begins with "{shown}"',
            "a command may have printed this in place of an archive, or before it",
        )
    return "", None
