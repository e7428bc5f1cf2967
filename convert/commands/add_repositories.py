"""`--add-repositories`: give an existing archive the legacy `repositories` file.

Every other member stays byte for byte; no layer is copied twice
(docs/contract.md#--add-repositories).
"""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast, get_args

from convert.archive import tar_rewrite
from convert.archive.atomic import AtomicFile
from convert.archive.open import open_whole_tar
from convert.archive.spool import unnamed_file
from convert.archive.stream_sink import STDOUT, open_stream
from convert.archive.transport import STDIN, path_of
from convert.archive.tree import clean
from convert.codec import decompress
from convert.codec import profile as profiles
from convert.commands.common import Options, ignore, options_of
from convert.commands.convert_options import Verify
from convert.commands.in_place import expected_members, opened_place
from convert.commands.verify_output import verify_layers
from convert.diagnostics import Diagnostic
from convert.errors import InputError, StorageError, UsageError
from convert.layer.context import LIMIT_HINT, ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.streams import HashingStream, drain
from convert.layer.transcode import LayerTranscoder
from convert.layer.verify import compression_of, present
from convert.limits import MAX_LAYER_SIZE, usable_cores
from convert.model.digest import Digest
from convert.plan.changes import Changes
from convert.plan.forms import decide_registry_forms
from convert.reader.detect import read
from convert.report.convert import ConversionReport, ConvertedResult, ConvertedSource, converted_images
from convert.writer.destination import check_folder, check_spelling
from convert.writer.options import V1Scheme, WriteOptions
from convert.writer.repositories import MEMBER, additions_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Unpack

    from convert.archive.stream_sink import Stream
    from convert.archive.tar_tree import TarTree
    from convert.commands.common import Path, Warn
    from convert.commands.keywords import AddRepositoriesFields
    from convert.model.blob import Blob, Content
    from convert.model.descriptor import Descriptor
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.writer.repositories import Additions


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRepositoriesOptions(Options):
    """How the `repositories` file is added (docs/contract.md#--add-repositories).

    Attributes:
        v1_ids: the scheme of v1 directory names; if None, those of the source where
            every layer has one, else `docker` (#v1-ids).
        compress: the profile that gives the layer digests for `chain-free`, `gzip` if
            None (#compression-profiles).
        verify: `digests` verifies layers as stored, `full` every DiffID.
        max_layer_size: the most bytes that a layer may unpack to, 64 GiB if None (#limits).
        jobs: the number of CPU cores to use, all if None; the output never depends on it.
        force: replace what is at the destination.
    """

    choices: ClassVar = {"v1_ids": get_args(V1Scheme), "verify": get_args(Verify)}

    v1_ids: V1Scheme | None = None
    compress: str | None = None
    verify: Verify = "digests"
    max_layer_size: int | None = None
    jobs: int | None = None
    force: bool = False


def add_repositories(
    source: Path,
    destination: Path | None = None,
    options: AddRepositoriesOptions | None = None,
    *,
    warn: Warn = ignore,
    **fields: Unpack[AddRepositoriesFields],
) -> ConversionReport:
    """Add or repair the `repositories` file of a docker archive (docs/contract.md#--add-repositories).

    Layers, and v1 directories that exist, are verified before anything is written.

    Args:
        source: a tar with a `manifest.json`, or `-` for standard input.
        destination: where to write; in place if None, keeping mode and owner. In place,
            a symbolic link is resolved once, and the file that was opened is replaced.
            `-` is standard output.
        options: how to write it; see `AddRepositoriesOptions`.
        warn: called with one line for each thing that was accepted or replaced.
        fields: the fields of `AddRepositoriesOptions`, instead of `options`.

    Raises:
        UsageError: no name in the archive, a folder, no `manifest.json`, or a
            compressed source without a destination.
        InputError: the source is damaged or hostile.
        StorageError: reading or writing failed.
    """
    given = options_of(AddRepositoriesOptions, options, dict(fields))
    warnings: list[Diagnostic] = []

    def report(text: Diagnostic) -> None:
        warnings.append(text)
        warn(text)

    images = _add(source, destination, given, report)
    path = os.fspath(source)
    target = os.fspath(destination) if destination is not None else path
    return ConversionReport(
        (ConvertedSource(path, images.format, ""),),
        target,
        images.format,
        (ConvertedResult(target, converted_images(images, manifests=True)),),
        Changes(),
        tuple(warnings),
    )


