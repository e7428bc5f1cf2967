"""Where ROOT ends in `registry:ROOT[/REPOSITORY[:TAG|@DIGEST]]`: only the files of this machine show it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from convert.archive.registry_storage import BLOBS, PREFIXES, REPOSITORIES
from convert.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDIN: Final = "-"
#: A tag or a digest at the end of a SOURCE.
_REFERENCE: Final = re.compile(r"(?P<path>[^@]*?)(?P<reference>:[^:/@]+|@[A-Za-z0-9+._-]+:[^:/@]+)\Z", re.DOTALL)


def split_root(text: str) -> tuple[str, str]:
    """Return ROOT and what is selected in it, "" for everything.

    A text that exists as a path is ROOT as a whole. Otherwise ROOT is the shortest folder or tar in
    front that has the repository, or else the shortest that can be the root of a storage.

    Raises:
        UsageError: `text` is empty.
    """
    if not text:
        msg = "registry: needs the root of a storage"
        raise UsageError(msg, code="empty-argument", hint="as in registry:/srv/registry")
    if _exists(text):
        return text, ""
    match = _REFERENCE.match(text)
    path, reference = (match["path"], match["reference"]) if match else (text, "")
    fallback: tuple[str, str] | None = None
    for root, repository in _splits(path):
        found = _root_has(root, repository)
        if found:
            return root, repository + reference
        if found is not None and fallback is None:
            fallback = root, repository + reference
    return fallback or (path if _exists(path) else text, "")


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield each way to divide a path into ROOT and REPOSITORY, the shortest ROOT first."""
    at = path.find("/", 1)
    while at >= 0:
        root, repository = path[:at], path[at:].strip("/")
        if repository:
            yield root, repository
        at = path.find("/", at + 1)
    if path and _exists(path):
        yield path, ""


def _root_has(root: str, repository: str) -> bool | None:
    """Return whether a storage has a repository; None without a storage at this path."""
    if root == _STDIN:
        return True
    if not os.path.isdir(root):
        # A tar, whose content is read later.
        return os.path.lexists(root) or None
    places = [os.path.join(root, prefix) for prefix in PREFIXES]
    if not any(os.path.isdir(os.path.join(place, name)) for place in places for name in (BLOBS, REPOSITORIES)):
        return None
    return any(os.path.isdir(os.path.join(place, REPOSITORIES, repository)) for place in places)


def _exists(path: str) -> bool:
    return path == _STDIN or os.path.lexists(path)
