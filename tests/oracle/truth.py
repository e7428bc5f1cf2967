"""The contents of an archive, read without imgconv's code: the bytes of its members, and what its documents name.

It does not judge archives: it reads a damaged or hostile one as far as that goes,
by the plainest rules. What imgconv makes of one must be among this.
"""

from __future__ import annotations

import json
import posixpath

from oracle import reading

BLOCK = 512
NAME_KEY = "io.containerd.image.name"
REF_KEY = "org.opencontainers.image.ref.name"


def number(text):
    """Return a number field of a tar header: octal, or base-256 with the first bit set."""
    if text[:1] >= b"\x80":
        return int.from_bytes(bytes((text[0] & 0x7F,)) + text[1:], "big")
    try:
        return int(text.strip(b"\0 ") or b"0", 8)
    except ValueError:
        return 0


def records(data):
    """Return the records of a PAX header."""
    found = {}
    while data:
        size, space, rest = data.partition(b" ")
        if not space or not size.isdigit() or not len(size) + 1 < int(size) <= len(data):
            break
        key, _, value = rest[: int(size) - len(size) - 1].removesuffix(b"\n").partition(b"=")
        found[key] = value
        data = data[int(size) :]
    return found


def members(data):
    """Yield name, kind, link and content of each member."""
    position, extra = 0, {}
    while position + BLOCK <= len(data) and data[position : position + BLOCK].strip(b"\0"):
        header = data[position : position + BLOCK]
        kind = header[156:157]
        size = number(header[124:136])
        if kind not in b"xgXLK" and extra.get(b"size", b"").isdigit():
            size = int(extra[b"size"])
        if kind in b"123456" and kind:
            size = 0
        content = data[position + BLOCK : position + BLOCK + size]
        position += BLOCK + size + -size % BLOCK
        if kind in b"xX":
            extra.update(records(content))
        elif kind in b"LK":
            extra[b"path" if kind == b"L" else b"linkpath"] = content.rstrip(b"\0")
        elif kind != b"g":
            name, link = header[:100].partition(b"\0")[0], header[157:257].partition(b"\0")[0]
            prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
            name = extra.get(b"path", prefix + b"/" + name if prefix else name)
            link = extra.get(b"linkpath", link)
            yield name.decode(errors="replace"), kind, link.decode(errors="replace"), content
            extra = {}


def folded(value):
    """Return a document with its keys in lower case, as Go takes them for fields."""
    if isinstance(value, dict):
        return {key.lower().replace("\u017f", "s"): folded(each) for key, each in value.items()}
    return [folded(each) for each in value] if isinstance(value, list) else value


def parsed(data):
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def full(text):
    """Return a name with its domain and tag, as docker takes it."""
    first, slash, _ = text.partition("/")
    if not slash:
        text = f"docker.io/library/{text}"
    elif not ("." in first or ":" in first or first in {"localhost", "docker.io"} or first != first.lower()):
        text = f"docker.io/{text}"
    text = text.replace("index.docker.io/", "docker.io/", 1) if text.startswith("index.docker.io/") else text
    domain, _, rest = text.partition("/")
    if domain == "docker.io" and "/" not in rest:
        text = f"docker.io/library/{rest}"
    return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


def clean(name):
    """Return a member's name as a path below the root; normpath keeps two leading slashes."""
    return posixpath.normpath(name).lstrip("/")


class Truth:
    """`digests` names every content, as it lies and unpacked; `named` holds (full name, image ID)."""

    def __init__(self, data):
        self.files, links = {}, {}
        self.digests, self._unpacked = set(), set()
        for name, kind, link, content in members(data):
            key = clean(name)
            if kind == b"2":
                links[key] = clean(posixpath.join(posixpath.dirname(key), link))
            elif kind == b"1":
                links[key] = clean(link)
            else:
                self.files[key] = content
                self.digests.add(reading.sha256(content))
        for _ in links:
            for name, target in links.items():
                if target in self.files and name not in self.files:
                    self.files[name] = self.files[target]
        self.is_v1 = not {"manifest.json", "index.json"} & {*self.files, *links}

    def unpacked(self, digest):
        """Tell whether a layer of this DiffID is there, packed or not."""
        if digest in self.digests:
            return True
        if not self._unpacked:
            self._unpacked.add("")
            for content in {*self.files.values()}:
                try:
                    plain = reading.unpacked(reading.without_reserved_flags(content))
                except Exception:  # noqa: BLE001 - damaged: whatever the codec says
                    continue
                if plain != content:
                    self._unpacked.add(reading.sha256(plain))
        return digest in self._unpacked

    def described(self):
        """Return what is named by a descriptor in a layout: kept layers are verified only against that."""
        found = set()

        def walk(value):
            if isinstance(value, dict):
                if isinstance(value.get("digest"), str):
                    found.add(value["digest"])
                value = list(value.values())
            for each in value if isinstance(value, list) else ():
                walk(each)

        for name, content in self.files.items():
            if name.startswith("blobs/"):
                walk(folded(parsed(content)))
        return found

    def named(self):
        """Return the names that the documents give, each with the image IDs it may mean."""
        found = {}
        for item in folded(parsed(self.files.get("manifest.json", b"")) or ()) or ():
            if isinstance(item, dict):
                config = self.files.get(clean(str(item.get("config"))))
                for name in item.get("repotags") or ():
                    if config is not None:
                        found.setdefault(full(name), set()).add(reading.sha256(config))
        index = folded(parsed(self.files.get("index.json", b"")) or {})
        for entry in index.get("manifests") or ():
            notes = entry.get("annotations") or {}
            ids = self._images(entry, 9)
            for key in (NAME_KEY, REF_KEY):
                if notes.get(key):
                    found.setdefault(full(notes[key]), set()).update(ids)
                    # Where a name takes no digest, one that is the manifest's own says nothing more.
                    name, _, digest = notes[key].partition("@")
                    if digest == entry.get("digest"):
                        found.setdefault(full(name), set()).update(ids)
        return found

    def _images(self, descriptor, depth):
        """Return the digests of all configs below a descriptor."""
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str) or not depth:
            return set()
        document = folded(parsed(self.files.get("blobs/" + digest.replace(":", "/"), b"")) or {})
        found = set()
        if isinstance(document, dict):
            for child in document.get("manifests") or ():
                found |= self._images(child, depth - 1)
            config = document.get("config")
            if isinstance(config, dict) and isinstance(config.get("digest"), str):
                found.add(config["digest"])
        return found
