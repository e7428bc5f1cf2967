"""Generated archives and layouts for the comparison with crane; one seed gives one source.

The forms are those that tools write, and around them what docs/formats.md and its pages
name as read differently: `LayerSources` of every kind, keys in other letter case, mixed
compression, layers that occur twice, odd platforms, wrong DiffIDs, several images.
Most sources are sound, so that most comparisons reach the digest.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
from dataclasses import dataclass, field

import zstandard
from hostile.building import DOCKER_MANIFEST, END, INDEX, MANIFEST, member, sha256

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER_TYPES = (
    DOCKER_LAYER, DOCKER_LAYER + ".gzip", DOCKER_LAYER + ".zstd", OCI_LAYER, OCI_LAYER + "+gzip", OCI_LAYER + "+zstd",
    FOREIGN, FOREIGN + ".gzip", NONDISTRIBUTABLE, NONDISTRIBUTABLE + "+gzip", NONDISTRIBUTABLE + "+zstd",
    FOREIGN + ".lz4", "application/vnd.example.layer", "", "text/plain",
)  # fmt: skip

_END_OF_TAR = END


@dataclass
class Source:
    """One generated source: a tar, or the files of a layout folder; `tags` are the names it holds."""

    seed: int
    form: str
    tar: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    images: int = 1


def source(seed: int) -> Source:
    """Return the source of a seed."""
    rng = random.Random(seed)
    return _layout(rng, seed) if rng.random() < 0.2 else _docker(rng, seed)


# -- layers ------------------------------------------------------------------------


def _plain_layer(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.04:
        return b""
    if kind < 0.07:
        return b"x"
    if kind < 0.10:
        return _END_OF_TAR
    if kind < 0.15:
        # Large enough to be split into parts by an encoder that uses several cores.
        return member(b"big", rng.randbytes(2000) * rng.randint(100, 400)) + END
    words = [b"alpha ", b"beta ", b"gamma\n", bytes(40), rng.randbytes(30)]
    files = [
        member(b"f%d" % number, b"".join(rng.choices(words, k=rng.randint(0, 300))))
        for number in range(rng.randint(1, 3))
    ]
    return b"".join(files) + END


def _compressed(rng: random.Random, data: bytes, kind: str) -> bytes:
    match kind:
        case "gzip":
            return gzip.compress(data, rng.choice([1, 6, 9]), mtime=0)
        case "gzip-members":
            half = len(data) // 2
            return gzip.compress(data[:half], mtime=1) + gzip.compress(data[half:], mtime=2)
        case "zstd":
            return zstandard.ZstdCompressor(level=rng.choice([1, 3])).compress(data)
        case "zstd-skippable":
            return b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstandard.ZstdCompressor().compress(data)
        case "bzip2":
            return bz2.compress(data)
        case "xz":
            return lzma.compress(data, preset=0)
        case _:
            return data


_KINDS = {
    "plain": ["plain"],
    "gzip": ["gzip", "gzip-members"],
    "zstd": ["zstd", "gzip"],
    "mixed": ["plain", "plain", "gzip", "zstd"],
    "odd": ["bzip2", "xz", "plain", "gzip", "zstd-skippable"],
}


@dataclass
class _Layer:
    data: bytes
    stored: bytes

    @property
    def diff_id(self) -> str:
        return sha256(self.data)


def _layers(rng: random.Random, style: str) -> list[_Layer]:
    count = rng.choices([0, 1, 2, 3, 5], [1, 5, 6, 4, 1])[0]
    made: list[_Layer] = []
    for _ in range(count):
        if made and rng.random() < 0.12:
            twin = rng.choice(made)
            again = rng.random() < 0.6
            stored = twin.stored if again else _compressed(rng, twin.data, rng.choice(_KINDS[style]))
            made.append(_Layer(twin.data, stored))
            continue
        data = _plain_layer(rng)
        made.append(_Layer(data, _compressed(rng, data, rng.choice(_KINDS[style]))))
    return made


# -- documents ---------------------------------------------------------------------


def _recase(rng: random.Random, key: str) -> str:
    """Return a key as only Go's folding reads it."""
    way = rng.random()
    if way < 0.3:
        return key.upper()
    if way < 0.5:
        return key[:1].swapcase() + key[1:]
    if way < 0.8 and "s" in key.lower():
        at = key.lower().index("s")
        return key[:at] + "\N{LATIN SMALL LETTER LONG S}" + key[at + 1 :]
    return key.swapcase()


