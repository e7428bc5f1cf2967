"""Compare the OCI layout and the `manifest.json` of one archive.

Docker 25 and later write such archives, and so does buildkit. Some tools follow
`index.json`, others `manifest.json` (docs/formats-docker.md#docker-load).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.model.digest import Digest
    from convert.model.reference import Reference
    from convert.reader.checks.documents import Checked
    from convert.reader.checks.layout import LayoutImage, Top
    from convert.reader.checks.manifest_json import Item


def check_index_and_manifest(checked: Checked, items: Sequence[Item], tops: Sequence[Top]) -> None:
    """Compare `manifest.json` with `index.json`."""
    images = {image.config.digest: image for top in tops for image in top.images}
    listed = {item.config.digest: item for item in items if item.config is not None}
    for item in items:
        if item.config is not None:
            _check_item(checked, item, images.get(item.config.digest), tops)
    for top in tops:
        ids = {image.config.digest for image in top.images}
        if ids and not ids & listed.keys():
            message = f"none of its images ({_short(ids)}) is in manifest.json"
            checked.findings.add("index-manifest", message, member="index.json", place=top.place)
    _check_names(checked, items, tops)


def _check_item(checked: Checked, item: Item, image: LayoutImage | None, tops: Sequence[Top]) -> None:
    add = checked.findings.add
    if image is None:
        # Docker leaves untagged images out of index.json behind tagged ones (moby/moby#51389).
        if item.references and tops and item.config is not None:
            message = f"image {item.config.digest} is in no entry of index.json"
            add("index-manifest", message, member="manifest.json", place=item.place)
        return
    names = tuple(name.removeprefix("./") for name in item.layers)
    if names != image.layers and not (image.generated and not image.layers):
        message = f"names other layers than {image.member}, the manifest of the same image"
        add("index-manifest", message, member="manifest.json", place=f"{item.place}.Layers")


def _check_names(checked: Checked, items: Sequence[Item], tops: Sequence[Top]) -> None:
    """Compare the names of one with those of the other, where both name the image."""
    by_index: dict[Reference, tuple[Top, set[Digest]]] = {}
    for top in tops:
        for name in top.names:
            by_index[name] = (top, {image.config.digest for image in top.images})
    for item in items:
        for name in item.references:
            if item.config is None or name not in by_index:
                continue
            top, ids = by_index[name]
            if ids and item.config.digest not in ids:
                message = f"{name.familiar} is {item.config.digest} here, in index.json at {top.place} {_short(ids)}"
                checked.findings.add("index-manifest", message, member="manifest.json", place=f"{item.place}.RepoTags")
    named = {name for item in items for name in item.references}
    for name, (top, _) in by_index.items():
        if name.digest is None and named and top.images and name not in named:
            message = f"{name.familiar} is not a RepoTag of manifest.json"
            checked.findings.add("index-manifest", message, member="index.json", place=top.place)
    for item in items:
        for name in item.references:
            if by_index and name not in by_index:
                message = f"{name.familiar} is not a name in index.json"
                checked.findings.add("index-manifest", message, member="manifest.json", place=f"{item.place}.RepoTags")


def _short(ids: set[Digest]) -> str:
    return ", ".join(sorted(str(one) for one in ids))
