"""Report how other tools address a result: skopeo and podman by a name, crane and Docker by a command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Diagnostic
from convert.errors import quoted
from convert.model import mediatype
from convert.model.image import Image, Index
from convert.model.walk import descend

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.model.image import Node
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

_DOCKER_TYPES: Final = frozenset({mediatype.DOCKER_MANIFEST, mediatype.DOCKER_MANIFEST_LIST})
#: Addresses listed in one line.
_MAX_ADDRESSES: Final = 8


def report_address(names: Iterable[str | None], options: WriteOptions, *, others: int = 0) -> None:
    """Report how skopeo and podman address the result.

    `names` are the names that they take after the path, one for each entry that was
    written, None without a name; `others` counts the entries of the result beside these.
    A tar that holds one image needs no name; for a folder every address is listed. A name
    that the tools refuse is not an address; a single entry is addressed by the path alone.
    """
    transport = options.transport
    entries = list(names)
    distinct_names = list(dict.fromkeys(name for name in entries if name is not None))
    if len(distinct_names) < 2 and not transport.is_folder:
        return
    usable = [name for name in distinct_names if transport.images.fullmatch(name)]
    count = f"wrote {len(distinct_names)} names; " if len(distinct_names) > 1 else ""
    if ":" in options.place:
        address = "skopeo and podman refuse a path with a colon"
    elif usable or len(entries) + others == 1:
        address = f"in skopeo and podman use {_addresses(usable, options)}"
        if usable and len(usable) < len(distinct_names):
            address += f"; they refuse {len(distinct_names) - len(usable)} of the names"
    elif distinct_names:
        address = f"skopeo and podman refuse {'these names' if count else quoted(distinct_names[0])}"
    else:
        return
    options.warn(Diagnostic(f"{count}{address}", code="result-address", names=len(distinct_names)))


def report_archive(named: Iterable[NamedImage], options: WriteOptions) -> None:
    """Report how skopeo and podman address an archive of `docker save`, whose names are RepoTags.

    They read no layer of it that a thin archive leaves out, whatever they hold (docs/recipes/thin.md).
    """
    if options.left_out.is_empty:
        report_address((reference.familiar for one in named for reference in one.references), options)


def report_layout(nodes: Sequence[Node | None], options: WriteOptions, *, count: int) -> None:
    """Report how crane and Docker take a layout, and which tools do not read its manifests.

    `nodes` are what was written; `count` is the number of entries of `index.json`. crane pushes a
    layout that has one entry as an image. Docker reads no folder. Both need every layer.
    """
    if (
        options.left_out.is_empty
        and options.transport.is_folder
        and any(isinstance(node, Image | Index) for node in nodes)
    ):
        place = shlex.quote(options.place) if options.place else "LAYOUT"
        target = "docker-oci" if any(isinstance(node, Index) for node in nodes) else "docker-save"
        push = f"crane push {place} REPOSITORY:TAG"
        if count > 1:
            push = f"select one image, as crane push takes (imgconv {place} --image NAME --to oci DEST)"
        line = f"in crane: {push}; in docker: imgconv {place} --to {target} - | docker load"
        options.warn(Diagnostic(line, code="result-commands"))
    if any(_is_docker_manifest(each) for node in nodes for each in descend(node)):
        line = (
            "the layout holds Docker manifests: crane and skopeo from 1.10 on read them, "
            "but umoci, buildah 1.28 and podman 4.3 do not"
        )
        options.warn(Diagnostic(line, code="docker-manifests"))


def _is_docker_manifest(node: Node) -> bool:
    match node:
        case Image():
            return node.manifest is not None and node.manifest.media_type in _DOCKER_TYPES
        case Index():
            return node.media_type in _DOCKER_TYPES
        case _:
            return False


def _addresses(names: Sequence[str], options: WriteOptions) -> str:
    transport = options.transport
    prefix = f"{transport.name}:{options.place or ('LAYOUT' if transport.is_folder else 'ARCHIVE')}"
    shown = names[:_MAX_ADDRESSES] if transport.is_folder else names[:1]
    addresses = ", ".join(quoted(f"{prefix}:{name}") for name in shown) or quoted(prefix)
    more = len(names) - len(shown) if transport.is_folder else 0
    return f"{addresses} and {more} more" if more else addresses
