"""Configs for images saved before Docker 1.10, which knew only v1 `json` files.

Docker up to 28 turns them into a config when it loads such an archive; the same
bytes are made here, so the image ID is the one that `docker load` prints
(moby image/tarexport/load.go, image/v1/imagev1.go; FORMATS section 5.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from convert import documents, gojson
from convert.errors import FormatError
from convert.v1ids.docker import V1_IMAGE, Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.digest import Digest

# Before this release the files had blanks for unset fields; Docker fills them in
# by sending the file through its struct.
_FIRST_EXACT_VERSION = (1, 8, 3)
_DROPPED = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
_NUMBER = re.compile(r"[+-]?[0-9]+\Z")


def config_from_v1(chain: Sequence[bytes], diff_ids: Sequence[Digest], *, where: str, members: Sequence[str]) -> bytes:
    """Return the config of the image whose v1 `json` files are `chain`, lowest first.

    Every v1 image adds one layer, `diff_ids` names them; `members` are the files'
    names for messages.

    Raises:
        FormatError: a file that Docker would not read.
        ValueError: files, names and layers differ in number, or there are none.
    """
    if not chain or not len(chain) == len(diff_ids) == len(members):
        msg = f"{len(chain)} v1 images, {len(members)} names and {len(diff_ids)} layers"
        raise ValueError(msg)
    images = [_read(raw, where, member) for raw, member in zip(chain, members, strict=True)]
    image = images[-1]
    if _version(image.get("docker_version", "")) < _FIRST_EXACT_VERSION:
        config: dict[str, Any] = dict(image)
    else:
        config = dict(gojson.members(chain[-1]))
    for key in _DROPPED:
        config.pop(key, None)
    config["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    config["history"] = [_history(step) for step in images]
    return gojson.dumps(gojson.sorted_map(config), escape_old=True)


def _read(raw: bytes, where: str, member: str) -> dict[str, Any]:
    document = documents.parse(raw, where=where, member=member)
    try:
        return V1_IMAGE[Engine.DOCKER_20].read(document, "")
    except FormatError as error:
        raise FormatError(error.message, file=where, member=member) from None


def _history(image: dict[str, Any]) -> dict[str, Any]:
    command = " ".join(image["container_config"]["Cmd"] or [])
    optional = {"author": image.get("author"), "created_by": command, "comment": image.get("comment")}
    return {"created": image["created"]} | {key: value for key, value in optional.items() if value}


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a dotted version as Docker compares them: what is no number is 0."""
    parts = [int(part) if _NUMBER.match(part) else 0 for part in text.split(".")]
    return (*parts, 0, 0)
