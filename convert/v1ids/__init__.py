"""v1 IDs: the directory names and `json` files of docker-save archives.

Three tools make them in three incompatible ways, none of them stored in the
config (FORMATS section 3); one file a scheme.
"""

from __future__ import annotations

from convert.v1ids.chain_free import chain_free
from convert.v1ids.checking import config_fault, json_fault
from convert.v1ids.docker import docker
from convert.v1ids.entry import V1Entry, chain_ids
from convert.v1ids.skopeo import skopeo
from convert.v1image import Engine

__all__ = ["Engine", "V1Entry", "chain_free", "chain_ids", "config_fault", "docker", "json_fault", "skopeo"]
