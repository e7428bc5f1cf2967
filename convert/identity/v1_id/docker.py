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
    from collections.abc import Iterator, Mapping

    from convert.model.config import Config


def docker(config: Config, engine: Engine = Engine.DOCKER_20) -> list[V1Entry]:
    """Return the v1 ID and `json` file of each layer, lowest first, as an engine in UTC writes them.

    Raises:
        FormatError: the config has a value that no engine accepts.
    """
    old = engine is not Engine.DOCKER_29
    entries: list[V1Entry] = []
    for layer, v1_id, system in _layers(config, engine):
        parent = entries[-1].v1_id if entries else ""
        file = _with_names(layer, v1_id, parent, system)
        entries.append(V1Entry(v1_id, dumps(file, escape_old=old)))
    return entries


def docker_ids(config: Config, engine: Engine = Engine.DOCKER_20) -> list[str]:
    """Return the v1 IDs alone.

    Raises:
        FormatError: as `docker`.
    """
    return [v1_id for _, v1_id, _ in _layers(config, engine)]


def _layers(config: Config, engine: Engine) -> Iterator[tuple[Mapping[str, Any], str, str | None]]:
    """Yield the v1 image object of each layer, lowest first, its v1 ID, and the image's `os`.

    Raises:
        FormatError: as `docker`.
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
    system = image.get("os")
    old = engine is not Engine.DOCKER_29
    chain = chain_ids(config.diff_ids)
    lower = struct.read({"created": EPOCH}, "") if len(chain) > 1 else image
    v1_id = ""
    for index, chain_id in enumerate(chain):
        layer = image if index == len(chain) - 1 else lower
        preimage = {**layer, "layer_id": str(chain_id)} | ({"parent": f"sha256:{v1_id}"} if v1_id else {})
        v1_id = Digest.of(dumps(sorted_map(preimage), escape_old=old)).hex
        yield layer, v1_id, system


def _with_names(layer: Mapping[str, Any], v1_id: str, parent: str, system: str | None) -> dict[str, Any]:
    """Return the members of the `json` file in the order of the struct."""
    named = {"id": v1_id} | ({"parent": parent} if parent else {}) | dict(layer)
    # Lower layers have `os` too, although their IDs do not cover it. Only Size could follow it, and
    # lower layers have none.
    return named | ({"os": system} if system else {})
