"""`dir:` folders that lie, as tars of them, and marks of thin archives that lie (docs/thin.md#marks)."""

from __future__ import annotations

from hostile.building import (
    CONFIG,
    DIFF_ID,
    INDEX,
    LAYER,
    MANIFEST,
    PLAIN,
    Docker,
    Layout,
    config,
    dump,
    header,
    sha256,
    tar,
)
from hostile.cases import accepted, refused

_CONFIG = dump(config())
_VERSION = b"Directory Transport Version: 1.1\n"


def _described(media_type, data, **more):
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}


def _manifest(**changes):
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(CONFIG, _CONFIG),
        "layers": [_described(LAYER, PLAIN)],
    }
    return dump(document | changes)


def _folder(manifest=None, *, version=_VERSION, extra=(), drop=(), **replaced):
    """Return what builds a tar of a folder; `replaced` are the bytes of `layer` and `config`, None for none."""
    files = {"layer": (sha256(PLAIN)[7:], PLAIN), "config": (sha256(_CONFIG)[7:], _CONFIG)}
    members = [] if version is None else [("version", version)]
    for kind, (name, data) in files.items():
        if replaced.get(kind, data) is not None and kind not in drop:
            members.append((name, replaced.get(kind, data)))
    return lambda: tar(*members, ("manifest.json", _manifest() if manifest is None else manifest), *extra)


def _index(*children, **more):
    return dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children), **more})


def _child(data):
    return f"{sha256(data)[7:]}.manifest.json", data


_LINK = header(sha256(PLAIN)[7:].encode(), 0, flag=b"2", link=b"/etc/passwd")
_MARK = dump({"version": 1, "images": [{"id": sha256(_CONFIG), "chain_id": DIFF_ID, "layers": 1, "of": ["a:1"]}]})

CASES = [
    accepted("a dir: folder", _folder()),
    accepted("a dir: folder without a version", _folder(version=None)),
    accepted(
        "a dir: folder with signatures",
        _folder(extra=[("signature-1", b"x"), (f"{sha256(b'x')[7:]}.signature-9", b"x")]),
        "2 signatures",
        code="signatures-not-read",
    ),
    accepted(
        "an index in a dir: folder", _folder(_index(_described(MANIFEST, _manifest())), extra=[_child(_manifest())])
    ),
    refused(
        "a newer version", _folder(version=b"Directory Transport Version: 2.0\n"), "2.0", code="unsupported-dir-version"
    ),
    refused(
        "a version without end",
        _folder(version=b"Directory Transport Version: " + b"9" * 5000),
        "not a version",
        code="invalid-document",
    ),
    refused("a manifest of schema 1", _folder(dump({"schemaVersion": 1})), "schema 1", code="unsupported"),
    refused("a manifest that is none", _folder(dump({"schemaVersion": 2})), "config", code="invalid-document"),
    refused("an index without children", _folder(_index()), "no image", code="no-image"),
    refused("an index of what is absent", _folder(_index(_described(MANIFEST, b"absent"))), "absent", code="no-image"),
    refused(
        "a manifest that is an index too",
        _folder(_manifest(manifests=[])),
        "ambiguous",
        code="ambiguous-document",
    ),
    refused(
        "a digest that is a path",
        _folder(_manifest(layers=[_described(LAYER, b"") | {"digest": "sha256:../../x"}])),
        "digest",
        code="invalid-digest",
    ),
    refused("a layer that is absent", _folder(layer=None), "is missing", code="missing-blob"),
    refused("a config that is absent", _folder(config=None), "is missing", code="missing-blob"),
    refused("a layer of another size", _folder(layer=PLAIN + b"x"), "its descriptor", code="size-mismatch"),
    refused(
        "a config with other bytes", _folder(config=bytes(len(_CONFIG))), "expected", code="document-digest-mismatch"
    ),
    refused(
        "a child with other bytes",
        _folder(_index(_described(MANIFEST, _manifest())), extra=[(_child(_manifest())[0], bytes(len(_manifest())))]),
        "expected",
        code="document-digest-mismatch",
    ),
    refused("a layer that links out", _folder(drop=("layer",), extra=[_LINK]), "leads out", code="link-outside"),
    refused(
        "two manifests of one name",
        _folder(extra=[("manifest.json", _manifest(annotations={}))]),
        "manifest.json",
        code="duplicate-member",
    ),
    # -- marks
    accepted("a mark in a full archive", lambda: Docker(extra=((".imgconv-needs.json", _MARK),)).build()),
    accepted("a mark that is no JSON", lambda: Docker(extra=((".imgconv-needs.json", b"\x1b[31m{"),)).build()),
    accepted(
        "an annotation that is no mark",
        lambda: Layout(entry={"annotations": {"dev.imgconv.needs": "\x1b[31m"}}).build(),
    ),
    refused(
        "a mark does not excuse a layer",
        lambda: Docker(layers={"layer.tar": None}, config=_CONFIG, extra=((".imgconv-needs.json", _MARK),)).build(),
        "needs it from a:1",
        code="missing-layer",
    ),
    refused(
        "a mark with names for a terminal",
        lambda: Docker(
            layers={"layer.tar": None},
            extra=((".imgconv-needs.json", dump({"images": [{"of": ["\x1b[31m" * 99, "\u202e", 1]}]})),),
        ).build(),
        "is missing",
        code="missing-layer",
    ),
]
