"""Configs for images saved before Docker 1.10, which wrote only v1 `json` files.

Docker up to 28 converts them to a config when it loads such an archive. This module produces the
same bytes, so the image ID is the one that `docker load` prints
(moby image/tarexport/load.go, image/v1/imagev1.go; docs/formats-docker.md#archives-from-before-docker-110).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from convert.errors import FormatError
from convert.identity.docker_v1_struct import V1_IMAGE, Engine
from convert.jsonio import go_encode, strict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.digest import Digest

# Before this release the files lacked unset fields; Docker adds them by decoding the file into its
# struct and encoding it again.
_FIRST_EXACT_VERSION = (1, 8, 3)
_DROPPED = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<digits>[0-9]+)\Z")


def config_from_v1(
    chain: Sequence[bytes],
    diff_ids: Sequence[Digest],
    *,
    where: str = "",
    members: Sequence[str] | None = None,
) -> bytes:
    """Return the config of the image whose v1 `json` files are `chain`, lowest first.

    Every v1 image adds one layer; `diff_ids` lists them. `where` and `members` identify the archive
    and the files in errors.

    Raises:
        FormatError: a file that Docker refuses.
        ValueError: files, names and layers differ in number, or there are none.
    """
    if members is None:
        members = [f"v1 image {number} of {len(chain)}" for number in range(1, len(chain) + 1)]
    if not chain or not len(chain) == len(diff_ids) == len(members):
        msg = f"{len(chain)} v1 images, {len(members)} names and {len(diff_ids)} layers"
        raise ValueError(msg)
    images = [_read(raw, where, member) for raw, member in zip(chain, members, strict=True)]
    image = images[-1]
    if _is_before_exact(image.get("docker_version", "")):
        config: dict[str, Any] = dict(image)
    else:
        config = dict(go_encode.members(chain[-1]))
    for key in _DROPPED:
        config.pop(key, None)
    config["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    config["history"] = [_history(step) for step in images]
    return go_encode.dumps(go_encode.sorted_map(config), escape_old=True)


def _read(raw: bytes, where: str, member: str) -> dict[str, Any]:
    document = strict.parse(raw, where=where, member=member)
    if not isinstance(document, dict):
        msg = "a v1 image must be a JSON object"
        raise FormatError(msg, code="wrong-json-type", file=where, member=member)
    try:
        return V1_IMAGE[Engine.DOCKER_20].read(document, "")
    except FormatError as error:
        raise FormatError(error.message, code=error.code, file=where, member=member) from None


def _history(image: dict[str, Any]) -> dict[str, Any]:
    command = " ".join(image["container_config"]["Cmd"] or [])
    optional = {"author": image.get("author"), "created_by": command, "comment": image.get("comment")}
    return {"created": image["created"]} | {key: value for key, value in optional.items() if value}


def _is_before_exact(version: str) -> bool:
    """Compare dotted versions as Docker does: a part that is missing or not a number is 0."""
    parts = [_number(part) for part in version.split(".")]
    wanted = list(_FIRST_EXACT_VERSION)
    length = max(len(parts), len(wanted))
    return parts + [0] * (length - len(parts)) < wanted + [0] * (length - len(wanted))


def _number(part: str) -> int:
    found = _NUMBER.match(part)
    # Go stops at 64 bits; for a larger number it is sufficient that it stays large.
    return int(found["sign"] + (found["digits"].lstrip("0")[:20] or "0")) if found else 0
