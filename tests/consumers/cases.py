"""Small archives, one for each property that a rule names. Nothing of imgconv is used here.

python tests/consumers/cases.py FOLDER    write them all, for tests/peer/matrix.py
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sys
import tarfile
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parents[1]))

import dir_folders
from layouts import (
    CONFIG,
    DOCKER,
    FOREIGN,
    GZIP,
    LAYER,
    MANIFEST,
    REF_NAME,
    Layout,
    digest_of,
    dumps,
    named,
    packed,
    piped,
    tar_of,
)

NAME = "example.com/app:1"
SETTINGS = {"architecture": "amd64", "os": "linux"}
ARM = {"architecture": "arm64", "os": "linux"}


def write(path, data):
    """Write a file and return its path."""
    path.write_bytes(data)
    return path


# -- docker archives ------------------------------------------------------------------------


def docker(path, layers=(("a", None),), *, tags=(NAME,), change=None, items=None, extra=(), manifest=None):
    """Write a docker archive of one image; a layer is a name and its bytes, None for a tar of one file."""
    layers = [(name, tar_of(name) if data is None else data) for name, data in layers]
    diff_ids = [digest_of(data) for _, data in layers]
    config = SETTINGS | {"rootfs": {"type": "layers", "diff_ids": diff_ids}} | (change or {})
    config = {key: value for key, value in config.items() if value is not None}
    raw = dumps(config)
    name = digest_of(raw)[7:] + ".json"
    item = {"Config": name, "RepoTags": list(tags), "Layers": [f"{layer}.tar" for layer, _ in layers]} | (items or {})
    files = {f"{layer}.tar": data for layer, data in layers} | {name: raw}
    files["manifest.json"] = dumps([item]) if manifest is None else manifest
    for extra_name, data in extra:
        if data is None:
            files.pop(name if extra_name == "config" else extra_name)
        else:
            files[name if extra_name == "config" else extra_name] = data
    return tar(path, files)


def tar(path, files):
    """Write a tar of files; a link is a `tarfile.TarInfo`."""
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            if isinstance(data, tarfile.TarInfo):
                archive.addfile(data)
            else:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def link(name, target, kind):
    """Return a link as a member."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def repeated():
    """Return a layer that names a path twice."""
    return tar_of("x")[:1024] + tar_of("x")


def two_images(path):
    """Write a docker archive of two images; the layer of the second is a symbolic link to that of the first."""
    first, second = tar_of("one"), tar_of("two")
    configs = [dumps(SETTINGS | {"rootfs": {"type": "layers", "diff_ids": [digest_of(x)]}}) for x in (first, second)]
    names = [digest_of(raw)[7:] + ".json" for raw in configs]
    items = [
        {"Config": name, "RepoTags": [f"example.com/app:{number}"], "Layers": [f"{number}.tar"]}
        for number, name in enumerate(names)
    ]
    return tar(
        path, {"0.tar": first, "1.tar": second, **dict(zip(names, configs, strict=True)), "manifest.json": dumps(items)}
    )


def linked(path, kind, target="b.tar"):
    """Write a docker archive whose layer is a link."""
    layer = tar_of("a")
    return docker(path, [("a", layer)], extra=[("a.tar", link("a.tar", target, kind)), ("b.tar", layer)])


def v1_without_layer(path):
    """Write an archive as of Docker 1.9 whose only layer lacks its tar."""
    top = "1" * 64
    files = {
        "repositories": dumps({"app": {"1": top}}),
        f"{top}/VERSION": b"1.0",
        f"{top}/json": dumps({"id": top, **SETTINGS}),
    }
    return tar(path, files)


def compressed(path, compress):
    """Compress a docker archive as a whole."""
    return write(path, compress(docker(path).read_bytes()))


def odd_header(path):
    """Write a docker archive with a mode that is not a number, in a member that nothing names."""
    docker(path, extra=[("odd", b"x")])
    data = bytearray(path.read_bytes())
    at = data.index(b"odd\0") + 100
    data[at : at + 8] = b"abcdefg\0"
    block = at - 100
    data[block + 148 : block + 156] = b" " * 8
    data[block + 148 : block + 156] = f"{sum(data[block : block + 512]):06o}\0 ".encode()
    return write(path, bytes(data))


