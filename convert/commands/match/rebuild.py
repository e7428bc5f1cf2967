"""Make a registry's image again from an archive that lost its compressed layers.

MANIFEST is the registry's own, so what is written carries its bytes and, layer by
layer, the blobs that it lists: digest for digest what a pull and a save threw
away. Where only the index is known, the manifest too is found, by its digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from convert.archive.cursor import StreamCursor
from convert.archive.open import open_source
from convert.archive.streams import FileStream
from convert.archive.transport import STDIN, path_of
from convert.codec import encoders
from convert.codec.compression import Compression
from convert.commands.match.search import Found, LayerMatch, Matcher
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
from convert.writer import destination as destinations
from convert.writer.options import WriteOptions
from convert.writer.registry import target, targets_with_manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from convert.codec.encoders import EncoderSpec, Header
    from convert.diagnostics import Diagnostic
    from convert.model.blob import Content
    from convert.model.config import Config
    from convert.model.descriptor import Descriptor
    from convert.model.image import Image, Layer, Manifest
    from convert.model.image_set import ImageSet, SourceFormat
    from convert.progress import Progress
    from convert.writer.destination import Destination

#: Raised when a key of the `--json` document changes its meaning or goes away.
VERSION: Final = 1


@dataclass(slots=True)
class Outcome:
    """What was found, layer by layer, for the image that a manifest names.

    `image` is None where the source holds no image with its config; `manifest` is
    None where only an index was given and no known way of writing a manifest gives
    one of those it names. `why` says what is missing, "" if nothing is.
    """

    source: str
    format: SourceFormat
    index: Digest | None = None
    manifest: Manifest | None = None
    image: Image | None = None
    names: tuple[str, ...] = ()
    layers: list[LayerMatch] = field(default_factory=list)
    why: str = ""
    written: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every layer, and the manifest, can be made again."""
        return not self.why and all(layer.found is not None for layer in self.layers)

    def report(self) -> dict[str, Any]:
        """Return the `--json` document (schemas/report-match.json)."""
        return {
            "report": "match",
            "version": VERSION,
            "source": {"path": self.source, "format": self.format},
            "index": str(self.index) if self.index else None,
            "manifest": str(self.manifest.digest) if self.manifest else None,
            "image_id": str(self.image.image_id) if self.image else None,
            "names": list(self.names),
            "complete": self.complete,
            "problem": self.why or None,
            "layers": [_layer_report(layer) for layer in self.layers],
            "written": self.written,
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """MANIFEST as read: a manifest, or an index with the descriptors of its children."""

    manifest: Manifest | None = None
    index: Digest | None = None
    children: tuple[Descriptor, ...] = ()


def match(
    source: str,
    manifest: str,
    *,
    to: str | None = None,
    destination: str | os.PathLike[str] | None = None,
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    force: bool = False,
    max_layer_size: int | None = None,
    jobs: int | None = None,
    remark: Callable[[Diagnostic], None] = lambda _: None,
    progress: Progress | None = None,
) -> Outcome:
    """Find what gives each layer that a registry's manifest lists; write the image with `to`.

    Nothing is written unless every layer was found.

    Raises:
        UsageError: the request cannot be met.
        InputError: the source or the manifest is damaged, hostile or neither.
        StorageError: reading or writing failed.
    """
    path = os.fspath(destination) if destination is not None else None
    _check_request(source, manifest, to, path)
    shown = progress or Silent()
    workers = jobs or usable_cores()
    pool = Pool(workers)
    context = ReadContext(ReadOptions(max_layer_size or MAX_LAYER_SIZE, file=path_of(source)), cancel=pool.cancel)
    with contextlib.ExitStack() as stack:
        out: Destination | None = None
        if to is not None and path is not None:
            out = destinations.open_destination(target(to), path, path_of(source), force=force)
            stack.enter_context(out)
        opened = stack.enter_context(open_source(source))
        reading = Reading(opened.tree, manifest)
        asked = _read(reading, manifest)
        for warning in reading.sink.warnings:
            remark(warning.within(str(manifest)))
        found = read_selection(opened, images, platforms, warn=remark)
        stack.enter_context(pool)
        matcher = Matcher(pool, context, shown.advance)
        outcome = _find(reading, matcher, found, asked, Outcome(opened.path, found.format, index=asked.index))
        if out is not None and path is not None and to is not None and outcome.complete:
            made: list[tuple[Layer, StoredContent | None]] = [
                matcher.make(layer, out.staging) for layer in outcome.layers
            ]
            result, contents = _rebuilt(found, outcome, made)
            options = WriteOptions(
                content=lambda layer: contents[layer],
                blob=lambda blob, descriptor: StoredContent(blob, descriptor, context),
                layer_digest=_no_digest,
                warn=remark,
                transport=target(to).transport,
            )
            out.write(target(to).writer().items(result, options), pool, before_end=opened.tree.check_unchanged)
            out.commit()
            outcome.written = path
        else:
            opened.tree.check_unchanged()
    return outcome


def _check_request(source: str, manifest: str, to: str | None, path: str | None) -> None:
    if source == STDIN and manifest == STDIN:
        raise UsageError("SOURCE and MANIFEST cannot both be standard input")
    if (to is None) != (path is None):
        raise UsageError("--to FORMAT and DEST go together", hint="imgconv match SOURCE MANIFEST --to oci DEST")
    if to is None or path is None:
        return
    wanted = target(to)
    if not wanted.manifests:
        hint = f"targets for it: {targets_with_manifests()}"
        raise UsageError(f"{to} carries no manifest, so it cannot hold the registry's", hint=hint)
    destinations.check_options(wanted, path)


# -- MANIFEST ------------------------------------------------------------------------


def _read(reading: Reading, path: str) -> _Asked:
    """Read MANIFEST, whose digest is that of the file as it lies."""
    raw = _bytes(path)
    if raw.lstrip(b" \t\r\n")[:1] != b"{":
        raise FormatError("not a JSON manifest", file=path, hint="crane manifest REPO:TAG prints one")
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
        raise FormatError(f"is no image manifest: it lists {strange[0]!r}", file=path)
    if read.config.media_type not in mediatype.IMAGE_CONFIGS:
        raise FormatError(f"is no image manifest: its config is {read.config.media_type!r}", file=path)
    for described in (read.config, *read.layers):
        check_data(described, file=path, member=str(described.digest))
    return _Asked(manifest=read)


def _parsed(reading: Reading, raw: bytes) -> Manifest:
    value = reading.parse(raw, "")
    inside = strict.lookup(value, "mediaType") if isinstance(value, dict) else None
    media_type = inside if isinstance(inside, str) and inside in mediatype.MANIFESTS else mediatype.OCI_MANIFEST
    return read_manifest(reading, raw, media_type, Digest.of(raw), "")


def _bytes(path: str) -> bytes:
    try:
        # A FIFO opens without a writer; whoever reads waits for it.
        fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if path != STDIN:
            os.set_blocking(fd, True)
        with FileStream(fd, path) as stream:
            raw = StreamCursor(cast("BinaryIO", stream)).read(MAX_DOCUMENT_SIZE + 1)
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="reading the manifest") from error
    if len(raw) > MAX_DOCUMENT_SIZE:
        raise UnsafeInputError(f"is larger than {MAX_DOCUMENT_SIZE} bytes, so it is no manifest", file=path)
    return raw


