"""Under which names a consumer holds the images of an archive, and which ID it shows for each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.consumers import containers_image
from convert.errors import ImgconvError
from convert.identity.manifest import containerd_import_manifest
from convert.model import mediatype
from convert.model.config import Config
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.consumers.contents import Contents
    from convert.consumers.nodes import Item, Node

    #: How a consumer spells a name of the archive.
    Spell = Callable[[Contents, str], str]


@dataclass(frozen=True, slots=True)
class Known:
    """One image as a consumer holds it: its name there, "" for none, and the ID it shows, None where unknown."""

    name: str
    id: Digest | None


def by_config(contents: Contents) -> Iterator[Known]:
    """Docker with a graph driver: RepoTags, and the digest of the config."""
    for item in contents.items:
        yield from _each(contents, item.tags, _config_id(item), _familiar)
    if not contents.items and contents.has("repositories"):
        # An archive from before Docker 1.10, for which the engine makes a config of its own.
        value, _ = contents.document("repositories")
        for name, tags in value.items() if isinstance(value, dict) else ():
            yield from (
                Known(_familiar(contents, f"{name}:{tag}"), None) for tag in (tags if isinstance(tags, dict) else ())
            )


def by_manifest(contents: Contents) -> Iterator[Known]:
    """Docker with the containerd store: familiar names, and the digest of the manifest or index."""
    yield from _containerd(contents, _familiar if contents.layout_version else _tagged)


def by_full_name(contents: Contents) -> Iterator[Known]:
    """containerd: full names, and the digest of the manifest or index; what has no name gets one of its digest."""
    yield from _containerd(contents, _unchanged if contents.layout_version else _full)


def in_podman(contents: Contents) -> Iterator[Known]:
    """podman, from a docker archive: full names, those without a registry below localhost."""
    for item in contents.items:
        yield from _each(contents, item.tags, _config_id(item), _podman)


def in_podman_layout(contents: Contents) -> Iterator[Known]:
    """podman, from a layout: the name of the only entry."""
    for top, node in _copied(contents):
        name = _podman(contents, top.image_name or top.ref_name) if top.image_name or top.ref_name else ""
        if contents.tree.is_folder:
            # podman names a folder by its path.
            name = f"localhost{os.path.realpath(contents.path)}:latest"
        yield Known(name, _config_digest(node))


def in_dir(contents: Contents) -> Iterator[Known]:
    """Skopeo and podman, from a `dir:` folder: only the ID."""
    for _, node in _copied(contents.dir_folder):
        yield Known("", _config_digest(node))


def in_docker_archive(contents: Contents) -> Iterator[Known]:
    """Skopeo's docker-archive: nothing for the only image, else `:@N`."""
    for number, item in enumerate(contents.items):
        yield Known(f"@{number}" if len(contents.items) > 1 else "", _config_id(item))


def in_layout(contents: Contents) -> Iterator[Known]:
    """Skopeo's oci and oci-archive: nothing for the only entry, else its ref.name or `:@N`."""
    names = [top.ref_name for top in contents.tops]
    unique = all(names) and len(set(names)) == len(names)
    copied = dict(_copied(contents))
    for number, top in enumerate(contents.tops):
        node = copied.get(top)
        address = "" if len(names) == 1 else top.ref_name if unique else f"@{number}"
        yield Known(address, _config_digest(node) if node is not None else None)


def pushed(contents: Contents) -> Iterator[Known]:
    """Crane: the one image or index that it pushes, under the name of the command line."""
    if contents.tree.is_folder:
        for top in contents.tops:
            yield Known("", top.part.digest if top.is_index else _config_digest(top))
    else:
        for item in contents.items:
            yield Known("", _config_id(item))


def by_ref_name(contents: Contents) -> Iterator[Known]:
    """umoci: ref.names."""
    for top in contents.tops:
        if top.ref_name:
            yield Known(top.ref_name, top.part.digest)


def _containerd(contents: Contents, spell: Spell) -> Iterator[Known]:
    if contents.layout_version:
        for top in contents.tops:
            name = top.image_name or top.ref_name
            yield Known(spell(contents, name) if name else "", top.part.digest)
        return
    for item in contents.items:
        yield from _each(contents, item.tags, _import_digest(contents, item), spell)


def _each(contents: Contents, tags: tuple[str, ...], found: Digest | None, spell: Spell) -> Iterator[Known]:
    for text in dict.fromkeys(spell(contents, tag) for tag in tags) or ("",):
        yield Known(text, found)


def _import_digest(contents: Contents, item: Item) -> Digest | None:
    """Return the digest of the manifest that containerd makes of an item of manifest.json."""
    if item.config is None:
        return None
    described = []
    for _, blob in item.layers:
        facts = contents.facts(blob) if blob is not None else None
        if facts is None or "sha256" not in facts.stored:
            return None
        compressed = facts.compression in {"gzip", "zstd"}
        media_type = mediatype.DOCKER_LAYER_GZIP if compressed else mediatype.DOCKER_LAYER
        described.append(Descriptor(media_type, facts.stored["sha256"], facts.size))
    try:
        config = Config.parse(item.config.raw, where=contents.path, member=item.config_name)
    except ImgconvError:
        return None
    return Digest.of(containerd_import_manifest(config, described))


def _copied(contents: Contents) -> Iterator[tuple[Node, Node]]:
    for top in contents.tops:
        node = containers_image.chosen(contents.host, top) if top.is_index else top
        if node is not None:
            yield top, node


def _config_id(item: Item) -> Digest | None:
    return Digest.of(item.config.raw) if item.config is not None else None


def _config_digest(node: Node) -> Digest | None:
    return node.config.digest if node.config is not None else None


def _unchanged(_: Contents, text: str) -> str:
    return text


def _familiar(contents: Contents, text: str) -> str:
    reference = contents.reference(text)
    return reference.familiar if reference is not None else text


def _tagged(contents: Contents, text: str) -> str:
    reference = contents.reference(text)
    return reference.with_default_tag().familiar if reference is not None else text


def _full(contents: Contents, text: str) -> str:
    reference = contents.reference(text)
    return reference.with_default_tag().full if reference is not None else text


def _podman(contents: Contents, text: str) -> str:
    """Return a name as podman stores it: a short name is one of localhost."""
    reference = contents.reference(text)
    if reference is None:
        return text
    full = reference.with_default_tag().full
    first, slash, _ = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return full
    return f"localhost/{text if reference.tag or reference.digest else text + ':latest'}"