def as_dir(path, case, documents=None):
    """Write the first entry of another case, which is a layout, as a `dir:` folder."""
    where = path.with_suffix("")
    beside = path.with_name(f"{where.name}-source.tar")
    built = CASES[case](beside)
    layout = built if built.is_dir() else beside.with_name(beside.name + ".layout")
    entry = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    dir_folders.from_layout(layout, where, entry)
    for name, data in (documents or {}).items():
        (where / name).write_bytes(data)
    return where


def dir_of(case, documents=None):
    """Return what writes a case as a `dir:` folder."""
    return lambda path: as_dir(path, case, documents)


# -- layouts --------------------------------------------------------------------------------


def layout(path, make, *, folder=False, version=None, documents=None):
    """Write a layout, as a tar unless `folder`; `make` returns the entries of index.json."""
    where = path.with_suffix("") if folder else path.with_name(path.name + ".layout")
    built = Layout(where)
    built.write(*make(built))
    if version is not None:
        (where / "oci-layout").write_bytes(version)
    for name, data in (documents or {}).items():
        (where / name).write_bytes(data)
    return where if folder else write(path, piped(where))


def one(built):
    """Return the entry of one named image."""
    return [named(built.image("a"), NAME)]


def for_platform(built, name, platform, **more):
    """Return the descriptor of an image for a platform, in its config too."""
    layer = tar_of(name)
    config = built.config([digest_of(layer)], **platform)
    return built.manifest(
        [built.blob(packed(layer), GZIP)], [digest_of(layer)], config=config, described={"platform": platform, **more}
    )


def index_of(built, *children):
    """Return a named index."""
    return [named(built.index(*children), NAME)]


def with_layer(built, data, media_type, diff_id, *, manifest_type=MANIFEST, config_type=CONFIG, **settings):
    """Return the entry of an image with one layer of these bytes."""
    config = built.config([diff_id], config_type, **settings)
    document = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": config,
        "layers": [built.blob(data, media_type)],
    }
    return [named(built.document(document, manifest_type), NAME)]


def text_cmd(built):
    """Return an image whose Cmd is a text."""
    plain = tar_of("a")
    return with_layer(built, packed(plain), GZIP, digest_of(plain), config={"Cmd": "/bin/sh"})


def docker_typed(built, compress, layer_type):
    """Return an image of Docker's media types."""
    plain = tar_of("a")
    types = {
        "manifest_type": DOCKER + "distribution.manifest.v2+json",
        "config_type": DOCKER + "container.image.v1+json",
    }
    return with_layer(built, compress(plain), layer_type, digest_of(plain), **types)


def both_kinds(built):
    """Return an image whose manifest lists manifests too."""
    return [named(built.image("a", manifests=[{"mediaType": MANIFEST, "digest": digest_of(b"x"), "size": 1}]), NAME)]


def embedded_config(built):
    """Return an image whose config only its descriptor embeds."""
    import base64

    plain = tar_of("a")
    config = built.config([digest_of(plain)])
    raw = built.path(config).read_bytes()
    built.path(config).unlink()
    data = {"data": base64.b64encode(raw).decode()}
    return [
        named(
            built.manifest([built.blob(packed(plain), GZIP)], [digest_of(plain)], config=config, config_more=data), NAME
        )
    ]


def absent_config(built):
    """Return an image without its config."""
    plain = tar_of("a")
    config = built.config([digest_of(plain)])
    built.path(config).unlink()
    return [named(built.manifest([built.blob(packed(plain), GZIP)], [digest_of(plain)], config=config), NAME)]


def absent_top(built):
    """Return an entry whose manifest is absent."""
    entry = built.image("a")
    built.path(entry).unlink()
    return [named(entry, NAME)]


def host_absent(built):
    """Return an index of two platforms, of which that of the consumers is absent."""
    return index_of(built, for_platform(built, "a", SETTINGS, present=False), for_platform(built, "b", ARM))


def foreign(built):
    """Return an image with a non-distributable layer that is there."""
    plain = tar_of("a")
    return with_layer(built, packed(plain), FOREIGN["oci"], digest_of(plain))


_ZSTD = zstandard.ZstdCompressor().compress

