"""What the analysis of layers finds. Sizes are bytes of contents, without tar headers and padding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathSize:
    r"""A path without a leading slash, and the size of what it holds.

    Bytes of the path that are not UTF-8 are escaped, `\xff`.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What one layer holds.

    `files` counts regular files, `links` hard and symbolic links, `whiteouts` and `opaques` the marks
    that delete what lower layers hold; `others` are devices, FIFOs and unknown members. A path that
    occurs twice counts once, as its last member. `size` is the size of all members of the tar.
    A folder's size is that of everything below it; one that holds a single folder and nothing
    else is not among `largest_folders`, because its size is the other's. `left_out` counts members whose names are
    beyond a limit: they count in `size` only. `complete` is False if the layer could not be read to its end.
    """

    files: int = 0
    folders: int = 0
    links: int = 0
    others: int = 0
    whiteouts: int = 0
    opaques: int = 0
    size: int = 0
    largest_files: tuple[PathSize, ...] = ()
    largest_folders: tuple[PathSize, ...] = ()
    left_out: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class LayerUse:
    """What becomes of the files of one layer in an image.

    `overwritten` are those that a later layer replaces, `deleted` those that it deletes, each with their
    size; `waste` is the layer's part of the waste of the image.
    """

    overwritten_files: int = 0
    overwritten_size: int = 0
    deleted_files: int = 0
    deleted_size: int = 0
    waste: int = 0


@dataclass(frozen=True, slots=True)
class WastedPath:
    """A path that several layers hold: how many times, and the size of all of them together."""

    path: str
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class HiddenFile:
    """A file that a later layer hides: the layer that holds it and the one that hides it, counted from 1."""

    path: str
    size: int
    layer: int
    hidden_by: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class ImageContents:
    """What the layers of an image hold together.

    `size` is the size of all layers, `upper_size` without the lowest one. `waste` and `efficiency` are
    counted as dive counts them (docs/layers.md#waste), `wasted` are the paths with the largest
    waste and `wasted_paths` how many there are. `largest_hidden` is the largest file that a later layer overwrites
    or deletes. `complete` is False if something is left out.
    """

    size: int
    upper_size: int
    waste: int
    efficiency: float
    layers: tuple[LayerUse, ...]
    wasted: tuple[WastedPath, ...]
    wasted_paths: int
    complete: bool
    largest_hidden: HiddenFile | None = None
