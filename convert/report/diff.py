"""The `--json` document of `imgconv diff` (schemas/report-diff.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.report.comparison import Absent, other_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.report.comparison import By, Comparison, Difference, FileDifference, KeyDifference, LayerPair, Side

    #: Yields the files that differ between two layers.
    LayerFiles = Callable[[Layer | None, Layer | None], Iterator[FileDifference]]

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1

Document = dict[str, Any]


def document(
    found: Difference, by: By, sources: tuple[str, str], files: LayerFiles | None, ignore: Sequence[str] = ()
) -> Document:
    """Return the document; `files` compares the files of layers, `ignore` is that of `--ignore`."""
    return {
        "report": "diff",
        "version": VERSION,
        "a": sources[0],
        "b": sources[1],
        "by": by.value,
        "ignore": list(ignore),
        "same": found.same(by),
        "images": [_comparison(one, by, files) for one in found.images],
        "others": {
            "only_a": [str(digest) for digest in found.only_a],
            "only_b": [str(digest) for digest in found.only_b],
        },
    }


def _comparison(one: Comparison, by: By, files: LayerFiles | None) -> Document:
    return {
        "same": one.same(by),
        "words": one.words,
        "a": _side(one.a),
        "b": _side(one.b),
        "same_names": one.same_names,
        "same_image_id": one.same_id,
        "same_diff_ids": one.same_layers,
        "same_layer_digests": one.same_layer_digests,
        "same_manifest_digest": one.same_digest,
        "layers": [_layer(pair) for pair in one.layers],
        "config": _keys(one.config),
        "manifest": _keys(one.manifest),
        "left_out": {"config": one.config_more, "manifest": one.manifest_more},
        "files": _files(one, files) if files is not None else None,
    }


def _side(side: Side | None) -> Document | None:
    if side is None:
        return None
    return {
        "names": list(side.names),
        "platform": side.platform,
        "image_id": str(side.image.image_id),
        "manifest_digest": str(side.manifest.digest) if side.manifest is not None else None,
        "index_digest": _digest(side.index_digest),
    }


def _layer(pair: LayerPair) -> Document:
    return {
        "same_content": pair.same_content,
        "same_bytes": pair.same_bytes,
        "a": _layer_side(pair.a, pair.digest_a, pair.how_a),
        "b": _layer_side(pair.b, pair.digest_b, pair.how_b),
    }


def _layer_side(layer: Layer | None, digest: Digest | None, how: str) -> Document | None:
    if layer is None:
        return None
    return {"diff_id": str(layer.diff_id), "digest": _digest(digest), "compression": how or None}


def _digest(digest: Digest | None) -> str | None:
    return str(digest) if digest is not None else None


def _keys(found: Iterable[KeyDifference]) -> list[Document]:
    return [
        {"path": one.path}
        | ({} if isinstance(one.a, Absent) else {"a": one.a})
        | ({} if isinstance(one.b, Absent) else {"b": one.b})
        for one in found
    ]


def _files(one: Comparison, files: LayerFiles) -> list[Document]:
    return [
        {
            "a": str(mine.diff_id) if mine is not None else None,
            "b": str(its.diff_id) if its is not None else None,
            "files": [
                {
                    "change": found.change,
                    # JSON cannot represent a name that is not UTF-8.
                    "path": found.path.encode("utf-8", "backslashreplace").decode(),
                    "attributes": {name: {"a": a, "b": b} for name, a, b in found.attributes},
                }
                for found in files(mine, its)
            ],
        }
        for mine, its in other_layers(one)
    ]
