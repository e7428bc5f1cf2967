"""Read a source as pushers read it.

The classes of `identity/push/` decide which part of a source a tool reads. This module opens the members that the
tool opens, once for all tools: what several of them read alike is one model.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Diagnostic
from convert.errors import InputError, NoImageError, UsageError
from convert.identity import containers_image_structs, docker_structs, ggcr_structs
from convert.identity.push import pushers
from convert.identity.push.tool import Contents, View
from convert.model import mediatype
from convert.reader.detect import holds_something, is_dir_folder
from convert.reader.docker_archive import (
    ManifestJsonRules,
    check_rules,
    read_docker,
    read_docker_as_crane,
    shared_names,
)
from convert.reader.manifest import index_fields
from convert.reader.oci_layout import read_layout
from convert.reader.readings import Readings
from convert.reader.shared_documents import SharedDocuments
from convert.reader.sink import CollectingSink, Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.open import Source
    from convert.identity.push.pushers import Pusher
    from convert.identity.push.tool import PushTool
    from convert.model.image_set import ImageSet

    Warn = Callable[[Diagnostic], None]


#: What each tool that reads manifest.json refuses in it.
_MANIFEST_JSON_RULES: Final[dict[PushTool, ManifestJsonRules]] = {
    pushers.CRANE: ManifestJsonRules("crane", ggcr_structs.MANIFEST_ITEM),
    pushers.DOCKER: ManifestJsonRules("docker", docker_structs.MANIFEST_ITEM, reads_whole_archive=True),
    pushers.CONTAINERD: ManifestJsonRules("containerd", docker_structs.CONTAINERD_ITEM, reads_whole_archive=True),
    **{
        tool: ManifestJsonRules(tool.name, containers_image_structs.MANIFEST_ITEM, reads_whole_archive=True)
        for tool in (pushers.PODMAN, pushers.SKOPEO, pushers.BUILDAH)
    },
}


class PushReader:
    """Reads one source as any number of pushers do."""

    def __init__(self, opened: Source, documents: SharedDocuments | None = None) -> None:
        """Nothing is read yet, besides the `documents` of another reading of the source."""
        self._opened = opened
        self._documents = documents
        self._tree = opened.tree

    def read_as(self, pusher: Pusher, warn: Warn, *, sink: Sink | None = None) -> ImageSet:
        """Read what a pusher looks at; `warn` takes the conditions under which the digests hold.

        `sink` takes the faults; without one, the first fault is raised.

        Raises:
            UsageError: the tool cannot read such a source, or finds no image in it.
            NoImageError: the source holds no image.
            UnknownFormatError: no image archive or layout.
            InputError: damaged, hostile or unsupported.
        """
        tool, tree = pusher.tool, self._tree
        view = self._view(tool)
        if self._opened.compression and not tool.unpacks_archives:
            compression = self._opened.compression
            text = f"{tool.name} itself does not unpack {compression}; this is about the tar inside"
            warn(Diagnostic(text, code="pusher-needs-tar", compression=compression))
        for condition in tool.conditions(self._contents, view):
            warn(condition)
        sink = sink or Sink()
        if view is View.ALL:
            return self._readings.read_all(sink)
        reading = self._readings.start(sink)
        if view is View.LISTED:
            found = self._readings.read(read_docker_as_crane if tool is pushers.CRANE else read_docker, sink)
            check_rules(reading, _MANIFEST_JSON_RULES[tool])
        else:
            found = self._readings.read(read_layout, sink)
        if not sink.faults and not holds_something(found):
            self._readings.read_all(Sink())
            member = "manifest.json" if view is View.LISTED else "index.json"
            raise UsageError(
                f"{tool.name} reads only {member}, which names no image that is present",
                code="pusher-cannot-read",
                file=tree.where,
            )
        if tool.finds_by_name and view is View.LISTED:
            for name, first, second in shared_names(found.entries):
                raise UsageError(
                    f"manifest.json gives the name {name} to {first.image_id} and {second.image_id}; "
                    f"{tool.name} takes the first and never finds the other",
                    code="name-on-two-images",
                    file=tree.where,
                    hint="give each image a name of its own",
                )
        return dataclasses.replace(found, warnings=(*tree.warnings, *sink.warnings))

    @cached_property
    def _readings(self) -> Readings:
        """What tools read alike; documents are kept where they read in different ways."""
        return Readings(self._tree, self._documents or SharedDocuments(keeps=self._contents.listed))

    # -- which part a tool reads ---------------------------------------------------------

    def _view(self, tool: PushTool) -> View:
        """Return what a tool looks at in the source.

        Raises:
            UsageError: the tool cannot read such a source.
        """
        contents = self._contents
        if not contents.listed and not contents.layout:
            self._readings.read_all(Sink())  # reports a source that is not an image archive
        try:
            return tool.view(contents)
        except UsageError as error:
            error.file = self._tree.where
            try:
                self._readings.read_all(Sink())
            except NoImageError:
                raise  # that comes first, whichever tool is asked for
            except InputError:
                pass
            raise

    @cached_property
    def _contents(self) -> Contents:
        """What decides which part of the source a tool reads."""
        tree = self._tree
        has_index = tree.find("index.json") is not None
        is_dir = not has_index and is_dir_folder(tree)
        return Contents(
            listed=not is_dir and tree.find("manifest.json") is not None,
            layout=has_index,
            layout_file=tree.find("oci-layout") is not None,
            folder=tree.is_folder,
            dir_folder=is_dir and tree.is_folder,
            transport=self._opened.spelling,
            count_indexed=lambda: self._indexed,
        )

    @cached_property
    def _indexed(self) -> int:
        """The number of descriptors in index.json; 0 if it is damaged, which its reader reports."""
        reading = self._readings.start(CollectingSink())
        try:
            fields = index_fields(reading, reading.read("index.json"), mediatype.OCI_INDEX, "index.json")
            return len(fields.array("manifests") or ())
        except InputError:
            return 0
