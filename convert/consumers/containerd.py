"""Properties of archives that decide whether containerd imports them, alone and inside Docker and kind.

An import reads every member into the content store, by its real digest. Then it walks from `index.json`, or from an
index that it makes of `manifest.json` without an `oci-layout` (containerd core/images/archive/importer.go,
`ImportIndex`; client/import.go, `Import`; core/transfer/local/import.go, `importStream`). Content that the walk
needs and does not find ends it. Each function returns what it found, "" for nothing.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from convert.consumers import docker, unpack
from convert.consumers.needs import absent_layer
from convert.consumers.values import UnknownError
from convert.errors import FormatError
from convert.model import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Node
    from convert.model.platform import Platform

#: Endings of the names of archives, with the compression that k3s takes them for.
_ENDINGS: Final = {
    ("tar.gz", "tgz"): "gzip",
    ("tar.bz2", "tbz"): "bzip2",
    ("tar.zst", "tzst"): "zstd",
    (".tar",): "",
}


def compressed(contents: Contents) -> str:
    """The whole archive is compressed."""
    return f"the whole archive is compressed with {contents.compression}" if contents.compression else ""


def compressed_otherwise(contents: Contents) -> str:
    """The whole archive is compressed with something else than gzip and zstd."""
    return compressed(contents) if contents.compression not in {"", "gzip", "zstd"} else ""


def compressed_by_name(contents: Contents) -> str:
    """k3s decompresses by the ending of the file's name (wharfie pkg/tarfile, `GetOpener`)."""
    name = contents.path.lower()
    kind = next((kind for endings, kind in _ENDINGS.items() if name.endswith(endings)), None)
    if kind is None:
        return "the name of the file does not end in .tar, .tar.gz or another ending that it knows"
    if contents.compression != kind:
        return (
            f"the archive is {'compressed with ' + contents.compression if contents.compression else 'not compressed'}"
        )
    return ""


def oci_layout(contents: Contents) -> str:
    """With `oci-layout`, its version must be 1.0.0, and index.json must be there and name something."""
    if not contents.layout_version:
        return ""
    if contents.layout_version != "1.0.0":
        return f"oci-layout states version {contents.layout_version}"
    if not contents.has("index.json"):
        return "there is no index.json"
    _, fault = contents.document("index.json")
    if fault:
        return f"index.json: {fault}"
    return "" if contents.tops else "index.json lists nothing"


def docker_form(contents: Contents) -> str:
    """Without `oci-layout`, manifest.json must be a list of images."""
    if contents.layout_version:
        return ""
    if not contents.has("manifest.json"):
        return "there is neither oci-layout nor manifest.json"
    # It decodes the elements into the fields of the same struct as Docker.
    return docker.manifest_json(contents)


def member_names(contents: Contents) -> str:
    """Members are looked up by their cleaned names, and by one symbolic link; hard links are not followed."""
    files, links = _members(contents)
    if contents.layout_version:
        # Blobs are found by the digest of any member.
        return ""
    for name, target in links.items():
        if target not in files:
            return f"the symbolic link {name} leads to {target}, which is not a file of the archive"
    known = files | set(links)
    for item in contents.items:
        if item.config_name not in known:
            return f"the config {item.config_name or 'without a name'} is not a file of the archive"
        for path, _ in item.layers:
            if path not in known:
                text = f"layer {path or 'without a name'} is not a file of the archive"
                return absent_layer(contents.left_out, path, text, reads_all=True)
    return ""


def repo_tag(contents: Contents) -> str:
    """A RepoTag must be a reference; a tag may be absent."""
    if contents.layout_version:
        return ""
    for item in contents.items:
        for text in item.tags:
            if contents.reference(text) is None:
                return f"RepoTag {text!r} is not a valid name"
    return ""


def run_config(contents: Contents) -> str:
    """Cmd, Entrypoint or Shell is a text: containerd 1 decodes the whole config where it makes a manifest."""
    return "" if contents.layout_version else docker.run_config(contents)


def config_json(contents: Contents) -> str:
    """A config must be JSON where a manifest is made."""
    if contents.layout_version:
        return ""
    faults = (f"{item.config_name}: {item.config_fault}" for item in contents.items if item.config is None)
    return next(faults, "")


def absent_manifest(contents: Contents) -> str:
    """Every manifest and index that can be reached must be there and intact: absent platforms are not."""
    for node, parent in _walk(contents):
        if (node.is_index or node.is_manifest) and not unpack.readable(node):
            if node.part.blob is not None:
                return f"{_kind(node)} {node.part.digest} is not what its digest identifies"
            where = f"index {parent.part.digest}" if parent is not None else "index.json"
            of = f" for {node.platform.full}" if node.platform is not None else ""
            return f"{_kind(node)} {node.part.digest}{of} is absent, though listed by {where}"
    return ""


