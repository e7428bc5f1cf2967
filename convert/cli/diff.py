"""`imgconv diff`: compare two archives of any format, image by image."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any, Final

import click

from convert.cli import groups, options, pages
from convert.cli.values import FILE, OneOf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.cli.progress import Counted, Nothing
    from convert.commands.diff.archives import OpenDiff
    from convert.errors import ImgconvError
    from convert.report.comparison import Comparison, FileDifference

_EXAMPLES: Final = (
    "imgconv diff saved.tar oci-layout",
    "imgconv diff --files old.tar new.tar",
    "imgconv diff --by digest layout copy && echo nothing to push",
    "imgconv diff old.tar new.tar --html report.html",
)
_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS: Final = {"added": "green", "removed": "red", "changed": "yellow"}


@groups.command(
    "diff",
    summary="Compare the images of two archives.",
    examples=_EXAMPLES,
    statuses={1: "the images differ in what --by names"},
)
@groups.argument("a", type=FILE, metavar="A", about=options.SOURCE_ABOUT)
@groups.argument("b", type=FILE, metavar="B", about="Another one, in any format.")
@groups.compare(
    "--by", "by_", type=OneOf("comparison", ["id", "layers", "digest"]), default="id", help="What counts as different."
)
@groups.compare("--files", is_flag=True, help="Also list the files that differ between layers.")
@groups.compare(
    "--ignore",
    multiple=True,
    metavar="WHAT[,WHAT]",
    help="What does not count: timestamps, owner, order (of the members of layers). Reads layers that differ.",
)
@groups.compare("--brief", is_flag=True, help="Print one line for each image that differs, and nothing else.")
@options.selection
@options.with_
@options.formats("text", "json", "markdown")
@pages.html
@options.progress
@options.quiet
@options.debug
def command(
    a: str,
    b: str,
    *,
    by_: str,
    files: bool,
    ignore: tuple[str, ...],
    brief: bool,
    images: tuple[str, ...],
    platforms: tuple[str, ...],
    with_: tuple[str, ...],
    form: str,
    as_json: bool,
    html: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Compare the images in A with those in B, in any format.

    Images are paired by name and platform, else by image ID, else as the only ones
    left. The first difference is stated in words, then configs and manifests are
    compared key by key. Only documents are compared; `imgconv validate` verifies
    them, and --files reads the layers that differ.

    --by selects what must be equal for exit status 0; otherwise it is 1. id: the
    image ID, which covers config and layer contents, but not compression and names;
    layers: only the DiffIDs; digest: the manifest digest, and artifacts.
    """
    from convert.cli import progress
    from convert.commands.diff.archives import DiffOptions, open_diff
    from convert.errors import ImgconvError, UsageError
    from convert.report.comparison import By

    form = options.chosen_format(form, as_json=as_json)
    ignored = tuple(dict.fromkeys(word.strip() for text in ignore for word in text.split(",")))
    wanted = DiffOptions(by=By(by_), files=files, ignore=ignored, images=images, platforms=platforms, with_=with_)
    with contextlib.ExitStack() as stack:
        write_page = stack.enter_context(pages.page_file(html, (a, b, *with_)))
        shown = stack.enter_context(
            contextlib.closing(progress.choose("none" if quiet else given["progress"], logs=False))
        )
        warn = (lambda _: None) if quiet else progress.beside(shown, options.note)
        try:
            with open_diff(a, b, wanted, warn=warn, progress=shown) as opened:
                _print(opened, shown, form, quiet=quiet, brief=brief)
                rendered = _page(opened) if html is not None else b""
                same = opened.difference.same(wanted.by)
        except UsageError:
            raise
        except ImgconvError as error:
            failure = error
            write_page(lambda: _page_of_failure(a, b, failure))
            raise
        write_page(lambda: rendered)
    return 0 if same else 1


def _print(opened: OpenDiff, shown: Counted | Nothing, form: str, *, quiet: bool, brief: bool) -> None:
    """Print the comparison as the options ask for; files are read all the same where nothing is printed."""
    from convert.errors import quoted

    if form == "json":
        document = opened.document()
        shown.close()
        options.out_json(document)
    elif form == "markdown":
        from convert.report.diff_markdown import markdown

        document = opened.document()
        shown.close()
        options.out(markdown(document))
    elif quiet:
        _read_files(opened)
    elif brief:
        _read_files(opened)
        _show_brief(opened)
    else:
        _line(f"--- {quoted(opened.a.path)} ({opened.images[0].format})", "bold")
        _line(f"+++ {quoted(opened.b.path)} ({opened.images[1].format})", "bold")
        _show(opened, shown)


def _page(opened: OpenDiff) -> bytes:
    from convert.commands.diff.compare import page_report
    from convert.commands.pages import diff_page

    return diff_page(page_report(opened))


def _page_of_failure(a: str, b: str, error: ImgconvError) -> bytes:
    """Return the page where the archives could not be compared: what is wrong, and what could be read."""
    from convert.commands.pages import Failure, diff_page

    return diff_page(Failure(error, (a, b)))


def _line(text: str, style: str = "") -> None:
    """Print a line, in colour on a terminal."""
    import os

    from convert.errors import printable

    text = printable(text)
    if style and options.is_terminal() and not os.environ.get("NO_COLOR"):
        text = click.style(text, bold=True) if style == "bold" else click.style(text, fg=style)
    options.out(text)


