"""Recognise a `dir:` folder of skopeo and podman (containers/image directory/directory_transport.go).

It holds one manifest as `manifest.json` and each blob under its hex digest, so
that it looks like a docker archive with a broken `manifest.json`.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Final

from convert.errors import InputError, UnknownFormatError

if TYPE_CHECKING:
    from convert.archive.tree import Tree

_VERSION: Final = b"Directory Transport Version: "


def refuse_dir_transport(tree: Tree) -> None:
    """Refuse a `dir:` folder, or an archive of one, with the way out.

    Raises:
        UnknownFormatError: it is one.
    """
    if tree.find("index.json") is not None or tree.find("oci-layout") is not None or not _is_one(tree):
        return
    if tree.is_folder:
        hint = f"skopeo copy {shlex.quote('dir:' + tree.where)} oci:OTHER makes a layout of it"
        raise UnknownFormatError(
            "this is a skopeo `dir:` folder, which is not supported", code="skopeo-dir", file=tree.where, hint=hint
        )
    hint = "unpack it, then skopeo copy dir:FOLDER oci:OTHER makes a layout of it"
    raise UnknownFormatError(
        "this is an archive of a skopeo `dir:` folder", code="skopeo-dir", file=tree.where, hint=hint
    )


def _is_one(tree: Tree) -> bool:
    try:
        if tree.find("manifest.json") is None:
            return False
        version = tree.find("version")
        if version is not None:
            with version.open() as stream:
                return stream.read(len(_VERSION)) == _VERSION
        # Before 2018 there was no `version`.
        raw = tree.read("manifest.json").lstrip()
        document = json.loads(raw) if raw.startswith(b"{") else None
    except (InputError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "schemaVersion" in document
