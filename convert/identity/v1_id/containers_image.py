"""The v1 IDs of containers/image: skopeo and podman (docker/internal/tarfile/writer.go).

The files of lower layers have only `id` and `parent`; that of the top layer also has seven keys of
the config, unchanged. The ID covers the parent without `sha256:`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.identity.chain_id import V1Entry, chain_ids
from convert.jsonio.go_encode import RawJSON, dumps, members, sorted_map
from convert.model.digest import Digest

if TYPE_CHECKING:
    from convert.model.config import Config

_TOP_KEYS = ("architecture", "config", "container", "container_config", "created", "docker_version", "os")


def skopeo(config: Config) -> list[V1Entry]:
    """Return the v1 ID and `json` file of each layer, lowest first.

    Keys are case-sensitive, as in containers/image.
    """
    entries: list[V1Entry] = []
    chain = chain_ids(config.diff_ids)
    for index, chain_id in enumerate(chain):
        layer: dict[str, str | RawJSON | None] = {}
        if entries:
            layer["parent"] = entries[-1].v1_id
        if index == len(chain) - 1:
            top = members(config.raw)
            layer |= {key: top.get(key) for key in _TOP_KEYS}
        v1_id = Digest.of(dumps(sorted_map(layer | {"layer_id": str(chain_id)}))).hex
        entries.append(V1Entry(v1_id, dumps(sorted_map(layer | {"id": v1_id}))))
    return entries
