"""The pipeline: open, read, select, finish the layers, write. This file tells the whole story."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convert.archive import stream_sink
from convert.archive.open import open_source
from convert.archive.transport import path_of
from convert.codec import profile as profiles
from convert.commands import verify_output
from convert.diagnostics import Dropped
from convert.errors import FormatError, InputError, NotRepresentableError, SelectionError, UsageError
from convert.identity.push import pushers
from convert.identity.push.tool import pushed_images
from convert.layer.context import BlobProgress, ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.stream_ingest import EncodingKeeper, was_ingested
from convert.layer.transcode import LayerTranscoder
from convert.layer.verify import StoredContent
from convert.limits import MAX_LAYER_SIZE, usable_cores
from convert.model.form import Form
from convert.model.image import Layer, config_of
from convert.model.image_set import Entry, Name
from convert.model.platform import Platform
from convert.model.reference import Reference
from convert.model.walk import descend, node_digest
from convert.plan import dropped, notices, push
from convert.plan.select import chosen, retag
from convert.plan.transform import Ledger, Made, Recipe, finished, layer_forms, registry_forms
from convert.progress import Silent
from convert.reader.detect import holds_something, read
from convert.reader.sink import CollectingSink, Sink
from convert.writer import destination as destinations
from convert.writer.naming import single_images
from convert.writer.options import WriteOptions
from convert.writer.registry import TARGETS, target, targets_with_manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.archive.open import Source
    from convert.codec.profile import Profile
    from convert.identity.push.pushers import Pusher
    from convert.layer.transcode import FinishedLayers
    from convert.model.blob import Blob
    from convert.model.digest import Digest
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.plan.transform import ManifestType
    from convert.progress import Progress
    from convert.writer.dest.existing_layout import ExistingLayout
    from convert.writer.dest.staging import Staging
    from convert.writer.options import V1Scheme
    from convert.writer.registry import Target


@dataclass(frozen=True, slots=True)
class Written:
    """One image or artifact of a result, as the result line shows it."""

    names: tuple[str, ...]
    image_id: Digest | None
    manifest_digest: Digest | None


@dataclass(frozen=True, slots=True)
class Result:
    """What a conversion did."""

    source: str
    source_format: str
    destination: str
    target: str
    images: tuple[Written, ...]
    ledger: Ledger
    wrapper: str = ""
    remarks: tuple[str, ...] = field(default=())
    dropped: tuple[Dropped, ...] = field(default=())

    def report(self) -> dict[str, Any]:
        """Return the `--json` document (schemas/report-convert.json)."""
        return {
            "report": "convert",
            "version": 1,
            "source": {"path": self.source, "format": self.source_format, "wrapper": self.wrapper or None},
            "destination": {"path": self.destination, "format": self.target},
            "images": [
                {
                    "names": list(image.names),
                    "image_id": str(image.image_id) if image.image_id else None,
                    "manifest_digest": str(image.manifest_digest) if image.manifest_digest else None,
                }
                for image in self.images
            ],
            "kept": self.ledger.kept,
            "made": [{"what": made.subject, "digest": made.digest, "of": made.of} for made in self.ledger.made],
            "changed": [
                {"what": change.subject, "from": change.before, "to": change.after, "why": change.why}
                for change in (*self.ledger.changes, *self.ledger.layers)
            ],
            "left_out": self.ledger.left_out,
            "dropped": [line.entry() for line in self.dropped],
            "remarks": list(self.remarks),
        }


def formats() -> list[str]:
    """Return the names that `--to` takes."""
    return list(TARGETS)


def convert(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    to: str,
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    tags: Sequence[str] = (),
    pusher: str | None = None,
    compress: str | None = None,
    recompress: bool = False,
    manifest_type: ManifestType = "keep",
    v1_ids: V1Scheme | None = None,
    verify: str = "digests",
    append: bool = False,
    verify_output: bool = False,
    max_layer_size: int | None = None,
    jobs: int | None = None,
    force: bool = False,
    add_repositories: bool = False,
    remark: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Result:
    """Convert an archive or layout; the options are those of the command.

    `remark` is called with one line for each thing that was accepted, left out or
    changed with a word about it; `progress` with bytes as they are done.

    Raises:
        UsageError: the request cannot be met.
        InputError: the source is damaged, hostile, unsupported or no image.
        StorageError: reading or writing failed.
    """
    if verify not in {"digests", "full"}:
        raise UsageError(f"verify is digests or full, not {verify!r}")
    if manifest_type not in {"oci", "docker", "keep"}:
        raise UsageError(f"manifest_type is oci, docker or keep, not {manifest_type!r}")
    source = os.fspath(source)
    wanted = target(to)
    pushes = pushers.get(pusher) if pusher is not None else None
    profile = profiles.get(pushes.profile if pushes is not None else compress or profiles.DEFAULT)
    recipe = Recipe(
        wanted.uncompressed,
        wanted.manifests,
        sized=wanted.layer_sizes_first,
        recompress=recompress,
        manifest_type=manifest_type,
    )
    path = os.fspath(destination)
    destinations.check_options(wanted, path, append=append, verify_output=verify_output)
    if add_repositories and not wanted.manifest_json:
        raise UsageError(
            f"{wanted.name} has no manifest.json, so it takes no repositories", hint="--to docker-oci does"
        )
    if pushes is not None:
        _check_pusher(wanted, compress=compress, recompress=recompress, manifest_type=manifest_type)
    said = _Remarks(remark)
    written: list[str] = []
    shown = progress or Silent()
    workers = jobs or usable_cores()
    pool = Pool(workers)
    context = ReadContext(
        ReadOptions(max_layer_size or MAX_LAYER_SIZE, file=path_of(source), overlap=workers > 1),
        progress=BlobProgress(shown),
        cancel=pool.cancel,
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_naming(path_of(source)))
        out = destinations.open_destination(wanted, path, path_of(source), force=force, append=append)
        stack.enter_context(out)
        existing = out.open_existing(context)
        stack.enter_context(pool)
        transcoder = LayerTranscoder(
            pool, profile=profile, context=context, verify_full=verify == "full", known=existing
        )
        keeper = _keeper(recipe, transcoder, pool, out.staging, context, profile)
        opened = stack.enter_context(open_source(source, keeper=keeper))
        found = before = selected(opened, images, platforms, tags, said, pushes)
        pushed_forms = None
        if pushes is not None:
            loaded = push.load(pushes, found, said)
            found, pushed_forms = loaded.images, loaded.forms
        found = fitting(found, wanted, said)
        shown.expect(sum(_layer_sizes(found)))
        if pushed_forms is None:
            forms = layer_forms(found, recipe)
        else:
            forms = {layer: pushed_forms[layer] for _, layer in found.layers()}
        done = transcoder.finish(forms, out.staging, sized=wanted.layer_sizes_first, may_be_absent=wanted.manifests)
        ledger = Ledger()
        if pushes is not None and pushed_forms is not None:
            result = pushed_images(pushes.tool, found, done.layers)
        else:
            result = finished(found, done.layers, recipe, ledger)
        _account(result, done, wanted, ledger)
        ledger.hints += notices.about(result, wanted)
        ledger.left_out += dropped.lost(before, result, dropped.holds(wanted), wanted.name)
        if wanted.manifests:
            ledger.left_out += dropped.not_followed(result)
        ledger.left_out += dropped.lost_parents(before, result, wanted.name, holds_parents=wanted.holds_parents)
        if compress is not None:
            ledger.left_out += notices.without_effect(compress, done.forms.values(), wanted, v1_ids)
        options = WriteOptions(
            content=done.content,
            blob=lambda blob, descriptor: StoredContent(blob, descriptor, context),
            layer_digest=_layer_digests(transcoder, found, done) if v1_ids == "chain-free" else _no_digest,
            # What was written is told when it is there.
            warn=written.append,
            v1_ids=v1_ids or "docker",
            add_repositories=add_repositories,
            place="" if stream_sink.names_descriptor(path) else path,
            layer_mode=wanted.layer_mode,
            transport=wanted.transport,
            existing=existing.images() if existing is not None else None,
        )
        out.write(wanted.writer().items(result, options), pool, before_end=opened.tree.check_unchanged)
        if existing is not None:
            existing.check_absent(result)
        out.record_layers(profile.name, _encoded(result, done))
        out.commit(_check_of(existing, path, wanted, result, pool, context) if verify_output else None)
    for line in (*written, *ledger.left_out, *ledger.hints):
        said(line)
    for change in ledger.changes:
        said(f"{change.subject} {change.before} became {change.after}: {change.why}")
    rows = written_rows(result, manifests=wanted.manifests)
    remarks, left = tuple(said.lines), tuple(said.dropped)
    return Result(opened.path, found.format, path, wanted.name, rows, ledger, opened.compression, remarks, left)


def _account(images: ImageSet, done: FinishedLayers, wanted: Target, ledger: Ledger) -> None:
    """Enter what becomes of each manifest and layer that the target carries."""
    kept, made = dict.fromkeys(ledger.kept), dict.fromkeys(ledger.made)
    for _, layer in images.layers():
        if layer.stored is None or wanted.uncompressed:
            continue
        if done.forms.get(layer) is Form.ENCODED:
            made[Made("layer", str(layer.stored.digest), str(layer.diff_id))] = None
        else:
            kept[str(layer.stored.digest)] = None
    for image in images.images():
        if wanted.manifests and image.manifest is not None and str(image.manifest.digest) not in kept:
            made[Made("manifest", str(image.manifest.digest), str(image.image_id))] = None
    ledger.kept, ledger.made = list(kept), list(made)


@contextlib.contextmanager
def _naming(source: str) -> Iterator[None]:
    """Name the source in errors about it that come from where its name is not known."""
    try:
        yield
    except (InputError, SelectionError, NotRepresentableError) as error:
        error.file = error.file or source
        raise


def _check_pusher(wanted: Target, *, compress: str | None, recompress: bool, manifest_type: ManifestType) -> None:
    """Refuse what `--as` decides itself, and targets that carry no manifest."""
    beside = {"--compress": compress, "--recompress": recompress, "--manifest-type": manifest_type != "keep"}
    unfit = [option for option, given in beside.items() if given]
    if unfit:
        raise UsageError(f"--as says by itself how layers and manifests are made; leave out {unfit[0]}")
    if not wanted.manifests:
        hint = f"targets for it: {targets_with_manifests()}"
        raise UsageError(f"{wanted.name} carries no manifest, so --as can write none", hint=hint)


def _keeper(
    recipe: Recipe,
    transcoder: LayerTranscoder,
    pool: Pool,
    staging: Staging,
    context: ReadContext,
    profile: Profile,
) -> EncodingKeeper | None:
    """Return what works on a pipe's layers while they arrive, where they will be compressed."""
    if recipe.plain or not profile.compression:
        return None
    return EncodingKeeper(
        lambda plain, size: transcoder.encode(plain, staging, size),
        pool,
        profile.name,
        limit=context.options.max_layer_size,
        where=context.file or "-",
        progress=context.progress.progress,
    )


