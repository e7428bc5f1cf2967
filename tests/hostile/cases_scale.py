"""Small sources that ask for much work.

Each function yields the bytes of a tar in pieces, so that a source of a gigabyte
does not have to fit in memory.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma

from hostile.building import (
    DIFF_ID,
    END,
    INDEX,
    LAYER,
    LAYER_GZIP,
    MANIFEST,
    PLAIN,
    Docker,
    Layout,
    blob,
    config,
    dump,
    gnu_long,
    header,
)

MIB = 1 << 20


def _split(built):
    """Return a tar without its end, so that more members can follow."""
    return built[: -len(END)]


def many_tags(count):
    yield Docker(tags=[f"example.com/app:{n}" for n in range(count)]).build()


def short_tags(count):
    """As many tags as fit in a document of 4 MiB."""
    yield Docker(tags=[f"a:{n}" for n in range(count)]).build()


def absent_children(count):
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{n:064x}",
            "size": 9,
            "platform": {"os": "linux", "architecture": "a"},
        }
        for n in range(count)
    ]
    yield from layout_of(entries)


def layout_of(entries):
    """Yield a layout of one image and the given entries beside it."""
    first = json.loads(Layout().parts()["index.json"])["manifests"]
    yield Layout(raw_index=dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*first, *entries]})).build()


def long_links(count, parts=1900, hops=8):
    """Layers under one name, which leads through links whose targets have many parts."""
    deep = "a/" * parts
    links = [_link(f"{deep}{hop}", f"{deep}{hop + 1}") for hop in range(hops - 1)]
    links.append(_link(f"{deep}{hops - 1}", "layer.tar"))
    yield _linked([f"{deep}0"] * count, links)


def distinct_long_links(count, parts=1900):
    """As `long_links`, each layer under a name of its own."""
    deep = "a/" * parts
    links = []
    for number in range(count):
        links += [_link(f"{deep}{number}", f"{deep}x{number}"), _link(f"{deep}x{number}", "layer.tar")]
    yield _linked([f"{deep}{number}" for number in range(count)], links)


def _link(name, target):
    return gnu_long(b"K", target.encode()) + gnu_long(b"L", name.encode()) + header(b"x", flag=b"1", link=b"y")


def _linked(names, links):
    return Docker(config=config(*[DIFF_ID] * len(names)), item={"Layers": names}, first=tuple(links)).build()


def bad_base64(bad, count):
    entries = [
        {"mediaType": MANIFEST, "digest": f"sha256:{n:064x}", "size": 9, "platform": {}}
        | ({"data": "!"} if n * bad % count < bad else {})
        for n in range(count)
    ]
    yield from layout_of(entries)


def shared_config(images, raw):
    """Manifests that differ in an annotation and share one config."""
    config_name, described = blob(raw)
    blobs, entries = {config_name: raw}, []
    layer = {"mediaType": LAYER, "digest": DIFF_ID, "size": len(PLAIN)}
    for number in range(images):
        manifest = dump(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **described},
                "layers": [layer],
                "annotations": {"n": str(number)},
            }
        )
        name, entry = blob(manifest)
        blobs[name] = manifest
        entries.append({"mediaType": MANIFEST, **entry})
    yield Layout(raw_index=dump({"schemaVersion": 2, "manifests": entries}), blobs=blobs).build()


def long_histories(images, steps):
    history = [{"created_by": "x"}] + [{"created_by": "x", "empty_layer": True}] * (steps - 1)
    yield from shared_config(images, dump(config(history=history)))


def long_commands(images, size):
    yield from shared_config(images, dump(config(history=[{"created_by": "x" * size}])))


def configs_of_keys(images, keys):
    """One config of many keys, under many manifests."""
    yield from shared_config(images, dump(config(**{f"k{n}": 1 for n in range(keys)})))


def many_configs_of_keys(images, keys, salt=0):
    """Configs of many keys, each of another image."""
    items, files = [], []
    for number in range(images):
        raw = dump(config(**{f"k{n}": number + salt for n in range(keys)}))
        files.append((f"c{number}.json", raw))
        items.append({"Config": f"c{number}.json", "RepoTags": [f"a:{number}"], "Layers": ["layer.tar"]})
    yield Docker(manifest=items, extra=tuple(files)).build()


def shared_indexes(indexes, images, layers):
    """Indexes that all hold the same images."""
    blobs, children = {}, []
    layer = {"mediaType": LAYER, "digest": DIFF_ID, "size": len(PLAIN)}
    for number in range(images):
        raw = dump(config(*[DIFF_ID] * layers, number=number))
        name, described = blob(raw)
        blobs[name] = raw
        manifest = dump(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **described},
                "layers": [layer] * layers,
            }
        )
        name, described = blob(manifest)
        blobs[name] = manifest
        children.append({"mediaType": MANIFEST, **described, "platform": {"os": "linux", "architecture": f"a{number}"}})
    entries = []
    for number in range(indexes):
        raw = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": children, "annotations": {"n": str(number)}})
        name, described = blob(raw)
        blobs[name] = raw
        entries.append({"mediaType": INDEX, **described})
    yield Layout(raw_index=dump({"schemaVersion": 2, "manifests": entries}), blobs=blobs).build()


def long_names(count, length=4000):
    yield _split(Docker().build())
    for number in range(count):
        yield gnu_long(b"L", b"%07d" % number + b"n" * (length - 7)) + header(b"x")
    yield END


def unreferenced_blobs(count):
    yield _split(Layout().build())
    for number in range(count):
        yield header(b"blobs/sha256/%064x" % number)
    yield END


def many_layers(count):
    """Images of 10,000 layers each, as many layers as a source may have."""
    raw = dump(config(*[DIFF_ID] * min(count, 10_000)))
    items = [
        {"Config": "config.json", "RepoTags": [f"a:{n}"], "Layers": ["layer.tar"] * min(count, 10_000)}
        for n in range(max(1, count // 10_000))
    ]
    yield Docker(config=raw, manifest=items).build()


def registry_manifest(digests, size=9, media_type=LAYER_GZIP):
    """Return a manifest that lists layers by the given digests."""
    return dump(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "@", "size": 0},
            "layers": [{"mediaType": media_type, "digest": digest, "size": size} for digest in digests],
        }
    )


def rle_window(size, window_log=27, byte=b"\0"):
    """Return a zstd frame of `size` equal bytes in blocks of run-length form, with a large window."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0, (window_log - 10) << 3])
    step = 128 << 10
    count = size // step
    blocks = [((n == count - 1) | 1 << 1 | step << 3).to_bytes(3, "little") + byte for n in range(count)]
    return frame + b"".join(blocks)


def large_windows(layers, size=160 * MIB):
    """Layers under zstd whose windows take 128 MiB each once they are full."""
    diff_ids, described, blobs = [], [], {}
    for number in range(layers):
        byte = bytes([number])
        hasher = hashlib.sha256()
        for _ in range(size // MIB):
            hasher.update(byte * MIB)
        diff_ids.append("sha256:" + hasher.hexdigest())
        packed = rle_window(size, byte=byte)
        name, entry = blob(packed)
        blobs[name] = packed
        described.append({"mediaType": LAYER + "+zstd", **entry})
    yield Layout(config=config(*diff_ids), manifest={"layers": described}, blobs=blobs).build()


def empty_members(kind, size):
    """One layer of nothing but empty gzip, bzip2 or xz members."""
    one = {"gzip": gzip.compress(b"", mtime=0), "bzip2": bz2.compress(b""), "xz": lzma.compress(b"")}[kind]
    last = {
        "gzip": gzip.compress(PLAIN, mtime=0),
        "bzip2": bz2.compress(PLAIN),
        "xz": lzma.compress(PLAIN),
    }[kind]
    data = one * (size // len(one)) + last
    yield Docker(layers={"layer.tar": data}).build()
