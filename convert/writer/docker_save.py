"""Write the format of `docker save` of Docker 1.10 to 24 (image spec v1.2), as 20.10 does.

One v1 directory for each layer, the configs, `manifest.json`, `repositories`
(moby image/tarexport/save.go, v20.10; docs/formats-docker.md#docker-110-to-24). Where the engine
writes the current time, this writes the created time of the image; where it writes images in
random order, this keeps the source's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from convert.archive.tar_writer import Item
from convert.errors import NotRepresentableError
from convert.model.needs import NEEDS_MEMBER
from convert.writer.address import report_archive
from convert.writer.manifest_json import ManifestItem, manifest_json
from convert.writer.naming import parent_of, single_images
from convert.writer.repositories import Tops, repositories_json
from convert.writer.v1_directories import V1_VERSION, v1_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convert.identity.v1_id import V1Entry
    from convert.model.blob import Content
    from convert.model.digest import Digest
    from convert.model.image_set import ImageSet
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

NAME: Final = "docker-save"

_Kind = Literal["file", "dir", "symlink"]
# Up to 23, the engine's tar headers carry the file type in the mode too.
_MODES: Final[Mapping[_Kind, int]] = {"file": 0o100644, "dir": 0o040755, "symlink": 0o120777}


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members in the engine's order: by name, the two documents last.

    Raises:
        NotRepresentableError: no image, several platforms under one name, or one
            name for two images.
    """
    archive = _Archive(options)
    named = single_images(images, NAME, options.warn)
    report_archive(named, options)
    ids = {one.image.image_id for one in named}
    archive.leave_out(named)
    listed = [archive.add(one, ids) for one in named]
    for name in sorted(archive.members):
        yield from archive.members[name]
    yield archive.item("manifest.json", "file", 0, content=manifest_json(listed) + b"\n")
    if archive.tops and options.has_v1_metadata:
        yield archive.item("repositories", "file", 0, content=repositories_json(archive.tops) + b"\n")
    if options.left_out.document:
        yield archive.item(NEEDS_MEMBER, "file", 0, content=options.left_out.document)


class _Archive:
    """The members collected so far, by the first component of their names."""

    def __init__(self, options: WriteOptions) -> None:
        self.members: dict[str, list[Item]] = {}
        self.tops: Tops = {}
        self._options = options
        self._folders: dict[Digest, str] = {}
        self._diff_ids: dict[str, Digest] = {}
        self._left_out: set[str] = set()

    def leave_out(self, named: Sequence[NamedImage]) -> None:
        """Leave out the layer files that a thin archive need not hold."""
        runs = self._options.left_out.runs
        needed: set[str] = set()
        for one in named if runs else ():
            entries = v1_layers(one.image, self._options)
            length = runs.get(one.image.image_id, 0)
            self._left_out.update(entry.v1_id for entry in entries[:length])
            needed.update(entry.v1_id for entry in entries[length:])
        self._left_out -= needed

    def add(self, named: NamedImage, ids: set[Digest]) -> ManifestItem:
        """Add the members of one image; those that another image added are shared."""
        image = named.image
        created = image.config.created_seconds
        entries = v1_layers(image, self._options)
        for index, entry in enumerate(entries):
            self._add_layer(named, index, entry, created)
        config = f"{image.image_id.hex}.json"
        self.members[config] = [self.item(config, "file", created, content=image.config.raw)]
        if entries:
            for reference in named.references:
                self.tops[reference] = entries[-1].v1_id
        return ManifestItem(
            config=config,
            repo_tags=[reference.familiar for reference in named.references] or None,
            layers=[f"{entry.v1_id}/layer.tar" for entry in entries],
            parent=parent_of(image, ids),
        )

    def _add_layer(self, named: NamedImage, index: int, entry: V1Entry, created: int) -> None:
        v1_id = entry.v1_id
        layer = named.image.layers[index]
        if self._diff_ids.setdefault(v1_id, layer.diff_id) != layer.diff_id:
            msg = f"v1 ID {v1_id} would name two layers ({self._diff_ids[v1_id]}, {layer.diff_id})"
            raise NotRepresentableError(msg, code="v1-id-on-two-layers", hint="choose --v1-ids docker")
        if v1_id in self.members:
            return
        self.members[v1_id] = []
        if self._options.has_v1_metadata:
            self.members[v1_id] += [
                self.item(v1_id, "dir", created),
                self.item(f"{v1_id}/VERSION", "file", created, content=V1_VERSION),
                self.item(f"{v1_id}/json", "file", created, content=entry.json),
            ]
        if v1_id in self._left_out:
            return
        first = self._folders.setdefault(layer.diff_id, v1_id)
        tar = f"{v1_id}/layer.tar"
        self.members[v1_id].append(
            self.item(tar, "file", created, content=self._options.content(layer))
            if first == v1_id
            else self.item(tar, "symlink", created, link=f"../{first}/layer.tar")
        )

    def item(self, name: str, kind: _Kind, mtime: int, *, content: bytes | Content = b"", link: str = "") -> Item:
        """Return a member with the headers of this archive."""
        uname = self._options.uname
        return Item(name, kind, _MODES[kind], mtime=mtime, link=link, content=content, uname=uname, gname=uname)