# -- reading -----------------------------------------------------------------------


def selected(
    opened: Source,
    images: Sequence[str],
    platforms: Sequence[str],
    tags: Sequence[str],
    said: Callable[[str], None],
    pusher: Pusher | None = None,
) -> ImageSet:
    """Read a source, as `pusher` does where one is given, and keep what the options ask for.

    Raises:
        SelectionError: nothing fits, or more than may.
        InputError: the source is no sound image archive.
    """
    wanted = [Platform.parse(text) for text in platforms]
    names = [_tag(text) for text in tags]
    with _naming(opened.path):
        # With a selection, only faults of what is selected count.
        sink = CollectingSink() if images or wanted or opened.reference_text else Sink()
        found = read(opened.tree, sink=sink) if pusher is None else push.read_as(pusher, opened, said, sink=sink)
        for warning in found.warnings:
            said(warning)
        whole = found
        found = chosen(
            found,
            spelling=opened.spelling,
            reference=opened.reference_text,
            selectors=images,
            platforms=wanted,
            faults=sink.faults,
            warn=said,
        )
        for line in (*dropped.lost(whole, found, same_names=True), *dropped.left_attestations(whole, found)):
            said(line)
        if not holds_something(found):
            raise SelectionError("no manifest of what is selected is in the source")
        return retag(found, names)


