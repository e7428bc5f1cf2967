"""Write one result for each image: DEST is a template (docs/contract.md#templates)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Self

from convert.archive.temporary import removing_stale_once
from convert.commands.bases import open_bases
from convert.commands.convert_run import report_of
from convert.commands.convert_steps import (
    finish_layers,
    open_destination,
    open_transcoder,
    plan_result,
    select_images,
    write_result,
)
from convert.diagnostics import Dropped
from convert.errors import ImgconvError, SelectionError, StorageError, names_text
from convert.limits import MAX_RESULTS
from convert.model.image import Image, Index, config_of
from convert.model.image_set import Entry
from convert.model.walk import child_platform, descend, leaves, node_digest
from convert.plan.labels import entry_label
from convert.plan.template import Filled, refuse_collisions, values_of
from convert.writer.naming import describe, nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.commands.convert_run import ConversionRun
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform
    from convert.plan.template import Template
    from convert.report.convert import ConversionReport
    from convert.writer.destination import Destination


def split(run: ConversionRun, stack: contextlib.ExitStack) -> ConversionReport:
    """Convert each image into a result of its own; all of them appear, or none.

    Raises:
        UsageError: there would be too many results, two of them would be one file, or a destination may not be
            written to.
        InputError: a source is damaged, hostile, unsupported or not an image archive.
        StorageError: reading or writing failed.
    """
    template = run.template
    if template is None:
        raise ValueError("DEST is not a template")
    stack.enter_context(run.pool)
    opened = run.open_sources(stack)
    bases = open_bases(run, stack)
    parts = list(_parts(run, select_images(run, opened), template))
    if len(parts) > MAX_RESULTS:
        raise SelectionError(
            f"DEST would name {len(parts)} results, and one run writes at most {MAX_RESULTS}",
            code="too-many-results",
            hint="--image or --drop picks fewer images",
        )
    refuse_collisions([filled for filled, _ in parts], template.fields)
    for filled, _ in parts:
        if run.check_path is not None:
            run.check_path(filled.path)
    folders = stack.enter_context(_Folders(template, [filled.path for filled, _ in parts]))
    runs = [run.for_result(filled.path) for filled, _ in parts]
    # Every destination is opened before the first is written, so that one that cannot be fails at once.
    with removing_stale_once():
        outs = [stack.enter_context(open_destination(one)) for one in runs]
    done = []
    for one, out, (filled, images) in zip(runs, outs, parts, strict=True):
        existing = out.open_existing(one.context)
        transcoder = open_transcoder(one, existing)
        finished = finish_layers(one, plan_result(one, bases.fill(one, images, out)), transcoder, out, bases)
        write_result(one, opened, out, existing, transcoder, finished)
        done.append((filled.path, finished.images))
    # All results were verified and accepted; none is in place yet.
    _put_in_place([(filled.path, out) for out, (filled, _) in zip(outs, parts, strict=True)])
    folders.keep = True
    for one in (run, *runs):
        one.report_changes()
    return report_of(run, opened, done, [run.changes, *(one.changes for one in runs)])


def _put_in_place(results: Sequence[tuple[str, Destination]]) -> None:
    """Commit every result; if one cannot be, those before it that replaced nothing are removed again.

    Raises:
        StorageError, UsageError: as `Destination.commit`; the hint names the results that stay.
    """
    done: list[tuple[str, Destination]] = []
    try:
        for path, out in results:
            out.commit()
            done.append((path, out))
    except BaseException as error:
        # The one that failed may have failed after its rename.
        _, failed = results[len(done)]
        failed.withdraw()
        stay = [path for path, out in reversed(done) if not out.withdraw()]
        if stay and isinstance(error, ImgconvError):
            hint = f"already replaced: {names_text(reversed(stay))}"
            error.hint = f"{error.hint}; {hint}" if error.hint else hint
        raise


def _parts(run: ConversionRun, images: ImageSet, template: Template) -> Iterator[tuple[Filled, ImageSet]]:
    """Yield the path of each image with its fields, and a set that holds only it with all its names.

    An index is one image unless the template has a field of platforms. What is not an image is left
    out where the target holds only images.

    Raises:
        NotRepresentableError: no image is left.
    """
    by_node: dict[object, list[Entry]] = {}
    for entry in images.entries:
        if entry.node is not None:
            by_node.setdefault(entry.node, []).append(entry)
    found = False
    for entries in by_node.values():
        first = entries[0]
        if run.target.single_platform and not any(config_of(node) is not None for node in descend(first.node)):
            text = f"dropped {describe(first.node)}, named {entry_label(first)}: {run.target.name} holds only images"
            run.warn(Dropped(text, what="artifact", of=entry_label(first)))
            continue
        found = True
        for node, platform in _nodes(first.node, template):
            own = [entry if node is entry.node else Entry(node, entry.name) for entry in entries]
            label = entry_label(first) if node is first.node else f"{entry_label(first)} ({platform})"
            digest = node.image_id if isinstance(node, Image) else node_digest(node)
            values, untagged = values_of(first.name, digest.hex if digest is not None else "", platform)
            filled = Filled(label, template.path(values, untagged), values)
            yield filled, dataclasses.replace(images, entries=tuple(own))
    if not found:
        raise nothing_left(images, run.target.name)


def _nodes(node: Node | None, template: Template) -> Iterator[tuple[Node, Platform | None]]:
    """Yield the nodes that get a result each, with their platform."""
    if not isinstance(node, Index) or not template.fields & {"os", "arch"}:
        if node is not None:
            config = config_of(node)
            yield node, config.platform if config is not None else None
        return
    for child in leaves(node):
        platform = child_platform(child)
        if child.node is not None and platform is not None:
            yield child.node, platform


class _Folders:
    """Creates the folders that fields name; they go again unless `keep` is set."""

    def __init__(self, template: Template, paths: list[str]) -> None:
        self.keep = False
        self._wanted = list(dict.fromkeys(folder for path in paths for folder in template.folders(path)))
        self._created: list[str] = []

    def __enter__(self) -> Self:
        for folder in self._wanted:
            try:
                os.mkdir(folder)
            except FileExistsError:
                continue
            except OSError as error:
                self._remove()
                raise StorageError.from_os(error, file=folder, doing="creating the folder") from error
            self._created.append(folder)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.keep:
            self._remove()

    def _remove(self) -> None:
        for folder in reversed(self._created):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
