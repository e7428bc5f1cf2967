"""OCI layouts whose documents lie about each other (image-spec; CVE-2021-41190)."""

from __future__ import annotations

import base64
import json

from hostile.building import (
    CONFIG,
    DIFF_ID,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    PLAIN,
    Docker,
    Layout,
    blob,
    config,
    dump,
    sha256,
    squeezed,
    tar,
)
from hostile.cases import accepted, refused


def _with(**changes):
    return lambda: Layout(**changes).build()


def _manifest(**changes):
    return _with(manifest=changes)


def _digest(text):
    return _with(entry={"digest": text})


def _nested(depth):
    """Indexes in each other, the innermost of them naming an image."""

    def build():
        layout = Layout()
        inner = _entry_of(layout)
        for _ in range(depth):
            data = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]})
            name, described = blob(data)
            layout.blobs[name] = data
            inner = {"mediaType": INDEX, **described}
        layout.raw_index = dump({"schemaVersion": 2, "manifests": [inner]})
        return layout.build()

    return build


def _entry_of(layout):
    return json.loads(layout.parts()["index.json"])["manifests"][0]


def _child(document, media_type, **entry):
    """A layout whose index.json names one document of any kind."""

    def build():
        data = dump(document)
        name, described = blob(data)
        return Layout(
            blobs={name: data}, index={"manifests": [{"mediaType": media_type, **described, **entry}]}
        ).build()

    return build


_ZERO = "sha256:" + "0" * 64


def _entry():
    return json.loads(Layout().parts()["index.json"])["manifests"][0]


def _twice(**changes):
    """Name one manifest twice in index.json, the second time falsely."""
    return lambda: Layout(index={"manifests": [_entry(), {**_entry(), **changes}]}).build()


def _second_config(**changes):
    """Name one config in two manifests, in the second one falsely."""

    def build():
        first = Layout()
        entry = _entry()
        manifest = json.loads(first.parts()["blobs/" + entry["digest"].replace(":", "/")])
        other = dump({**manifest, "config": {**manifest["config"], **changes}, "annotations": {"a": "b"}})
        name = "blobs/" + sha256(other).replace(":", "/")
        second = {"mediaType": MANIFEST, "digest": sha256(other), "size": len(other)}
        return Layout(index={"manifests": [entry, second]}, blobs={name: other}).build()

    return build


def _in_an_index(**changes):
    """Name one manifest in index.json, and falsely in an index that stands beside it."""

    def build():
        entry = _entry()
        index = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, **changes}]})
        name = "blobs/" + sha256(index).replace(":", "/")
        below = {"mediaType": INDEX, "digest": sha256(index), "size": len(index)}
        return Layout(index={"manifests": [entry, below]}, blobs={name: index}).build()

    return build


def _document_of_unknown_type(*parts, **fields):
    """Put a document of unknown type into index.json, and the blob that its `parts` describe beside it."""

    def build():
        document = dump({"layers": [{**_PAYLOAD, **part} for part in parts], **fields})
        blobs = {"blobs/" + sha256(raw).replace(":", "/"): raw for raw in (document, b"payload")}
        entry = {"mediaType": "x/document", "digest": sha256(document), "size": len(document)}
        return Layout(index={"manifests": [_entry(), entry]}, blobs=blobs).build()

    return build


def _inline_and_again(**changes):
    """Describe a blob with its data, in no file, and once more without."""

    def build():
        raw = b"not in a file"
        part = {"mediaType": "x/payload", "digest": sha256(raw), "size": len(raw)}
        return _document_of_unknown_type({**part, "data": base64.b64encode(raw).decode()}, {**part, **changes})()

    return build


def _with_subject(where, **changes):
    """Make the present manifest the subject of index.json, of an index, of a manifest or of an unknown document."""

    def build():
        entry = _entry()
        subject = {**entry, **changes}
        if where == "index.json":
            return Layout(index={"manifests": [entry], "subject": subject}).build()
        document, media_type = (
            {"schemaVersion": 2, "subject": subject},
            {"index": INDEX, "manifest": MANIFEST}.get(where),
        )
        if where == "index":
            document |= {"mediaType": INDEX, "manifests": [entry]}
        elif where == "manifest":
            parts = Layout().parts()
            document |= json.loads(parts["blobs/" + entry["digest"].replace(":", "/")])
        else:
            document |= {"layers": []}
        raw = dump(document)
        below = {"mediaType": media_type or "x/document", "digest": sha256(raw), "size": len(raw)}
        name = "blobs/" + sha256(raw).replace(":", "/")
        return Layout(index={"manifests": [entry, below]}, blobs={name: raw}).build()

    return build


_PAYLOAD = {"mediaType": "x/payload", "digest": sha256(b"payload"), "size": 7}

