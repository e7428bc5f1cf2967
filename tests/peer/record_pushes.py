"""Record what real skopeo, podman and buildah push of the archives in testdata/match: testdata/match/pushed.json.

Run with the tools of Debian 12 (klauspost/compress 1.15.12) on PATH: python tests/peer/record_pushes.py
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from registry import Registry, Storage  # noqa: E402 - found by the path above
from support import MATCH  # noqa: E402 - found by the path above
from test_push_containers_image import images_in  # noqa: E402 - found by the path above
from tools import call  # noqa: E402 - found by the path above

OUTPUT = MATCH.parent / "pushed.json"


def record(archive, folder):
    """Return the manifests that the tools push, by tool and by source or image ID."""
    found = {"skopeo": {}, "podman": {}, "buildah": {}}
    for source in images_in(archive):
        spelling = source.replace(str(archive), "ARCHIVE")
        registry = Registry(folder / f"registry{len(found['skopeo'])}")
        try:
            call("skopeo", "copy", "--dest-tls-verify=false", source, f"docker://{registry.host}/image:1")
            found["skopeo"][spelling] = registry.manifest("image")[0].decode()
        except AssertionError as error:
            sys.stderr.write(f"{archive.name}: {error}\n")
        finally:
            registry.stop()
    for tool in ("podman", "buildah"):
        with Storage() as storage:
            try:
                if tool == "podman":
                    storage(tool, "load", "--input", archive)
                else:
                    for source in images_in(archive):
                        if source.startswith("docker-archive"):
                            storage(tool, "pull", "--quiet", source)
            except AssertionError as error:
                sys.stderr.write(f"{archive.name}: {error}\n")
            for image_id in sorted(storage.image_ids(tool)):
                registry = Registry(folder / f"{tool}{image_id[:12]}")
                try:
                    storage.push(tool, registry, image_id, "image")
                    found[tool][f"sha256:{image_id}"] = registry.manifest("image")[0].decode()
                finally:
                    registry.stop()
    return found


def main():
    """Record all archives."""
    result = {}
    for path in sorted(MATCH.glob("*.tar.gz")):
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.name.removesuffix(".gz")
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            result[path.name.removesuffix(".tar.gz")] = record(plain, Path(folder))
    OUTPUT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
