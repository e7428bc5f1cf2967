"""imgconv's crane digests beside those of crane itself, over generated sources.

    nice python tests/peer/crane_compare.py [--count N] [--first SEED] [--keep FOLDER]

needs crane built with both generations of Go (IMGCONV_CRANE_GO126, IMGCONV_CRANE_GO127)
and `docker-registry` on PATH, which it starts on 127.0.0.1. For each source:

- `crane digest --tarball` and `imgconv digest --as` give the same digest, or both refuse;
- what `crane push` leaves in the registry is the manifest, byte for byte, and the blobs
  that `imgconv --as --to oci` writes;
- where imgconv refuses what crane takes, the reason is one of `STRICTER`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from crane_archives import Source, source

from convert.cli.main import run

#: Reasons for which imgconv refuses what crane takes: exit status and part of the message.
#: crane verifies no DiffID, reads JSON leniently and follows `..` in a path.
STRICTER = (
    (3, r"layer's DiffID is sha256:"),
    (3, r"\(data\): "),
    (3, r"names nothing in an archive"),
    (3, r"manifest\.json: \[\d+\](\.|\[\")(?i:layer[s\u017f]ource[s\u017f])"),
    (3, r": expected (a string|an array|an object|true or false)"),
    (3, r"\d+ layers in manifest\.json, \d+ DiffIDs in the config"),
    (3, r"names \d+ layers, its config \S+ has \d+ DiffIDs"),
    (3, r"bytes after the end of the document"),
)
CRANES = {"crane@go1.26": "IMGCONV_CRANE_GO126", "crane@go1.27": "IMGCONV_CRANE_GO127"}


def imgconv(*words):
    """Run a command in this process; return its exit status, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([str(word) for word in words])
    return status, out.getvalue(), err.getvalue()


