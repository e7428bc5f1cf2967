"""Make the items of a batch, and check the request before the first one runs."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from convert.archive.transport import STDIN
from convert.commands.batch.addresses import holds_url, is_url, without_credentials
from convert.commands.batch.item import COMMANDS, Item, options_type
from convert.commands.batch.kept import kept_of
from convert.commands.batch.outputs import Outputs
from convert.commands.batch.overlaps import Taken, refuse_overlaps
from convert.commands.batch.sources import expand_sources, lists_of
from convert.commands.common import ignore, options_of
from convert.errors import UsageError, suggestion
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.commands.common import Options, Path

_SHARD: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})\Z")


def batch_items(
    sources: Iterable[Path],
    command: str,
    options: Options | None = None,
    *,
    out: str | None = None,
    shard: str | None = None,
    keep: Sequence[Path] = (),
    **fields: Any,
) -> list[Item]:
    """Return the items of a batch, in the order of the sources.

    Args:
        sources: paths, patterns, `@FILE`, `-` for a list on standard input, and URLs with the extra
            `imgconv[fleet]` (docs/batch.md#sources).
        command: validate, digest, id, inspect or convert.
        options: the options of that command, such as `ConvertOptions`.
        out: the template of the outputs (docs/batch.md#outputs); convert needs it.
        shard: `I/N`: only the items whose key modulo N is I - 1.
        keep: files that no output may be, as the journal; what the options read is none either.
        fields: the fields of the options, instead of `options`.

    Raises:
        UsageError: the request cannot be met.
        StorageError: a list cannot be read.
    """
    if command not in COMMANDS:
        raise UsageError(
            f"{command!r} is not a command of batch",
            code="invalid-option-value",
            hint=f"{suggestion(command, COMMANDS)}one of {', '.join(COMMANDS)}",
        )
    given: Any = options_of(options_type(command), options, fields)
    part = parse_shard(shard) if shard is not None else None
    outputs = Outputs(out, command, force=getattr(given, "force", False))
    named = [os.fspath(source) for source in sources]
    found = expand_sources(named)
    if any(map(is_url, (*found, out or ""))):
        _require_fsspec()
    filled = outputs.fill(found)
    _check(command, given, filled[0][0] or "")
    items = [_item(source, command, given, *output) for source, output in zip(found, filled, strict=True)]
    _refuse_twins(items)
    if out is not None:
        # What items read besides their sources.
        read = [*getattr(given, "with_", ()), *getattr(given, "without", ())]
        journals = [os.fspath(path) for path in keep]
        taken = Taken([*(item.address or item.source for item in items), *journals, *lists_of(named), *read])
        refuse_overlaps(items, taken)
        kept = kept_of(out, taken)
        if kept:
            items = [replace(item, kept=kept) for item in items]
    if part is None:
        return items
    number, count = part
    return [item for item in items if int(item.key, 16) % count == number - 1]


def _item(source: str, command: str, options: Options, output: str | None, folders: Sequence[str]) -> Item:
    remote, target = is_url(source), output is not None and is_url(output)
    if not remote and holds_url(source):
        raise UsageError(
            f"{without_credentials(source)}: a URL takes no prefix",
            code="invalid-option-value",
            hint="give the URL alone",
        )
    if source == STDIN or (not remote and source.partition(":")[2] == STDIN):
        raise UsageError("standard input cannot be a source of a batch", code="incompatible-options")
    return Item(
        source=without_credentials(source) if remote else source,
        command=command,
        options=options,
        output=without_credentials(output) if target and output is not None else output,
        folders=() if target else tuple(folders),
        address=source if remote else "",
        target=output or "" if target else "",
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Return I and N of `I/N`.

    Raises:
        UsageError: it is something else.
    """
    match = _SHARD.match(text)
    number, count = (int(match[1]), int(match[2])) if match is not None else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(
            f"a shard is I/N with I from 1 to N, not {text[:40]!r}", code="invalid-option-value", hint="--shard 1/4"
        )
    return number, count


def _check(command: str, options: Any, output: str) -> None:
    """Refuse options that no source could be run with; `output` is that of the first one.

    Raises:
        UsageError: there is one.
    """
    for text in getattr(options, "platforms", ()):
        Platform.parse(text)
    for name in getattr(options, "pushers", ()):
        from convert.identity.push import pushers  # noqa: PLC0415 - only where needed

        pushers.get(name)
    if command != "convert":
        return
    from convert.commands.convert_run import ConversionRun  # noqa: PLC0415 - only for convert
    from convert.commands.doctor import parse_all  # noqa: PLC0415
    from convert.writer.registry import TARGETS, target  # noqa: PLC0415

    parse_all(options.consumers)
    if options.to is None and not options.consumers:
        raise UsageError(f"missing --to FORMAT (one of {', '.join(TARGETS)})", code="missing-argument")
    remote = is_url(output)
    if remote and (options.append or (options.to is not None and target(options.to).is_folder)):
        raise UsageError(
            "a layout folder cannot be written to a URL", code="layout-to-url", hint="--to oci-archive can"
        )
    if options.to is not None:
        ConversionRun(["archive.tar"], os.path.basename(output) if remote else output, options, ignore, None)


def _refuse_twins(items: Sequence[Item]) -> None:
    """Refuse URLs that differ only in what is not stored: the journal could not tell them apart."""
    addresses: dict[str, tuple[str, str]] = {}
    for item in items:
        if item.address or item.target:
            first = addresses.setdefault(item.key, (item.address, item.target))
            if first != (item.address, item.target):
                raise UsageError(
                    f"two URLs differ only in credentials, queries or fragments: {item.source}",
                    code="ambiguous-url",
                    hint="give them in two runs, each with a journal of its own",
                )


def _require_fsspec() -> None:
    try:
        import fsspec  # noqa: F401, PLC0415 - only with the extra
    except ImportError:
        raise UsageError(
            "URLs need fsspec, which is not installed", code="missing-package", hint="pip install 'imgconv[fleet]'"
        ) from None