def _show(opened: OpenDiff, shown: Counted | Nothing) -> None:
    found, by = opened.difference, opened.options.by
    for one in found.images:
        _line(f"{_label(one)}: {one.words.partition(': ')[0]}", "green" if one.same(by) else "red")
        for line in _details(one):
            _line(f"  {line}")
        if opened.options.files:
            _show_files(one, opened, shown)
    for where, digests in (("A", found.only_a), ("B", found.only_b)):
        for digest in digests:
            _line(f"{digest}: only in {where}, an artifact, or an image that is not in the source")


def _show_brief(opened: OpenDiff) -> None:
    """Print one line for each image that differs."""
    for one in opened.difference.images:
        if not one.same(opened.options.by):
            _line(f"{_label(one)}: {one.words.partition(': ')[0]}")
    if opened.options.by.value == "digest":
        for where, digests in (("A", opened.difference.only_a), ("B", opened.difference.only_b)):
            for digest in digests:
                _line(f"{digest}: only in {where}")


def _label(one: Comparison) -> str:
    from convert.errors import names_text

    side = one.a or one.b
    if side is None:
        raise ValueError("a comparison of nothing")
    return "  ".join(
        part for part in (names_text(side.names) if side.names else str(side.image.image_id), side.platform) if part
    )


def _details(one: Comparison) -> Iterator[str]:
    """Yield lines about what is equal and what differs, below the first difference."""
    from convert.errors import names_text

    if one.a is None or one.b is None:
        return
    if not one.same_names:
        yield f"names: {_each(*(names_text(side.names) if side.names else None for side in (one.a, one.b)))}"
    yield f"image ID: {_each(one.a.image.image_id, one.b.image.image_id)}"
    if one.same_layers:
        yield "DiffIDs: the same"
    yield from _layers(one)
    manifests = [side.manifest.digest if side.manifest is not None else None for side in (one.a, one.b)]
    if manifests != [None, None]:
        yield f"manifest digest: {_each(*manifests)}"
    if one.a.index_digest != one.b.index_digest:
        yield f"index digest: {_each(one.a.index_digest, one.b.index_digest)}"
    # Layers and the digests of configs were compared above.
    for difference in one.config:
        if not difference.path.startswith("rootfs.diff_ids"):
            yield f"config: {difference}"
    if one.config_more:
        yield f"config: {one.config_more} more differences"
    for difference in one.manifest:
        if not difference.path.startswith(("layers[", "config.digest", "config.size")):
            yield f"manifest: {difference}"
    if one.manifest_more:
        yield f"manifest: {one.manifest_more} more differences"


def _layers(one: Comparison) -> Iterator[str]:
    if one.same_layer_digests:
        yield "layer digests: the same"
    for pair in one.layers:
        number = f"layer {pair.number + 1}"
        if pair.a is None or pair.b is None:
            side, where = (pair.a, "A") if pair.a is not None else (pair.b, "B")
            yield f"{number}: only in {where}, {side.diff_id if side is not None else ''}"
        elif not pair.same_content:
            yield f"{number}: DiffID {_each(pair.a.diff_id, pair.b.diff_id)}"
        elif not pair.same_bytes:
            yield f"{number}: digest {_each(pair.digest_a, pair.digest_b)} ({pair.how_a}; {pair.how_b})"


def _each(a: object, b: object) -> str:
    return f"{a}" if a == b else f"{a or 'none'} in A, {b or 'none'} in B"


# -- files -----------------------------------------------------------------------------


def _read_files(opened: OpenDiff) -> None:
    """Compare files without printing, so that --quiet does not change the exit status of damage."""
    from convert.report.comparison import other_layers

    if opened.options.files:
        for one in opened.difference.images:
            for mine, its in other_layers(one):
                for _ in opened.files(mine, its):
                    pass


def _show_files(one: Comparison, opened: OpenDiff, shown: Counted | Nothing) -> None:
    from convert.report.comparison import other_layers

    for mine, its in other_layers(one):
        differences = iter(opened.files(mine, its))
        first = next(differences, None)  # reads both layers
        with shown.paused():
            names = [str(layer.diff_id) if layer is not None else "none" for layer in (mine, its)]
            _line(f"  files of layer {names[0]} in A, {names[1]} in B:")
            if first is None:
                _line("    the same; the tars differ in order, padding or form of their headers")
                continue
            for found in itertools.chain([first], differences):
                _line(f"    {_file(found)}", _COLOURS[found.change])


def _value(name: str, text: str | None) -> str:
    """Return an attribute for a person: a time since 1970 as a date."""
    seconds, dot, fraction = (text or "").partition(".")
    if name != "mtime" or not seconds.isdecimal():
        return text or "none"
    try:
        date = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return seconds + dot + fraction
    return f"{date:%Y-%m-%dT%H:%M:%S}{dot}{fraction}Z"


def _file(found: FileDifference) -> str:
    from convert.errors import quoted

    if found.change == "changed":
        parts = [f"{name} {_value(name, a)} in A, {_value(name, b)} in B" for name, a, b in found.attributes]
        return f"{_SIGNS[found.change]} {quoted(found.path)}: {'; '.join(parts)}"
    values = {name: (a if a is not None else b) for name, a, b in found.attributes}
    parts = [values.get("type") or ""]
    if "size" in values:
        parts.append(f"{values['size']} bytes")
    if "link" in values:
        parts.append(f"to {quoted(values['link'] or '')}")
    return f"{_SIGNS[found.change]} {quoted(found.path)} ({', '.join(parts)})"