def _add(source: Path, destination: Path | None, options: AddRepositoriesOptions, warn: Warn) -> ImageSet:
    target = os.fspath(destination) if destination is not None else None
    if target is None and source == STDIN:
        target = STDOUT
    if target == STDOUT and os.isatty(1):
        raise UsageError(
            "standard output is a terminal", code="terminal-output", hint="redirect it, or name a file as DEST"
        )
    if target is not None:
        check_spelling(None, target)
        check_folder(target)
    with contextlib.ExitStack() as stack:
        # A destination that cannot be written to fails before anything is read.
        out = _open_destination(target, os.fspath(source), stack, force=options.force) if target is not None else None
        tree, wrapper = open_whole_tar(os.fspath(source))
        stack.enter_context(tree)
        if wrapper and target is None:
            raise UsageError(
                f"is compressed ({wrapper}) and cannot be changed in place",
                code="compressed-source",
                file=tree.where,
                hint="give a DEST; it comes out uncompressed",
            )
        place = stack.enter_context(opened_place(path_of(os.fspath(source)), tree)) if target is None else None
        if tree.find("manifest.json") is None:
            raise UsageError(
                "has no manifest.json, so it names no images for repositories",
                code="no-manifest-json",
                file=tree.where,
                hint="--to docker-save makes an archive that does",
            )
        pool = stack.enter_context(Pool(options.jobs or usable_cores()))
        context = ReadContext(
            ReadOptions(options.max_layer_size or MAX_LAYER_SIZE, file=tree.where, limit_hint=LIMIT_HINT),
            cancel=pool.cancel,
        )
        tree.on_read = lambda blob, data: context.verified.blobs.add(blob, Digest.of(data), len(data))
        images = read(tree)
        for warning in images.warnings:
            warn(warning)

        @functools.cache
        def layer_digests() -> dict[Layer, Digest]:
            profile = profiles.get(options.compress or profiles.DEFAULT)
            return LayerTranscoder(pool, profile=profile, context=context).digests(decide_registry_forms(images))

        try:
            # First of all: a v1 directory may hold a member that manifest.json names as a layer.
            verify_layers(images, context, pool, full=options.verify == "full")
            held = _Held(tree, images, context)
            changes = _changes(tree, images, held, options.v1_ids or "keep", lambda layer: layer_digests()[layer], warn)
        except InputError as error:
            error.file = error.file or tree.where
            raise
        for fault in changes.faults:
            warn(Diagnostic(f"{fault}; replaced", code="v1-files-replaced"))
        if changes.replaced:
            warn(Diagnostic(f"{MEMBER}: {changes.replaced}; replaced", code="repositories-replaced", member=MEMBER))
        if target is None and not changes.append and not changes.drop:
            text = f"{MEMBER}: already there and right, nothing written"
            warn(Diagnostic(text, code="repositories-unchanged", member=MEMBER))
            return images
        if place is not None:
            out = stack.enter_context(AtomicFile(place, replace=True, same=os.fstat(tree.fd)))
        if out is None:
            raise ValueError("there is neither a destination nor a place")
        with _writing(tree.where if target is None else target):
            _write(tree, out, changes, expected_members(tree, context))
        return images


def _open_destination(target: str, source: str, stack: contextlib.ExitStack, *, force: bool) -> Stream | AtomicFile:
    """Open DEST, which is closed with `stack`.

    Raises:
        UsageError: something is there that is not replaced.
        StorageError: it cannot be written to.
    """
    stream = open_stream(target)
    if stream is not None:
        return stack.enter_context(contextlib.closing(stream))
    if not force and source != STDIN and _same(target, path_of(source)):
        raise UsageError(
            "the destination is the source",
            code="destination-overlaps-source",
            file=target,
            hint="leave DEST out to change it in place",
        )
    return stack.enter_context(AtomicFile(target, replace=force))


