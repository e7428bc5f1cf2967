"""`imgconv [convert] SOURCE --to FORMAT DEST` and `imgconv --add-repositories SOURCE [DEST]`."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

import click

from convert.cli import groups, options
from convert.cli.commands import COMMANDS
from convert.cli.values import CONSUMERS, FILE, FORMAT, PROFILE, PUSHER, SIZE, OneOf
from convert.errors import DestinationExistsError, UsageError, names_text, printable, quoted, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.commands.convert_options import Format
    from convert.report.convert import ConversionReport

#: Options whose values have another name in Python.
_OPTIONS: Final = {"images": "image", "platforms": "platform", "tags": "tag", "pusher": "as", "with_": "with"}

#: The limit of open files that systems begin with.
_USUAL_LIMIT: Final = 256
#: Files that a run opens besides its sources.
_OTHER_FILES: Final = 128

_EXAMPLES: Final = (
    "imgconv image.tar --to oci layout",
    "imgconv layout --to docker-save - | docker load",
    "imgconv a.tar b.tar c.tar --to docker-oci all.tar",
    "imgconv amd64.tar arm64.tar --join app:1.0 --to oci layout",
    "imgconv all.tar --to docker-save 'out/{name}_{tag}.tar'",
    "imgconv --add-repositories image.tar",
)


@groups.command("convert", summary="Convert an archive or layout into another format.", examples=_EXAMPLES)
@groups.argument("sources", type=FILE, nargs=-1, metavar="SOURCE...", about=options.SOURCE_ABOUT)
@groups.argument(
    "dest",
    type=FILE,
    metavar="[DEST]",
    required=False,
    about="The result: a new file or folder, - for standard output, or a template such as out/{name}_{tag}.tar "
    "for one result an image.",
)
@groups.output(
    "--to",
    type=FORMAT,
    metavar="FORMAT",
    help="docker-save, docker-save@25, docker-save@29, docker-oci, crane, oci, oci-archive or dir. "
    "A default Docker 29 saves docker-oci, one with a graph driver docker-save@29.",
)
@groups.output(
    "--for",
    "consumers",
    type=CONSUMERS,
    multiple=True,
    metavar="CONSUMER[,…]",
    help="Choose the format and the smallest changes with which these programs load the result: docker, kind, "
    "podman, … (imgconv doctor).",
)
@groups.edit("--add-repositories", is_flag=True, help="Add the legacy `repositories` file, in place without --to.")
@options.selection
@options.edits
@groups.edit(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME",
    help="Replace the image's names with NAME. Repeatable; needs a single image.",
)
@groups.output(
    "--as",
    "pusher",
    type=PUSHER,
    metavar="PUSHER",
    help="Write what this tool would push: crane, docker, docker-containerd, … (imgconv digest lists them).",
)
@groups.compression(
    "--compress",
    type=PROFILE,
    metavar="PROFILE",
    show_default="gzip",
    help="Compress layers with this profile; `imgconv profiles` lists them.",
)
@groups.compression("--recompress", is_flag=True, help="Recompress all layers (changes digests).")
@groups.output(
    "--manifest-type",
    type=OneOf("kind of manifests", ["oci", "docker", "keep"]),
    default="keep",
    help="Kind of manifests.",
)
@groups.output(
    "--v1-ids",
    type=OneOf("scheme of v1 IDs", ["docker", "chain-free", "skopeo", "keep"]),
    show_default="docker",
    help="Scheme of v1 directory names.",
)
@groups.verify(
    "--verify",
    type=OneOf("kind of verification", ["digests", "full"]),
    default="digests",
    help="digests: check what is read; full: also unpack every layer and check its DiffID.",
)
@groups.output("--append", is_flag=True, help="Add to an existing OCI layout.")
@groups.verify("--verify-output", is_flag=True, help="Read the result back and verify it before it appears.")
@groups.run(
    "--max-layer-size", type=SIZE, metavar="SIZE", show_default="64G", help="Refuse layers that unpack to more."
)
@groups.output(
    "--without",
    type=FILE,
    multiple=True,
    metavar="OLD",
    help="Leave out the layers that OLD has, an archive or an inventory: a thin archive. Repeatable.",
)
@options.with_
@options.jobs
@options.force
@options.logged_progress
@groups.display("--json", "as_json", is_flag=True, help="Print a JSON report of what was kept, created and changed.")
@options.quiet
@groups.display("-v", "--verbose", is_flag=True, help="Also list what was kept.")
@options.debug
def command(
    sources: tuple[str, ...], dest: str | None, to: Format | None, add_repositories: bool, **given: Any
) -> None:
    """Convert the images in SOURCE into another format, or add `repositories` in place.

    Several SOURCEs are put together in one result.

    Image IDs never change, and digests that exist are kept where FORMAT can hold
    them. The word `convert` may be left out.
    """
    from convert.archive.transport import path_of
    from convert.cli import progress
    from convert.commands.convert import convert
    from convert.commands.convert_options import ConvertOptions
    from convert.writer.registry import TARGETS

    quiet, verbose, as_json = given.pop("quiet"), given.pop("verbose"), given.pop("as_json")
    shown = progress.choose("none" if quiet else given.pop("progress"))
    given.pop("progress", None)
    if not sources:
        if dest is None:
            raise UsageError("missing SOURCE", code="missing-argument", hint="imgconv --help lists the commands")
        # click gives a single argument to DEST.
        sources, dest = (dest,), None
    source = sources[0]
    chosen = to is not None or bool(given["consumers"])
    if not chosen and not add_repositories:
        if source != "-" and not os.path.lexists(path_of(source)):
            # A command is not found here if `convert` or `--` comes before it.
            is_command = source in COMMANDS
            what = "a file or folder" if is_command else "a command, file or folder"
            hint = ("" if is_command else suggestion(source, COMMANDS)) + "imgconv --help lists the commands"
            raise UsageError(f"{shortened(source)!r} is not {what}", hint=hint)
        raise UsageError(f"missing --to FORMAT (one of {', '.join(TARGETS)})", code="missing-argument")
    # A document on standard error has the notes as `remarks`.
    mixed = as_json and dest is not None and options.is_standard_output(dest)
    warn = (lambda _: None) if quiet or mixed else progress.beside(shown, options.note)
    try:
        if not chosen:
            if len(sources) > 1:
                raise UsageError(
                    "--add-repositories takes one SOURCE", code="incompatible-options", hint="with --to it takes more"
                )
            result = _add_only(source, dest, given, warn)
        elif dest is None:
            raise UsageError("missing DEST", code="missing-argument", hint="imgconv SOURCE --to FORMAT DEST")
        else:
            _allow_open_files(len(sources))
            asked = ConvertOptions(to=to, add_repositories=add_repositories, **given)
            result = convert(sources, dest, asked, warn=warn, progress=shown)
    except DestinationExistsError as error:
        absent = next((each for each in sources if each != "-" and not os.path.lexists(path_of(each))), None)
        if absent is not None:
            error.hint = f"SOURCE comes before DEST, and {quoted(absent)} does not exist"
        raise
    finally:
        shown.close()
    _report(result, result.destination, quiet=quiet, verbose=verbose, as_json=as_json)


def _allow_open_files(count: int) -> None:
    """Raise this process's limit of open files where that many SOURCEs need it."""
    needed = 2 * count + _OTHER_FILES
    if needed <= _USUAL_LIMIT:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _add_only(source: str, dest: str | None, given: dict[str, Any], warn: Callable[[str], None]) -> ConversionReport:
    """Run `--add-repositories` without `--to`."""
    from convert.commands.add_repositories import AddRepositoriesOptions, add_repositories

    taken = {"v1_ids", "compress", "force", "jobs", "max_layer_size", "verify"}
    unfit = sorted(name for name, value in given.items() if value and value != "keep" and name not in taken)
    if unfit:
        option = _OPTIONS.get(unfit[0], unfit[0].replace("_", "-"))
        raise UsageError(
            f"--{option} needs --to; --add-repositories alone changes nothing else", code="incompatible-options"
        )
    asked = AddRepositoriesOptions(**{name: given[name] for name in taken})
    return add_repositories(source, dest, asked, warn=warn)


def _report(result: ConversionReport, dest: str, *, quiet: bool, verbose: bool, as_json: bool) -> None:
    """Print one line per image, or the document; on standard error if standard output got the archive."""
    to_error = options.is_standard_output(dest)
    if as_json:
        from convert.report.convert import document

        options.out_json(document(result), to_error=to_error, bounded=False)
        return
    if verbose:
        for line in result.changes.kept:
            options.note(f"kept {line}")
    if quiet:
        return
    for need in result.needs:
        layers = f"{len(need.layers)} of {len(need.image.layers)} layers"
        key = f" (ChainID {need.chain_id})" if need.chain_id is not None else ""
        of = f" of {names_text(need.of)}" if need.of else ""
        options.note(f"left out {layers} of image {need.image.image_id}: the receiver must have those{of}{key}")
    for image in result.images:
        parts = [names_text(image.names), str(image.image_id or "-"), str(image.manifest_digest or "-")]
        click.echo(printable("  ".join(parts)), err=to_error)