def _tag(text: str) -> Reference:
    try:
        reference = Reference.parse(text).with_default_tag()
    except FormatError as error:
        raise UsageError(f"--tag {text!r}: {error.message}") from None
    if reference.tag is None or reference.digest is not None:
        raise UsageError(f"--tag {text!r} needs a tag and no digest", hint="as in --tag example.com/app:1.0")
    return reference


def fitting(images: ImageSet, wanted: Target, said: Callable[[str], None]) -> ImageSet:
    """Leave only what the target can hold, before any layer is worked on.

    Raises:
        NotRepresentableError: nothing is left, or an index of several platforms is.
    """
    if not wanted.single_platform:
        return images
    named = single_images(images, wanted.name, said)
    entries = [
        Entry(one.image, Name(reference) if reference else None)
        for one in named
        for reference in one.references or (None,)
    ]
    return dataclasses.replace(images, entries=tuple(entries))


# -- writing -----------------------------------------------------------------------


def _check_of(
    existing: ExistingLayout | None, path: str, wanted: Target, images: ImageSet, pool: Pool, context: ReadContext
) -> Callable[[int], None]:
    """Return what reads a result back before it appears."""
    if existing is not None:
        return lambda fd: verify_output.prove_blobs(fd, path)
    return lambda fd: verify_output.prove_archive(
        fd, path, images, pool, manifests=wanted.manifests, max_layer_size=context.options.max_layer_size
    )


