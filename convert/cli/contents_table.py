"""The lines and the table of `inspect --files` for one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from convert.errors import quoted, shortened
from convert.report.inspect import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Document = dict[str, Any]

#: Largest files of a layer and largest waste of an image that are printed.
_FILES: Final = 3
_WASTE: Final = 5
_LONGEST_PATH: Final = 60
_NONE: Final = "-"


def facts(contents: Document) -> Iterator[tuple[str, str]]:
    """Yield labels and lines of what the layers of an image hold together."""
    hidden = f"{size_text(contents['hidden_size'])}{_percent(contents['hidden_percent'])}"
    yield "files", f"{size_text(contents['size'])}, of which later layers overwrite or delete {hidden}"
    waste = f"{size_text(contents['waste'])}{_percent(contents['waste_percent'], ' of the upper layers')}"
    paths = [f"{size_text(each['size'])}  {each['count']} x {_path(each['path'])}" for each in contents["wasted"]]
    more = contents["wasted_paths"] - len(paths[:_WASTE])
    lines = [
        f"{waste}, efficiency {100 * contents['efficiency']:.2f} %, as dive counts",
        *paths[:_WASTE],
        *([f"{more} more paths that several layers hold"] if more > 0 and contents["wasted"] else []),
    ]
    yield "waste", "\n".join(lines)
    if not contents["complete"]:
        yield "", "Not all files are counted: a layer is damaged, absent or too large."


def table(layers: Sequence[Document]) -> Table:
    """Return a table with what each layer holds."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="dim")
    for title in ("#", "files", "size", "overwritten", "deleted"):
        found.add_column(title, justify="right", no_wrap=True)
    found.add_column("largest files", overflow="fold")
    for number, layer in enumerate(layers, 1):
        contents = layer["contents"]
        if contents is None:
            found.add_row(str(number), *[_NONE] * 5)
            continue
        hidden = contents["hidden"]
        found.add_row(
            str(number),
            str(contents["files"]),
            size_text(contents["size"]),
            size_text(hidden["overwritten_size"]) if hidden else _NONE,
            size_text(hidden["deleted_size"]) if hidden else _NONE,
            Text(
                "\n".join(
                    f"{size_text(each['size'])}  {_path(each['path'])}" for each in contents["largest_files"][:_FILES]
                )
            ),
        )
    return found


def _path(path: str) -> str:
    return quoted(shortened(path, _LONGEST_PATH))


def _percent(value: float | None, of: str = "") -> str:
    return f" ({value} %{of})" if value is not None else ""
