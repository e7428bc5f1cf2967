"""The v1 entry of a layer, and the ChainIDs that two of the v1 ID schemes need."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence


class V1Entry(NamedTuple):
    """One layer's v1 ID (64 hex digits) and the bytes of its `json` file."""

    v1_id: str
    json: bytes


def chain_ids(diff_ids: Sequence[Digest]) -> list[Digest]:
    """Return the ChainID of each layer, lowest first.

    It identifies the file system that results from applying the layer to those below it
    (image-spec config.md, "Layer ChainID").
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