def _encoded(images: ImageSet, done: FinishedLayers) -> Iterator[Layer]:
    """Yield the layers that the profile encoded."""
    return (layer for _, layer in images.layers() if done.forms.get(layer) is Form.ENCODED)


def written_rows(images: ImageSet, *, manifests: bool) -> tuple[Written, ...]:
    """Return what the result lines show; `manifests` tells whether the target carries any."""
    rows: dict[Node | None, tuple[dict[str, None], Entry]] = {}
    for entry in images.entries:
        names, _ = rows.setdefault(entry.node, ({}, entry))
        text = None
        if entry.name is not None:
            text = entry.name.reference.familiar if entry.name.reference else entry.name.ref_name
        if text:
            names[text] = None
    written = []
    for names, entry in rows.values():
        node = entry.node
        named = entry.descriptor.digest if entry.descriptor else None
        digest = node_digest(node) if node is not None else named
        written.append(Written(tuple(names), _only_image_id(node), digest if manifests else None))
    return tuple(written)


def _only_image_id(node: Node | None) -> Digest | None:
    """Return the ID of the only image that a name leads to, None where there are several or none."""
    configs = (config_of(each) for each in descend(node))
    found = {config.digest for config in configs if config is not None}
    return found.pop() if len(found) == 1 else None


def _layer_sizes(images: ImageSet) -> Iterator[int]:
    seen: set[Blob] = set()
    for _, layer in images.layers():
        if layer.blob is not None and not was_ingested(layer.blob) and layer.blob not in seen:
            seen.add(layer.blob)
            yield layer.blob.size or 0


def _layer_digests(transcoder: LayerTranscoder, found: ImageSet, done: FinishedLayers) -> Callable[[Layer], Digest]:
    """Return what gives the digest of a finished layer as a registry would store the source's."""
    digests = transcoder.digests(registry_forms(found))
    by_finished = {done.layers[layer]: digests[layer] for _, layer in found.layers()}
    return by_finished.__getitem__


def _no_digest(layer: Layer) -> Digest:
    raise ValueError(f"nobody computed the digest of layer {layer.diff_id}")


class _Remarks:
    """Passes each remark on once, and remembers it."""

    def __init__(self, remark: Callable[[str], None]) -> None:
        self._remark = remark
        # Ordered, and asked for each line whether it was said: never searched.
        self.lines: dict[str, None] = {}
        self.dropped: list[Dropped] = []

    def __call__(self, text: str) -> None:
        if text not in self.lines:
            self.lines[text] = None
            if isinstance(text, Dropped):
                self.dropped.append(text)
            self._remark(text)