# -- finding -------------------------------------------------------------------------


def _find(reading: Reading, matcher: Matcher, found: ImageSet, asked: _Asked, outcome: Outcome) -> Outcome:
    images = list(found.images())
    if asked.manifest is None:
        _find_in_index(reading, matcher, images, asked, outcome)
    else:
        outcome.manifest = asked.manifest
        wanted = asked.manifest.config.digest
        outcome.image = next((image for image in images if image.image_id == wanted), None)
        if outcome.image is None:
            there = ", ".join(str(image.image_id) for image in images[:8]) or "there is none"
            outcome.why = f"no image in the source has the config {wanted} (those there: {there})"
            return outcome
        check(
            outcome.image.config.raw, wanted, asked.manifest.config.size, file=reading.file, member=f"config {wanted}"
        )
        layers = outcome.image.layers
        if len(layers) != len(asked.manifest.layers):
            raise FormatError(
                f"lists {len(asked.manifest.layers)} layers, the config has {len(layers)} DiffIDs", file=outcome.source
            )
        outcome.layers = matcher.match(layers, asked.manifest.layers)
    if outcome.image is not None:
        texts = (entry_name(entry) for entry in found.entries if _holds(entry, outcome.image))
        outcome.names = tuple(dict.fromkeys(text for text in texts if text))
    return outcome


def _holds(entry: Entry, image: Image) -> bool:
    return any(node is image for node in descend(entry.node))


def _find_in_index(
    reading: Reading, matcher: Matcher, images: Sequence[Image], asked: _Asked, outcome: Outcome
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
            outcome.image, outcome.manifest = image, kept
            outcome.layers = matcher.match(image.layers, kept.layers)
            return
        if fitting and _guessed(reading, matcher, image, fitting, outcome):
            return
    there = ", ".join(str(digest) for digest in list(children)[:8]) or "none"
    outcome.why = (
        f"no known tool writes, with one encoder for all layers, a manifest that this index names ({there}); "
        "match against the manifest itself"
    )


def _guessed(
    reading: Reading, matcher: Matcher, image: Image, fitting: Mapping[Digest, Descriptor], outcome: Outcome
) -> bool:
    if any(layer.blob is None or compression_of(layer.blob) for layer in image.layers):
        return False
    if not matcher.may_guess(len(image.layers)):
        return False
    every = encoders.encoder_specs(Compression.GZIP)
    for group in (every[:4], every[4:10], every[10:]):
        tables = [matcher.describe(layer, group) for layer in image.layers]
        for spec in group:
            for header in spec.headers:
                described = [table[spec.name, header] for table in tables]
                for raw in _ways(image.config, described):
                    if Digest.of(raw) in fitting:
                        outcome.image = image
                        outcome.manifest = manifest = _parsed(reading, raw)
                        outcome.layers = _all_by(image, manifest, spec, header)
                        return True
    return False


def _all_by(image: Image, manifest: Manifest, spec: EncoderSpec, header: Header) -> list[LayerMatch]:
    found = Found(spec.name, header.by, spec, header)
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
    found: ImageSet, outcome: Outcome, made: Sequence[tuple[Layer, StoredContent | None]]
) -> tuple[ImageSet, dict[Layer, Content]]:
    """Return the one image with the registry's manifest and layers, under its names."""
    if outcome.image is None or outcome.manifest is None:
        raise ValueError("nothing to rebuild")
    image = dataclasses.replace(outcome.image, layers=tuple(layer for layer, _ in made), manifest=outcome.manifest)
    names = [entry.name for entry in found.entries if _holds(entry, outcome.image)]
    entries = tuple(Entry(image, name) for name in names)
    contents: dict[Layer, Content] = {layer: content for layer, content in made if content is not None}
    return dataclasses.replace(found, entries=entries), contents


def _no_digest(layer: Layer) -> Digest:
    raise ValueError(f"nobody computed the digest of layer {layer.diff_id}")
