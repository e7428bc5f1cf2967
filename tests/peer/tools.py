"""Real tools: found on PATH or by an environment variable, each test skipped where its tool is missing.

IMGCONV_SKOPEO, IMGCONV_CRANE, IMGCONV_UMOCI, IMGCONV_PODMAN: paths of tools, several separated by colons.
IMGCONV_DOCKER_HOST: a Docker engine that may be filled and emptied (unix://...); IMGCONV_DOCKER its client.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess

import pytest


def found(name):
    """Return the paths of a tool, one None if there is none."""
    given = os.environ.get(f"IMGCONV_{name.upper()}")
    paths = given.split(":") if given else [shutil.which(name)]
    return [path for path in paths if path] or [None]


def each(name):
    """Run a test with every version of a tool that is at hand."""
    marks = [
        pytest.param(path, id=os.path.basename(path) if path else "missing", marks=() if path else _missing(name))
        for path in found(name)
    ]
    return pytest.mark.parametrize(name, marks)


def _missing(name):
    return pytest.mark.skip(reason=f"{name} is not installed (IMGCONV_{name.upper()} names it)")


def call(*arguments, env=None, **options):
    """Run a tool and return what it printed; its errors are the test's."""
    done = subprocess.run(
        [str(one) for one in arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})},
        timeout=300,
        **options,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Engine:
    """A Docker engine that is ours to fill and to empty."""

    def __init__(self, host):
        self.host = host
        self.client = found("docker")[0] or pytest.skip("there is no docker client")

    def __call__(self, *arguments, **options):
        environment = {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0", **options.pop("env", {})}
        return call(self.client, *arguments, env=environment, **options)

    def images(self):
        return set(self("image", "ls", "--all", "--quiet", "--no-trunc").split())

    def empty(self):
        """Remove every image, and with them every layer."""
        for _ in range(5):
            left = self.images()
            if not left:
                return
            subprocess.run(
                [self.client, "image", "rm", "--force", *left],
                env={**os.environ, "DOCKER_HOST": self.host},
                capture_output=True,
                check=False,
            )
        raise AssertionError("the engine cannot be emptied")

    def load(self, path):
        return self("load", "--input", path)

    def ids(self):
        """Return the image ID of each tagged image, by name."""
        rows = [json.loads(line) for line in self("image", "ls", "--format", "{{json .}}").splitlines()]
        names = [f"{row['Repository']}:{row['Tag']}" for row in rows if row["Tag"] != "<none>"]
        return {name: self("inspect", "--format", "{{.Id}}", name).strip() for name in names}


@pytest.fixture(scope="session")
def engine():
    """Return an engine that holds nothing: a layer it knows would not be read at all."""
    host = os.environ.get("IMGCONV_DOCKER_HOST")
    if not host:
        pytest.skip("IMGCONV_DOCKER_HOST names no Docker engine that may be filled and emptied")
    engine = Engine(host)
    if engine.images():
        pytest.skip("the Docker engine of IMGCONV_DOCKER_HOST is not empty, and these tests empty it")
    yield engine
    engine.empty()
