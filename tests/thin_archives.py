"""Small docker-save archives whose layers are known, and what archives hold, for the tests of thin archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile


def layer(seed: int, size: int = 3000) -> bytes:
    """Return a small tar with one file of noise."""
    noise = b"".join(hashlib.sha256(b"%d %d" % (seed, n)).digest() for n in range(size // 32))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(f"file{seed}")
        member.size = len(noise)
        tar.addfile(member, io.BytesIO(noise))
    return out.getvalue()


def diff_id(tar: bytes) -> str:
    return f"sha256:{hashlib.sha256(tar).hexdigest()}"


def chain_id(tars) -> str:
    """Return the ChainID by image-spec config.md, computed here alone."""
    chain = ""
    for tar in tars:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id(tar)}'.encode()).hexdigest()}" if chain else diff_id(tar)
    return chain


def archive(path, images, *, compress: bool = False):
    """Write a docker archive of images, each a name and its layers; return the path."""
    members: dict[str, bytes] = {}
    listed = []
    for name, tars in images:
        config = {"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {}}
        config["rootfs"] = {"type": "layers", "diff_ids": [diff_id(tar) for tar in tars]}
        config["history"] = [{"created": "2024-01-01T00:00:00Z", "created_by": f"step {n}"} for n in range(len(tars))]
        raw = json.dumps(config).encode()
        key = f"{hashlib.sha256(raw).hexdigest()}.json"
        members[key] = raw
        names = [f"{diff_id(tar)[7:]}.tar" for tar in tars]
        members.update(zip(names, [gzip.compress(tar, 3, mtime=0) if compress else tar for tar in tars], strict=True))
        listed.append({"Config": key, "RepoTags": [name], "Layers": names})
    members["manifest.json"] = json.dumps(listed).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def content(path) -> dict[str, bytes]:
    """Return the files of a tar or a folder."""
    if path.is_dir():
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() if m.isreg() else m.linkname.encode() for m in tar if not m.isdir()}
