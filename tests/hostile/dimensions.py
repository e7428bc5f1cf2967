"""Sources that have much of one thing: a generator for each dimension in which one can grow."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hostile import cases_scale as cases
from hostile.building import (
    CONFIG,
    DIFF_ID,
    END,
    INDEX,
    LAYER,
    MANIFEST,
    PLAIN,
    Docker,
    Layout,
    blob,
    config,
    dump,
    header,
    member,
    pax,
    v1,
)

from convert.limits import MAX_ALL_IMAGES, MAX_ALL_LAYERS, MAX_DIFFERENT_LAYERS, MAX_LAYERS

IMAGE_NAME = "io.containerd.image.name"
REFERENCE = "vnd.docker.reference"


@dataclass(frozen=True)
class Dimension:
    """One thing of which a source can have many: what makes it, from which size on, and its limit."""

    make: Callable[[int], Iterator[bytes]]
    start: int
    limit: int


def tags(n):
    yield from cases.many_tags(n)


def long_tags(n):
    yield Docker(tags=[f"{'x' * 200}/{'y' * 50}:{'t' * 110}{k}" for k in range(n)]).build()


def repositories(n):
    yield Docker(tags=[f"example.com/app{k}:1" for k in range(n)]).build()


def layout_names(n):
    named = [
        {
            "annotations": {
                "io.containerd.image.name": f"example.com/app:{k}",
                "org.opencontainers.image.ref.name": str(k),
            }
        }
        for k in range(n)
    ]
    yield Layout(raw_index=dump({"schemaVersion": 2, "manifests": [_entry() | one for one in named]})).build()


def _entry():
    parts = Layout().parts()
    return json.loads(parts["index.json"])["manifests"][0]


def images(n):
    items, files = [], []
    for k in range(n):
        files.append((f"c{k}.json", dump(config(number=k))))
        items.append({"Config": f"c{k}.json", "RepoTags": [f"a:{k}"], "Layers": ["layer.tar"]})
    yield Docker(manifest=items, extra=tuple(files)).build()


def images_of_one_config(n):
    items = [{"Config": "config.json", "RepoTags": [f"a:{k}"], "Layers": ["layer.tar"]} for k in range(n)]
    yield Docker(manifest=items).build()


def manifests_of_one_config(n):
    yield from cases.shared_config(n, dump(config()))


def layers(n):
    yield from _layers([member(b"f%d" % k, b"x") + END for k in range(n)])


def _layers(tars):
    names = {f"{k}.tar": data for k, data in enumerate(tars)}
    yield Docker(config=config(*map(_digest, tars)), layers=names).build()


def layers_of_images(n):
    """Images of a hundred layers of their own, n together."""
    yield from _docker_images([range(first, min(first + 100, n)) for first in range(0, n, 100)])


def layers_of_manifests(n):
    """The same in an OCI layout."""
    yield from _layout_images([range(first, min(first + 100, n)) for first in range(0, n, 100)])


def shared_layers(n):
    """Images that share layers, as many as one may have; n together."""
    yield from _docker_images([range(min(n, MAX_LAYERS))] * max(1, n // MAX_LAYERS))


def shared_layers_of_manifests(n):
    """The same in an OCI layout."""
    yield from _layout_images([range(min(n, MAX_LAYERS))] * max(1, n // MAX_LAYERS))


def layers_of_both(n):
    """The same in an archive with both documents, as `--to docker-oci` writes it."""
    yield from _layout_images([range(first, min(first + 100, n)) for first in range(0, n, 100)], listed=True)


def images_of_both(n):
    """Images of one layer in an archive with both documents."""
    yield from _layout_images([range(1)] * n, listed=True)


def _docker_images(images):
    items, files_ = [], {}
    for number, numbers in enumerate(images):
        tars = _small_tars(numbers)
        files_ |= {f"config{number}.json": dump(config(*map(_digest, tars.values()), number=number)), **tars}
        items.append({"Config": f"config{number}.json", "RepoTags": [f"a:{number}"], "Layers": list(tars)})
    yield Docker(manifest=items, extra=tuple(files_.items())).build()


def _layout_images(images, *, listed=False):
    """Yield a layout of images; `listed` in a `manifest.json` too."""
    blobs_, entries, items = {}, [], []

    def put(data):
        name, described = blob(data)
        blobs_[name] = data
        return described

    for number, numbers in enumerate(images):
        tars = _small_tars(numbers).values()
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": CONFIG, **put(dump(config(*map(_digest, tars), number=number)))},
            "layers": [{"mediaType": LAYER, **put(data)} for data in tars],
        }
        names = [f"blobs/sha256/{each['digest'][7:]}" for each in (manifest["config"], *manifest["layers"])]
        entry = {"mediaType": MANIFEST, **put(dump(manifest))}
        if listed:
            name = f"docker.io/library/a:{number}"
            entry["annotations"] = {IMAGE_NAME: name, "org.opencontainers.image.ref.name": str(number)}
            items.append({"Config": names[0], "RepoTags": [f"a:{number}"], "Layers": names[1:]})
        entries.append(entry)
    extra = [("manifest.json", dump(items))] if listed else []
    raw_index = dump({"schemaVersion": 2, "manifests": entries})
    yield Layout(raw_index=raw_index, blobs=blobs_, extra=tuple(extra)).build()


def _small_tars(numbers):
    return {f"{k}.tar": member(b"f%d" % k, b"x") + END for k in numbers}


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def same_layers(n):
    yield Docker(config=config(*[DIFF_ID] * n), item={"Layers": ["layer.tar"] * n}).build()


def links(n):
    found = [header(b"l%d" % k, flag=b"2", link=b"layer.tar") for k in range(n)]
    yield Docker(
        config=config(*[DIFF_ID] * n), item={"Layers": [f"l{k}" for k in range(n)]}, extra=tuple(found)
    ).build()


def hard_links(n):
    found = [header(b"l%d" % k, flag=b"1", link=b"layer.tar") for k in range(n)]
    yield Docker(
        config=config(*[DIFF_ID] * n), item={"Layers": [f"l{k}" for k in range(n)]}, extra=tuple(found)
    ).build()


def long_links(n):
    yield from cases.distinct_long_links(n, parts=120)


def history(n):
    steps = [{"created_by": "x"}] + [{"created_by": f"RUN {k}", "empty_layer": True} for k in range(n - 1)]
    yield Docker(config=config(history=steps)).build()


def shared_history(n):
    yield from cases.long_histories(n, 1000)


def shared_commands(n):
    yield from cases.long_commands(n, 400_000)


def long_texts(n):
    """Texts of n bytes wherever a document has one."""
    text = "x" * n
    yield Layout(
        config=config(created=text, author=text, history=[{"created_by": text, "comment": text}], variant=text),
        manifest={"annotations": {"a": text}},
        entry={"annotations": {"b": text, "org.opencontainers.image.ref.name": text}},
    ).build()


def shared_texts(n):
    """Images that share one config with a long `created` and `variant`."""
    text = "x" * 50_000
    yield from cases.shared_config(n, dump(config(created=text, variant=text)))


def keys(n):
    yield from cases.many_configs_of_keys(1, n)


def shared_keys(n):
    yield from cases.configs_of_keys(n, 20_000)


def label_keys(n):
    yield Docker(config=config(config={"Labels": {f"label{k}": "v" for k in range(n)}, "Env": ["A=B"] * 10})).build()


def environment(n):
    yield Docker(config=config(config={"Env": [f"A{k}=B" for k in range(n)]})).build()


def configs_of_keys(n):
    yield from cases.many_configs_of_keys(n, 20_000)


def members(n):
    yield Docker().build()[: -len(END)]
    for k in range(n):
        yield header(b"other/%d" % k)
    yield END


def folders(n):
    yield Docker().build()[: -len(END)]
    for k in range(n):
        yield header(b"d%d/" % k, flag=b"5")
    yield END


def repeated_members(n):
    yield Docker().build()[: -len(END)]
    for k in range(n):
        yield member(b"other/%d" % (k // 2), b"same")
    yield END


def long_names(n):
    yield from cases.long_names(n, 1000)


def pax_records(n):
    yield Docker().build()[: -len(END)]
    for k in range(n):
        yield pax((b"SCHILY.xattr.user.k%d" % k, b"v" * 200), (b"comment", b"c" * 200)) + header(b"p/%d" % k)
    yield END


def records_of_one_member(n):
    yield Docker().build()[: -len(END)]
    yield pax(*((b"SCHILY.xattr.user.k%d" % k, b"v") for k in range(n))) + header(b"p")
    yield END


def xattrs_of_files(n):
    """A layer whose files have extended attributes."""
    files = [pax((b"SCHILY.xattr.user.k", b"%d" % k)) + header(b"f/%d" % k) for k in range(n)]
    yield from _layers([b"".join(files) + END])


def files(n):
    yield from _layers([b"".join(header(b"f/%d" % k) for k in range(n)) + END])


def blobs(n):
    yield from cases.unreferenced_blobs(n)


def descriptors(n):
    """Children of one index that are there, each a manifest of its own."""
    blobs_, entries = {}, []
    raw = dump(config())
    name, described = blob(raw)
    blobs_[name] = raw
    for k in range(n):
        manifest = dump(
            {
                "schemaVersion": 2,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **described},
                "layers": [{"mediaType": LAYER, "digest": DIFF_ID, "size": len(PLAIN)}],
                "annotations": {"k": str(k)},
            }
        )
        name, entry = blob(manifest)
        blobs_[name] = manifest
        entries.append({"mediaType": MANIFEST, **entry, "platform": {"os": "linux", "architecture": f"a{k}"}})
    yield from _index_of(entries, blobs_)


def _index_of(entries, blobs_, names=("example.com/app:1",)):
    raw = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    name, described = blob(raw)
    tops = [{"mediaType": INDEX, **described, "annotations": {IMAGE_NAME: text}} for text in names]
    yield Layout(raw_index=dump({"schemaVersion": 2, "manifests": tops}), blobs={**blobs_, name: raw}).build()


def platforms(n):
    """Children of one index that are absent, each of a platform of its own."""
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{k:064x}",
            "size": 9,
            "platform": {"os": "linux", "architecture": f"a{k}"},
        }
        for k in range(n)
    ]
    yield from _index_of([{**_entry(), "platform": {"os": "linux", "architecture": "amd64"}}, *entries], {})


def absent(n):
    yield from cases.absent_children(n)


def names_times_children(n):
    """N names of one index of n children."""
    entry = {"mediaType": MANIFEST, "size": 9, "platform": {"os": "linux", "architecture": "a"}}
    entries = [{**entry, "digest": f"sha256:{k:064x}"} for k in range(n)]
    yield from _index_of(
        [{**_entry(), "platform": {"os": "linux", "architecture": "amd64"}}, *entries],
        {},
        [f"example.com/app:{k}" for k in range(n)],
    )


def attestations(n):
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{k:064x}",
            "size": 9,
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": DIFF_ID,
            },
            "platform": {"os": "unknown", "architecture": "unknown"},
        }
        for k in range(n)
    ]
    yield from _index_of([{**_entry(), "platform": {"os": "linux", "architecture": "amd64"}}, *entries], {})


def nested_indexes(n):
    """Indexes that each hold the one image."""
    child = {**_entry(), "platform": {"os": "linux", "architecture": "amd64"}}
    blobs_, tops = {}, []
    for k in range(n):
        raw = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child], "annotations": {"k": str(k)}})
        name, described = blob(raw)
        blobs_[name] = raw
        tops.append({"mediaType": INDEX, **described})
    yield from _index_of(tops, blobs_)


def shared_indexes(n):
    """N indexes that hold the same n images."""
    yield from cases.shared_indexes(n, n, 4)


def annotations(n):
    yield Layout(
        manifest={"annotations": {f"m{k}": "v" for k in range(n)}},
        entry={"annotations": {f"e{k}": "v" for k in range(n)}},
        index={"annotations": {f"i{k}": "v" for k in range(n)}},
    ).build()


def bad_references(n):
    yield Docker(tags=["example.com/app:1", *(f"UPPER/{k}" for k in range(n))]).build()


def bad_base64(n):
    yield from cases.bad_base64(n // 10, n)


def bad_configs(n):
    """Images each of whose configs is damaged in a way of its own."""
    items, files_ = [], []
    for k in range(n):
        files_.append((f"c{k}.json", dump(config(number=k, history="no"))))
        items.append({"Config": f"c{k}.json", "RepoTags": [f"a:{k}"], "Layers": ["layer.tar"]})
    yield Docker(manifest=items, extra=tuple(files_)).build()


def missing_layers(n):
    yield Docker(config=config(*[DIFF_ID] * n), item={"Layers": [f"none{k}.tar" for k in range(n)]}).build()


def bad_layers(n):
    """Layers that are not their DiffIDs."""
    tars = {f"{k}.tar": member(b"f", b"%d" % k) + END for k in range(n)}
    yield Docker(config=config(*[f"sha256:{k:064x}" for k in range(n)]), layers=tars).build()


def streams(n):
    """Empty gzip members before a layer."""
    yield Docker(layers={"layer.tar": gzip.compress(b"", mtime=0) * n + gzip.compress(PLAIN, mtime=0)}).build()


def v1_chain(n):
    found = [(f"{k:064x}", f"{k - 1:064x}" if k else None, END) for k in range(n)]
    yield v1(*found, repositories={"a/b": {"t": f"{n - 1:064x}"}})


def v1_shared_chains(n):
    """Four v1 images on one chain of parents, n layers together."""
    length = n // 4 - 1
    found = [(f"{k:064x}", f"{k - 1:064x}" if k else None, END) for k in range(length)]
    tops = [f"{length + k:064x}" for k in range(4)]
    found += [(top, f"{length - 1:064x}", END) for top in tops]
    yield v1(*found, repositories={"a/b": {f"t{k}": top for k, top in enumerate(tops)}})


def v1_images(n):
    found = [(f"{k:064x}", None, END) for k in range(n)]
    yield v1(*found, repositories={"a/b": {f"t{k}": f"{k:064x}" for k in range(n)}})


def v1_folders(n):
    """v1 folders beside a `manifest.json`, which `repositories` names."""
    extra = []
    for k in range(n):
        v1_id = f"{k:064x}"
        extra.append((f"{v1_id}/json", dump({"id": v1_id} | ({"parent": f"{k - 1:064x}"} if k else {}))))
        extra.append(header(f"{v1_id}/layer.tar".encode(), flag=b"2", link=b"../layer.tar"))
    extra.append(("repositories", dump({"example.com/app": {"1": f"{n - 1:064x}"}})))
    yield Docker(config=config(*[DIFF_ID] * n), item={"Layers": ["layer.tar"] * n}, extra=tuple(extra)).build()


def layer_sources(n):
    sources = {f"sha256:{k:064x}": {"mediaType": LAYER, "size": 1, "digest": DIFF_ID} for k in range(n)}
    yield Docker(item={"LayerSources": sources}).build()


def urls(n):
    yield Layout(layer_changes={"urls": [f"https://example.com/{k}" for k in range(n)]}).build()


# Files in a layer are not limited: the time that a layer may take follows the bytes to which it unpacks.
DIMENSIONS = {
    make.__name__: Dimension(make, start, limit)
    for make, start, limit in (
        (tags, 2500, 100_000),
        (long_tags, 1000, 11_000),
        (repositories, 2500, 100_000),
        (layout_names, 1000, 11_000),
        (images, 500, MAX_ALL_IMAGES),
        (images_of_one_config, 1000, MAX_ALL_IMAGES),
        (manifests_of_one_config, 500, MAX_ALL_IMAGES),
        (layers, 250, 10_000),
        (layers_of_images, 250, MAX_DIFFERENT_LAYERS),
        (layers_of_manifests, 250, MAX_DIFFERENT_LAYERS),
        (layers_of_both, 250, MAX_DIFFERENT_LAYERS),
        (images_of_both, 500, MAX_ALL_IMAGES),
        (shared_layers, 1000, MAX_ALL_LAYERS),
        (shared_layers_of_manifests, 1000, MAX_ALL_LAYERS),
        (same_layers, 1000, 10_000),
        (links, 1000, 10_000),
        (hard_links, 1000, 10_000),
        (long_links, 500, 10_000),
        (history, 5000, 90_000),
        (shared_history, 100, 2000),
        (shared_commands, 25, 600),
        (long_texts, 100_000, 800_000),
        (shared_texts, 100, 4000),
        (keys, 20_000, 280_000),
        (shared_keys, 50, 1000),
        (label_keys, 10_000, 140_000),
        (environment, 10_000, 280_000),
        (configs_of_keys, 8, 70),
        (members, 10_000, 145_000),
        (folders, 10_000, 145_000),
        (repeated_members, 5000, 145_000),
        (long_names, 4000, 66_000),
        (pax_records, 5000, 145_000),
        (records_of_one_member, 2500, 30_000),
        (xattrs_of_files, 2500, 60_000),
        (files, 5000, 60_000),
        (blobs, 8000, 145_000),
        (descriptors, 500, 14_000),
        (platforms, 1000, 20_000),
        (absent, 1000, 20_000),
        (names_times_children, 50, 950),
        (attestations, 1000, 11_000),
        (nested_indexes, 250, 14_000),
        (shared_indexes, 5, 60),
        (annotations, 5000, 140_000),
        (bad_references, 2500, 99_000),
        (bad_base64, 1000, 20_000),
        (bad_configs, 250, MAX_ALL_IMAGES),
        (missing_layers, 500, 10_000),
        (bad_layers, 250, 10_000),
        (streams, 50_000, 3_300_000),
        (v1_chain, 250, 10_000),
        (v1_shared_chains, 1000, MAX_ALL_LAYERS - 12),
        (v1_images, 500, MAX_ALL_IMAGES),
        (v1_folders, 500, 10_000),
        (layer_sources, 1000, 15_000),
        (urls, 5000, 140_000),
    )
}