CASES = [
    accepted("a sound layout", _with(), ""),
    # -- manifest or index -------------------------------------------------------------
    refused(
        "a manifest with manifests",
        _manifest(manifests=[]),
        "is ambiguous: a manifest with the key 'manifests'",
        code="ambiguous-document",
    ),
    refused(
        "a manifest with Manifests",
        _manifest(Manifests=[{}]),
        "is ambiguous: a manifest with the key 'manifests'",
        code="ambiguous-document",
    ),
    refused(
        "a manifest with fsLayers",
        _manifest(fsLayers=[]),
        "is ambiguous: a manifest with the key 'fsLayers'",
        code="ambiguous-document",
    ),
    refused(
        "a manifest with history",
        _manifest(history=[]),
        "is ambiguous: a manifest with the key 'history'",
        code="ambiguous-document",
    ),
    refused(
        "an index.json with layers",
        _with(index={"layers": []}),
        "is ambiguous: an index with the key 'layers'",
        code="ambiguous-document",
    ),
    refused(
        "an index.json with config",
        _with(index={"config": {}}),
        "is ambiguous: an index with the key 'config'",
        code="ambiguous-document",
    ),
    refused(
        "a nested index with CONFIG",
        _child({"schemaVersion": 2, "manifests": [], "CONFIG": {}}, INDEX),
        "is ambiguous: an index with the key 'config'",
        code="ambiguous-document",
    ),
    refused(
        "a nested index with history",
        _child({"schemaVersion": 2, "manifests": [], "history": [1]}, INDEX),
        "is ambiguous: an index with the key 'history'",
        code="ambiguous-document",
    ),
    refused(
        "an index called a manifest",
        _with(entry={"mediaType": INDEX}),
        "calls itself application/vnd.oci.image.manifest.v1+json",
        code="media-type-mismatch",
    ),
    refused(
        "a manifest called an index",
        _child({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}, MANIFEST),
        "calls itself application/vnd.oci.image.index.v1+json",
        code="media-type-mismatch",
    ),
    refused(
        "an index.json that calls itself a manifest",
        _with(index={"mediaType": MANIFEST}),
        "index.json: calls itself",
        code="media-type-mismatch",
    ),
    refused(
        "a manifest that calls itself a config", _manifest(mediaType=CONFIG), "calls itself", code="media-type-mismatch"
    ),
    refused("a mediaType that is a number", _manifest(mediaType=1), "mediaType", code="invalid-document"),
    accepted(
        "Docker's type inside, OCI's outside",
        _with(manifest={"mediaType": DOCKER_MANIFEST}),
        "calls itself application/vnd.docker.distribution.manifest.v2+json",
        code="media-type-differs",
    ),
    accepted(
        "Docker's list type inside index.json",
        _with(index={"mediaType": DOCKER_LIST}),
        "index.json: calls itself",
        code="media-type-differs",
    ),
    refused("schema 1", _manifest(schemaVersion=1), "schemaVersion", code="invalid-document"),
    refused("a schemaVersion that is a text", _manifest(schemaVersion="2"), "schemaVersion", code="invalid-document"),
    # -- digests -------------------------------------------------------------------------
    refused(
        "a digest in upper case",
        _digest(_ZERO.replace("0", "A")),
        "index.json: manifests[0].digest: ",
        code="invalid-digest",
    ),
    refused(
        "a digest that is too short", _digest("sha256:00"), "index.json: manifests[0].digest: ", code="invalid-digest"
    ),
    refused(
        "a digest of md5",
        _digest("md5:" + "0" * 32),
        "index.json: manifests[0].digest: ",
        code="unsupported-digest-algorithm",
    ),
    refused(
        "a digest of an unknown algorithm",
        _digest("crc32:00000000"),
        "index.json: manifests[0].digest: ",
        code="unsupported-digest-algorithm",
    ),
    refused(
        "a digest with a path",
        _digest("sha256:../../../../etc/passwd"),
        "index.json: manifests[0].digest: ",
        code="invalid-digest",
    ),
    refused(
        "an algorithm with a path",
        _digest("../sha256:" + "0" * 64),
        "index.json: manifests[0].digest: ",
        code="unsupported-digest-algorithm",
    ),
    refused("a digest with a terminal escape", _digest("sha256:\x1b[2J"), r"\x1b[2J", code="invalid-digest"),
    refused("an empty digest", _digest(""), "index.json: manifests[0].digest: ", code="invalid-digest"),
    refused("a digest that is a number", _digest(7), "digest", code="invalid-document"),
    refused("a digest that is null", _digest(None), "digest", code="invalid-document"),
    refused(
        "a manifest that is absent",
        _digest(_ZERO),
        f"blobs/sha256/{'0' * 64}: is missing, though index.json names it",
        code="missing-blob",
    ),
    refused(
        "a manifest with another's digest",
        _with(leave_out=("manifest",), blobs={"blobs/sha256/" + "0" * 64: b"{}"}, entry={"digest": _ZERO, "size": 2}),
        "content is sha256:44136fa3",
        code="document-digest-mismatch",
    ),
    refused(
        "a config with another's digest",
        _with(config_changes={"digest": _ZERO}, blobs={"blobs/sha256/" + "0" * 64: dump(config())}),
        f"blobs/sha256/{'0' * 64}: content is sha256:",
        code="document-digest-mismatch",
    ),
    refused(
        "a layer with another's digest",
        _with(layer_changes={"digest": _ZERO}, blobs={"blobs/sha256/" + "0" * 64: PLAIN}),
        f"blobs/sha256/{'0' * 64}: ",
        code="blob-digest-mismatch",
    ),
    refused(
        "a layer that is not its DiffID",
        _with(config=config(_ZERO)),
        f"layer's DiffID is {DIFF_ID}, expected {_ZERO}",
        "--verify",
        "full",
        code="diff-id-mismatch",
    ),
    refused(
        "a compressed layer that is not its DiffID",
        _with(config=config(_ZERO), layer=squeezed(PLAIN), layer_type=LAYER_GZIP),
        f"layer's DiffID is {DIFF_ID}, expected {_ZERO}",
        "--verify",
        "full",
        code="diff-id-mismatch",
    ),
    refused(
        "a layer whose digest is of another algorithm",
        _with(layer_changes={"digest": "sha512:" + "0" * 128}, blobs={"blobs/sha512/" + "0" * 128: PLAIN}),
        "sha512",
        code="missing-blob",
    ),
    # -- sizes ----------------------------------------------------------------------------------
    refused("a manifest one byte longer", _with(entry={"size": 1}), "bytes, its descriptor", code="size-mismatch"),
    refused(
        "a config one byte longer", _with(config_changes={"size": 1}), "bytes, its descriptor", code="size-mismatch"
    ),
    refused(
        "a layer one byte longer",
        _with(layer_changes={"size": len(PLAIN) - 1}),
        "holds 2048 bytes, its descriptor in",
        code="size-mismatch",
    ),
    refused(
        "a layer shorter than said",
        _with(layer_changes={"size": 1 << 40}),
        "holds 2048 bytes, its descriptor in",
        code="size-mismatch",
    ),
    refused("a negative size", _with(entry={"size": -1}), "size", code="invalid-document"),
    refused("a size that is a fraction", _with(entry={"size": 1.5}), "size", code="invalid-document"),
    refused("a size that is true", _with(entry={"size": True}), "size", code="invalid-document"),
    refused("a size that is a text", _with(entry={"size": "12"}), "size", code="invalid-document"),
    refused("no size", _with(entry={"size": None}), "size", code="invalid-document"),
    refused("a size of 10^60", _with(layer_changes={"size": 10**60}), "expected a size", code="invalid-document"),
    # -- embedded data ----------------------------------------------------------------------------
    refused("data that is not base64", _with(entry={"data": "%%%"}), "expected base64", code="invalid-document"),
    refused("data that is not the digest's", _with(entry={"data": "aGVsbG8="}), "(data): ", code="size-mismatch"),
    # -- parts ---------------------------------------------------------------------------------------
    refused("a missing layer", _with(leave_out=("layer",)), "is missing, though blobs/sha256/", code="missing-blob"),
    refused("a missing config", _with(leave_out=("config",)), "is missing, though blobs/sha256/", code="missing-blob"),
    refused("a manifest without config", _manifest(config=None), "config", code="invalid-document"),
    refused("a config that is a text", _manifest(config="x"), "config", code="invalid-document"),
    refused("layers that is an object", _manifest(layers={}), "layers", code="invalid-document"),
    refused("a layer that is null", _manifest(layers=[None]), "layers", code="invalid-document"),
    refused(
        "fewer layers than DiffIDs", _with(config=config(DIFF_ID, DIFF_ID)), "2 DiffIDs", code="layer-count-mismatch"
    ),
    refused(
        "more layers than DiffIDs",
        lambda: Layout(
            manifest={
                "layers": [
                    {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIFF_ID, "size": len(PLAIN)}
                ]
                * 2
            }
        ).build(),
        "names 2 layers, its config",
        code="layer-count-mismatch",
    ),
    refused(
        "annotations that are numbers", _with(entry={"annotations": {"a": 1}}), "annotations", code="invalid-document"
    ),
    refused("urls that is a text", _with(layer_changes={"urls": "http://x"}), "urls", code="invalid-document"),
    refused("a platform that is a text", _with(entry={"platform": "linux"}), "platform", code="invalid-document"),
    refused(
        "10,001 layers",
        lambda: Layout(
            manifest={
                "layers": [
                    {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIFF_ID, "size": len(PLAIN)}
                ]
                * 10_001
            }
        ).build(),
        "names 10001 layers, the limit is 10000",
        code="too-many-layers",
    ),
    refused(
        "no blobs at all",
        lambda: tar(
            ("oci-layout", dump({"imageLayoutVersion": "1.0.0"})), ("index.json", Layout().parts()["index.json"])
        ),
        "is missing, though index.json names it",
        code="missing-blob",
    ),
    refused(
        "only oci-layout",
        lambda: tar(("oci-layout", dump({"imageLayoutVersion": "1.0.0"}))),
        "an OCI layout without index.json",
        code="missing-index",
    ),
    # -- depth and number -----------------------------------------------------------------------------
    accepted("six indexes in each other", _nested(6), ""),
    refused("nine indexes in each other", _nested(9), "is nested deeper than 8 indexes", code="index-too-deep"),
    refused("fifty indexes in each other", _nested(50), "is nested deeper than 8 indexes", code="index-too-deep"),
    refused(
        "an index whose child is absent",
        _child({"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": _ZERO, "size": 5}]}, INDEX),
        "the source holds no image: every manifest that its index names is absent",
        code="no-image",
    ),
    refused(
        "an index without children",
        _child({"schemaVersion": 2, "manifests": []}, INDEX),
        "the source holds no image: its indexes list no manifest",
        code="no-image",
    ),
    refused(
        "a million manifests",
        lambda: Layout(raw_index=b'{"manifests":[' + b"{}," * 1_000_000 + b"{}]}").build(),
        "more than 300000 values in one document",
        code="json-too-many-values",
    ),
    refused(
        "names with control characters",
        _with(entry={"annotations": {"org.opencontainers.image.ref.name": "\x1b[2J"}, "size": 1}),
        "bytes, its descriptor",
        code="size-mismatch",
    ),
    accepted(
        "a ref.name with an escape sequence",
        _with(entry={"annotations": {"org.opencontainers.image.ref.name": "a\x1b[2J"}}),
        "",
    ),
    accepted(
        "an image.name with an escape sequence",
        _with(entry={"annotations": {"io.containerd.image.name": "a\x1b[2J:1"}}),
        "",
    ),
    refused(
        "a second descriptor of a manifest, with another size",
        _twice(size=1),
        "bytes, its descriptor",
        code="size-mismatch",
    ),
    refused("a second descriptor of a manifest, with other data", _twice(data="AAAA"), "data", code="size-mismatch"),
    refused(
        "a second descriptor of a config, with another size",
        _second_config(size=1),
        "bytes, its descriptor",
        code="size-mismatch",
    ),
    refused(
        "a second descriptor of a config, with other data", _second_config(data="AAAA"), "data", code="size-mismatch"
    ),
    refused(
        "a second descriptor in an index below", _in_an_index(size=1), "bytes, its descriptor", code="size-mismatch"
    ),
    accepted("a document of unknown type that names a blob twice", _document_of_unknown_type({}, {}), ""),
    accepted("a document of unknown type with a subject of another kind", _document_of_unknown_type({}, subject=5), ""),
    refused(
        "a second descriptor in a document of unknown type, with another size",
        _document_of_unknown_type({}, {"size": 99}),
        "bytes, its descriptor",
        code="size-mismatch",
    ),
    refused(
        "a second descriptor in a document of unknown type, with other data",
        _document_of_unknown_type({}, {"data": "AAAA"}),
        "data",
        code="size-mismatch",
    ),
    accepted("a blob in no file that is described twice", _inline_and_again(), ""),
    refused(
        "a blob in no file that is described with two sizes",
        _inline_and_again(size=99),
        "descriptors give it",
        code="descriptors-disagree",
    ),
    *(
        case
        for where in ("index.json", "index", "manifest", "document")
        for case in (
            accepted(f"the subject of {where}", _with_subject(where), ""),
            refused(
                f"the subject of {where}, with another size",
                _with_subject(where, size=1),
                "bytes, its descriptor",
                code="size-mismatch",
            ),
            refused(
                f"the subject of {where}, with other data",
                _with_subject(where, data="AAAA"),
                "data",
                code="size-mismatch",
            ),
        )
    ),
    # -- both -------------------------------------------------------------------------------------------
    refused(
        "a layout with a manifest.json that lies",
        lambda: tar(*Layout().parts().items(), ("manifest.json", dump([{"Config": "../x", "Layers": []}]))),
        "a name that is empty or has '..'",
        code="unsafe-member-name",
    ),
    refused(
        "a layout with a manifest.json of null",
        lambda: tar(*Layout().parts().items(), ("manifest.json", b"null")),
        "manifest.json: the source holds no image: this is null",
        code="invalid-document",
    ),
    refused(
        "a docker archive with a broken index.json",
        lambda: Docker(extra=(("index.json", b"{"),)).build(),
        "index.json: ",
        code="invalid-json",
    ),
]
