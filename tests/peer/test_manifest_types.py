"""Every field of manifest.json that crane and docker decode: a value that does not fit ends the push of any image.

The cases come from the tables in `ggcr_structs` and `docker_structs`: each value of `VALUES` at each field of an image
that is not selected. What Go decodes into each type is written here by hand (encoding/json,
pkg/v1/hash.go); with IMGCONV_CRANE_GO126, IMGCONV_CRANE_GO127 or IMGCONV_DOCKER_HOST the tool itself
is asked too.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tools import engine  # noqa: F401 - a fixture

from convert.cli.main import run
from convert.identity import docker_structs, ggcr_structs

LAYER = bytes(1024)
DIFF_ID = "sha256:" + sha256(LAYER).hexdigest()
CONFIGS = {
    name: json.dumps(
        {"author": name, "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]}}
    ).encode()
    for name in ("c", "d")
}
HASH = "sha256:" + "0a" * 32
HASHES = [HASH, HASH[:-1], HASH.upper(), HASH.replace("a", "A"), "sha512:" + "0a" * 64, "md5:00", ":", "x", ""]
#: JSON texts.
VALUES = [
    "null", "true", "0", "-0", "-1", "1.0", "1.5", "1e3", "9223372036854775807", "9223372036854775808", '"AA"',
    '"AA=="',
    '"AAAA=="', '"AB=="', r'"A\nA=\r="', '"A A="', '"AA-_"', "[]", "[null]", "[1]", "[255]", "[256]", "[-1]", "[1.0]",
    "[true]", '["a"]', '["a", null]', '["a", 1]', "[[]]", "[{}]", "{}", '{"a": "b"}', '{"a": null}', '{"a": 1}',
    '{"os": 1}', '{"OS": 1}', '{"o\u017f": 1}', '{"os": "a", "Os": 1}', '{"os": "a", "Os": "b"}',
    *(json.dumps(text) for text in HASHES), *(f'{{"{text}": null}}' for text in HASHES), f'{{"{HASH}": []}}',
    f'{{"{HASH}": {{}}, "x": {{}}}}',
]  # fmt: skip
INTEGERS = {"0", "-0", "-1", "9223372036854775807"}
TEXTS = {text for text in VALUES if text.startswith('"')}
#: Values that Go decodes into each type, except null.
FIT = {
    "string": TEXTS,
    "int64": INTEGERS,
    "Hash": {f'"{HASH}"'},
    "[]byte": {'"AA=="', '"AB=="', r'"A\nA=\r="', '""', "[]", "[null]", "[1]", "[255]"},
    "[]string": {"[]", "[null]", '["a"]', '["a", null]'},
    "map[string]string": {"{}", '{"a": "b"}', '{"a": null}', '{"os": "a", "Os": "b"}'}
    | {f'{{"{text}": null}}' for text in HASHES},
    "*Platform": {"{}", '{"a": "b"}', '{"a": null}', '{"a": 1}', '{"os": "a", "Os": "b"}', f'{{"{HASH}": []}}'}
    | {f'{{"{text}": null}}' for text in HASHES}
    | {f'{{"{HASH}": {{}}, "x": {{}}}}'},
    "map[Hash]Descriptor": {"{}", f'{{"{HASH}": null}}'},
    "map[string]Descriptor": {"{}", '{"a": null}', f'{{"{HASH}": {{}}, "x": {{}}}}'}
    | {f'{{"{text}": null}}' for text in HASHES},
}
_PLATFORM = {
    "architecture": "string",
    "os": "string",
    "os.version": "string",
    "os.features": "[]string",
    "variant": "string",
}
_DESCRIPTOR = {
    "mediaType": "string",
    "size": "int64",
    "urls": "[]string",
    "annotations": "map[string]string",
    "platform": "*Platform",
}
_ITEM = {"Config": "string", "RepoTags": "[]string", "Layers": "[]string"}
#: The type of each field: pkg/v1/tarball/image.go, pkg/v1/manifest.go and pkg/v1/platform.go for crane,
#: tarexport.go, distribution's blobs.go and image-spec's descriptor.go for docker.
TYPES = {
    "crane@go1.26": {
        "item": {**_ITEM, "LayerSources": "map[Hash]Descriptor"},
        "descriptor": {**_DESCRIPTOR, "digest": "Hash", "data": "[]byte", "artifactType": "string"},
        "platform": {**_PLATFORM, "features": "[]string"},
    },
    "docker@go1.26": {
        "item": {**_ITEM, "Parent": "string", "LayerSources": "map[string]Descriptor"},
        "descriptor": {**_DESCRIPTOR, "digest": "string"},
        "platform": _PLATFORM,
    },
}
TABLES = {
    "crane@go1.26": {
        "item": ggcr_structs.MANIFEST_ITEM,
        "descriptor": ggcr_structs.DESCRIPTOR,
        "platform": ggcr_structs.PLATFORM,
    },
    "docker@go1.26": {
        "item": docker_structs.MANIFEST_ITEM,
        "descriptor": docker_structs.DESCRIPTOR,
        "platform": docker_structs.PLATFORM,
    },
}
FIELDS = [
    (pusher, place, field.name)
    for pusher, tables in TABLES.items()
    for place, struct in tables.items()
    for field in struct.fields
]
#: Fields that docker does not know.
UNKNOWN = [("docker@go1.26", "descriptor", "data"), ("docker@go1.26", "platform", "features")]
#: What imgconv refuses in any image, whoever reads it.
STRICTER = {("Config", "null"), ("Config", '""'), ("RepoTags", "[null]"), ("RepoTags", '["a", null]')}


def fits(pusher, place, name, value):
    kind = TYPES[pusher][place].get(name)
    # `Hash` decodes null itself, as an empty text, which is not a digest.
    return kind is None or value in FIT[kind] or (value == "null" and kind != "Hash")


def listed(place, name, value, *, selected=False):
    """Return a manifest.json in which the second image has the value at a field."""
    at = f'"{name}": {value}'
    if place == "platform":
        at = f'"platform": {{{at}}}'
    if place != "item":
        at = f'"LayerSources": {{"{HASH}": {{{at}}}}}'
    whole = {"Config": '"d"', "Layers": '["l"]', "RepoTags": '["a/b:2"]'}
    whole = {key: text for key, text in whole.items() if key != name or place != "item"}
    second = ", ".join([*(f'"{key}": {text}' for key, text in whole.items()), at])
    if selected:
        return f"[{{{second}}}]".encode()
    return f'[{{"Config": "c", "Layers": ["l"], "RepoTags": ["a/b:1"]}}, {{{second}}}]'.encode()


def write(path, manifest):
    with tarfile.open(path, "w") as tar:
        for name, data in {**CONFIGS, "l": LAYER, "manifest.json": manifest}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def digest(path, pusher, name, capsys):
    status = run(["digest", str(path), "--as", pusher, "--image", name])
    return status, capsys.readouterr().out


def test_every_field_has_its_type():
    types = {(pusher, place, name) for pusher, each in TYPES.items() for place, names in each.items() for name in names}
    assert set(FIELDS) == types


@pytest.mark.parametrize(("pusher", "place", "name"), [*FIELDS, *UNKNOWN])
def test_a_value_that_go_does_not_decode_ends_the_push_of_every_image(pusher, place, name, capsys, tmp_path):
    path = tmp_path / "in.tar"
    wrong = []
    for value in VALUES:
        write(path, listed(place, name, value))
        status, printed = digest(path, pusher, "a/b:1", capsys)
        if (status == 0) != (fits(pusher, place, name, value) and (name, value) not in STRICTER):
            wrong.append((value, status))
        assert status in {0, 2, 3}
        assert bool(printed) == (status == 0)
    assert wrong == []


@pytest.mark.parametrize(("change", "status"), [({"size": 1.5}, 3), ({"digest": None}, 3), ({"digest": HASHES[4]}, 2)])
def test_what_is_wrong_for_every_tool_ends_with_3_where_it_is_needed(change, status, capsys, tmp_path):
    path = tmp_path / "in.tar"
    source = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": len(LAYER), "digest": DIFF_ID}
    value = json.dumps({DIFF_ID: source | change})
    write(path, listed("item", "LayerSources", value, selected=True))
    assert digest(path, "crane@go1.26", "a/b:2", capsys) == (status, "")
    write(path, listed("item", "LayerSources", value))
    assert digest(path, "crane@go1.26", "a/b:1", capsys) == (2, "")


def test_the_tools_that_can_read_the_archive_still_answer(capsys, tmp_path):
    path = tmp_path / "in.tar"
    write(path, listed("descriptor", "artifactType", "1"))
    assert run(["digest", str(path), "--image", "a/b:1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {each["pusher"].partition("@")[0] for each in document["refused"]} == {"crane"}
    assert {each["pusher"].partition("@")[0] for each in document["pushes"]} == {
        "docker",
        "docker-containerd",
        "imgconv",
        "podman",
        "skopeo",
        "buildah",
    }


@pytest.mark.parametrize("key", ["size", "Size", "SIZE", "\u017fize", "si\u017fe", "s-ize", "s_ize"])
@pytest.mark.parametrize("pusher", TYPES)
def test_keys_are_compared_as_go_compares_them(pusher, key, capsys, tmp_path):
    path = tmp_path / "in.tar"
    write(path, listed("descriptor", key, "1.5"))
    status, _ = digest(path, pusher, "a/b:1", capsys)
    assert status == (2 if key in {"size", "Size", "SIZE", "\u017fize"} else 0)


#: Fields for the tools themselves, with the field that a key is read as.
ASKED = [(place, name, name) for pusher, place, name in FIELDS if pusher == "crane@go1.26"]
ASKED += [("item", "Parent", "Parent"), ("descriptor", "\u017fize", "size"), ("descriptor", "s_ize", "s_ize")]


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["IMGCONV_CRANE_GO126", "IMGCONV_CRANE_GO127"])
@pytest.mark.parametrize(("place", "key", "name"), ASKED)
def test_crane_decodes_the_same(variable, place, key, name, tmp_path):
    crane = os.environ.get(variable) or pytest.skip(f"{variable} names no crane")
    path = tmp_path / "in.tar"
    wrong = []
    for value in VALUES:
        write(path, listed(place, key, value))
        done = subprocess.run([crane, "digest", "--tarball", path, "a/b:1"], capture_output=True, check=False)
        if (done.returncode == 0) != fits("crane@go1.26", place, name, value):
            wrong.append((value, done.stderr))
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize(("place", "key", "name"), ASKED)
def test_docker_decodes_the_same(place, key, name, engine, tmp_path):  # noqa: F811
    path = tmp_path / "in.tar"
    wrong = []
    for value in VALUES:
        write(path, listed(place, key, value))
        done = subprocess.run(
            [engine.client, "load", "--input", path],
            env={**os.environ, "DOCKER_HOST": engine.host},
            capture_output=True,
            text=True,
            check=False,
        )
        if ("cannot unmarshal" in done.stderr) == fits("docker@go1.26", place, name, value):
            wrong.append((value, done.stderr))
    assert wrong == []
