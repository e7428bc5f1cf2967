"""The manifests that pushes give, and their `--json` document (schemas/report-digest.json)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.diagnostics import Diagnostics
from convert.errors import NotRepresentableError
from convert.identity.engine_id import manifest_digest
from convert.model.image import Artifact, Image, Index, Other
from convert.report.json_text import Streamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.identity.push.pushers import Pusher
    from convert.model.digest import Digest
    from convert.model.image import Manifest, Node
    from convert.model.image_set import SourceFormat

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 2
#: Characters of the keys and of the digest of a row, and of one of its layers, with their indentation.
_ROW_SIZE: Final = 230
_LAYER_SIZE: Final = 140


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """A manifest or index that a push by `pusher` would give a registry, and its names."""

    pusher: Pusher
    names: tuple[str, ...]
    node: Node

    @property
    def digest(self) -> Digest:
        """The digest that the registry shows."""
        digest = manifest_digest(self.node)
        if digest is None:
            raise ValueError("nothing is pushed without a manifest")
        return digest

    @property
    def media_type(self) -> str:
        """The media type under which it is pushed."""
        if isinstance(self.node, Index):
            return self.node.media_type
        if isinstance(self.node, Other):
            return self.node.descriptor.media_type
        return self._manifest().media_type

    @property
    def size(self) -> int:
        """The size of the manifest or index, in bytes."""
        return self.node.descriptor.size if isinstance(self.node, Other) else len(self.raw)

    @property
    def raw(self) -> bytes:
        """The manifest's or index's bytes.

        Raises:
            NotRepresentableError: the media type is not that of a manifest or index.
        """
        if isinstance(self.node, Index):
            return self.node.raw
        if isinstance(self.node, Other):
            raise NotRepresentableError(
                f"{self.digest} is {self.media_type}, which is not a manifest that imgconv knows",
                code="unknown-manifest-type",
            )
        return self._manifest().raw

    def _manifest(self) -> Manifest:
        manifest = self.node.manifest if isinstance(self.node, Image | Artifact) else None
        if manifest is None:
            raise ValueError("nothing is pushed without a manifest")
        return manifest


@dataclass(frozen=True, slots=True)
class RefusedPusher:
    """Why a tool cannot push a source, as a text and as a code (docs/codes.md)."""

    pusher: Pusher
    reason: str
    code: str


@dataclass(slots=True)
class DigestReport:
    """The manifests that pushes of one source would give, pusher by pusher.

    `source` is the path, `format` the format and `source_compression` the compression of the source
    as a whole, "" for none. `refused` are the pushers that cannot read the source.
    """

    source: str
    format: SourceFormat | None
    source_compression: str
    pushed: list[PushedManifest] = field(default_factory=list)
    refused: list[RefusedPusher] = field(default_factory=list)
    warnings: Diagnostics = field(default_factory=Diagnostics)


def document(report: DigestReport) -> dict[str, Any]:
    """Return the document that `--json` prints."""
    found = streamed_document(report)
    return found | {"pushes": list(found["pushes"].elements)}


def streamed_document(report: DigestReport) -> dict[str, Any]:
    """Return the same with the list of pushes as `Streamed`: ten thousand images have a row for each pusher."""
    return {
        "report": "digest",
        "version": VERSION,
        "source": {"path": report.source, "format": report.format, "wrapper": report.source_compression or None},
        "pushes": Streamed(rows(report), sum(map(_least_row_size, report.pushed))),
        "refused": [
            {"code": refused.code, "pusher": refused.pusher.name, "reason": refused.reason}
            for refused in report.refused
        ],
        "warnings": [warning.entry() for warning in report.warnings],
    }


def rows(report: DigestReport) -> Iterator[dict[str, Any]]:
    """Yield the row of each manifest."""
    return map(_row, report.pushed)


def _least_row_size(pushed: PushedManifest) -> int:
    """Return a number of characters that the text of a row has in any case: of its keys and digests."""
    node = pushed.node
    manifest = node.manifest if isinstance(node, Image | Artifact) else None
    layers = len(manifest.layers) if manifest is not None else 0
    return _ROW_SIZE + sum(map(len, pushed.names)) + layers * _LAYER_SIZE


def _row(pushed: PushedManifest) -> dict[str, Any]:
    node = pushed.node
    manifest = node.manifest if isinstance(node, Image | Artifact) else None
    return {
        "pusher": pushed.pusher.name,
        "go": pushed.pusher.go or None,
        "names": list(pushed.names),
        "image_id": str(node.image_id) if isinstance(node, Image) else None,
        "platform": str(node.platform) if isinstance(node, Image) else None,
        "digest": str(pushed.digest),
        "media_type": pushed.media_type,
        "size": pushed.size,
        "layers": [
            {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size}
            for layer in (manifest.layers if manifest is not None else ())
        ],
    }
