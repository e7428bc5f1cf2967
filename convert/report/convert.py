"""The result of a conversion, and its `--json` document (schemas/report-convert.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.model.image import config_of
from convert.model.walk import descend, node_digest

if TYPE_CHECKING:
    from convert.diagnostics import Diagnostic, Dropped
    from convert.model.digest import Digest
    from convert.model.image import Node
    from convert.model.image_set import Entry, ImageSet, SourceFormat
    from convert.plan.changes import Changes, ImageNeeds

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class ConvertedImage:
    """One image, index or artifact of a result.

    `names` are its names as Docker shows them. `image_id` is None for an artifact, and
    for an index of several images; `manifest_digest` is that of the manifest or index,
    None where the target carries no manifests.
    """

    names: tuple[str, ...]
    image_id: Digest | None
    manifest_digest: Digest | None


@dataclass(frozen=True, slots=True)
class ConvertedSource:
    """A source: its path as given, its format, and the compression of the archive itself ("" for none)."""

    path: str
    format: SourceFormat
    compression: str


@dataclass(frozen=True, slots=True)
class ConvertedResult:
    """A result that was written: its path, and its images."""

    path: str
    images: tuple[ConvertedImage, ...]


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What a conversion did.

    `sources` are as given; `destination` is the path or template as given, and `results` what
    was written there: one, or one for each image. `target` is their format. `changes` lists what
    was kept, created, changed and dropped; `warnings` are all lines that went to `warn`, and
    `dropped` those of them that report a loss, with its data.
    """

    sources: tuple[ConvertedSource, ...]
    destination: str
    target: str
    results: tuple[ConvertedResult, ...]
    changes: Changes
    warnings: tuple[Diagnostic, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    @property
    def source(self) -> str:
        """The path of the first source."""
        return self.sources[0].path

    @property
    def source_format(self) -> SourceFormat:
        """The format of the first source."""
        return self.sources[0].format

    @property
    def source_compression(self) -> str:
        """The compression of the first source itself, "" for none."""
        return self.sources[0].compression

    @property
    def needs(self) -> tuple[ImageNeeds, ...]:
        """What the receiver of each image must have: the layers that a thin result leaves out."""
        return tuple(self.changes.needs)

    @property
    def images(self) -> tuple[ConvertedImage, ...]:
        """The images of all results."""
        return tuple(image for result in self.results for image in result.images)


def converted_images(images: ImageSet, *, manifests: bool) -> tuple[ConvertedImage, ...]:
    """Return the images of a result; `manifests` is whether the target carries manifests."""
    rows: dict[object, tuple[dict[str, None], Entry]] = {}
    for entry in images.entries:
        # All absent nodes share one row.
        names, _ = rows.setdefault(entry.node, ({}, entry))
        text = None
        if entry.name is not None:
            text = entry.name.reference.familiar if entry.name.reference else entry.name.ref_name
        if text:
            names[text] = None
    found = []
    for names, entry in rows.values():
        node = entry.node
        described = entry.descriptor.digest if entry.descriptor else None
        digest = node_digest(node) if node is not None else described
        found.append(ConvertedImage(tuple(names), _only_image_id(node), digest if manifests else None))
    return tuple(found)


def _only_image_id(node: Node | None) -> Digest | None:
    """Return the ID of the only image under a name, None where there are several or none."""
    configs = (config_of(each) for each in descend(node))
    found = {config.digest for config in configs if config is not None}
    return found.pop() if len(found) == 1 else None


def document(report: ConversionReport) -> dict[str, Any]:
    """Return the document that `--json` prints."""
    changes = report.changes
    return {
        "report": "convert",
        "version": VERSION,
        "source": _source(report.sources[0]),
        "sources": [_source(source) for source in report.sources],
        "destination": {"path": report.destination, "format": report.target},
        "results": [
            {"path": result.path, "images": [_image(image) for image in result.images]} for result in report.results
        ],
        "images": [_image(image) for image in report.images],
        "kept": changes.kept,
        "made": [{"what": blob.subject, "digest": blob.digest, "of": blob.of} for blob in changes.created],
        "changed": [
            {"what": change.subject, "from": change.before, "to": change.after, "why": change.why}
            for change in (*changes.changed, *changes.changed_layers)
        ],
        "left_out": changes.dropped,
        "dropped": [line.facts() for line in report.dropped],
        "remarks": [line.entry() for line in report.warnings],
        "needs": [_needs(one) for one in changes.needs],
    }


def _source(source: ConvertedSource) -> dict[str, Any]:
    return {"path": source.path, "format": source.format, "wrapper": source.compression or None}


def _image(image: ConvertedImage) -> dict[str, Any]:
    return {
        "names": list(image.names),
        "image_id": str(image.image_id) if image.image_id else None,
        "manifest_digest": str(image.manifest_digest) if image.manifest_digest else None,
    }


def _needs(one: ImageNeeds) -> dict[str, Any]:
    return {
        "image_id": str(one.image.image_id),
        "chain_id": str(one.chain_id) if one.chain_id is not None else None,
        "of": list(one.of),
        "layers": [
            {
                "diff_id": str(layer.diff_id),
                "digest": str(layer.stored.digest) if one.chain_id is None and layer.stored is not None else None,
                "size": layer.stored.size if one.chain_id is None and layer.stored is not None else None,
            }
            for layer in one.layers
        ],
    }