def absent_top(contents: Contents) -> str:
    """What index.json itself lists must be there, where absent platforms are skipped."""
    for node in _tops(contents):
        if (node.is_index or node.is_manifest) and not unpack.readable(node):
            return f"{_kind(node)} {node.part.digest} is absent, though listed by index.json"
    return ""


def confused_manifest(contents: Contents) -> str:
    """A document that is both a manifest and an index is refused (CVE-2021-41190)."""
    for node, _ in _walk(contents):
        if node.keys is None or not unpack.readable(node):
            continue
        keys = {key for key in ("config", "layers", "manifests", "fsLayers") if node.keys.get(key)}
        wrong = {"manifests", "fsLayers"} if node.is_manifest else {"config", "layers", "fsLayers"}
        if keys & wrong:
            return f"{_kind(node)} {node.part.digest} has {min(keys & wrong)}"
    return ""


def unknown_top(contents: Contents) -> str:
    """index.json lists something that is neither a manifest nor an index; containerd 1 unpacks every entry."""
    for node in _tops(contents):
        if not node.is_index and not node.is_manifest:
            return f"index.json lists {node.part.media_type or 'something without a media type'}"
    return ""


def no_platform(contents: Contents) -> str:
    """An index without an image for this platform: containerd 1 unpacks one of every entry."""
    for top in _tops(contents):
        if top.is_index and unpack.readable(top) and unpack.chosen(contents, top) is None:
            return f"index {top.part.digest} has no image for {contents.host}"
    return ""


def unpack_one(contents: Contents) -> str:
    """Containerd 1 unpacks the image of this platform of every entry, and a manifest alone whatever its platform."""
    for settings, fault, layers in unpack.images_to_unpack(contents):
        if fault or (settings is not None and (fault := docker.text_in_run_config(settings))):
            return fault
        if len(settings.diff_ids if settings is not None else ()) != len(layers):
            return unpack.counts(settings, layers)
        if found := unpack.unpack(contents, settings, layers):
            return found
    return ""


def unpack_all(contents: Contents) -> str:
    """Containerd 2 reads the config of every image that has layers, and unpacks those of this operating system."""
    return _unpack_all(contents, lambda platform: platform.os.lower() in {"", contents.host.os})


def unpack_every_platform(contents: Contents) -> str:
    """Containerd 2.1 and 2.2 read the config of every image that has layers, and unpack all of them."""
    return _unpack_all(contents, lambda _: True)


def docker_zstd(contents: Contents) -> str:
    """A zstd layer has a Docker media type, which containerd knows from version 2 on."""
    for node, _ in _walk(contents):
        for layer in node.layers:
            if layer.media_type == mediatype.DOCKER_LAYER_ZSTD:
                return f"layer {layer.digest} has the type {layer.media_type}"
    return ""


def unnamed(contents: Contents) -> str:
    """No image has a name, and none is made up."""
    if contents.layout_version:
        named = any(node.image_name or node.ref_name for node in contents.tops)
    else:
        named = any(item.tags for item in contents.items)
    return "" if named else "no image has a name"


# -- what an import looks at -------------------------------------------------------------------


def _members(contents: Contents) -> tuple[set[str], dict[str, str]]:
    """Return the names of files as containerd cleans them, and symbolic links with their targets."""
    files: set[str] = set()
    links: dict[str, str] = {}
    for name in contents.tree.names():
        try:
            member = contents.tree.member(name)
        except FormatError as error:
            raise UnknownError(error.message) from None
        if member is not None and member.kind == "file":
            files.add(_clean(member.name))
        elif member is not None and member.kind == "symlink":
            links[member.name] = _clean(posixpath.join(posixpath.dirname(member.name), member.link))
    return files, links


def _clean(name: str) -> str:
    """Return a path as Go's path.Clean does."""
    cleaned = posixpath.normpath(name) if name else "."
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _tops(contents: Contents) -> Sequence[Node]:
    return contents.tops if contents.layout_version else ()


def _walk(contents: Contents) -> Iterator[tuple[Node, Node | None]]:
    return contents.walk() if contents.layout_version else iter(())


def _kind(node: Node) -> str:
    return "index" if node.is_index else "manifest"


def _unpack_all(contents: Contents, unpacks: Callable[[Platform], bool]) -> str:
    for settings, fault, layers in unpack.all_images(contents):
        if not layers:
            continue
        if fault:
            return fault
        if len(settings.diff_ids if settings is not None else ()) != len(layers):
            return unpack.counts(settings, layers)
        if settings is not None and unpacks(settings.platform) and (found := unpack.unpack(contents, settings, layers)):
            return found
    return ""