def _respelled(rng: random.Random, value: object, chance: float, data: tuple[str, ...] = ()) -> object:
    """Return a document with some keys in other letter case; what is under a key in `data` stays."""
    if isinstance(value, dict):
        return {
            (_recase(rng, key) if rng.random() < chance else key): (
                item if key in data else _respelled(rng, item, chance, data)
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_respelled(rng, item, chance, data) for item in value]
    return value


def _config(rng: random.Random, layers: list[_Layer], *, odd: bool = True) -> dict[str, object]:
    """Return a config; only an `odd` one may be one that crane or imgconv refuses."""
    config: dict[str, object] = {
        "architecture": rng.choice(["amd64", "arm64", "arm", ""]),
        "os": rng.choice(["linux", "linux", "linux", "windows", ""]),
        "config": rng.choice([{}, {"Env": ["A=<b>&"], "Labels": {"Size": "1", "size": "2"}}, None]),
        "created": rng.choice(["2024-01-02T03:04:05Z", "0001-01-01T00:00:00Z", "2024-01-02T03:04:05.123456789+02:00"]),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    if rng.random() < 0.4:
        config["history"] = [{"created_by": f"step {number}", "empty_layer": False} for number, _ in enumerate(layers)]
    if rng.random() < 0.1:
        config["variant"] = rng.choice(["v7", "v8", ""])
    if rng.random() < 0.1:
        config["os.version"] = "10.0.1"
    if rng.random() < 0.1:
        config["os.features"] = rng.choice([["win32k"], [], None])
    if rng.random() < 0.1:
        config["x-unknown"] = rng.choice([1, [1, {"a": None}], 10**30, 1.5e300, "\u2028<"])
    if rng.random() < 0.1:
        config.pop(rng.choice(["architecture", "os", "config", "created"]))
    if odd and rng.random() < 0.04:
        config[rng.choice(["created", "architecture", "history", "config", "rootfs", "os.features", "author"])] = (
            rng.choice([1, "x", [], {}, True, ["a"], None])
        )
    if odd and rng.random() < 0.03 and layers:
        lie = sha256(rng.randbytes(4))
        config["rootfs"] = {"type": "layers", "diff_ids": [lie, *[layer.diff_id for layer in layers[1:]]]}
    if odd and rng.random() < 0.03:
        config["rootfs"] = {"diff_ids": [layer.diff_id for layer in layers] + [sha256(b"more")] * rng.choice([0, 1])}
    return config


_PLATFORMS = (
    {}, {"os": "linux"}, {"architecture": "amd64", "os": "linux"},
    {"variant": "v8", "os": "linux", "architecture": "arm64"}, {"os.version": "10", "os": "windows"},
    {"os.features": ["b", "a"], "architecture": "amd64", "os": "windows"}, {"features": ["x"]},
    {"os.features": [], "features": [], "variant": "", "os.version": ""},
    {"architecture": None, "os": None}, {"architecture": "a<&", "os": "l", "unknown": 1},
)  # fmt: skip


def _descriptor_extras(rng: random.Random) -> dict[str, object]:
    choices: list[dict[str, object]] = [
        {"urls": ["https://example.com/a"]}, {"urls": []}, {"urls": None}, {"annotations": {"b": "<2>", "a": "1"}},
        {"annotations": {}}, {"annotations": None}, {"platform": dict(rng.choice(_PLATFORMS))}, {"platform": None},
        {"data": "aGk="}, {"data": ""}, {"data": None}, {"artifactType": "a/b"}, {"artifactType": ""}, {"x": {"y": 1}},
    ]  # fmt: skip
    extras: dict[str, object] = {}
    for _ in range(rng.choices([0, 1, 2, 4], [5, 5, 3, 1])[0]):
        extras.update(rng.choice(choices))
    return extras


def _layer_source(rng: random.Random, layer: _Layer) -> dict[str, object]:
    about = rng.choice([layer.data, layer.stored, rng.randbytes(9)])
    entry: dict[str, object] = {
        "mediaType": rng.choice(LAYER_TYPES[:6] if rng.random() < 0.6 else LAYER_TYPES),
        "size": len(about) if rng.random() < 0.9 else rng.choice([0, 1, 2**40, -1, 1.5, None, 2**63, 10**5000]),
        "digest": sha256(about) if rng.random() < 0.95 else rng.choice(["sha512:" + "a" * 128, "md5:x", "", None]),
        **_descriptor_extras(rng),
    }
    if rng.random() < 0.05:
        entry.pop(rng.choice(["mediaType", "size", "digest"]))
    return entry


def _layer_sources(rng: random.Random, layers: list[_Layer]) -> dict[str, object] | None:
    way = rng.random()
    if way < 0.45 or not layers:
        return None
    if way < 0.65:
        # As Docker 25 and later write it.
        return {
            layer.diff_id: {"mediaType": OCI_LAYER, "size": len(layer.data), "digest": layer.diff_id}
            for layer in layers
        }
    found: dict[str, object] = {}
    for layer in layers:
        if rng.random() < 0.6:
            found[layer.diff_id] = _layer_source(rng, layer)
    if rng.random() < 0.1:
        found[rng.choice([sha256(b"other"), "sha256:short", ""])] = _layer_source(rng, layers[0])
    if rng.random() < 0.05:
        found[layers[0].diff_id] = None
    return found


def _dump(rng: random.Random, value: object) -> bytes:
    text = _json(value, indent=rng.choice([None, None, None, 3]))
    if rng.random() < 0.3:
        text += "\n"
    if rng.random() < 0.01:
        text += "x"
    return text.encode()


def _json(value: object, indent: int | None = None) -> str:
    class Number(int):
        """An integer of any length: Python itself refuses to write one of 5,000 digits."""

        def __repr__(self) -> str:
            return "1" + "0" * 5000

    def walk(item: object) -> object:
        if isinstance(item, dict):
            return {key: walk(each) for key, each in item.items()}
        if isinstance(item, list):
            return [walk(each) for each in item]
        return "\0huge" if isinstance(item, int) and item > 10**4000 else item

    text = json.dumps(walk(value), indent=indent, ensure_ascii=False)
    return text.replace('"\\u0000huge"', repr(Number()))


# -- archives with manifest.json -----------------------------------------------------


def _layer_name(form: str, layer: _Layer, number: int) -> str:
    match form:
        case "docker-save":
            return sha256(b"v1 %d" % number + layer.data)[7:] + "/layer.tar"
        case "docker-save@25" | "docker-oci":
            return "blobs/sha256/" + sha256(layer.stored)[7:]
        case "crane":
            return sha256(layer.stored)[7:] + ".tar.gz"
        case _:
            return f"layer{number}.tar"


def _config_name(form: str, raw: bytes, number: int) -> str:
    match form:
        case "docker-save":
            return sha256(raw)[7:] + ".json"
        case "docker-save@25" | "docker-oci":
            return "blobs/sha256/" + sha256(raw)[7:]
        case "crane":
            return sha256(raw)
        case _:
            return f"config{number}.json"


def _docker(rng: random.Random, seed: int) -> Source:
    form = rng.choice(["docker-save", "docker-save@25", "docker-oci", "crane", "plain names"])
    style = "plain" if form in {"docker-save", "docker-save@25"} and rng.random() < 0.7 else rng.choice(list(_KINDS))
    if form == "crane" and rng.random() < 0.6:
        style = "gzip"
    count = rng.choices([1, 2, 3], [14, 2, 1])[0]
    chance = rng.choices([0, 0.15, 0.6], [12, 3, 2])[0]
    members: dict[str, bytes] = {}
    links: dict[str, str] = {}
    items: list[object] = []
    tags: list[str] = []
    descriptors: list[dict[str, object]] = []
    for number in range(count):
        layers = _layers(rng, style)
        config = _respelled(rng, _config(rng, layers, odd=count == 1), chance, ("Labels",))
        raw = _dump(rng, config)
        name = _config_name(form, raw, number)
        members[name] = raw
        names = []
        for at, layer in enumerate(layers):
            path = _layer_name(form, layer, 10 * number + at)
            same = next((other for other, data in members.items() if data == layer.stored and other != name), None)
            if same and path not in members and rng.random() < 0.5:
                links[path] = same
            else:
                members.setdefault(path, layer.stored)
            names.append(path if rng.random() < 0.97 else rng.choice(["./", "a/../"]) + path)
        item: dict[str, object] = {
            "Config": name,
            "RepoTags": [f"example.com/app{number}:{rng.choice(['1', 'latest', 'v2'])}"],
            "Layers": names,
        }
        if rng.random() < 0.1:
            item["RepoTags"] = rng.choice([None, [], ["app", "app:1", "docker.io/library/app:2"], ["UPPER/x:1"]])
        sources = _layer_sources(rng, layers)
        if sources is not None:
            item["LayerSources"] = sources
        if rng.random() < 0.03:
            item["Parent"] = rng.choice(["", sha256(b"parent"), None])
        if count == 1 and rng.random() < 0.03:
            item[rng.choice(["Config", "RepoTags", "Layers", "LayerSources", "Unknown"])] = rng.choice(
                [None, 1, "x", [], {}, [1], ["nosuch"]]
            )
        tags += (
            [text for text in item["RepoTags"] or () if isinstance(text, str)]
            if isinstance(item["RepoTags"], list)
            else []
        )
        items.append(_respelled_item(rng, item, chance))
        descriptors.append(_oci_image(members, layers, raw) if form in {"docker-oci", "docker-save@25"} else {})
    members["manifest.json"] = _dump(rng, items)
    if form in {"docker-oci", "docker-save@25"}:
        members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()
    return Source(seed, form, _tar(rng, members, links), tags=tuple(tags), images=count)


def _respelled_item(rng: random.Random, item: dict[str, object], chance: float) -> object:
    """Respell an item; the keys of `LayerSources` are DiffIDs, which no reader folds."""
    sources = item.get("LayerSources")
    head = _respelled(rng, {key: value for key, value in item.items() if key != "LayerSources"}, chance)
    if isinstance(sources, dict) and isinstance(head, dict):
        head[_recase(rng, "LayerSources") if rng.random() < chance else "LayerSources"] = {
            key: _respelled(rng, value, chance, ("annotations",)) for key, value in sources.items()
        }
    return head


def _oci_image(members: dict[str, bytes], layers: list[_Layer], config: bytes) -> dict[str, object]:
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": sha256(config), "size": len(config)},
            "layers": [
                {"mediaType": _true_type(layer), "digest": sha256(layer.stored), "size": len(layer.stored)}
                for layer in layers
            ],
        }
    ).encode()
    members["blobs/sha256/" + sha256(manifest)[7:]] = manifest
    return {"mediaType": MANIFEST, "digest": sha256(manifest), "size": len(manifest)}


