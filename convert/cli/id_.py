"""`imgconv id`: the ID of each image, from headers and configs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from convert.cli.options import debug, note, one_of, out, out_json
from convert.errors import ImgconvError, InputError, NoImageError, SelectionError, names_text, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.open import Source
    from convert.identity.engine_id import Engine, NamedImage
    from convert.layer.stored_digests import StoredDigests
    from convert.model.image_set import ImageSet, SourceFormat
    from convert.reader.sink import Fault

# The values of names.Engine, which is imported only when the command runs.
_ENGINES: Final = ("docker", "docker-containerd", "podman", "cri-o", "containerd")
#: What stands for an ID that nobody can know.
_UNKNOWN: Final = "-"


@click.command("id", short_help="Print the ID and the names of each image.")
@click.argument("source")
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.option(
    "--engine",
    type=one_of("engine", _ENGINES),
    default="docker",
    help="Whose ID: the config's digest (docker, podman, cri-o), or the manifest's or index's (the others).",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document with the IDs that all engines show.")
@debug
def command(source: str, refs: tuple[str, ...], engine: str, as_json: bool) -> int:
    """Print the ID and the names of each image in SOURCE.

    With one REF (a name, an ID, a manifest digest, or 4 hex digits and more of
    one), print just its ID. Headers and configs are read, never layers, except
    where an ID needs them: an archive from before Docker 1.10, and --engine
    containerd for compressed layers without manifest.

    \b
    Examples:
      imgconv id image.tar
      imgconv id image.tar busybox:1
      imgconv id image.tar --engine docker-containerd
    """  # noqa: D301 - \b is for click: leave the paragraph as it is
    from convert.archive.open import open_source
    from convert.identity.engine_id import Engine, list_images
    from convert.layer.stored_digests import StoredDigests
    from convert.plan.select import find_errors
    from convert.reader.detect import read
    from convert.reader.sink import CollectingSink
    from convert.report.inspect import id_document

    sink = CollectingSink()
    chosen = Engine(engine)
    with open_source(source) as opened:
        images = read(opened.tree, sink=sink)
        asked = (opened.reference_text, *refs) if opened.reference_text else refs
        problems = [] if asked else [fault.error for fault in sink.faults]
        layers = StoredDigests(may_read=not chosen.shows_config)
        failure: ImgconvError | None = None
        try:
            picked = _picked(images, opened, refs, sink.faults)
            if asked:
                problems = list(dict.fromkeys(error for one in picked for error in find_errors(one, sink.faults)))
            items = [item for one in picked for item in list_images(one)]
            if as_json:
                out_json(id_document(opened, images, items, layers, problems))
            answer = _Answer(items, chosen, images.format, layers, damaged=bool(problems))
            if not as_json:
                answer.show(alone=len(asked) == 1)
            failure = answer.failure()
        except SelectionError as error:
            failure = error
        for warning in images.warnings:
            note(f"{opened.path}: {warning}")
        if layers.bytes_read:
            note(f"{opened.path}: read {layers.bytes_read} bytes of compressed layers, whose digests nothing tells")
    for problem in problems:
        note(str(problem))
    if failure is not None:
        failure.file = failure.file or opened.path
        # Where nothing was asked for, what is damaged is why nothing can be printed: one error.
        if not problems:
            raise failure
        if asked and not any(isinstance(problem, NoImageError) for problem in problems):
            note(str(failure))
    return InputError.exit_status if problems else 0


def _picked(images: ImageSet, opened: Source, refs: Sequence[str], faults: Sequence[Fault]) -> list[ImageSet]:
    """Return what SOURCE's spelling and the REFs ask for, in their order; everything without one."""
    from convert.plan.select_image import select_by_image
    from convert.plan.select_spelling import select_by_spelling

    picked = []
    if opened.reference_text:
        picked.append(select_by_spelling(images, opened.spelling, opened.reference_text, faults))
    picked.extend(select_by_image(images, [ref], faults) for ref in refs)
    return picked or [images]


class _Answer:
    """The lines that `id` prints: ID, names, and the platform where names stand for several."""

    def __init__(
        self,
        items: Sequence[NamedImage],
        engine: Engine,
        archive_format: SourceFormat,
        layers: StoredDigests,
        *,
        damaged: bool,
    ) -> None:
        from convert.identity.engine_id import engine_id
        from convert.report.inspect import is_image, platform_text

        self._lines: dict[tuple[str, tuple[str, ...], str], None] = {}
        self._reasons: list[str] = []
        self._asked = items
        for item in items:
            if not is_image(item):
                continue
            digest, why = engine_id(item, engine, archive_format, layers)
            if why:
                self._reasons.append(f"{engine.value} has no ID for {_label(item)}: {why}")
            elif digest is not None or damaged:
                several = item.index is not None and engine.shows_config
                platform = platform_text(item) if several else None
                self._lines[str(digest or _UNKNOWN), item.texts, platform or ""] = None

    def show(self, *, alone: bool) -> None:
        """Print the lines; just the ID if one REF was given.

        Raises:
            SelectionError: one REF, and several platforms under it.
        """
        if alone:
            ids = {line[0]: line[2] for line in self._lines if line[0] != _UNKNOWN}
            if len(ids) > 1:
                listed = ", ".join(f"{platform} {text}" for text, platform in ids.items())
                raise SelectionError(
                    f"this name stands for {len(ids)} platforms: {listed}",
                    hint="ask for one by its ID, or for the index by --engine containerd",
                )
            for text in ids:
                out(text)
            return
        for text, names, platform in self._lines:
            shown = f" ({printable(platform)})" if platform else ""
            out(f"{text}  {names_text(names)}{shown}")

    def failure(self) -> ImgconvError | None:
        """Return what kept an ID from being told, other than damage."""
        if self._reasons:
            return SelectionError("; ".join(self._reasons))
        if self._lines:
            return None
        if not self._asked:
            return SelectionError("there is no image in the source")
        absent = any(item.node is None for item in self._asked)
        what = "its images are not in the source" if absent else "there is no image in the source, only other things"
        return SelectionError(what)


def _label(item: NamedImage) -> str:
    from convert.identity.engine_id import image_id

    return " ".join(item.texts) or str(image_id(item.node) or "an image without a name")
