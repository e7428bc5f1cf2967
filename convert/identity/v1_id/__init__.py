"""v1 IDs: the directory names and `json` files of docker-save archives.

Three tools compute them in incompatible ways, one module each; the rarely used `ggcr.py` is not imported here.
The config does not store the IDs (docs/formats-docker.md#v1-ids).
"""

from __future__ import annotations

from convert.identity.chain_id import V1Entry, chain_ids
from convert.identity.docker_v1_struct import Engine
from convert.identity.v1_id.check import config_fault, json_fault
from convert.identity.v1_id.containers_image import skopeo
from convert.identity.v1_id.docker import docker, docker_ids

__all__ = ["Engine", "V1Entry", "chain_ids", "config_fault", "docker", "docker_ids", "json_fault", "skopeo"]
