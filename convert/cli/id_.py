"""`imgconv id`: the ID of each image, from headers and configs only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.cli import groups, options
from convert.cli.options import note, out, out_json
from convert.cli.values import OneOf
from convert.errors import NoImageError, SelectionError, names_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.commands.identify import IdentifyReport
    from convert.errors import ImgconvError

# The values of `Engine`, which is imported only when the command runs.
_ENGINES: Final = ("docker", "docker-containerd", "podman", "cri-o", "containerd")
#: Stands for an unknown ID.
_UNKNOWN: Final = "-"


_EXAMPLES: Final = (
    "imgconv id image.tar",
    "imgconv id image.tar busybox:1",
    "imgconv id image.tar --engine docker-containerd",
)


@groups.command("id", summary="Print the ID and the names of each image.", examples=_EXAMPLES)
@options.source
@groups.argument("refs", metavar="[REF]...", nargs=-1, about="A name, an ID, a manifest digest, or a hex prefix.")
@groups.display(
    "--engine",
    type=OneOf("engine", _ENGINES),
    default="docker",
    help="Engine whose ID is printed: the digest of the config (docker, podman, cri-o), or of the manifest or index.",
)
@groups.display("--json", "as_json", is_flag=True, help="Print a JSON document with the IDs that all engines show.")
@options.debug
def command(source: str, refs: tuple[str, ...], engine: str, as_json: bool) -> int:
    """Print the ID and the names of each image in SOURCE.

    With one REF (a name, an ID, a manifest digest, or a hex prefix of 4 digits or
    more), print only its ID. Layers are read only where an ID depends on them: in
    archives from before Docker 1.10, and with --engine containerd for compressed
    layers without manifest.
    """
    from convert.commands.identify import IdentifyOptions, identify
    from convert.identity.engine_id import Engine

    warnings: list[str] = []
    wanted = IdentifyOptions(refs=refs, engine=Engine(engine), details=as_json)
    try:
        report = identify(source, wanted, warn=warnings.append)
    except SelectionError:
        _note_all(warnings)
        raise
    failure = report.failure
    if report.document is not None:
        out_json(report.document)
    else:
        failure = _show(report) or failure
    _note_all(warnings)
    if report.bytes_read:
        note(f"{report.source}: read {report.bytes_read} bytes of compressed layers without a listed digest")
    for problem in report.problems:
        note(str(problem))
    if failure is not None:
        # Without a REF, only the damage is reported, because it is the reason.
        if not report.problems:
            raise failure
        if report.asked and not any(isinstance(problem, NoImageError) for problem in report.problems):
            note(str(failure))
    return report.status


def _note_all(warnings: Iterable[str]) -> None:
    for warning in warnings:
        note(warning)


def _show(report: IdentifyReport) -> ImgconvError | None:
    """Print a line for each ID, or only the ID for one REF; return the error if that is not possible."""
    if len(report.asked) != 1:
        for image in report.images:
            shown = f" ({printable(image.platform)})" if image.platform else ""
            out(f"{image.id or _UNKNOWN}  {names_text(image.names)}{shown}")
        return None
    ids = {image.id: image.platform for image in report.images if image.id is not None}
    if len(ids) > 1:
        listed = ", ".join(f"{platform} {digest}" for digest, platform in ids.items())
        return SelectionError(
            f"this name stands for {len(ids)} platforms: {listed}",
            code="several-platforms",
            file=report.source,
            hint="select one by its ID, or the index with --engine containerd",
        )
    for digest in ids:
        out(str(digest))
    return None
