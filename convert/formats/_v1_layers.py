"""The v1 IDs and `json` files of an image's layers, in the scheme that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert import v1ids
from convert.gojson import RawJSON, dumps, members
from convert.v1ids import V1Entry
from convert.v1image import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.formats.writing import WriteOptions
    from convert.model import Image

#: What each v1 directory's `VERSION` holds, without a newline.
V1_VERSION: Final = b"1.0"


def v1_layers(image: Image, options: WriteOptions, engine: Engine = Engine.DOCKER_20) -> list[V1Entry]:
    """Return one entry for each layer, lowest first.

    `keep` falls back to `docker` for an image whose source had no v1 ID of its
    own for every layer.

    Raises:
        FormatError: the config holds what the scheme cannot use.
    """
    match options.v1_ids:
        case "chain-free":
            return v1ids.chain_free(image.config, [options.layer_digest(layer) for layer in image.layers])
        case "skopeo":
            return v1ids.skopeo(image.config)
        case "keep" if image.v1_ids is not None and len(set(image.v1_ids)) == len(image.layers):
            return _kept(v1ids.docker(image.config, engine), image.v1_ids)
        case _:
            return v1ids.docker(image.config, engine)


def _kept(entries: Sequence[V1Entry], v1_ids: Sequence[str]) -> list[V1Entry]:
    """Return the engine's `json` files under other IDs: `id` and `parent` lead its struct."""
    kept: list[V1Entry] = []
    for v1_id, entry in zip(v1_ids, entries, strict=True):
        names = {"id": RawJSON(dumps(v1_id))}
        if kept:
            names["parent"] = RawJSON(dumps(kept[-1].v1_id))
        rest = {key: value for key, value in members(entry.json).items() if key not in {"id", "parent"}}
        kept.append(V1Entry(v1_id, dumps(names | rest)))
    return kept
