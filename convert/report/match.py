"""The encoders behind a registry's layers, and their `--json` document (schemas/report-match.json)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convert.codec.encoders import EncoderSpec
    from convert.codec.usual_headers import Header
    from convert.diagnostics import Diagnostic
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Image, Layer, Manifest
    from convert.model.image_set import SourceFormat

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class LayerOrigin:
    """How a registry's bytes of a layer are re-created.

    `how` is a profile, `gzip-N` (GNU gzip), `zlib-N`, or one of the names above;
    `by` names the tools that write such bytes. `spec` and `header` re-create them; None if the
    source has the bytes themselves.
    """

    how: str
    by: str = ""
    spec: EncoderSpec | None = None
    header: Header | None = None


@dataclass(frozen=True, slots=True)
class LayerMatch:
    """One layer: its DiffID, what the registry lists, and how that is re-created (None: unknown).

    `tried` counts encoders; `near` are those whose output has the listed size and another
    digest, as one with a time in the gzip header has.
    """

    layer: Layer
    wanted: Descriptor
    found: LayerOrigin | None
    tried: int = 0
    near: tuple[str, ...] = ()


@dataclass(slots=True)
class MatchReport:
    """What was found, layer by layer, for the image that a manifest names.

    `source` is the path and `format` the format of the source. `image` is None if the
    source holds no image with the manifest's config; `manifest` is None if only an index
    was given and no tool's way of writing a manifest gives one of those it lists. `why`
    states what is missing, None if nothing is. `written` is the path of the result, None if
    nothing was written.
    """

    source: str
    format: SourceFormat
    index: Digest | None = None
    manifest: Manifest | None = None
    image: Image | None = None
    names: tuple[str, ...] = ()
    layers: list[LayerMatch] = field(default_factory=list)
    why: Diagnostic | None = None
    written: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every layer, and the manifest, can be re-created."""
        return not self.why and all(layer.found is not None for layer in self.layers)

    @property
    def status(self) -> int:
        """The exit status of the command: 0 if complete, else 1 (docs/contract.md#exit-status)."""
        return 0 if self.complete else 1


def document(report: MatchReport) -> dict[str, Any]:
    """Return the document that `--json` prints."""
    return {
        "report": "match",
        "version": VERSION,
        "source": {"path": report.source, "format": report.format},
        "index": str(report.index) if report.index else None,
        "manifest": str(report.manifest.digest) if report.manifest else None,
        "image_id": str(report.image.image_id) if report.image else None,
        "names": list(report.names),
        "complete": report.complete,
        "problem": report.why.entry() if report.why is not None else None,
        "layers": [_layer_report(layer) for layer in report.layers],
        "written": report.written,
    }


def _layer_report(match: LayerMatch) -> dict[str, Any]:
    return {
        "digest": str(match.wanted.digest),
        "size": match.wanted.size,
        "media_type": match.wanted.media_type,
        "diff_id": str(match.layer.diff_id),
        "encoder": match.found.how if match.found else None,
        "by": match.found.by or None if match.found else None,
        "tried": match.tried,
        "same_size": list(match.near),
    }