def _true_type(layer: _Layer) -> str:
    for magic, ending in ((b"\x1f\x8b", "+gzip"), (b"\x28\xb5\x2f\xfd", "+zstd"), (b"\x50\x2a\x4d\x18", "+zstd")):
        if layer.stored.startswith(magic):
            return OCI_LAYER + ending
    return OCI_LAYER


def _tar(rng: random.Random, members: dict[str, bytes], links: dict[str, str]) -> bytes:
    parts = [_named(rng, name, data) for name, data in members.items()]
    for name, target in links.items():
        up = "../" * name.count("/")
        parts.append(member(name.encode(), b"", flag=b"2", link=(up + target).encode()))
    rng.shuffle(parts)
    return b"".join(parts) + (END if rng.random() < 0.97 else b"")


def _named(rng: random.Random, name: str, data: bytes) -> bytes:
    return member((name if rng.random() < 0.98 or "manifest.json" in name else "./" + name).encode(), data)


# -- layout folders ------------------------------------------------------------------


def _layout(rng: random.Random, seed: int) -> Source:
    chance = rng.choices([0, 0.15, 0.6], [8, 3, 1])[0]
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    count = rng.choices([1, 2], [9, 1])[0]
    entries = [_layout_image(rng, files, chance) for _ in range(count)]
    if rng.random() < 0.2:
        index = _dump(rng, _respelled(rng, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, chance))
        files["blobs/sha256/" + sha256(index)[7:]] = index
        entries = [{"mediaType": INDEX, "digest": sha256(index), "size": len(index)}]
        count = 1
    top = {"schemaVersion": 2, "manifests": [_respelled(rng, entry, chance, ("annotations",)) for entry in entries]}
    files["index.json"] = _dump(
        rng,
        _respelled(rng, {key: value for key, value in top.items() if key != "manifests"}, 0)
        | {"manifests": top["manifests"]},
    )
    return Source(seed, "oci", files=files, images=count)