class Registry:
    """A docker-registry on a free port of 127.0.0.1, with its storage in `folder`."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        config = folder / "registry.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\nhttp: {{addr: '{self.host}'}}\n"
            "validation: {manifests: {urls: {allow: ['.*']}}}\n"
        )
        program = shutil.which("docker-registry")
        self._process = subprocess.Popen(
            [program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.host}/v2/"):
                return
            time.sleep(0.05)
        self.close()
        raise RuntimeError("docker-registry does not answer")

    def close(self):
        self._process.terminate()
        self._process.wait()

    def manifest(self, repository, digest):
        """Return the bytes of a manifest."""
        request = urllib.request.Request(f"http://{self.host}/v2/{repository}/manifests/{digest}")
        kinds = ("docker.distribution.manifest.v2", "oci.image.manifest.v1", "oci.image.index.v1")
        request.add_header("Accept", ", ".join(f"application/vnd.{kind}+json" for kind in kinds))
        with urllib.request.urlopen(request) as answer:
            return answer.read()


class Comparison:
    """Compares source by source; `differences` are (seed, what), `refusals` counts the reasons of imgconv alone."""

    def __init__(self, folder, cranes, registry=None):
        self._folder = Path(folder)
        self._cranes = cranes
        self._registry = registry
        self.differences = []
        self.refusals = collections.Counter()
        self.counts = collections.Counter()

    def compare(self, one: Source):
        place = self._folder / f"s{one.seed}"
        place.mkdir()
        path = place / "source"
        if one.files:
            for name, data in one.files.items():
                file = path / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        else:
            path.write_bytes(one.tar)
        before = len(self.differences)
        for pusher, crane in self._cranes.items():
            if one.files:
                self._folder_source(one, path, pusher, crane)
            else:
                self._tarball(one, path, pusher, crane)
        self.counts[one.form] += 1
        if len(self.differences) == before:
            shutil.rmtree(place)

    # -- tarballs ----------------------------------------------------------------

    def _tarball(self, one, path, pusher, crane):
        tags = [None] if one.images == 1 else sorted(set(one.tags))
        if not all(re.fullmatch(r"example\.com/app\d:\w+", tag) for tag in tags if tag):
            # crane stops at the first RepoTag that is none; imgconv reads the others.
            tags = []
        for tag in tags:
            theirs = _call(crane, "digest", "--tarball", path, *([tag] if tag else []))
            words = ["digest", path, "--as", pusher, "--json", *(["--image", tag] if tag else [])]
            status, out, err = imgconv(*words)
            ours = [push["digest"] for push in json.loads(out)["pushes"]] if status == 0 else []
            self._judge(one, f"digest {pusher} {tag or ''}", theirs, ours, status, err)
            if theirs.returncode == 0 and self._registry is not None and tag is None:
                self._pushed(one, path, pusher, crane, theirs.stdout.strip(), status)

    def _judge(self, one, what, theirs, ours, status, err):
        if status not in {0, 1, 2, 3}:
            self.differences.append((one.seed, one.form, what, f"exit {status}: {err.strip()[-300:]}"))
        elif theirs.returncode == 0 and status == 0:
            self.counts["both"] += 1
            if ours != [theirs.stdout.strip()]:
                self.differences.append((one.seed, one.form, what, f"crane {theirs.stdout.strip()}, imgconv {ours}"))
        elif theirs.returncode == 0:
            self.counts["imgconv refuses"] += 1
            self._refused(one, what, status, err)
        elif status == 0:
            self.differences.append(
                (one.seed, one.form, what, f"crane refuses ({theirs.stderr.strip()[-200:]}), imgconv {ours}")
            )
        else:
            self.counts["both refuse"] += 1

    def _refused(self, one, what, status, err):
        reason = _reason(err)
        if not any(code == status and re.search(part, err) for code, part in STRICTER):
            self.differences.append(
                (one.seed, one.form, what, f"crane takes it, imgconv exit {status}: {err.strip()[-300:]}")
            )
        self.refusals[f"exit {status}: {reason}"] += 1

    def _pushed(self, one, path, pusher, crane, digest, digest_status, *options):
        repository = f"s{one.seed}-{pusher[-4:].replace('.', '')}"
        pushed = _call(crane, "push", "--insecure", *options, path, f"{self._registry.host}/{repository}:x")
        out = path.parent / f"out-{repository}"
        status, _, err = imgconv(path, "--as", pusher, "--to", "oci", out)
        what = f"push {pusher}"
        if pushed.returncode == 0:
            self.counts["pushed"] += 1
            name = pushed.stdout.strip().rpartition("@")[2]
            if digest and name != digest:
                self.differences.append((one.seed, one.form, what, f"crane pushes {name}, its digest says {digest}"))
            if status == 0:
                self._same_bytes(one, what, out, self._registry.manifest(repository, name), name)
            elif digest_status == 0 or not digest:
                self._refused(one, what, status, err)
        elif status == 0 and not _elsewhere(out):
            self.counts["pushed by imgconv alone"] += 1
            self.differences.append((one.seed, one.form, what, f"crane push refused: {pushed.stderr.strip()[-300:]}"))
        else:
            self.counts["push: both refuse"] += 1
        if status == 0:
            again, text, err = imgconv("validate", out, "--json")
            self.counts[f"validate {again}"] += 1
            if again == 3:
                self.differences.append(
                    (one.seed, one.form, what, f"imgconv cannot read its own result: {text[-500:]}{err}")
                )

    def _same_bytes(self, one, what, out, raw, name):
        blob = out / "blobs" / "sha256" / name[7:]
        if not blob.exists() or blob.read_bytes() != raw:
            self.differences.append(
                (one.seed, one.form, what, f"no manifest {name} with the registry's bytes in the output")
            )
            return
        for file in (out / "blobs" / "sha256").iterdir():
            if hashlib.sha256(file.read_bytes()).hexdigest() != file.name:
                self.differences.append((one.seed, one.form, what, f"blob {file.name} has other bytes"))

    # -- layout folders ------------------------------------------------------------

    def _folder_source(self, one, path, pusher, crane):
        """A layout folder has no `crane digest`: only a push shows it."""
        if self._registry is None:
            return
        repository = f"d{one.seed}-{pusher[-4:].replace('.', '')}"
        pushed = _call(crane, "push", "--insecure", path, f"{self._registry.host}/{repository}:x")
        status, out, err = imgconv("digest", path, "--as", pusher, "--json")
        ours = [push["digest"] for push in json.loads(out)["pushes"]] if status == 0 else []
        what = f"push folder {pusher}"
        if one.images > 1:
            # crane wants --index there; imgconv prints each entry.
            self.counts["several entries"] += 1
            return
        if pushed.returncode == 0 and status == 0:
            self.counts["both"] += 1
            name = pushed.stdout.strip().rpartition("@")[2]
            if ours != [name]:
                self.differences.append((one.seed, one.form, what, f"crane {name}, imgconv {ours}"))
            self._pushed(one, path, pusher, crane, name, status)
        elif pushed.returncode == 0:
            self.counts["imgconv refuses"] += 1
            self._refused(one, what, status, err)
        elif status == 0 and not _elsewhere(path):
            self.differences.append(
                (one.seed, one.form, what, f"crane refuses ({pushed.stderr.strip()[-300:]}), imgconv {ours}")
            )
        else:
            self.counts["both refuse"] += 1


def _elsewhere(out):
    """Tell whether a manifest of a layout names a layer that is not distributable: registries differ about those."""
    texts = [file.read_bytes() for file in (out / "blobs" / "sha256").iterdir()]
    return any(text[:1] == b"{" and (b".nondistributable." in text or b".foreign." in text) for text in texts)


def _call(program, *words):
    environment = {**os.environ, "HOME": "/nonexistent", "TZ": "UTC"}
    return subprocess.run(
        [program, *map(str, words)], capture_output=True, text=True, check=False, env=environment, timeout=300
    )


def record(path, seeds, cranes):
    """Write what crane prints for each tar of one image, beside the hash of the tar; null where it refuses."""
    rows = {}
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        for seed in seeds:
            one = source(seed)
            if one.files or one.images != 1:
                continue
            Path(file.name).write_bytes(one.tar)
            row = {"sha256": hashlib.sha256(one.tar).hexdigest()}
            for pusher, crane in cranes.items():
                row[pusher] = _call(crane, "digest", "--tarball", file.name).stdout.strip() or None
            rows[seed] = row
    Path(path).write_text(json.dumps(rows, indent=1) + "\n")


def _reason(err):
    line = err.strip().splitlines()[-1] if err.strip() else ""
    return re.sub(r"[0-9a-f]{12,}|\d+|/\S*", "#", line)[:160]


def _say(*parts):
    sys.stdout.write(" ".join(map(str, parts)) + "\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", help="where sources with a difference stay")
    parser.add_argument("--record", help="write crane's digests of the tars with one image to this file")
    parser.add_argument("--stop", type=int, default=0, help="end after so many differences")
    options = parser.parse_args()
    cranes = {pusher: os.environ[variable] for pusher, variable in CRANES.items()}
    if options.record:
        record(options.record, range(options.first, options.first + options.count), cranes)
        return 0
    folder = Path(options.keep or tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    registry = Registry(folder)
    try:
        comparison = Comparison(folder, cranes, registry)
        for seed in range(options.first, options.first + options.count):
            before = len(comparison.differences)
            comparison.compare(source(seed))
            for difference in comparison.differences[before:]:
                _say(*difference)
            if options.stop and len(comparison.differences) >= options.stop:
                break
    finally:
        registry.close()
    _say("counts:", dict(comparison.counts))
    for reason, count in comparison.refusals.most_common():
        _say(f"imgconv alone refuses {count}: {reason}")
    _say(f"{len(comparison.differences)} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
