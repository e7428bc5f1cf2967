"""Report how skopeo, podman and buildah address a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.diagnostics import Diagnostic
from convert.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.writer.options import WriteOptions

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


def _addresses(names: Sequence[str], options: WriteOptions) -> str:
    transport = options.transport
    prefix = f"{transport.name}:{options.place or ('LAYOUT' if transport.is_folder else 'ARCHIVE')}"
    shown = names[:_MAX_ADDRESSES] if transport.is_folder else names[:1]
    addresses = ", ".join(quoted(f"{prefix}:{name}") for name in shown) or quoted(prefix)
    more = len(names) - len(shown) if transport.is_folder else 0
    return f"{addresses} and {more} more" if more else addresses
