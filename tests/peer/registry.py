"""A registry of our own, and real tools that push an archive to it.

The tools of containers/image remember which blobs a registry holds, by its address
(/var/lib/containers/cache): each registry gets an address that none had before, so that a push
finds nothing.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tools import call, sha256

_ACCEPT = ", ".join(
    f"application/vnd.{name}+json"
    for name in (
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)


class Registry:
    """A running docker-registry with nothing in it."""

    def __init__(self, folder):
        binary = os.environ.get("IMGCONV_REGISTRY") or shutil.which("docker-registry")
        if binary is None:
            pytest.skip("docker-registry is not installed (IMGCONV_REGISTRY names it)")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        numbers = random.SystemRandom()
        # All of 127/8 is this machine (on Linux).
        address = ".".join(["127", *(str(numbers.randrange(1, 255)) for _ in range(3))])
        self.host = f"{address}:{numbers.randrange(20000, 60000)}"
        config = folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '{self.host}'}}\n"
        )
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen([binary, "serve", str(config)], stdout=self._log, stderr=self._log)
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        pytest.skip("docker-registry does not start")

    def stop(self):
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def manifest(self, repository, tag="1"):
        """Return the bytes of a manifest, and its media type."""
        request = urllib.request.Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", headers={"Accept": _ACCEPT}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read(), answer.headers["Content-Type"]

    def has_blob(self, repository, digest):
        """Return whether a repository has a blob."""
        request = urllib.request.Request(f"http://{self.host}/v2/{repository}/blobs/{digest}", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=60):
                return True
        except urllib.error.HTTPError:
            return False

    def digest(self, repository, tag="1"):
        return sha256(self.manifest(repository, tag)[0])


class Storage:
    """A containers-storage of our own, for podman and buildah; use it as a context manager."""

    def __init__(self):
        # podman refuses a long path.
        self._folder = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
        self._options = ["--root", self._folder / "root", "--runroot", self._folder / "run", "--storage-driver", "vfs"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._folder, ignore_errors=True)

    def __call__(self, binary, *arguments):
        return call(binary, *self._options, *arguments)

    def image_ids(self, binary):
        """Return the image IDs, without sha256."""
        return set(self(binary, "images", "--quiet", "--no-trunc").replace("sha256:", "").split())

    def push(self, binary, registry, image, repository):
        self(binary, "push", "--tls-verify=false", image, f"docker://{registry.host}/{repository}:1")
