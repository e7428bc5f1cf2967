"""Re-create a registry's image from an archive with uncompressed layers.

The result holds the registry's manifest byte for byte, and the blobs that it lists. If
only the index is known, the manifest is re-created too, and recognised by its digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from convert.archive import stream_sink
from convert.archive.cursor import StreamCursor
from convert.archive.open import open_source
from convert.archive.streams import FileStream
from convert.archive.transport import NO_PATH, STDIN, can_be_path, path_of
from convert.codec import encoders
from convert.codec.compression import Compression
from convert.commands.common import Options, ignore, options_of
from convert.commands.match.search import Matcher
from convert.commands.thin import open_absent
from convert.diagnostics import Diagnostic
from convert.errors import FormatError, StorageError, UnsafeInputError, UsageError
from convert.identity import manifest
from convert.identity.engine_id import entry_name
from convert.jsonio import strict
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.verify import StoredContent, compression_of
from convert.limits import MAX_DOCUMENT_SIZE, MAX_LAYER_SIZE, usable_cores
from convert.model import mediatype
from convert.model.digest import Digest
from convert.model.image_set import Entry
from convert.model.walk import descend, platform_of
from convert.plan.read_selection import read_selection
from convert.progress import Silent
from convert.reader.document import Reading, check
from convert.reader.manifest import check_data, index_fields, read_descriptor, read_manifest
from convert.report.match import LayerMatch, LayerOrigin, MatchReport
from convert.writer import destination as destinations
from convert.writer.options import WriteOptions, no_layer_digest
from convert.writer.registry import target, targets_with_manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Unpack

    from convert.codec.encoders import EncoderSpec
    from convert.codec.usual_headers import Header
    from convert.commands.common import Path, Warn
    from convert.commands.convert_options import Format
    from convert.commands.keywords import MatchFields
    from convert.model.blob import Content
    from convert.model.config import Config
    from convert.model.descriptor import Descriptor
    from convert.model.image import Image, Layer, Manifest
    from convert.model.image_set import ImageSet
    from convert.progress import Progress
    from convert.writer.destination import Destination


@dataclass(frozen=True, slots=True)
class _Asked:
    """MANIFEST as read: a manifest, or an index with the descriptors of its children."""

    manifest: Manifest | None = None
    index: Digest | None = None
    children: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions(Options):
    """The options of `match` (docs/contract.md#commands).

    Attributes:
        to: the format to write, one that holds manifests; None writes nothing.
        destination: where to write; given together with `to`.
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        force: replace what is at the destination (#destinations).
        max_layer_size: the most bytes that a layer may unpack to, 64 GiB if None (#limits).
        jobs: the number of CPU cores to use, all if None; the result never depends on it.
        with_: archives that hold the layers which a thin source lacks (docs/thin.md).
    """

    to: Format | None = None
    destination: Path | None = None
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    force: bool = False
    max_layer_size: int | None = None
    jobs: int | None = None
    with_: Sequence[str] = ()


def match(
    source: Path,
    manifest: Path,
    options: MatchOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[MatchFields],
) -> MatchReport:
    """Find the encoder of each layer that a registry's manifest lists; write the image with `to`.

    Nothing is written unless every layer was found.

    Args:
        source: the archive or layout, or `-` for standard input.
        manifest: a file with the registry's manifest or index, or `-` for standard input.
        options: what to select and what to write; see `MatchOptions`.
        warn: called with one line for each thing that was accepted or dropped.
        progress: takes counts of uncompressed bytes; called from any thread.
        fields: the fields of `MatchOptions`, instead of `options`.

    Raises:
        UsageError: the request cannot be met.
        InputError: the source or the manifest is damaged, hostile or of another kind.
        StorageError: reading or writing failed.
    """
    given = options_of(MatchOptions, options, dict(fields))
    return _match(os.fspath(source), os.fspath(manifest), given, warn, progress or Silent())


def _match(source: str, manifest: str, options: MatchOptions, warn: Warn, progress: Progress) -> MatchReport:
    to, destination = options.to, options.destination
    path = os.fspath(destination) if destination is not None else None
    _check_request(source, manifest, to, path)
    workers = options.jobs or usable_cores()
    pool = Pool(workers)
    context = ReadContext(
        ReadOptions(options.max_layer_size or MAX_LAYER_SIZE, file=path_of(source)), cancel=pool.cancel
    )
    with contextlib.ExitStack() as stack:
        out: Destination | None = None
        if to is not None and path is not None:
            read = [path_of(source), manifest, *map(path_of, options.with_)]
            out = destinations.open_destination(target(to), path, read, force=options.force)
            stack.enter_context(out)
        opened = stack.enter_context(open_source(source))
        reading = Reading(opened.tree, manifest)
        asked = _read(reading, manifest)
        for warning in reading.sink.warnings:
            warn(warning.within(manifest))
        found = read_selection(opened, options.images, options.platforms, warn=warn, accepts_absent=bool(options.with_))
        if options.with_:
            found = open_absent(options.with_, source, stack, warn, any_form=True)(found)
        stack.enter_context(pool)
        matcher = Matcher(pool, context, progress.advance)
        report = _find(reading, matcher, found, asked, MatchReport(opened.path, found.format, index=asked.index))
        if out is not None and path is not None and to is not None and report.complete:
            made: list[tuple[Layer, StoredContent | None]] = [
                matcher.recreate(layer, out.staging) for layer in report.layers
            ]
            result, contents = _rebuilt(found, report, made)
            write_options = WriteOptions(
                content=lambda layer: contents[layer],
                blob=lambda blob, descriptor: StoredContent(blob, descriptor, context),
                layer_digest=no_layer_digest,
                warn=warn,
                place="" if stream_sink.names_descriptor(path) else path,
                transport=target(to).transport,
            )
            out.write(target(to).writer().items(result, write_options), pool, before_end=opened.tree.check_unchanged)
            out.commit()
            report.written = path
        else:
            opened.tree.check_unchanged()
    return report


def _check_request(source: str, manifest: str, to: str | None, path: str | None) -> None:
    if not manifest:
        raise UsageError("MANIFEST is empty", code="empty-argument")
    if source == STDIN and manifest == STDIN:
        raise UsageError("SOURCE and MANIFEST cannot both be standard input", code="incompatible-options")
    if (to is None) != (path is None):
        raise UsageError(
            "--to FORMAT and DEST go together",
            code="incompatible-options",
            hint="imgconv match SOURCE MANIFEST --to oci DEST",
        )
    if to is None or path is None:
        return
    wanted = target(to)
    if not wanted.manifests:
        hint = f"targets for it: {targets_with_manifests()}"
        raise UsageError(
            f"{to} carries no manifest, so it cannot hold the registry's", code="target-without-manifests", hint=hint
        )
    destinations.check_options(wanted, path)


# -- MANIFEST ------------------------------------------------------------------------


def _read(reading: Reading, path: str) -> _Asked:
    """Read MANIFEST, whose digest is that of the file's bytes."""
    raw = _bytes(path)
    if raw.lstrip(b" \t\r\n")[:1] != b"{":
        raise FormatError(
            "not a JSON manifest", code="not-a-manifest", file=path, hint="crane manifest REPO:TAG prints one"
        )
    value = strict.parse(raw, where=path, member="")
    keys = strict.Keys(value if isinstance(value, dict) else {}, where=path)
    inside = keys.get("mediaType")
    if "manifests" in keys:
        fields = index_fields(
            reading,
            raw,
            inside if isinstance(inside, str) and inside in mediatype.INDEXES else mediatype.OCI_INDEX,
            "",
        )
        children = tuple(read_descriptor(item) for item in fields.objects("manifests"))
        return _Asked(index=Digest.of(raw), children=children)
    read = _parsed(reading, raw)
    strange = [layer.media_type for layer in read.layers if not mediatype.is_layer(layer.media_type)]
    if strange:
        raise FormatError(f"is not an image manifest: it lists {strange[0]!r}", code="not-a-manifest", file=path)
    if read.config.media_type not in mediatype.IMAGE_CONFIGS:
        raise FormatError(
            f"is not an image manifest: its config is {read.config.media_type!r}", code="not-a-manifest", file=path
        )
    for described in (read.config, *read.layers):
        check_data(described, file=path, member=str(described.digest))
    return _Asked(manifest=read)


def _parsed(reading: Reading, raw: bytes) -> Manifest:
    value = reading.parse(raw, "")
    inside = strict.lookup(value, "mediaType") if isinstance(value, dict) else None
    media_type = inside if isinstance(inside, str) and inside in mediatype.MANIFESTS else mediatype.OCI_MANIFEST
    return read_manifest(reading, raw, media_type, Digest.of(raw), "")


def _bytes(path: str) -> bytes:
    if not can_be_path(path):
        raise StorageError("no such file or folder: " + NO_PATH, code="not-found", file=path)
    try:
        # A FIFO opens without a writer; whoever reads waits for it.
        fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if path != STDIN:
            os.set_blocking(fd, True)
        with FileStream(fd, path) as stream:
            raw = StreamCursor(cast("BinaryIO", stream)).read(MAX_DOCUMENT_SIZE + 1)
    except FileNotFoundError as error:
        raise StorageError("no such file or folder", code="not-found", file=path) from error
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="reading") from error
    if len(raw) > MAX_DOCUMENT_SIZE:
        raise UnsafeInputError(
            f"is larger than {MAX_DOCUMENT_SIZE} bytes, so it is not a manifest", code="document-too-large", file=path
        )
    return raw


# -- finding -------------------------------------------------------------------------


def _find(reading: Reading, matcher: Matcher, found: ImageSet, asked: _Asked, report: MatchReport) -> MatchReport:
    images = list(found.images())
    if asked.manifest is None:
        _find_in_index(reading, matcher, images, asked, report)
    else:
        report.manifest = asked.manifest
        wanted = asked.manifest.config.digest
        report.image = next((image for image in images if image.image_id == wanted), None)
        if report.image is None:
            there = ", ".join(str(image.image_id) for image in images[:8]) or "there is none"
            text = f"no image in the source has the config {wanted} (those there: {there})"
            report.why = Diagnostic(text, code="config-not-found", digest=str(wanted))
            return report
        check(report.image.config.raw, wanted, asked.manifest.config.size, file=reading.file, member=f"config {wanted}")
        layers = report.image.layers
        if len(layers) != len(asked.manifest.layers):
            raise FormatError(
                f"lists {len(asked.manifest.layers)} layers, the config has {len(layers)} DiffIDs",
                code="layer-count-mismatch",
                file=report.source,
            )
        report.layers = matcher.match(layers, asked.manifest.layers)
    if report.image is not None:
        texts = (entry_name(entry) for entry in found.entries if _holds(entry, report.image))
        report.names = tuple(dict.fromkeys(text for text in texts if text))
    return report


def _holds(entry: Entry, image: Image) -> bool:
    return any(node is image for node in descend(entry.node))


def _find_in_index(
    reading: Reading, matcher: Matcher, images: Sequence[Image], asked: _Asked, report: MatchReport
) -> None:
    """Find an image's manifest by its digest: one way of writing it, one encoder for all layers."""
    children = {child.digest: child for child in asked.children if child.media_type in mediatype.MANIFESTS}
    for image in images:
        fitting = {
            digest: child
            for digest, child in children.items()
            if child.platform is None or platform_of(child.platform).matches(image.platform)
        }
        kept = image.manifest
        if kept is not None and kept.digest in fitting:
            report.image, report.manifest = image, kept
            report.layers = matcher.match(image.layers, kept.layers)
            return
        if fitting and _guessed(reading, matcher, image, fitting, report):
            return
    there = ", ".join(str(digest) for digest in list(children)[:8]) or "none"
    text = (
        f"no known tool writes, with one encoder for all layers, a manifest that this index names ({there}); "
        "match against the manifest itself"
    )
    report.why = Diagnostic(text, code="manifest-not-found")


def _guessed(
    reading: Reading, matcher: Matcher, image: Image, fitting: Mapping[Digest, Descriptor], report: MatchReport
) -> bool:
    if any(layer.blob is None or compression_of(layer.blob) for layer in image.layers):
        return False
    if not matcher.may_try(len(image.layers)):
        return False
    every = encoders.encoder_specs(Compression.GZIP)
    # The profiles of pushers first; a dozen encoders at a time, for each takes memory.
    for group in (every[:6], *(every[at : at + 12] for at in range(6, len(every), 12))):
        tables = [matcher.describe(layer, group) for layer in image.layers]
        for spec in group:
            for header in spec.headers:
                described = [table[spec.name, header] for table in tables]
                for raw in _ways(image.config, described):
                    if Digest.of(raw) in fitting:
                        report.image = image
                        report.manifest = manifest = _parsed(reading, raw)
                        report.layers = _all_by(image, manifest, spec, header)
                        return True
    return False


def _all_by(image: Image, manifest: Manifest, spec: EncoderSpec, header: Header) -> list[LayerMatch]:
    found = LayerOrigin(spec.name, header.by, spec, header)
    return [LayerMatch(layer, wanted, found, 1) for layer, wanted in zip(image.layers, manifest.layers, strict=True)]


def _ways(config: Config, layers: Sequence[Descriptor]) -> Iterator[bytes]:
    """Yield the manifests that tools write for a config and gzip layers.

    docs/profiles.md#manifests-that-tools-write lists them.
    """
    docker = [dataclasses.replace(layer, media_type=mediatype.DOCKER_LAYER_GZIP) for layer in layers]
    yield manifest.crane_manifest(config, docker)
    yield manifest.docker_push_manifest(config, docker)
    yield manifest.oci_manifest(config, layers)
    yield manifest.containerd_import_manifest(config, docker)
    yield from manifest.others(config, layers)


# -- writing -------------------------------------------------------------------------


def _rebuilt(
    found: ImageSet, report: MatchReport, made: Sequence[tuple[Layer, StoredContent | None]]
) -> tuple[ImageSet, dict[Layer, Content]]:
    """Return the one image with the registry's manifest and layers, under its names."""
    if report.image is None or report.manifest is None:
        raise ValueError("nothing to rebuild")
    image = dataclasses.replace(report.image, layers=tuple(layer for layer, _ in made), manifest=report.manifest)
    names = [entry.name for entry in found.entries if _holds(entry, report.image)]
    entries = tuple(Entry(image, name) for name in names)
    contents: dict[Layer, Content] = {layer: content for layer, content in made if content is not None}
    return dataclasses.replace(found, entries=entries), contents
