"""How SOURCE is spelled: a path, `-`, or a transport with a path and a reference.

`docker-archive:PATH[:REF]`, `oci:PATH[:REF]`, `oci-archive:PATH[:REF]` and `dir:PATH` are skopeo's;
`registry:ROOT[/REPOSITORY[:TAG|@DIGEST]]` is the storage of a registry (docs/registry-storage.md).
A path that exists wins over them (docs/contract.md#formats).
"""

from __future__ import annotations

import os
from typing import Final

from convert.errors import StorageError, UsageError

STDIN: Final = "-"
#: Why `can_be_path` says no.
NO_PATH: Final = "a path holds neither NUL nor half of a surrogate pair"
REGISTRY: Final = "registry"
DIR: Final = "dir"
_TRANSPORTS: Final = ("docker-archive", "oci-archive", "oci", DIR, REGISTRY)


def path_of(text: str) -> str:
    """Return the path in SOURCE, without transport and reference.

    Raises:
        UsageError: SOURCE or the path in it is empty.
        StorageError: no path can be spelled so.
    """
    return parse(text)[1]


def parse(text: str) -> tuple[str, str, str]:
    """Return transport, path and reference of SOURCE; transport and reference may be empty.

    Raises:
        UsageError: SOURCE or the path in it is empty.
        StorageError: no path can be spelled so.
    """
    if not text:
        msg = "SOURCE is empty"
        raise UsageError(msg, code="empty-argument")
    if not can_be_path(text):
        raise StorageError("no such file or folder: " + NO_PATH, code="not-found", file=text)
    transport, colon, rest = text.partition(":")
    if text == STDIN or not colon or transport not in _TRANSPORTS or os.path.lexists(text):
        return "", text, ""
    if transport == REGISTRY:
        from convert.archive.registry_spelling import split_root  # noqa: PLC0415 - only for this transport

        return transport, *split_root(rest)
    if os.path.lexists(rest) or transport == DIR:  # which has no references
        path, reference = rest, ""
    else:
        path, _, reference = rest.partition(":")
    if not path:
        raise UsageError(f"{transport}: needs a path", code="empty-argument", hint=f"as in {transport}:PATH")
    return transport, path, reference


def can_be_path(text: str) -> bool:
    """Return whether the system can be asked for a path: without NUL, and no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def not_found(path: str, text: str) -> StorageError:
    """Return the error for a SOURCE, spelled `text`, at whose path there is nothing."""
    from convert.model.reference import looks_like_image_name  # noqa: PLC0415 - only for the hint

    hint = None
    transport, _, name = text.partition(":")
    if transport == "docker" and name.startswith("//"):
        hint = f"registries are not read; fetch it first: crane pull {name[2:]} image.tar"
    elif transport == "docker-daemon":
        hint = f"for an image of a local engine: docker save {name} | imgconv - ..."
    elif path == text and looks_like_image_name(text):
        hint = f"for an image of a local engine: docker save {text} | imgconv - ..."
    return StorageError("no such file or folder", code="not-found", file=path, hint=hint)