def _layout_image(rng: random.Random, files: dict[str, bytes], chance: float) -> dict[str, object]:
    layers = _layers(rng, rng.choice(["plain", "gzip", "gzip", "zstd", "mixed"]))
    config = _dump(rng, _respelled(rng, _config(rng, layers), chance, ("Labels",)))
    docker = rng.random() < 0.3
    types = [_true_type(layer) for layer in layers]
    if docker:
        types = [text.replace(OCI_LAYER, DOCKER_LAYER).replace("+", ".") for text in types]
    if rng.random() < 0.1:
        types = [rng.choice(LAYER_TYPES[:11]) for _ in types]
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else MANIFEST,
        "config": {
            "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
            "digest": sha256(config),
            "size": len(config),
            **(_descriptor_extras(rng) if rng.random() < 0.1 else {}),
        },
        "layers": [
            {
                "mediaType": media_type,
                "digest": sha256(layer.stored),
                "size": len(layer.stored),
                **(_descriptor_extras(rng) if rng.random() < 0.1 else {}),
            }
            for layer, media_type in zip(layers, types, strict=True)
        ],
    }
    if rng.random() < 0.2:
        manifest["annotations"] = {"a": "b", "A": "c"}
    raw = _dump(rng, _respelled(rng, manifest, chance, ("annotations",)))
    for data in (config, raw, *[layer.stored for layer in layers]):
        files["blobs/sha256/" + sha256(data)[7:]] = data
    return {
        "mediaType": DOCKER_MANIFEST if docker else MANIFEST,
        "digest": sha256(raw),
        "size": len(raw),
        **(_descriptor_extras(rng) if rng.random() < 0.2 else {}),
    }
