"""The base of a thin archive: what its receiver has, from archives and inventories (docs/thin.md)."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.archive.open import open_source
from convert.archive.streams import FileStream, Prefixed
from convert.archive.transport import STDIN, path_of
from convert.errors import UsageError
from convert.identity.chain_id import chain_ids
from convert.identity.engine_id import entry_name
from convert.limits import MAX_INVENTORY_SIZE
from convert.model.image import Image
from convert.model.walk import descend
from convert.plan.inventory import Inventory, is_inventory, parse_inventory
from convert.plan.read_selection import read_selection

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Sequence

    from convert.diagnostics import Diagnostic
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet

#: Bytes that tell an inventory from an archive.
_HEAD: Final = 512


@dataclass(frozen=True, slots=True, eq=False)
class BaseLayer:
    """A layer in an archive of the base, the image that it belongs to, and the archive's path."""

    image: Image
    layer: Layer
    file: str


@dataclass(slots=True)
class Base:
    """What the receiver has.

    `by_digest` are the layers of archives by the digest of their stored bytes, where a descriptor
    names it, and `by_diff_id` by DiffID. `chain_ids` are the ChainIDs whose layers are all there,
    with a name of an image that has them or "". `listed_blobs` are digests of blobs from
    inventories, with such a name. `has_blob_lists` states whether some part of the base knows
    digests of blobs.
    """

    by_digest: dict[Digest, BaseLayer] = field(default_factory=dict)
    by_diff_id: dict[Digest, BaseLayer] = field(default_factory=dict)
    chain_ids: dict[Digest, str] = field(default_factory=dict)
    listed_blobs: dict[Digest, str] = field(default_factory=dict)
    names: dict[Image, str] = field(default_factory=dict)
    has_blob_lists: bool = False
    #: The top layer of a ChainID, in the archive that gave it.
    evidence: dict[Digest, BaseLayer] = field(default_factory=dict)
    _chains: list[tuple[Image, str, str]] = field(default_factory=list)

    def add_images(self, images: ImageSet, file: str) -> None:
        """Add the images of an archive."""
        self.has_blob_lists = True
        for entry in images.entries:
            name = entry_name(entry) or ""
            for node in descend(entry.node):
                if isinstance(node, Image):
                    self.names.setdefault(node, name)
        for image in images.images():
            for layer in image.layers:
                if layer.blob is None:
                    continue
                found = BaseLayer(image, layer, file)
                self.by_diff_id.setdefault(layer.diff_id, found)
                if layer.stored is not None:
                    self.by_digest.setdefault(layer.stored.digest, found)
            self._chains.append((image, self.names.get(image, ""), file))

    def add_inventory(self, inventory: Inventory) -> None:
        """Add what an inventory lists."""
        if inventory.blobs or inventory.unspecified:
            self.has_blob_lists = True
        for chain, name in inventory.chains:
            for chain_id in chain_ids(chain):
                self.chain_ids.setdefault(chain_id, name)
        self.chain_ids.update(dict.fromkeys(inventory.unspecified.keys() - self.chain_ids.keys(), ""))
        for digest, name in inventory.blobs.items():
            self.listed_blobs.setdefault(digest, name)
        for digest in inventory.unspecified:
            self.listed_blobs.setdefault(digest, "")

    def settle(self) -> None:
        """Compute the ChainIDs of archives; call it when all parts were added.

        A thin archive in the base counts where other parts hold what it lacks.
        """
        for image, name, file in self._chains:
            for chain_id, layer in zip(chain_ids(image.config.diff_ids), image.layers, strict=True):
                if chain_id in self.chain_ids:
                    continue
                found = self.by_diff_id.get(layer.diff_id)
                if layer.blob is not None:
                    found = BaseLayer(image, layer, file)
                if found is None:
                    break
                self.chain_ids[chain_id] = name
                self.evidence[chain_id] = found


def open_base(
    texts: Sequence[str],
    sources: Sequence[str],
    stack: contextlib.ExitStack,
    warn: Callable[[Diagnostic], None],
    *,
    needs_layers: bool = False,
) -> Base:
    """Open each archive and inventory of a base; archives are closed with `stack`.

    `sources` are those of the command; standard input can be read once. With
    `needs_layers`, inventories are refused.

    Raises:
        UsageError: two arguments read standard input, or an inventory is refused.
        InputError: an archive is damaged, or an inventory is not one.
        StorageError: it cannot be read.
    """
    if [*sources, *texts].count(STDIN) > 1:
        raise UsageError("only one argument can be - for standard input", code="incompatible-options")
    base = Base()
    for text in texts:
        stdin = None
        if path_of(text) == STDIN:
            raw, stdin = _read_stdin()
        else:
            raw = _read_text(text)
        if raw is not None and needs_layers:
            raise UsageError(
                "an inventory holds no layers", code="incompatible-options", file=text, hint="give an archive"
            )
        if raw is not None:
            base.add_inventory(parse_inventory(raw, text))
            continue
        opened = stack.enter_context(open_source(text, stdin=stdin))
        base.add_images(read_selection(opened, warn=warn, accepts_absent=True), opened.path)
    base.settle()
    return base


def _read_text(text: str) -> bytes | None:
    """Return the bytes of an inventory, None if this path is not a regular file or pipe of text.

    A pipe other than standard input holds an inventory: `--without <(docker image inspect …)`.

    Raises:
        StorageError: it cannot be read.
    """
    path = path_of(text)
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
            return None
        with open(path, "rb") as file:
            if stat.S_ISREG(mode):
                head = file.read(_HEAD)
                return head + file.read(MAX_INVENTORY_SIZE + 1 - len(head)) if is_inventory(head) else None
            raw = file.read(MAX_INVENTORY_SIZE + 1)
    except (OSError, ValueError):
        return None  # opening it as an archive reports the reason
    if not is_inventory(raw[:_HEAD]):
        raise UsageError(
            "a pipe can only give an inventory here",
            code="incompatible-options",
            file=text,
            hint="write the archive to a file first",
        )
    return raw


def _read_stdin() -> tuple[bytes | None, BinaryIO | None]:
    """Return the inventory on standard input, or else what to read an archive there from, None for the descriptor.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        mode = os.fstat(0).st_mode
        if stat.S_ISREG(mode):
            head = os.pread(0, _HEAD, os.lseek(0, 0, os.SEEK_CUR))
            if not is_inventory(head):
                return None, None
            stream = cast("BinaryIO", FileStream(os.dup(0), STDIN))
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            stream = cast("BinaryIO", FileStream(os.dup(0), STDIN))
            head = _read(stream, _HEAD)
            stream = cast("BinaryIO", Prefixed(head, stream))
            if not is_inventory(head):
                return None, stream
        else:
            return None, None
    except OSError:
        return None, None  # opening it as an archive reports the reason
    with stream:
        return _read(stream, MAX_INVENTORY_SIZE + 1), None


def _read(stream: BinaryIO, size: int) -> bytes:
    """Return up to `size` bytes, fewer only at the end."""
    found = io.BytesIO()
    while found.tell() < size and (data := stream.read(size - found.tell())):
        found.write(data)
    return found.getvalue()
