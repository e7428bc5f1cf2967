"""v1 `json` files and configs: every v1 ID scheme takes them, or says why not."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import fuzz, one_line

from convert.errors import InputError, NotRepresentableError
from convert.identity import docker_v1_struct, legacy_config
from convert.jsonio import go_encode, go_struct, go_time, strict
from convert.model import config
from convert.model.config import Config
from convert.model.digest import Digest

DIFF_ID = Digest.of(b"")
# The package gives functions of the same names.
docker, skopeo, chain_free = (
    importlib.import_module(f"convert.identity.v1_id.{name}") for name in ("docker", "containers_image", "ggcr")
)


def one(data: bytes) -> None:
    _legacy(data)
    try:
        parsed = Config.parse(data, where="x", member="y")
    except InputError:
        return
    for make in (
        lambda: docker.docker(parsed),
        lambda: skopeo.skopeo(parsed),
        lambda: chain_free.chain_free(parsed, list(parsed.diff_ids)),
    ):
        try:
            entries = make()
        except (InputError, NotRepresentableError) as error:
            one_line(error)
            continue
        for entry in entries:
            assert len(entry.v1_id) == 64
            json.loads(entry.json)


def _legacy(data: bytes) -> None:
    try:
        raw = legacy_config.config_from_v1([data, data], [DIFF_ID, DIFF_ID], where="x", members=["a", "b"])
        # Refused where the `json` file has a `rootFS` beside the one that is added.
        made = Config.parse(raw, where="x", member="y")
    except InputError as error:
        one_line(error)
        return
    assert made.diff_ids == (DIFF_ID, DIFF_ID)


if __name__ == "__main__":
    fuzz(
        one, config, strict, go_encode, go_struct, go_time, legacy_config, docker_v1_struct, docker, skopeo, chain_free
    )