#: Each case: its name, and what writes it at a path.
CASES = {
    "plain": docker,
    "folder": lambda path: layout(path, one, folder=True),
    "zstd-archive": lambda path: compressed(path, _ZSTD),
    "gzip-archive": lambda path: compressed(path, gzip.compress),
    "misnamed-archive": lambda path: compressed(path, gzip.compress),
    "damaged-layout": lambda path: layout(
        path, lambda built: with_layer(built, packed(tar_of("a"))[:-9], GZIP, digest_of(tar_of("a"))), folder=True
    ),
    "layout-wrong-diff-id": lambda path: layout(
        path, lambda built: with_layer(built, packed(tar_of("a")), GZIP, digest_of(b"other"))
    ),
    "layout-layer-count": lambda path: layout(path, lambda built: [named(built.manifest([], [digest_of(b"a")]), NAME)]),
    "xz-archive": lambda path: compressed(path, lzma.compress),
    "zstd-layer": lambda path: docker(path, extra=[("a.tar", _ZSTD(tar_of("a")))]),
    "tar-header": odd_header,
    "layout-archive": lambda path: layout(path, one),
    "v1-without-layer": v1_without_layer,
    "null-manifest": lambda path: docker(path, manifest=b"null"),
    "no-config": lambda path: docker(path, extra=[("config", None)]),
    "broken-config": lambda path: docker(path, extra=[("config", b"{")]),
    "text-cmd": lambda path: docker(path, change={"config": {"Cmd": "/bin/sh"}}),
    "text-cmd-layout": lambda path: layout(path, text_cmd, folder=True),
    "text-cmd-archive": lambda path: layout(path, text_cmd),
    "foreign-source": lambda path: docker(
        path, items={"LayerSources": {digest_of(b""): {"mediaType": FOREIGN["docker"]}}}
    ),
    "windows": lambda path: docker(path, change={"os": "windows"}),
    "layer-count": lambda path: docker(path, items={"Layers": []}),
    "missing-layer": lambda path: docker(path, extra=[("a.tar", None)]),
    "damaged-layer": lambda path: docker(path, extra=[("a.tar", packed(tar_of("a"))[:-9])]),
    "wrong-diff-id": lambda path: docker(path, extra=[("a.tar", tar_of("other"))]),
    "path-twice": lambda path: docker(path, [("a", repeated())]),
    "many-layers": lambda path: docker(path, [(f"l{number}", None) for number in range(126)]),
    "long-history": lambda path: docker(path, change={"history": [{"created_by": "a"}, {"created_by": "b"}]}),
    "bare-tag": lambda path: docker(path, tags=("example.com/app",)),
    "invalid-tag": lambda path: docker(path, tags=("example.com/UPPER:1",)),
    "unnamed": lambda path: docker(path, tags=()),
    "hard-link": lambda path: linked(path, tarfile.LNKTYPE),
    "linked-layer": lambda path: linked(path, tarfile.SYMTYPE),
    "one-path": lambda path: docker(path, [("a", None), ("b", None)], items={"Layers": ["a.tar", "a.tar"]}),
    "two-images": two_images,
    "two-platforms": lambda path: layout(
        path,
        lambda built: index_of(built, for_platform(built, "a", SETTINGS), for_platform(built, "b", ARM)),
        folder=True,
    ),
    "two-platforms-archive": lambda path: layout(
        path, lambda built: index_of(built, for_platform(built, "a", SETTINGS), for_platform(built, "b", ARM))
    ),
    "layout-version": lambda path: layout(path, one, version=b'{"imageLayoutVersion":"1.1.0"}'),
    "both-kinds": lambda path: layout(path, both_kinds),
    "other-platform": lambda path: layout(path, lambda built: index_of(built, for_platform(built, "b", ARM))),
    "unnamed-layout": lambda path: layout(path, lambda built: [built.image("a")]),
    "unnamed-folder": lambda path: layout(path, lambda built: [built.image("a")], folder=True),
    "tag-only": lambda path: layout(path, lambda built: [built.image("a", described={"annotations": {REF_NAME: "1"}})]),
    "unknown-top": lambda path: layout(path, lambda built: [named(built.blob(b"{}", "application/x"), NAME)]),
    "absent-top": lambda path: layout(path, absent_top),
    "host-absent": lambda path: layout(path, host_absent),
    "host-absent-folder": lambda path: layout(path, host_absent, folder=True),
    "nested-index": lambda path: layout(
        path,
        lambda built: index_of(
            built, built.index(for_platform(built, "a", SETTINGS), described={"platform": SETTINGS})
        ),
    ),
    "absent-config": lambda path: layout(path, absent_config),
    "absent-config-folder": lambda path: layout(path, absent_config, folder=True),
    "docker-zstd": lambda path: layout(
        path, lambda built: docker_typed(built, _ZSTD, DOCKER + "image.rootfs.diff.tar.zstd")
    ),
    "docker-manifest": lambda path: layout(
        path, lambda built: docker_typed(built, packed, DOCKER + "image.rootfs.diff.tar.gzip"), folder=True
    ),
    "mixed-types": lambda path: layout(path, lambda built: docker_typed(built, packed, GZIP)),
    "zstd-layout": lambda path: layout(
        path, lambda built: with_layer(built, _ZSTD(tar_of("a")), LAYER + "+zstd", digest_of(tar_of("a"))), folder=True
    ),
    "two-docker-entries": lambda path: layout(
        path,
        lambda built: [
            each | {"annotations": {REF_NAME: f"{number}"}}
            for number, each in enumerate(
                [docker_typed(built, packed, DOCKER + "image.rootfs.diff.tar.gzip")[0], built.image("b")]
            )
        ],
    ),
    "trailing": lambda path: layout(
        path, lambda built: with_layer(built, packed(tar_of("a")) + b"trailing", GZIP, digest_of(tar_of("a")))
    ),
    "two-unnamed": lambda path: layout(path, lambda built: [built.image("a"), built.image("b")]),
    "two-unnamed-folder": lambda path: layout(path, lambda built: [built.image("a"), built.image("b")], folder=True),
    "one-unnamed": lambda path: layout(
        path, lambda built: [named(built.image("a"), NAME), built.image("b")], folder=True
    ),
    "odd-name": lambda path: layout(
        path, lambda built: [built.image("a", described={"annotations": {REF_NAME: "_odd:1"}})]
    ),
    "odd-name-folder": lambda path: layout(
        path, lambda built: [built.image("a", described={"annotations": {REF_NAME: "_odd:1"}})], folder=True
    ),
    "foreign-layer": lambda path: layout(path, foreign, folder=True),
    "embedded-config": lambda path: layout(path, embedded_config, folder=True),
    "embedded-config-archive": lambda path: layout(path, embedded_config),
    "env-without-value": lambda path: layout(
        path,
        lambda built: with_layer(built, packed(tar_of("a")), GZIP, digest_of(tar_of("a")), config={"Env": ["PATH"]}),
        folder=True,
    ),
    "empty-index": lambda path: layout(path, lambda _: []),
    "wrong-layer-size": lambda path: layout(
        path,
        lambda built: [
            named(
                built.manifest([built.blob(packed(tar_of("a")), GZIP) | {"size": 7}], [digest_of(tar_of("a"))]),
                NAME,
            )
        ],
        folder=True,
    ),
    "attestation": lambda path: layout(
        path,
        lambda built: index_of(
            built,
            for_platform(built, "a", SETTINGS),
            built.manifest(
                [built.blob(b"{}", "application/vnd.in-toto+json")],
                [],
                described={
                    "platform": {"architecture": "unknown", "os": "unknown"},
                    "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
                },
            ),
        ),
    ),
}


CASES |= {
    "dir-plain": dir_of("folder"),
    "dir-two-platforms": dir_of("two-platforms"),
    "dir-version": dir_of("folder", {"version": b"Directory Transport Version: 1.3\n"}),
    "dir-schema-1": dir_of("folder", {"manifest.json": b'{"schemaVersion":1}'}),
    **{
        f"dir-{case}": dir_of(case)
        for case in (
            "absent-config",
            "both-kinds",
            "docker-zstd",
            "host-absent",
            "layout-layer-count",
            "layout-wrong-diff-id",
            "mixed-types",
            "nested-index",
            "other-platform",
            "text-cmd-layout",
            "trailing",
        )
    },
}


def build(name, folder):
    """Write a case below a folder and return its path."""
    ending = {"gzip-archive": ".tar.gz", "zstd-archive": ".tar.zst", "xz-archive": ".tar.xz"}.get(name, ".tar")
    return CASES[name](Path(folder) / f"case-{name}{ending}")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for each in CASES:
        sys.stdout.write(f"{build(each, sys.argv[1])}\n")
