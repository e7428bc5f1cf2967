"""The two kinds of folders that imgconv writes: OCI image layouts, and `dir:` folders of skopeo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.model import dir_names
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

_LAYOUT_BLOB: Final = re.compile(r"blobs/([^/]+)/([^/]+)\Z")


class FolderKind(NamedTuple):
    """A kind of folder.

    `first` is the document that marks it and appears first, `last` the one that completes it:
    no reader finds an image before it is there. `blobs` is the folder of blobs, "" if they lie beside
    the documents under the names that `blob_file` returns. `digest_of` returns the digest of a blob by its member,
    None for a document. `noun` names it in messages, and `hint` says what helps where one exists.
    """

    noun: str
    first: str
    last: str
    blobs: str
    digest_of: Callable[[str], Digest | None]
    hint: str

    def order(self, name: str) -> tuple[bool, bool, str]:
        """Return the key by which documents are sorted for the order in which they may appear."""
        return name != self.first, name == self.last, name


def _layout_digest(name: str) -> Digest | None:
    match = _LAYOUT_BLOB.match(name)
    return Digest(match[1], match[2]) if match else None


def _dir_digest(name: str) -> Digest | None:
    if not dir_names.BLOB.match(name):
        return None
    algorithm, dash, encoded = name.partition("-")
    return Digest(algorithm, encoded) if dash else Digest("sha256", name)


LAYOUT: Final = FolderKind(
    "an image layout",
    "oci-layout",
    "index.json",
    "blobs",
    _layout_digest,
    "--force replaces a layout, --append adds to it",
)
DIR: Final = FolderKind(
    "a dir: folder",
    dir_names.VERSION,
    dir_names.MANIFEST,
    "",
    _dir_digest,
    "--force replaces a dir: folder",
)
