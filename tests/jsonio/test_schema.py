"""`schema` and `schemas/`: real documents pass, and the findings about wrong ones say what is expected."""

from __future__ import annotations

import copy
import json
import re
import tarfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fixtures
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from convert.errors import FormatError
from convert.jsonio import schema
from convert.jsonio.strict import parse
from convert.limits import MAX_DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

D = "sha256:" + "0" * 64
ID = "a" * 64
TIME = "2015-10-31T22:22:54.690851953Z"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": D, "size": 2, "data": "e30="}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": D, "size": 32654}
RUN: dict[str, Any] = {
    "Env": ["A=b"],
    "Cmd": None,
    "Entrypoint": ["/x"],
    "Labels": {"a": "b"},
    "ExposedPorts": {"80/tcp": {}},
    "User": "",
}

#: One sound document of each kind, with most of the fields that its specification has.
SOUND: dict[str, Any] = {
    schema.DOCKER_MANIFEST: [
        {
            "Config": f"{ID}.json",
            "RepoTags": ["busybox:latest"],
            "Layers": [f"{ID}/layer.tar"],
            "Parent": D,
            "LayerSources": {D: LAYER},
        },
        {"Config": "config.json", "RepoTags": None, "Layers": []},
    ],
    schema.REPOSITORIES: {"busybox": {"latest": ID}, "a/b": {}},
    schema.V1_LAYER: {
        "id": ID,
        "parent": ID,
        "created": TIME,
        "container_config": RUN,
        "config": None,
        "architecture": "amd64",
        "os": "linux",
        "Size": 0,
        "throwaway": True,
    },
    schema.IMAGE_CONFIG: {
        "created": None,
        "docker_version": "20.10.24",
        "container_config": RUN,
        "rootfs": {"type": "layers"},
        "history": None,
        "moby.buildkit.buildinfo.v1": "x",
    },
    schema.OCI_CONFIG: {
        "created": TIME,
        "author": "A",
        "architecture": "arm",
        "variant": "v7",
        "os": "linux",
        "os.features": ["x"],
        "config": {**RUN, "Healthcheck": {"Test": ["NONE"], "Interval": 30000000000}, "StopTimeout": 0},
        "rootfs": {"type": "layers", "diff_ids": [D]},
        "history": [{"created": "2015-10-31T22:22:55+01:00", "created_by": "x", "empty_layer": True}],
    },
    schema.OCI_LAYOUT: {"imageLayoutVersion": "1.0.0", "more": 1},
    schema.OCI_INDEX: {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "size": 7143,
                "digest": "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
                "platform": {
                    "architecture": "amd64",
                    "os": "linux",
                    "os.version": "",
                    "os.features": [],
                    "variant": "v2",
                },
                "annotations": {"org.opencontainers.image.ref.name": "v1.0"},
                "artifactType": "application/x",
            }
        ],
        "annotations": {},
    },
    schema.OCI_MANIFEST: {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example+type",
        "config": EMPTY,
        "layers": [{**LAYER, "urls": ["https://example.com/a?b=%20#c"], "annotations": {"a": ""}}],
        "subject": LAYER,
    },
    schema.DOCKER_MANIFEST_V2: {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7023, "digest": D},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": D}],
    },
    schema.DOCKER_MANIFEST_LIST: {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [
            {
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "size": 7143,
                "digest": "sha512:" + "f" * 128,
                "platform": {"architecture": "ppc64le", "os": "linux", "features": ["sse4"]},
            }
        ],
    },
}
NAMES = [*SOUND, "defs"]
BY_MEDIA_TYPE = {
    "application/vnd.oci.image.index.v1+json": schema.OCI_INDEX,
    "application/vnd.oci.image.manifest.v1+json": schema.OCI_MANIFEST,
    "application/vnd.oci.image.config.v1+json": schema.OCI_CONFIG,
    "application/vnd.docker.distribution.manifest.list.v2+json": schema.DOCKER_MANIFEST_LIST,
    "application/vnd.docker.distribution.manifest.v2+json": schema.DOCKER_MANIFEST_V2,
    "application/vnd.docker.container.image.v1+json": schema.IMAGE_CONFIG,
}
NOWHERE = object()
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema.load(name)["$id"], Resource.from_contents(schema.load(name))) for name in NAMES
)


