"""`manifest.json` archives and those before them, whose parts do not fit together."""

from __future__ import annotations

from hostile.building import DIFF_ID, PLAIN, Docker, config, dump, member, sha256, squeezed, tar, v1
from hostile.cases import accepted, refused, unfit

_OTHER = member(b"other", b"bytes") + bytes(1024)
_ID, _ID2 = "1" * 64, "2" * 64


def _diff_id(text):
    return lambda: Docker(config=config(text)).build()


def _tags(*tags):
    return lambda: Docker(tags=list(tags)).build()


_NO_NAME = "is not a valid image name; dropped"

CASES = [
    # -- layers and DiffIDs -------------------------------------------------------------
    refused(
        "a layer that is not its DiffID",
        lambda: Docker(layers={"layer.tar": _OTHER}).build(),
        f"layer.tar: layer's DiffID is {sha256(_OTHER)}, expected {DIFF_ID}",
        code="diff-id-mismatch",
    ),
    refused(
        "a compressed layer that is not its DiffID",
        lambda: Docker(layers={"layer.tar": squeezed(_OTHER)}).build(),
        f"layer.tar: layer's DiffID is {sha256(_OTHER)}, expected {DIFF_ID}",
        code="diff-id-mismatch",
    ),
    refused(
        "layers in folders, and nothing that says of which image",
        lambda: tar(("a/layer.tar", PLAIN), ("config.json", dump(config()))),
        "it holds layers, but not the documents that name them",
        code="not-an-image",
    ),
    refused(
        "an empty layer",
        lambda: Docker(layers={"layer.tar": b""}).build(),
        "layer.tar: layer's DiffID is sha256:e3b0c442",
        code="diff-id-mismatch",
    ),
    refused(
        "a layer known by its DiffID with other bytes",
        lambda: Docker(config=config(DIFF_ID, DIFF_ID), layers={"a.tar": PLAIN, "b.tar": _OTHER}).build(),
        f"b.tar: layer's DiffID is {sha256(_OTHER)}",
        code="diff-id-mismatch",
    ),
    refused(
        "a layer of a second image that is not its DiffID, where the first has the right one",
        lambda: Docker(
            layers={"a.tar": PLAIN, "b.tar": b""},
            manifest=[
                {"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["a.tar"]},
                {"Config": "other.json", "RepoTags": ["x:2"], "Layers": ["b.tar"]},
            ],
            extra=(("other.json", dump(config(author="another"))),),
        ).build(),
        "b.tar: layer's DiffID is sha256:e3b0c442",
        code="diff-id-mismatch",
    ),
    refused(
        "layers in the wrong order",
        lambda: Docker(config=config(sha256(_OTHER), DIFF_ID), layers={"a.tar": PLAIN, "b.tar": _OTHER}).build(),
        "layer's DiffID is",
        code="diff-id-mismatch",
    ),
    refused(
        "fewer layers than DiffIDs",
        lambda: Docker(config=config(DIFF_ID, DIFF_ID)).build(),
        "config.json: 1 layers in manifest.json, 2 DiffIDs in the config",
        code="layer-count-mismatch",
    ),
    refused(
        "more layers than DiffIDs",
        lambda: Docker(layers={"layer.tar": PLAIN, "b.tar": PLAIN}).build(),
        "config.json: 2 layers in manifest.json, 1 DiffIDs in the config",
        code="layer-count-mismatch",
    ),
    refused(
        "layers and no rootfs",
        lambda: Docker(config={"os": "linux"}).build(),
        "config.json: 1 layers in manifest.json, 0 DiffIDs in the config",
        code="layer-count-mismatch",
    ),
    refused(
        "a missing layer",
        lambda: Docker(layers={"layer.tar": None}).build(),
        "layer.tar: is missing, though manifest.json names it as [0].Layers[0]",
        code="missing-layer",
    ),
    refused(
        "a missing config",
        lambda: Docker(item={"Config": "gone.json"}).build(),
        "gone.json: no such member",
        code="missing-member",
    ),
    refused(
        "10,001 DiffIDs",
        lambda: Docker(config=config(*[DIFF_ID] * 10_001)).build(),
        "rootfs.diff_ids: 10001 layers, more than the 10000 allowed",
        code="too-many-layers",
    ),
    refused(
        "10,001 layers",
        lambda: Docker(item={"Layers": ["layer.tar"] * 10_001}).build(),
        "10000",
        code="invalid-document",
    ),
    # -- digests in text -------------------------------------------------------------------
    refused(
        "a DiffID in upper case",
        _diff_id(DIFF_ID.upper().replace("SHA256", "sha256")),
        "rootfs.diff_ids[0]: ",
        code="invalid-digest",
    ),
    refused("a DiffID that is too short", _diff_id(DIFF_ID[:-1]), "rootfs.diff_ids[0]: ", code="invalid-digest"),
    refused("a DiffID that is too long", _diff_id(DIFF_ID + "0"), "rootfs.diff_ids[0]: ", code="invalid-digest"),
    refused("a DiffID without algorithm", _diff_id(DIFF_ID[7:]), "rootfs.diff_ids[0]: ", code="invalid-digest"),
    refused(
        "a DiffID of md5", _diff_id("md5:" + "0" * 32), "rootfs.diff_ids[0]: ", code="unsupported-digest-algorithm"
    ),
    refused(
        "a DiffID of an unknown algorithm",
        _diff_id("xyz:" + "0" * 64),
        "rootfs.diff_ids[0]: ",
        code="unsupported-digest-algorithm",
    ),
    refused(
        "a DiffID with a path", _diff_id("sha256:../../../etc/passwd"), "rootfs.diff_ids[0]: ", code="invalid-digest"
    ),
    refused("a DiffID with a newline", _diff_id(DIFF_ID + "\n"), "rootfs.diff_ids[0]: ", code="invalid-digest"),
    refused(
        "a DiffID with blanks", _diff_id(" " + DIFF_ID), "rootfs.diff_ids[0]: ", code="unsupported-digest-algorithm"
    ),
    refused(
        "a DiffID of other digits", _diff_id("sha256:" + "\uff11" * 64), "rootfs.diff_ids[0]: ", code="invalid-digest"
    ),
    refused("an empty DiffID", _diff_id(""), "rootfs.diff_ids[0]: ", code="invalid-digest"),
    refused(
        "a DiffID that is a number", lambda: Docker(config=config(5)).build(), "rootfs.diff_ids", code="wrong-json-type"
    ),
    refused(
        "diff_ids that is a string",
        lambda: Docker(config={"rootfs": {"diff_ids": DIFF_ID}}).build(),
        "rootfs.diff_ids",
        code="wrong-json-type",
    ),
    refused(
        "a rootfs that is an array",
        lambda: Docker(config={"rootfs": []}).build(),
        "rootfs: expected an object",
        code="wrong-json-type",
    ),
    refused(
        "a config named by another digest",
        lambda: Docker(config_name="sha256:" + "0" * 64).build(),
        f"sha256:{'0' * 64}: content is sha256:",
        code="document-digest-mismatch",
    ),
    refused(
        "a config named by half a digest",
        lambda: Docker(config_name="sha256:abc").build(),
        "sha256:abc",
        code="invalid-digest",
    ),
    accepted("a config with another's name", lambda: Docker(config_name="0" * 64 + ".json").build(), ""),
    refused(
        "a Parent that is not a digest", lambda: Docker(item={"Parent": "../x"}).build(), "../x", code="invalid-digest"
    ),
    # -- sources of layers --------------------------------------------------------------------
    accepted(
        "LayerSources that lie",
        lambda: Docker(
            item={
                "LayerSources": {
                    DIFF_ID: {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "size": 1,
                        "digest": "sha256:" + "0" * 64,
                    }
                }
            }
        ).build(),
        "",
    ),
    # As Windows engines save one: the descriptor is the registry's, the DiffID verifies the bytes.
    accepted(
        "LayerSources of a foreign layer that lies unpacked",
        lambda: Docker(
            item={
                "LayerSources": {
                    DIFF_ID: {
                        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                        "size": 1,
                        "digest": "sha256:" + "0" * 64,
                        "urls": ["http://x"],
                    }
                }
            }
        ).build(),
        "",
    ),
    refused(
        "LayerSources of a foreign layer that lie",
        lambda: Docker(
            layers={"layer.tar": squeezed(PLAIN)},
            item={
                "LayerSources": {
                    DIFF_ID: {
                        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                        "size": 1,
                        "digest": "sha256:" + "0" * 64,
                        "urls": ["http://x"],
                    }
                }
            },
        ).build(),
        "layer.tar: ",
        code="blob-digest-mismatch",
    ),
    refused(
        "LayerSources under a digest that is none",
        lambda: Docker(
            item={
                "LayerSources": {
                    "../x": {
                        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                        "size": 1,
                        "digest": DIFF_ID,
                    }
                }
            }
        ).build(),
        "../x",
        code="invalid-digest",
    ),
    refused(
        "LayerSources that is an array",
        lambda: Docker(item={"LayerSources": []}).build(),
        "manifest.json: [0].LayerSources",
        code="invalid-document",
    ),
    # -- names --------------------------------------------------------------------------------
    accepted("a name in upper case", _tags("Example/APP:1"), _NO_NAME, code="dropped-name"),
    accepted("a name with an escape sequence", _tags("a\x1b[2J:1"), r"'a\x1b[2J:1' " + _NO_NAME, code="dropped-name"),
    accepted("a name with a newline", _tags("a\nb:1"), r"'a\nb:1' " + _NO_NAME, code="dropped-name"),
    accepted(
        "a name with a carriage return", _tags("evil\rgood:1"), r"'evil\rgood:1' " + _NO_NAME, code="dropped-name"
    ),
    accepted("a name with right-to-left marks", _tags("a\u202eb:1"), r"'a\u202eb:1' " + _NO_NAME, code="dropped-name"),
    accepted("a name with NUL", _tags("a\0b:1"), r"'a\x00b:1' " + _NO_NAME, code="dropped-name"),
    accepted("a name with ..", _tags("../../x:1"), _NO_NAME, code="dropped-name"),
    accepted("an absolute name", _tags("/etc/passwd:1"), _NO_NAME, code="dropped-name"),
    accepted("an empty name", _tags(""), _NO_NAME, code="dropped-name"),
    accepted("a name of 64 hex digits", _tags("a" * 64), _NO_NAME, code="dropped-name"),
    accepted("a name of a megabyte", _tags("a" * 1_000_000 + ":1"), _NO_NAME, code="dropped-name"),
    accepted("a tag of 129 letters", _tags("a:" + "b" * 129), _NO_NAME, code="dropped-name"),
    accepted("a name that looks like an option", _tags("--force:1"), _NO_NAME, code="dropped-name"),
    accepted(
        "a name without a tag",
        _tags("example.com/app"),
        "has no tag; read as example.com/app:latest",
        code="repo-tag-without-tag",
    ),
    accepted("no names", lambda: Docker(tags=None).build(), ""),
    unfit(
        "one name on two images",
        lambda: Docker(
            config=config(),
            manifest=[
                {"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]},
                {"Config": "two.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]},
            ],
            extra=(("two.json", dump(config(author="x"))),),
        ).build(),
        "a:1",
        "--to",
        "docker-save",
        code="name-on-two-images",
    ),
    refused(
        "an empty manifest.json list", lambda: Docker(manifest=[]).build(), "the source holds no image", code="no-image"
    ),
    # -- before Docker 1.10 ----------------------------------------------------------------------
    accepted("a v1 archive", lambda: v1((_ID, None, PLAIN), repositories={"a/b": {"1": _ID}}), ""),
    refused(
        "a v1 ID with a path",
        lambda: v1((_ID, None, PLAIN), repositories={"a/b": {"1": "../../etc"}}),
        "a/b:1 names '../../etc', which is not a v1 ID (64 hex digits)",
        code="invalid-v1-id",
    ),
    refused(
        "a v1 ID in upper case",
        lambda: v1(("A" * 64, None, PLAIN), repositories={"a/b": {"1": "A" * 64}}),
        "which is not a v1 ID",
        code="invalid-v1-id",
    ),
    refused(
        "a v1 ID that is absent",
        lambda: v1((_ID, None, PLAIN), repositories={"a/b": {"1": _ID2}}),
        f"{_ID2}/json: is missing",
        code="missing-member",
    ),
    refused(
        "a v1 parent that is absent",
        lambda: v1((_ID, _ID2, PLAIN), repositories={"a/b": {"1": _ID}}),
        f"{_ID2}/json: is missing",
        code="missing-member",
    ),
    refused(
        "a v1 parent with a path",
        lambda: v1((_ID, "../x", PLAIN), repositories={"a/b": {"1": _ID}}),
        "'../x' is not a v1 ID",
        code="invalid-v1-id",
    ),
    refused(
        "a v1 image that is its own parent",
        lambda: v1((_ID, _ID, PLAIN), repositories={"a/b": {"1": _ID}}),
        "is its own parent",
        code="v1-parent-loop",
    ),
    refused(
        "two v1 images that are each other's parents",
        lambda: v1((_ID, _ID2, PLAIN), (_ID2, _ID, PLAIN), repositories={"a/b": {"1": _ID}}),
        "is its own parent",
        code="v1-parent-loop",
    ),
    refused(
        "a v1 parent that is a number",
        lambda: v1((_ID, None, PLAIN), repositories={"a/b": {"1": _ID}}, changes={"parent": 5}),
        "parent",
        code="wrong-json-type",
    ),
    refused(
        "a v1 layer that is missing",
        lambda: tar((f"{_ID}/json", dump({"id": _ID})), ("repositories", dump({"a/b": {"1": _ID}}))),
        f"{_ID}/layer.tar: is missing",
        code="missing-layer",
    ),
    refused(
        "a v1 json that is an array",
        lambda: tar((f"{_ID}/json", b"[]"), (f"{_ID}/layer.tar", PLAIN), ("repositories", dump({"a/b": {"1": _ID}}))),
        f"{_ID}/json: expected an object",
        code="wrong-json-type",
    ),
    refused(
        "repositories of arrays",
        lambda: v1((_ID, None, PLAIN), repositories={"a/b": [_ID]}),
        "repositories: ",
        code="invalid-document",
    ),
    refused(
        "repositories that is null",
        lambda: tar(("repositories", b"null"), (f"{_ID}/json", b"{}"), (f"{_ID}/layer.tar", PLAIN)),
        "repositories: ",
        code="invalid-document",
    ),
    accepted(
        "a v1 name with an escape sequence",
        lambda: v1((_ID, None, PLAIN), repositories={"a\x1b[0m": {"1": _ID}}),
        r"'a\x1b[0m:1' is not a valid image name",
        code="dropped-name",
    ),
]
