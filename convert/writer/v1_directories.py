"""The v1 IDs and `json` files of an image's layers, in the requested scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.identity import v1_id as v1_ids
from convert.identity.docker_v1_struct import Engine
from convert.identity.v1_id import V1Entry
from convert.jsonio.go_encode import RawJSON, dumps, members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.image import Image
    from convert.writer.options import WriteOptions

#: What each v1 directory's `VERSION` holds, without a newline.
V1_VERSION: Final = b"1.0"


def v1_layers(image: Image, options: WriteOptions, engine: Engine = Engine.DOCKER_20) -> list[V1Entry]:
    """Return one entry for each layer, lowest first.

    `keep` falls back to `docker` for an image whose source had no v1 ID of its
    own for every layer.

    Raises:
        FormatError: the scheme cannot use a value in the config.
    """
    match options.v1_ids:
        case "chain-free":
            from convert.identity.v1_id.ggcr import chain_free  # noqa: PLC0415 - start-up time

            return chain_free(image.config, [options.layer_digest(layer) for layer in image.layers])
        case "skopeo":
            return v1_ids.skopeo(image.config)
        case "keep" if image.v1_ids is not None and len(set(image.v1_ids)) == len(image.layers):
            return _kept(v1_ids.docker(image.config, engine), image.v1_ids)
        case _:
            return v1_ids.docker(image.config, engine)


def _kept(entries: Sequence[V1Entry], v1_ids: Sequence[str]) -> list[V1Entry]:
    """Return the engine's `json` files with other IDs; `id` and `parent` are the first keys of its struct."""
    kept: list[V1Entry] = []
    for v1_id, entry in zip(v1_ids, entries, strict=True):
        names = {"id": RawJSON(dumps(v1_id))}
        if kept:
            names["parent"] = RawJSON(dumps(kept[-1].v1_id))
        rest = {key: value for key, value in members(entry.json).items() if key not in {"id", "parent"}}
        kept.append(V1Entry(v1_id, dumps(names | rest)))
    return kept
