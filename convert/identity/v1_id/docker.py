"""The v1 IDs of Docker's engine (moby image/v1/imagev1.go, image/image.go).

An ID is the digest of the layer's v1 image object without `id`, with ChainID and parent added.
Only the top layer has the image's config; the others have zero values, so that images that share
layers share v1 IDs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.errors import FormatError
from convert.identity.chain_id import V1Entry, chain_ids
from convert.identity.docker_v1_struct import V1_IMAGE, Engine
from convert.jsonio.go_encode import dumps, sorted_map
from convert.jsonio.go_time import EPOCH
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.config import Config


def docker(config: Config, engine: Engine = Engine.DOCKER_20) -> list[V1Entry]:
    """Return the v1 ID and `json` file of each layer, lowest first, as an engine in UTC writes them.

    Raises:
        FormatError: the config has a value that no engine accepts.
    """
    struct = V1_IMAGE[engine]
    try:
        image = struct.read(config.view, "")
    except FormatError as error:
        raise FormatError(error.message, code=error.code, file=config.where, member=config.member) from None
    # The config's `id` and `parent` have no effect: Docker sets one itself and reads the other into
    # another struct.
    image.pop("id", None)
    image.pop("parent", None)
    lower = struct.read({"created": EPOCH}, "")
    system = image.get("os")
    old = engine is not Engine.DOCKER_29

    entries: list[V1Entry] = []
    chain = chain_ids(config.diff_ids)
    for index, chain_id in enumerate(chain):
        layer = image if index == len(chain) - 1 else lower
        parent = entries[-1].v1_id if entries else ""
        preimage = {**layer, "layer_id": str(chain_id)} | ({"parent": f"sha256:{parent}"} if parent else {})
        v1_id = Digest.of(dumps(sorted_map(preimage), escape_old=old)).hex
        file = _with_names(layer, v1_id, parent, system)
        entries.append(V1Entry(v1_id, dumps(file, escape_old=old)))
    return entries


def _with_names(layer: Mapping[str, Any], v1_id: str, parent: str, system: str | None) -> dict[str, Any]:
    """Return the members of the `json` file in the order of the struct."""
    named = {"id": v1_id} | ({"parent": parent} if parent else {}) | dict(layer)
    # Lower layers have `os` too, although their IDs do not cover it. Only Size could follow it, and
    # lower layers have none.
    return named | ({"os": system} if system else {})