def with_value(name: str, path: str, value: Any) -> Any:
    """Return the sound document `name` with `value` at the dotted `path` (NOWHERE takes it out)."""
    document = copy.deepcopy(SOUND[name])
    steps: list[Any] = [int(step) if step.isdigit() else step for step in path.split("/") if step]
    if not steps:
        return value
    inner = document
    for step in steps[:-1]:
        inner = inner[step]
    if value is NOWHERE:
        del inner[steps[-1]]
    else:
        inner[steps[-1]] = value
    return document


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Give every schema inside a schema file: each object except maps of names."""
    for key, inner in value.items():
        if key in {"$defs", "properties"}:
            for part in inner.values():
                yield from parts(part)
        elif key in {"items", "additionalProperties", "if", "then"}:
            yield from parts(inner)
        elif key == "allOf":
            for part in inner:
                yield from parts(part)
    yield value


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_file_is_sound_and_keeps_the_rules_that_the_checks_rely_on(name: str) -> None:
    """Draft 2020-12, named after its file; each part bounded, and able to say what it expects."""
    whole = schema.load(name)
    Draft202012Validator.check_schema(whole)
    assert whole["$id"] == f"urn:imgconv:schema:{name}"
    assert whole["$comment"]
    for part in parts(whole):
        if "$ref" in part:
            assert set(part) == {"$ref"}
            continue
        if part.keys() & {"type", "pattern", "minimum", "maximum", "not", "minLength"}:
            assert re.fullmatch(r"[A-Za-z0-9].*[^.]", part["title"])
        if "pattern" in part:
            assert part["pattern"][0] + part["pattern"][-1] == "^$"
            assert not re.search(r"\\[dws]", part["pattern"])
        assert ("items" in part) == ("maxItems" in part)
        assert ("additionalProperties" in part) == ("maxProperties" in part)
        assert part.keys() <= {
            "$schema",
            "$id",
            "$comment",
            "$defs",
            "title",
            "type",
            "const",
            "not",
            "required",
            "properties",
            "items",
            "additionalProperties",
            "allOf",
            "if",
            "then",
            "pattern",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "maxItems",
            "maxProperties",
        }


def test_every_schema_file_is_known_and_shipped() -> None:
    files = {path.name for path in resources.files("convert.schemas").iterdir() if path.name.endswith(".json")}
    assert {f"{name}.json" for name in NAMES} <= files


@pytest.mark.parametrize("name", SOUND)
def test_sound_documents_pass(name: str) -> None:
    assert schema.explain(SOUND[name], name) is None
    assert schema.findings(SOUND[name], name) == []


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        (schema.DOCKER_MANIFEST, "", None, "expected an array of objects"),
        (schema.DOCKER_MANIFEST, "", {}, "expected an array of objects"),
        (schema.DOCKER_MANIFEST, "1", [], "[1]: expected an object"),
        (schema.DOCKER_MANIFEST, "0/Layers", "x", "[0].Layers: expected an array of strings"),
        (schema.DOCKER_MANIFEST, "0/Layers", {"a": 1}, "[0].Layers: expected an array of strings"),
        (schema.DOCKER_MANIFEST, "0/Layers", NOWHERE, "[0].Layers: missing"),
        (schema.DOCKER_MANIFEST, "0/Layers", ["a", 1], "[0].Layers[1]: expected a string that is not empty"),
        (schema.DOCKER_MANIFEST, "0/Layers", ["x"] * 10001, "[0].Layers: more than 10000 entries"),
        (schema.DOCKER_MANIFEST, "0/Config", "", "[0].Config: expected a string that is not empty"),
        (schema.DOCKER_MANIFEST, "0/Config", None, "[0].Config: expected a string that is not empty"),
        (schema.DOCKER_MANIFEST, "0/RepoTags", "a:1", "[0].RepoTags: expected an array of strings"),
        (
            schema.DOCKER_MANIFEST,
            "0/Parent",
            ID,
            f'[0].Parent: expected an image ID such as sha256: and 64 lower-case hex digits, found "{"a" * 60}…"',
        ),
        (
            schema.DOCKER_MANIFEST,
            "0/LayerSources",
            {D: {"mediaType": "a/b", "digest": D}},
            f'[0].LayerSources["sha256:{"0" * 53}…"].size: missing',
        ),
        (schema.REPOSITORIES, "", [], "expected an object of repositories"),
        (schema.REPOSITORIES, "busybox", "latest", "busybox: expected an object of tags"),
        (
            schema.REPOSITORIES,
            "a",
            {"1.0": "../../etc"},
            'a["1.0"]: expected the name of a layer folder, 64 hex digits as a rule, found "../../etc"',
        ),
        (schema.V1_LAYER, "id", "../x", 'id: expected a v1 ID of 64 lower-case hex digits, found "../x"'),
        (schema.V1_LAYER, "id", NOWHERE, "id: missing"),
        (schema.V1_LAYER, "container_config", 1, "container_config: expected an object"),
        (schema.IMAGE_CONFIG, "rootfs", NOWHERE, "rootfs: missing"),
        (schema.IMAGE_CONFIG, "rootfs", None, "rootfs: expected an object"),
        (schema.IMAGE_CONFIG, "rootfs/type", "layers+base", 'rootfs.type: expected "layers", found "layers+base"'),
        (
            schema.IMAGE_CONFIG,
            "rootfs/diff_ids",
            [D, D.upper()],
            (
                f"rootfs.diff_ids[1]: expected a digest such as sha256: and 64 lower-case hex digits, "
                f'found "SHA256:{"0" * 53}…"'
            ),
        ),
        (
            schema.IMAGE_CONFIG,
            "created",
            "yesterday",
            'created: expected a time such as 2006-01-02T15:04:05Z, found "yesterday"',
        ),
        (schema.IMAGE_CONFIG, "created", 5, "created: expected a time such as 2006-01-02T15:04:05Z"),
        (schema.OCI_CONFIG, "os", NOWHERE, "os: missing"),
        (schema.OCI_CONFIG, "architecture", None, "architecture: expected a string"),
        (schema.OCI_CONFIG, "os.features", "x", '["os.features"]: expected an array of strings'),
        (schema.OCI_CONFIG, "config/Labels", {"a b": 1}, 'config.Labels["a b"]: expected a string'),
        (schema.OCI_CONFIG, "config/ExposedPorts", ["80"], "config.ExposedPorts: expected an object of empty objects"),
        (schema.OCI_CONFIG, "history/0/empty_layer", "yes", "history[0].empty_layer: expected true or false"),
        (schema.OCI_LAYOUT, "imageLayoutVersion", "2.0.0", 'imageLayoutVersion: expected "1.0.0", found "2.0.0"'),
        (schema.OCI_LAYOUT, "imageLayoutVersion", ["1.0.0"], 'imageLayoutVersion: expected "1.0.0", found an array'),
        (schema.OCI_LAYOUT, "imageLayoutVersion", NOWHERE, "imageLayoutVersion: missing"),
        (schema.OCI_INDEX, "schemaVersion", 1, "schemaVersion: expected 2, found 1"),
        (schema.OCI_INDEX, "schemaVersion", "2", 'schemaVersion: expected 2, found "2"'),
        (schema.OCI_INDEX, "manifests", NOWHERE, "manifests: missing"),
        (schema.OCI_INDEX, "manifests/0/platform/os", NOWHERE, "manifests[0].platform.os: missing"),
        (schema.OCI_INDEX, "manifests/0/size", -1, "manifests[0].size: expected a size in bytes, found -1"),
        (
            schema.OCI_INDEX,
            "manifests/0/size",
            2**63,
            "manifests[0].size: expected a size in bytes, found 9223372036854775808",
        ),
        (schema.OCI_INDEX, "manifests/0/size", 2.0, "manifests[0].size: expected a size in bytes"),
        (schema.OCI_INDEX, "manifests/0/size", True, "manifests[0].size: expected a size in bytes"),
        (schema.OCI_INDEX, "manifests/0/digest", "sha256:" + "0" * 63, None),
        (schema.OCI_INDEX, "manifests/0/digest", "sha256:" + "0" * 64 + "\n", None),
        (schema.OCI_INDEX, "manifests/0/digest", "sha256:../../x", None),
        (schema.OCI_INDEX, "manifests/0/mediaType", "badmedia", None),
        (schema.OCI_INDEX, "manifests/0/annotations", {"a": None}, "manifests[0].annotations.a: expected a string"),
        (schema.OCI_INDEX, "layers", [], "layers: expected no such key in an index"),
        (schema.OCI_INDEX, "config", None, "config: expected no such key in an index"),
        (schema.OCI_MANIFEST, "manifests", [], "manifests: expected no such key in a manifest"),
        (schema.OCI_MANIFEST, "artifactType", NOWHERE, "artifactType: missing"),
        (schema.OCI_MANIFEST, "layers", None, "layers: expected an array of descriptors"),
        (schema.OCI_MANIFEST, "config/data", "e30=!", 'config.data: expected base64 text, found "e30=!"'),
        (schema.OCI_MANIFEST, "layers/0/urls", ["a b"], 'layers[0].urls[0]: expected a URL, found "a b"'),
        (
            schema.DOCKER_MANIFEST_V2,
            "mediaType",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            (
                'mediaType: expected "application/vnd.docker.distribution.manifest.v2+json", '
                'found "application/vnd.docker.distribution.manifest.list.v2+json"'
            ),
        ),
        (schema.DOCKER_MANIFEST_LIST, "fsLayers", [], "fsLayers: expected no such key in an index"),
    ],
)
def test_a_wrong_value_is_named_by_its_place_and_what_was_expected(
    name: str, path: str, value: Any, message: str | None
) -> None:
    found = schema.findings(with_value(name, path, value), name)
    assert len(found) == 1
    assert message is None or found == [message]
    assert schema.explain(with_value(name, path, value), name) == found[0]


def test_of_several_findings_the_one_nearest_to_the_root_is_explained() -> None:
    document = {"schemaVersion": 2, "config": {"mediaType": 1}, "layers": 5}
    assert schema.explain(document, schema.OCI_MANIFEST) == "layers: expected an array of descriptors"
    assert schema.findings(document, schema.OCI_MANIFEST) == [
        "config.digest: missing",
        "config.size: missing",
        "config.mediaType: expected a media type such as application/vnd.oci.image.manifest.v1+json",
        "layers: expected an array of descriptors",
    ]


def test_keys_in_another_letter_case_are_the_same_keys() -> None:
    """As Go reads them; jib wrote `config`, `repoTags`, `layers`."""
    item = {"config": "c.json", "repoTags": None, "layers": ["x"]}
    assert schema.explain([item], schema.DOCKER_MANIFEST) is None
    assert schema.explain([{**item, "layers": 1}], schema.DOCKER_MANIFEST) == "[0].layers: expected an array of strings"
    assert schema.findings([{**item, "Layers": []}], schema.DOCKER_MANIFEST) == [
        '[0].Layers: key in one object with "layers", which means the same'
    ]


def test_labels_that_differ_in_letter_case_are_two_labels() -> None:
    config = {"rootfs": {"type": "layers"}, "config": {"Labels": {"a": "1", "A": "2"}}}
    assert schema.explain(config, schema.IMAGE_CONFIG) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2006-01-02T15:04:05Z", True),
        ("2006-01-02T15:04:05.999999999+07:00", True),
        ("2006-01-02t15:04:05z", True),
        ("0001-01-01T00:00:00Z", True),
        ("2016-12-31T23:59:60Z", True),
        ("2006-01-02", False),
        ("2006-01-02 15:04:05Z", False),
        ("2006-01-02T15:04:05", False),
        ("2006-13-02T15:04:05Z", False),
        ("2006-01-02T24:04:05Z", False),
        ("2006-01-02T15:04:05.Z", False),
        ("2006-01-02T15:04:05Z\n", False),
        ("٢٠٠٦-01-02T15:04:05Z", False),
        ("", False),
    ],
)
def test_times_are_those_of_rfc_3339(text: str, answer: bool) -> None:
    config = {"rootfs": {"type": "layers"}, "created": text}
    assert (schema.explain(config, schema.IMAGE_CONFIG) is None) is answer


def test_findings_never_carry_control_characters() -> None:
    """Neither from keys nor from values."""
    config = {"rootfs": {"type": "layers"}, "config": {"Labels": {"\x1b[2J\n\u202e": 1}}, "created": "\x1b[31m\x9b\n"}
    found = schema.findings(config, schema.IMAGE_CONFIG)
    assert len(found) == 2
    assert all(line.isprintable() for line in found)


#: None is another spelling of a key that a schema names.
KEYS = st.sampled_from(["a", "b", "os", "architecture", "mediaType", "digest", "type", "os.version"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([D, ID, TIME, "1.0.0", "layers"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)


@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_schemas_mean_the_same_to_any_validator(name: str, data: st.DataObject) -> None:
    """Our dialect against jsonschema's own, on sound documents with one value changed.

    They may differ only in letter case and final line feeds, which are not compared.
    """

    def places(value: Any) -> Iterator[list[Any]]:
        yield []
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
        for step, inner in items:
            for path in places(inner):
                yield [step, *path]

    document = copy.deepcopy(SOUND[name])
    path = data.draw(st.sampled_from(list(places(document))))
    value = data.draw(JSON_VALUES)
    assume("\n" not in json.dumps(value) and "\\n" not in json.dumps(value))
    holder: Any = {"": document}
    for step in ["", *path[:-1]] if path else []:
        holder = holder[step]
    if path and isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1] if path else ""] = value
    if not path:
        document = holder[""]

    peer = Draft202012Validator(schema.load(name), registry=REGISTRY)
    assert (schema.explain(document, name) is None) == peer.is_valid(document)


@pytest.mark.parametrize(
    ("name", "start", "item", "end"),
    [
        (schema.DOCKER_MANIFEST, '[{"Config":"a","Layers":[', '""', "]}]"),
        (schema.DOCKER_MANIFEST, "[", '{"Config":1,"Layers":["a","b","c","d","e","f","g","h","i","j"]}', "]"),
        (schema.OCI_INDEX, '{"schemaVersion":2,"manifests":[', '{"mediaType":"\\u001b"}', "]}"),
        (schema.OCI_INDEX, '{"schemaVersion":2,"manifests":["', "a", '"]}'),
        (schema.OCI_MANIFEST, '{"schemaVersion":2,"config":{"digest":"', "a.", '!"},"layers":{}}'),
        (schema.OCI_MANIFEST, '{"schemaVersion":2,"config":{"data":"', "AAAA", '!"},"layers":{}}'),
        (schema.REPOSITORIES, '{"', "a/", '":{"x":""}}'),
    ],
)
def test_four_mebibytes_of_nonsense_give_few_and_short_findings(name: str, start: str, item: str, end: str) -> None:
    """Even past the values that `parse` lets through; to keep all errors and values would take gigabytes."""
    comma = "," if item[0] in '"{' else ""
    times = (MAX_DOCUMENT_SIZE - len(start) - len(end)) // len(item + comma)
    document = json.loads(start + comma.join([item] * times) + end)
    found = schema.findings(document, name)
    assert 0 < len(found) <= schema.MAX_FINDINGS + 1
    assert max(map(len, found)) < 400
    assert len(schema.explain(document, name) or "") < 400


def test_a_cut_list_of_findings_says_so() -> None:
    found = schema.findings([1] * 101, schema.DOCKER_MANIFEST)
    assert found[99:] == [
        "[99]: expected an object",
        "more than 100 findings in this document; the others are not listed",
    ]
    assert len(schema.findings([1] * 100, schema.DOCKER_MANIFEST)) == 100


#: What INDEX.md of the fixtures calls damaged or hostile in its documents, and oras's
#: artifacts, whose config is of the image type but no image config.
KNOWN = {
    "damaged-null-manifest.tar": {"manifest.json: expected an array of objects"},
    "damaged-oci-index-empty-object": {"index.json: schemaVersion: missing", "index.json: manifests: missing"},
    "damaged-oci-index-not-json": {"index.json: not valid JSON: line 1, column 1: expected a value"},
    "damaged-oci-mirror-rotten-config": {
        (
            "blobs/sha256/c7c89df4a1f53d7e619080245c4784b6f5e6232fb71e98d981b89799ae578262: "
            "not valid JSON: line 1, column 4804: expected a comma or the closing bracket"
        )
    },
    "damaged-oci-mirror-rotten-manifest": {
        (
            "blobs/sha256/3986c6e039692ada9b5fa79ce51ce49bf6b24bc3af91d96e6c9d3d72f8077401: "
            "not valid JSON: line 13, column 62: expected a key in double quotes"
        )
    },
    "docker-pre110-dotdot-layer-id.tar": {
        (
            "repositories: fixture-test-depsloop.latest: expected the name of a layer folder, 64 hex digits as a rule, "
            'found "../../../etc/0356b1e5e5e3d24fb5ee802594ec3dbbce3f3bee7feaf9d…"'
        )
    },
}
for _name in ("oci-oras-artifacts", "oci-oras-images"):
    KNOWN[_name] = {
        "blobs/sha256/1fd9a5fc54b634130102861815e2881f1eec22958d604301904c5353041794c1: rootfs: missing",
        "blobs/sha256/a5dfce5d28768e985f91f610591f0203bb6e07f11e2fb0ce1b8508e9aac4ebe2: rootfs: missing",
        "blobs/sha256/fe9dbc99451d0517d65e048c309f0b5afb2cc513b7a3d456b6cc29fe641386c5: rootfs: missing",
    }


def members(archive: Path) -> dict[str, bytes]:
    """Return the small members of an archive or folder, by name."""
    if archive.is_dir():
        files = {str(path.relative_to(archive)): path for path in archive.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in files.items() if path.stat().st_size <= MAX_DOCUMENT_SIZE}
    result: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.size <= MAX_DOCUMENT_SIZE:
                stream = tar.extractfile(member)
                assert stream is not None
                result.setdefault(member.name.removeprefix("./"), stream.read())
    return result


def named_documents(files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Give member and schema of every document that another one, or the format, names."""
    fixed = {
        "manifest.json": schema.DOCKER_MANIFEST,
        "repositories": schema.REPOSITORIES,
        "oci-layout": schema.OCI_LAYOUT,
        "index.json": schema.OCI_INDEX,
    }
    waiting = [(name, kind) for name, kind in fixed.items() if name in files]
    waiting += [(name, schema.V1_LAYER) for name in files if name.endswith("/json")]
    seen = set()
    while waiting:
        name, kind = waiting.pop()
        if (name, kind) in seen:
            continue
        seen.add((name, kind))
        yield name, kind
        try:
            document = json.loads(files[name])
        except ValueError:
            continue
        if kind == schema.DOCKER_MANIFEST:
            configs = [item.get("Config", item.get("config")) for item in document or []]
            waiting += [(config, schema.IMAGE_CONFIG) for config in configs if config in files]
        elif isinstance(document, dict) and kind not in {schema.V1_LAYER, schema.REPOSITORIES}:
            descriptors = list(document.get("manifests") or [])
            if "config" in document and kind in {schema.OCI_MANIFEST, schema.DOCKER_MANIFEST_V2}:
                descriptors.append(document["config"])
            for descriptor in descriptors:
                blob = "blobs/" + descriptor["digest"].replace(":", "/")
                if blob not in files or descriptor["mediaType"] not in BY_MEDIA_TYPE:
                    continue
                try:
                    own = json.loads(files[blob]).get("mediaType", descriptor["mediaType"])
                except ValueError:
                    own = descriptor["mediaType"]
                waiting.append((blob, BY_MEDIA_TYPE[own]))


ARCHIVES = [f"images/{name}" for name in fixtures.names("images")]
ARCHIVES += [f"vectors/{name}" for name in fixtures.names("vectors") if name.endswith(".tar.gz")]


@pytest.mark.parametrize("name", ARCHIVES)
def test_documents_of_real_archives_pass_but_for_the_damage_they_are_known_for(name: str) -> None:
    archive = fixtures.get(name)
    files = members(archive)
    found = set()
    for member, kind in named_documents(files):
        try:
            document = parse(files[member], where="x", member=member)
        except FormatError as error:
            found.add(str(error).removeprefix("x: "))
        else:
            found |= {f"{member}: {line}" for line in schema.findings(document, kind)}
    assert found == KNOWN.get(archive.name, set())
