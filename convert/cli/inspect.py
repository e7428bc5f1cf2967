"""`imgconv inspect`: what a source holds, for a person or as JSON."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from convert.cli.options import debug, jobs, note, out_json, selection
from convert.errors import ImgconvError, InputError, SelectionError

if TYPE_CHECKING:
    from convert.archive.open import Source
    from convert.model.image_set import ImageSet


@click.command("inspect", short_help="Show names, IDs, platforms and layers.")
@click.argument("source")
@click.option("--verify", is_flag=True, help="Read every layer and check it against its digests.")
@click.option("--encoders", is_flag=True, help="Show which encoder compressed each layer, verified over all its bytes.")
@click.option(
    "--graph", metavar="FILE", help="Draw how names and digests depend on each other: FILE.svg, .mmd or .dot."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document with everything.")
@selection
@jobs
@debug
def command(
    source: str,
    *,
    verify: bool,
    encoders: bool,
    graph: str | None,
    as_json: bool,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    **given: int | None,
) -> int:
    """Show every identifier of the images in SOURCE: names, IDs, platforms and layers.

    Each layer with its DiffID, ChainID, v1 ID, layer digest, sizes and the step
    that made it. Digests are cut short for reading; --json has them whole.
    Layers are not read unless --verify or --encoders is given.

    \b
    Examples:
      imgconv inspect image.tar
      imgconv inspect image.tar --verify --json
      imgconv inspect oci:layout --graph names.svg
    """  # noqa: D301 - \b is for click: leave the paragraph as it is
    from convert.archive.atomic import OutputPath, write_file
    from convert.archive.open import open_source
    from convert.limits import usable_cores
    from convert.model.platform import Platform
    from convert.plan.select import find_errors, select_images
    from convert.reader.detect import read
    from convert.reader.sink import CollectingSink

    wanted = [Platform.parse(text) for text in platforms]
    draw = None
    if graph is not None:
        from convert.report.graph import renderer

        # Before anything is read: a graph of an unknown kind is a mistake to hear of at once.
        draw = renderer(graph)
    sink = CollectingSink()
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(OutputPath(graph)) if graph is not None else None
        opened = stack.enter_context(open_source(source))
        found = read(opened.tree, sink=sink)
        problems = [fault.error for fault in sink.faults]
        if images or wanted or opened.reference_text:
            try:
                found = select_images(
                    found,
                    spelling=opened.spelling,
                    reference=opened.reference_text,
                    selectors=images,
                    platforms=wanted,
                    faults=sink.faults,
                    warn=note,
                    damaged=True,
                )
            except SelectionError as error:
                error.file = error.file or opened.path
                raise
            problems = find_errors(found, sink.faults)
        document = _document(
            opened, found, problems, verify=verify, encoders=encoders, jobs=given["jobs"] or usable_cores()
        )
        if output is not None and draw is not None:
            write_file(output, draw(document).encode(), source=opened.path)
    if as_json:
        out_json(document)
    else:
        from convert.cli.tables import show

        show(document, verified=verify, encoders=encoders)
    for warning in document["warnings"]:
        note(f"{opened.path}: {warning}")
    for problem in problems:
        note(str(problem))
    return InputError.exit_status if problems else 0


def _document(
    opened: Source, images: ImageSet, problems: list[ImgconvError], *, verify: bool, encoders: bool, jobs: int
) -> dict[str, Any]:
    from convert.layer.examine import examine_layers, identify_encoders
    from convert.layer.stored_digests import StoredDigests
    from convert.reader.producer import producer
    from convert.report.inspect import inspect_document, layers_of

    layers = StoredDigests(may_read=False)
    facts = made = None
    if verify or encoders:
        from convert.layer.pool import Pool

        with Pool(jobs) as pool:
            if verify:
                facts = examine_layers(layers_of(images), layers, pool, file=opened.path)
            if encoders:
                made = identify_encoders(layers_of(images), pool)
    seen: set[str] = set()
    for found in facts.values() if facts else ():
        if found.problem is not None and str(found.problem) not in seen:
            seen.add(str(found.problem))
            problems.append(found.problem)
    return inspect_document(
        opened, images, layers, problems, producer=producer(opened.tree, images), facts=facts, encoders=made
    )
