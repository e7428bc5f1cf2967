"""Print the document of `inspect` for a person.

Widths follow the terminal. Nothing else in the environment is used (rich itself honours NO_COLOR).
Texts from the source are never markup, and control characters in them are escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from convert.cli.console import open_console
from convert.errors import names_text, printable, quoted, shortened
from convert.limits import MAX_SHOWN, MAX_SHOWN_LINES
from convert.report.inspect import size_text, step_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType

Document = dict[str, Any]

#: From this width on a layer has one line, with its digests and the step that created it.
_WIDE: Final = 140
_LABEL_WIDTH: Final = 9
#: Hex digits of a digest in a table.
_SHORT: Final = 16
_NONE: Final = "-"
_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"
#: Between two columns of a table, and below its head.
_GAP: Final = "   "
_RULE: Final = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
_DIGEST_STYLES: Final = {"DiffID": "green", "ChainID": "blue", "v1 ID": "yellow", "layer digest": "magenta"}


def show(document: Document, *, verified: bool, encoders: bool = False, console: Console | None = None) -> None:
    """Print an inspect document."""
    printer = _Printer(console or open_console(), verified=verified, encoders=encoders)
    printer.show(document)


class _Printer:
    def __init__(self, console: Console, *, verified: bool, encoders: bool) -> None:
        self._console = console
        self._verified = verified
        self._encoders = encoders
        # Once: rich asks the terminal for its size each time.
        self._options = console.options
        self._width = console.width
        self._is_plain = console.color_system is None and not self._options.ascii_only
        self._lines_left = MAX_SHOWN_LINES
        #: What is not printed yet: rich takes as long to print one line as to print all of an image.
        self._waiting: list[Segment] = []
        self._empty: dict[tuple[str, int], int] = {}

    def show(self, document: Document) -> None:
        self._head(document["source"])
        for index in self._first(document["indexes"], "indexes"):
            self._index(index)
        for image in self._first(document["images"], "images"):
            self._image(image)
        for artifact in self._first(document["artifacts"], "artifacts"):
            self._artifact(artifact)
        absent = [name for name in document["names"] if not name["present"]]
        if absent:
            self._title("Not in the source", "")
            for name in self._first(absent, "names"):
                self._line(
                    _text(quoted(name["name"]) if name["name"] else "<none>"), _text("  "), _text(name["digest"], "dim")
                )
        for note in document["notes"]:
            self._blank()
            self._line(_text(note["message"], "dim"))
        self._flush()

    # -- parts ---------------------------------------------------------------------

    def _first(self, things: Sequence[Document], what: str) -> Iterator[Document]:
        """Yield a limited number of elements, then print how many more there are."""
        yield from things[:MAX_SHOWN]
        self._more(len(things) - MAX_SHOWN, what)

    def _lines(self, rows: Sequence[Document]) -> Sequence[Document]:
        """Return the elements that are within the limit."""
        shown = rows[: self._lines_left]
        self._lines_left -= len(shown)
        return shown

    def _more(self, count: int, what: str) -> None:
        if count > 0:
            self._line(_text(f"{count} more {what} (--json has them all)", "dim"))

    def _print(self, what: RenderableType) -> None:
        """Print without the blanks with which rich pads lines."""
        for line in self._console.render_lines(what, self._options, pad=False):
            self._add(line)

    def _add(self, line: list[Segment]) -> None:
        """Add a line to what waits, without blanks at its end."""
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        self._waiting += [*line, Segment.line()]

    def _flush(self) -> None:
        self._console.print(Segments(self._waiting), soft_wrap=True, end="")
        self._waiting.clear()

    def _blank(self) -> None:
        self._waiting.append(Segment.line())

    def _line(self, *parts: Text) -> None:
        text = "".join(part.plain for part in parts)
        if len(text) > self._width or not text.isascii() or not text.isprintable():
            self._print(Text.assemble(*parts))
            return
        # What fits in a line needs no layout, which takes most of the time for a thousand images.
        self._add([Segment(part.plain, self._console.get_style(part.style)) for part in parts if part.plain])

    def _title(self, text: str, rest: str) -> None:
        self._flush()
        self._blank()
        self._line(_text(text, "bold"), _text(f"  {rest}" if rest else "", "dim"))

    def _fact(self, label: str, value: str, style: str = "") -> None:
        """Print a label and a value, whose further lines are indented; a long line is cut in its middle."""
        value = "\n".join(shortened(line) for line in value.split("\n"))
        if len(value) <= self._width - _LABEL_WIDTH and value.isascii() and value.isprintable():
            # A single line needs no grid.
            self._line(_text(label.ljust(_LABEL_WIDTH), "dim"), _text(value, style))
            return
        grid = Table.grid(padding=0)
        grid.add_column(width=_LABEL_WIDTH, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(_text(label, "dim"), _text(value, style))
        self._print(grid)

    def _head(self, source: Document) -> None:
        wrapped = f", compressed with {source['wrapper']}" if source["wrapper"] else ""
        self._line(_text(quoted(source["path"], column=False), "bold"))
        self._fact("format", source["format"] + wrapped)
        producer = source["producer"]
        if producer:
            self._fact("from", f"{producer['name']} ({'; '.join(producer['evidence'])})")

    def _image(self, image: Document) -> None:
        self._title(names_text(image["names"]), shortened(image["platform"] or ""))
        self._fact("image ID", image["image_id"], "bold cyan")
        self._manifest(image)
        if image["index_digest"]:
            self._fact("index", image["index_digest"], "cyan")
        if image["created"]:
            self._fact("created", image["created"])
        if image["parent"]:
            self._fact("parent", image["parent"])
        self._fact("shown by", _engines(image["engines"], image))
        self._layers(image)

    def _manifest(self, image: Document) -> None:
        manifest = image["manifest"]
        if manifest is not None and not manifest["made_up"]:
            self._fact("manifest", manifest["digest"], "bold cyan")
            return
        text = "none in the source" if manifest is None else "only one that docker save made up, in no registry"
        self._fact("manifest", text)
        imported = image["engines"]["containerd"]
        if imported:
            self._fact(
                "", "containerd makes this one when it imports it:" if manifest is None else "(containerd's ID):"
            )
            self._fact("", imported, "cyan")

    def _layers(self, image: Document) -> None:
        layers = image["layers"]
        if not layers:
            self._fact("layers", "none")
            return
        stored = sum(layer["size"] or 0 for layer in layers)
        kinds = dict.fromkeys(layer["media_type"] for layer in layers if layer["media_type"])
        count = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
        self._fact("layers", f"{count}, {size_text(stored)}" + "".join(f"\n{kind}" for kind in kinds))
        shown = self._lines(layers)
        if not shown:
            pass
        elif self._width >= _WIDE:
            self._table(shown, (*_DIGESTS, *_SIZES, *self._checks(), _MADE_BY))
        else:
            self._table(shown, _DIGESTS)
            self._blank()
            self._table(shown, (*_SIZES, *self._checks(), _MADE_BY))
        self._more(len(layers) - len(shown), "layers")
        self._contents(image, shown)
        if image["v1_ids"] == "docker":
            self._line(_text("v1 IDs as Docker computes them; the source has none.", "dim"))
        empty = self._empty_steps(image["image_id"], image["history"])
        if empty:
            steps = "1 further step" if empty == 1 else f"{empty} further steps"
            self._line(_text(f"{steps} of the history made no layer.", "dim"))

    def _contents(self, image: Document, layers: Sequence[Document]) -> None:
        """Print what is in the layers, if --files found it."""
        if not any(layer["contents"] for layer in layers):
            return
        from convert.cli import contents_table

        self._blank()
        for label, text in contents_table.facts(image["contents"]) if image["contents"] else ():
            self._fact(label, text)
        self._print(contents_table.table(layers))

    def _empty_steps(self, image_id: str, history: Sequence[Document]) -> int:
        """Count the steps that made no layer; once for all images with one config."""
        key = image_id, len(history)  # the document omits histories beyond its size limit
        if key not in self._empty:
            self._empty[key] = sum(step["empty_layer"] for step in history)
        return self._empty[key]

    def _checks(self) -> Sequence[_Column]:
        return (*((_ENCODER,) if self._encoders else ()), *((_CHECKED,) if self._verified else ()))

    def _table(self, layers: Sequence[Document], columns: Iterable[_Column]) -> None:
        columns = tuple(columns)
        cells = [
            [_text(str(number)), *(column.cell(layer) for column in columns)] for number, layer in enumerate(layers, 1)
        ]
        if self._is_plain and (lines := self._plain_table(columns, cells)):
            self._waiting += [Segment(f"{line}\n") for line in lines]
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="dim")
        table.add_column("#", justify="right", no_wrap=True)
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                no_wrap=True,
                overflow="ellipsis" if column.last else "crop",
                ratio=1 if column.last else None,
                style=_DIGEST_STYLES.get(column.title, ""),
            )
        table.expand = any(column.last for column in columns)
        for row in cells:
            table.add_row(*row)
        self._print(table)

    def _plain_table(self, columns: Sequence[_Column], cells: Sequence[Sequence[Text]]) -> list[str]:
        """Return the lines that rich gives for a table without styles, in a fraction of its time.

        Nothing is returned for a table whose layout is less simple: one that is wider than the terminal, or has texts
        of other characters than ASCII.
        """
        rows = [["#", *(column.title for column in columns)], *([cell.plain for cell in row] for row in cells)]
        texts = "".join([text for row in rows for text in row])
        if not texts.isascii() or not texts.isprintable() or any(text != text.strip() for row in rows for text in row):
            return []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        gaps = len(_GAP) * len(columns)
        if columns[-1].last:
            widths[-1] = self._width - gaps - sum(widths[:-1])
        if widths[-1] < 1 or sum(widths) + gaps > self._width:
            return []
        right = [True, *(column.right for column in columns)]
        lines = [
            _GAP.join(
                text.rjust(width) if at_right else _cut(text, width).ljust(width)
                for text, width, at_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in rows
        ]
        lines.insert(1, _RULE * (sum(widths) + gaps))
        return lines

    def _index(self, index: Document) -> None:
        self._title("index", names_text(index["names"]) if index["names"] else "")
        self._fact("digest", index["digest"], "bold cyan")
        self._fact("type", index["media_type"])
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, header_style="dim")
        for title in ("platform", "kind", "manifest", "image ID", "in the source"):
            table.add_column(title, no_wrap=True)
        shown = self._lines(index["children"])
        for child in shown:
            table.add_row(
                _text(shortened(child["platform"] or _NONE)),
                _text(child["kind"]),
                _text(_short(child["digest"])),
                _text(_short(child["image_id"])),
                _text("yes" if child["present"] else "no", "" if child["present"] else "dim"),
            )
        if shown:
            self._print(table)
        self._more(len(index["children"]) - len(shown), "children")

    def _artifact(self, artifact: Document) -> None:
        self._title("artifact", names_text(artifact["names"]) if artifact["names"] else "")
        self._fact("digest", artifact["digest"], "bold cyan")
        self._fact("type", artifact["type"])
        if artifact["subject"]:
            self._fact("about", artifact["subject"])
        if artifact["image_id"]:
            self._fact("image ID", artifact["image_id"], "cyan")


class _Column:
    """One column of a layer table; `key` leads to what it shows."""

    def __init__(self, title: str, key: str, *, right: bool = False, last: bool = False) -> None:
        self.title = title
        self.right = right
        self.last = last
        self._key = key

    def cell(self, layer: Document) -> Text:
        value = layer[self._key]
        match self._key:
            case "size" | "plain_size":
                return _text(size_text(value) if value is not None else _NONE)
            case "history":
                return (
                    _text(step_text(value) or _NONE)
                    if layer["present"]
                    else _text("(not in the source) " + step_text(value), "red")
                )
            case "verified":
                if not layer["present"]:
                    return _text("absent", "red")
                return _text("ok", "green") if value else _text("BAD", "bold red")
            case "encoder":
                packed = layer["compression"] not in {None, "none"}
                return _text(_encoder(layer) if packed else _NONE)
            case "compression":
                return _text(value or _NONE)
            case _:
                return _text(_short(value))


_DIGESTS: Final = (
    _Column("DiffID", "diff_id"),
    _Column("ChainID", "chain_id"),
    _Column("v1 ID", "v1_id"),
    _Column("layer digest", "digest"),
)
_SIZES: Final = (
    _Column("size", "size", right=True),
    _Column("unpacked", "plain_size", right=True),
    _Column("stored as", "compression"),
)
_ENCODER: Final = _Column("encoder", "encoder")
_CHECKED: Final = _Column("checked", "verified")
_MADE_BY: Final = _Column("made by", "history", last=True)


def _encoder(layer: Document) -> str:
    """Return the encoder of a compressed layer, or what its header tells."""
    if layer["encoder"] is None:
        return "unknown" + (f": {layer['encoder_hint']}" if layer["encoder_hint"] else "")
    members = layer["encoder_members"]
    return str(layer["encoder"]) + (f", {members} members" if members > 1 else "")


def _text(value: str, style: str = "") -> Text:
    return Text("\n".join(printable(line) for line in value.split("\n")), style=style)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + _CUT


def _short(digest: str | None) -> str:
    return digest.rpartition(":")[2][:_SHORT] if digest else _NONE


def _engines(engines: Document, image: Document) -> str:
    """Print in one line which engine shows which ID."""
    groups: dict[str | None, list[str]] = {}
    for engine, digest in engines.items():
        groups.setdefault(digest, []).append(engine)
    labels = {image["image_id"]: "image ID", image["manifest_digest"]: "manifest"}
    if image["index_digest"]:
        labels[image["index_digest"]] = "index"
    labels[None] = "not known"
    return "; ".join(f"{', '.join(names)}: {labels.get(digest, 'manifest')}" for digest, names in groups.items())
