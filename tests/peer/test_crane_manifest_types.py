"""Every field of manifest.json that crane decodes: a value that does not fit ends the push of any image.

The cases come from the tables in `ggcr`: each value of `VALUES` at each field of an image that is
not selected. What Go decodes into each type is written here by hand (encoding/json, pkg/v1/hash.go);
with IMGCONV_CRANE_GO126 or IMGCONV_CRANE_GO127 crane itself is asked too.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from hashlib import sha256

import pytest

from convert.cli.main import run
from convert.identity import ggcr_structs

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
#: Values that Go decodes into each type, null left out.
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
}
#: The type of each field (pkg/v1/tarball/image.go, pkg/v1/manifest.go, pkg/v1/platform.go).
TYPES = {
    "item": {
        "Config": "string",
        "RepoTags": "[]string",
        "Layers": "[]string",
        "LayerSources": "map[Hash]Descriptor",
    },
    "descriptor": {
        "mediaType": "string",
        "size": "int64",
        "digest": "Hash",
        "data": "[]byte",
        "urls": "[]string",
        "annotations": "map[string]string",
        "platform": "*Platform",
        "artifactType": "string",
    },
    "platform": {
        "architecture": "string",
        "os": "string",
        "os.version": "string",
        "os.features": "[]string",
        "variant": "string",
        "features": "[]string",
    },
}
TABLES = {"item": ggcr_structs.MANIFEST_ITEM, "descriptor": ggcr_structs.DESCRIPTOR, "platform": ggcr_structs.PLATFORM}
FIELDS = [(place, field.name) for place, struct in TABLES.items() for field in struct.fields]
#: What imgconv refuses in any image, whoever reads it.
STRICTER = {("Config", "null"), ("Config", '""'), ("RepoTags", "[null]"), ("RepoTags", '["a", null]')}


def fits(place, name, value):
    kind = TYPES[place][name]
    # `Hash` decodes null itself, as an empty text, which is not a digest.
    return value in FIT[kind] or (value == "null" and kind != "Hash")


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


def digest(path, name, capsys):
    status = run(["digest", str(path), "--as", "crane@go1.26", "--image", name])
    return status, capsys.readouterr().out


def test_every_field_has_its_type():
    assert set(FIELDS) == {(place, name) for place, names in TYPES.items() for name in names}


@pytest.mark.parametrize(("place", "name"), FIELDS)
def test_a_value_that_go_does_not_decode_ends_the_push_of_every_image(place, name, capsys, tmp_path):
    path = tmp_path / "in.tar"
    wrong = []
    for value in VALUES:
        write(path, listed(place, name, value))
        status, printed = digest(path, "a/b:1", capsys)
        if (status == 0) != (fits(place, name, value) and (name, value) not in STRICTER):
            wrong.append((value, status))
        assert status in {0, 2, 3}
        assert bool(printed) == (status == 0)
    assert wrong == []


@pytest.mark.parametrize(("name", "value", "status"), [("size", "1.5", 3), ("digest", json.dumps(HASHES[4]), 2)])
def test_the_status_is_the_same_for_the_image_that_is_selected(name, value, status, capsys, tmp_path):
    """A size of 1.5 is wrong for every tool, sha512 is unknown to crane alone."""
    for selected in (False, True):
        write(tmp_path / "in.tar", listed("descriptor", name, value, selected=selected))
        assert digest(tmp_path / "in.tar", f"a/b:{1 + selected}", capsys) == (status, "")


@pytest.mark.parametrize("key", ["size", "Size", "SIZE", "\u017fize", "si\u017fe", "s-ize", "s_ize"])
def test_keys_are_compared_as_go_compares_them(key, capsys, tmp_path):
    path = tmp_path / "in.tar"
    write(path, listed("descriptor", key, "1.5"))
    status, _ = digest(path, "a/b:1", capsys)
    assert status == (3 if key in {"size", "Size", "SIZE", "\u017fize"} else 0)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["IMGCONV_CRANE_GO126", "IMGCONV_CRANE_GO127"])
@pytest.mark.parametrize(("place", "name"), [*FIELDS, ("descriptor", "\u017fize"), ("descriptor", "s_ize")])
def test_crane_decodes_the_same(variable, place, name, tmp_path):
    crane = os.environ.get(variable) or pytest.skip(f"{variable} names no crane")
    path = tmp_path / "in.tar"
    wrong = []
    for value in VALUES:
        write(path, listed(place, name, value))
        done = subprocess.run([crane, "digest", "--tarball", path, "a/b:1"], capture_output=True, check=False)
        known = {"\u017fize": value == "null" or value in INTEGERS, "s_ize": True}
        if (done.returncode == 0) != (known[name] if name in known else fits(place, name, value)):
            wrong.append((value, done.stderr))
    assert wrong == []