def _changes(
    tree: TarTree,
    images: ImageSet,
    held: _Held,
    v1_ids: V1Scheme,
    layer_digest: Callable[[Layer], Digest],
    warn: Warn,
) -> Additions:
    def member_of(layer: Layer) -> str:
        return present(layer, tree.where).where

    options = WriteOptions(
        content=_unused_content,
        blob=_unused_blob,
        layer_digest=layer_digest,
        warn=warn,
        place="",
        v1_ids=v1_ids,
    )
    existing = tree.read(MEMBER) if tree.find(MEMBER) is not None else None
    return additions_to(images, options, names=tree.names(), existing=existing, member_of=member_of, members=held)


class _Held:
    """What the archive holds already (`writer.repositories.Members`)."""

    def __init__(self, tree: TarTree, images: ImageSet, context: ReadContext) -> None:
        self._tree = tree
        self._images = images
        self._context = context
        self._digests: dict[tuple[Blob, str], Digest | None] = {}

    def document(self, name: str) -> bytes | None:
        try:
            return self._tree.read(name)
        except InputError:
            return None

    def is_layer(self, name: str, layer: Layer) -> bool:
        try:
            blob = self._tree.find(name)
        except InputError:
            return False
        # Those of the images were verified before.
        return blob is not None and (blob is layer.blob or self._plain_digest(blob, layer.diff_id) == layer.diff_id)

    def _plain_digest(self, blob: Blob, wanted: Digest) -> Digest | None:
        """Return the digest of what a blob unpacks to, None if it is damaged; each blob is read once."""
        key = blob, wanted.algorithm
        if key not in self._digests:
            seen: list[Digest] = []
            try:
                raw = HashingStream(
                    blob.open(), "sha256", lambda digest, size: self._context.verified.blobs.add(blob, digest, size)
                )
                plain = decompress.decompress(cast("BinaryIO", raw), compression_of(blob), where=blob.where)
                hashing = HashingStream(
                    plain,
                    wanted.algorithm,
                    lambda digest, _: seen.append(digest),
                    limit=self._context.options.max_layer_size,
                    where=blob.where,
                )
                with cast("BinaryIO", hashing) as stream:
                    drain(stream)
            except InputError:
                seen.clear()
            self._digests[key] = seen[0] if seen else None
        return self._digests[key]

    def needed_by(self, name: str) -> str:
        member = self._tree.member(name)
        folder = "/" not in name
        if member is not None and (member.kind == "dir") != folder:
            return "it is a folder" if not folder else "it is not a folder"
        if folder or member is None:
            return ""
        if name in self._layers:
            return "manifest.json names it as a layer"
        return self._links.get(name, "")

    @functools.cached_property
    def _layers(self) -> frozenset[str]:
        return frozenset(layer.blob.where for _, layer in self._images.layers() if layer.blob is not None)

    @functools.cached_property
    def _links(self) -> dict[str, str]:
        """For each member that is the target of a link: the description of the link."""
        found: dict[str, str] = {}
        for member in self._tree.members:
            name = clean(member.name)
            if name is None or member.kind not in {"symlink", "hardlink"}:
                continue
            with contextlib.suppress(InputError):
                blob = self._tree.find(name)
                if blob is not None and blob.where != name:
                    found.setdefault(blob.where, f"{name} is a link to it")
        return found


def _unused_content(_: Layer) -> Content:
    raise ValueError("no layer is written")


def _unused_blob(_: Blob, __: Descriptor) -> Content:
    raise ValueError("no blob is written")


def _write(tree: TarTree, out: Stream | AtomicFile, changes: Additions, expected: list[tar_rewrite.Expected]) -> None:
    """Write the amended archive."""
    if isinstance(out, AtomicFile):
        tar_rewrite.write_to_file(out.fd, tree, changes.drop, changes.append, expected)
        tree.check_unchanged()
        out.commit()
        return
    if tree.private:
        tar_rewrite.write_to_stream(out.write, tree, changes.drop, changes.append)
        return
    # A stream cannot be taken back: what goes into it is a copy that was verified.
    copy = unnamed_file(None)
    try:
        tar_rewrite.write_to_file(copy, tree, changes.drop, changes.append, expected)
        tar_rewrite.send(copy, tree, out.write)
    finally:
        os.close(copy)


@contextlib.contextmanager
def _writing(target: str) -> Iterator[None]:
    """Name the target in errors of the system; a closed pipe is not an error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError.from_os(error, file=target, doing="writing") from error


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
