"""The graph of an inspect document (`convert.report.inspect`): boxes, and what belongs together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from convert.errors import UnsafeInputError, printable
from convert.limits import MAX_BOXES
from convert.report.inspect import size_text, step_text

Document = dict[str, Any]
SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Box:
    """A box: what it shows, the digest that identifies it ("" for none), and a note."""

    key: str
    kind: str
    title: str
    digest: str = ""
    note: str = ""

    @property
    def short(self) -> str:
        """The shortened digest."""
        return shorten(self.digest)


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer: its stored bytes, and the tar they unpack to."""

    stored: Box
    plain: Box
    step: str = ""


@dataclass(frozen=True, slots=True)
class ImageGraph:
    """One image: what lists its layers, its config, and its layers lowest first.

    `manifest` stands for `manifest.json` where no manifest came with the image.
    """

    manifest: Box
    config: Box
    layers: tuple[LayerRow, ...]
    names: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexGraph:
    """An index, its names, the images in it, and what else it lists."""

    index: Box
    names: tuple[Box, ...]
    images: tuple[ImageGraph, ...]
    others: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """All that is drawn, in the order of the source."""

    source: str
    indexes: tuple[IndexGraph, ...] = ()
    images: tuple[ImageGraph, ...] = ()


def shorten(digest: str) -> str:
    """Return `sha256:` and the first digits of a digest."""
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}:{digits[:SHORT]}…" if colon and len(digits) > SHORT else digest


def graph(document: Document) -> Graph:
    """Return the graph of an inspect document."""
    return _Builder(document).graph()


class _Builder:
    """Numbers the boxes, so that every output can name them."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def _box(self, kind: str, title: str, digest: str | None = None, note: str = "") -> Box:
        self._count += 1
        if self._count > MAX_BOXES:
            raise UnsafeInputError(
                f"the graph would have more than {MAX_BOXES} boxes, too many to be read",
                code="graph-too-large",
                hint="--image and --platform pick what is drawn",
            )
        return Box(f"n{self._count}", kind, printable(title), digest or "", printable(note))

    def graph(self) -> Graph:
        document = self._document
        indexes = []
        inside: set[tuple[str, str | None]] = set()
        held: dict[str, list[Document]] = {}
        for image in document["images"]:
            for digest in image["indexes"]:
                held.setdefault(digest, []).append(image)
        for index in document["indexes"]:
            # An image that several indexes hold is drawn in the first.
            members = [
                image
                for image in held.get(index["digest"], ())
                if (image["image_id"], image["manifest_digest"]) not in inside
            ]
            inside.update((image["image_id"], image["manifest_digest"]) for image in members)
            digests = {image["manifest_digest"] for image in members}
            others = [child for child in index["children"] if child["digest"] not in digests]
            indexes.append(
                IndexGraph(
                    index=self._box("index", "index", index["digest"]),
                    names=tuple(self._box("name", name) for name in index["names"]),
                    images=tuple(self._image(image, named=False) for image in members),
                    others=tuple(self._other(child) for child in others),
                )
            )
        alone = [
            image
            for image in document["images"]
            if (image["image_id"], image["manifest_digest"]) not in inside
            or (image["index_digest"] is None and image["names"])
        ]
        images = tuple(self._image(image, named=True) for image in alone)
        return Graph(printable(document["source"]["path"]), tuple(indexes), images)

    def _other(self, child: Document) -> Box:
        title = child["platform"] or child["kind"]
        if not child["present"]:
            return self._box("absent", title, child["digest"], "not in the source")
        return self._box("index" if child["kind"] == "index" else "list", title, child["digest"])

    def _image(self, image: Document, *, named: bool) -> ImageGraph:
        manifest = image["manifest"]
        platform = image["platform"] or ""
        if manifest is None or manifest["made_up"]:
            listed = self._box("list", "manifest.json", None, platform)
        else:
            listed = self._box("manifest", "manifest", manifest["digest"], platform)
        names = tuple(self._box("name", name) for name in image["names"]) if named else ()
        return ImageGraph(
            manifest=listed,
            config=self._box("config", "config", image["image_id"], "its digest is the image ID"),
            layers=tuple(self._layer(layer) for layer in image["layers"]),
            names=names,
        )

    def _layer(self, layer: Document) -> LayerRow:
        how = layer["compression"]
        if not layer["present"]:
            stored = self._box("absent", "not in the source", layer["digest"])
        elif layer["digest"]:
            stored = self._box("stored", "layer digest", layer["digest"], _sized(how, layer["size"]))
        else:
            title = "layer.tar" if how == "none" else f"{how} file"
            stored = self._box("file", title, None, _sized("uncompressed" if how == "none" else how, layer["size"]))
        plain = self._box("plain", "DiffID", layer["diff_id"], _sized("", layer["plain_size"]))
        return LayerRow(stored, plain, printable(step_text(layer["history"])))


def _sized(what: str, count: int | None) -> str:
    """Return `gzip, 1.2 MB`."""
    if count is None:
        return what
    return f"{what}, {size_text(count)}" if what else size_text(count)
