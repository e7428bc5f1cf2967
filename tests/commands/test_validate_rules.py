"""`validate` finds what some tool refuses though every digest is right: configs, names, types, what is absent."""

import base64
import re

import fixtures
import jsonschema
import pytest
from commands.test_validate import (
    DOCKER_DAMAGE,
    LAYOUT_DAMAGE,
    LAYOUT_NOTES,
    NOTES,
    OCI,
    Docker,
    Layout,
    both,
    counted,
    docker,
    dumps,
    layout,
    noted,
    tar,
)
from commands.test_validate_layers import from_file_and_pipe
from commands.test_validate_registry import FAULTS as REGISTRY_FAULTS
from oracle.reading import sha256
from support import ROOT

from convert.commands.validate import RULES, validate
from convert.jsonio import schema
from convert.report.sarif import sarif
from convert.report.validate import document

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_TYPE = "application/vnd.docker."


def run(**settings):
    return layout(lambda built: built.config.update(config=settings))


def docker_run(**settings):
    return docker(lambda a: a.edit_config(config=settings, container_config=...))


def named(name, **more):
    return layout(lambda built: built.entry.update(annotations={REF_NAME: name} | more))


def inline(what):
    """Leave the content of a blob in the `data` of its descriptor alone."""

    def make():
        built = Layout()
        if what == "layer":
            built.layers[0]["data"] = base64.b64encode(built.layer).decode()
        if what == "config":
            config = built.put(dumps(built.config), built.config_type)
            built.manifest["config"] = config | {"data": base64.b64encode(dumps(built.config)).decode()}
        built.finish()
        entry = built.index["manifests"][0]
        if what == "manifest":
            entry["data"] = base64.b64encode(built.blobs[entry["digest"]]).decode()
        digest = {"layer": built.layers[0], "config": built.manifest["config"], "manifest": entry}[what]["digest"]
        files = built.files()
        del files[f"blobs/{digest.replace(':', '/')}"]
        return tar(files)

    return make


def many_layers(count):
    def change(built):
        layers = [tar({f"f{number}": b""}, end=bytes(1024)) for number in range(count)]
        built.blobs.clear()
        built.layers = [built.put(layer, "layer.v1.tar") for layer in layers]
        built.config["rootfs"]["diff_ids"] = [sha256(layer) for layer in layers]
        built.config.pop("history")

    return layout(change)


def zstd(layer_type, manifest_type=None):
    def change(built):
        import zstandard

        built.blobs.clear()
        built.layers = [built.put(zstandard.compress(built.tar), layer_type)]
        if manifest_type:
            built.manifest["mediaType"] = manifest_type
            built.entry["mediaType"] = manifest_type
            built.config_type = DOCKER_TYPE + "container.image.v1+json"

    return layout(change)


def artifact(raw, *, as_layer=False):
    """Make an artifact whose config, or layer, is called the empty JSON object."""

    def change(built):
        built.blobs.clear()
        descriptor = built.put(raw, EMPTY)
        config = built.put(b"{}", EMPTY) if as_layer else descriptor
        built.layers = [descriptor if as_layer else built.put(b"x", "application/x")]
        built.manifest |= {"artifactType": "application/x", "config": config}
        built.config_type = "application/x-unused"

    def after(built):
        del built.blobs[sha256(dumps(built.config))]

    return layout(change, after)


def without_blobs(kind):
    def make():
        files = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": dumps({"schemaVersion": 2, "manifests": []}),
        }
        return tar(files | ({"blobs": b""} if kind == "file" else {}))

    return make


def absent(change):
    def make():
        built = Layout()
        built.finish()
        change(built)
        return tar(
            {name: raw for name, raw in built.files().items() if not name.startswith("blobs/")} | {"blobs/x": b""}
        )

    return make


def nothing_below(built):
    """Name an index that is there, whose only child is not."""
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [built.entry]}
    built.entry["platform"] = {"os": "linux", "architecture": "amd64"}
    built.index["manifests"] = [built.put(dumps(index), "index.v1+json")]


def index_of_nothing():
    built = Layout()
    built.finish()
    nothing_below(built)
    top = built.index["manifests"][0]["digest"]
    files = built.files()
    kept = {"index.json", "oci-layout", f"blobs/{top.replace(':', '/')}"}
    return tar({name: raw for name, raw in files.items() if name in kept})


#: Archives, the rules that each breaks, and the exit status.
DAMAGE = {
    "Cmd a string": (run(Cmd="/bin/sh"), {"run-config"}, 1),
    "Entrypoint a string": (run(Entrypoint="/bin/sh"), {"run-config"}, 1),
    "Shell a string": (run(Shell="/bin/sh"), {"run-config"}, 1),
    "cmd a string": (run(cmd="/bin/sh"), {"run-config"}, 1),
    "Cmd a string in docker-save": (docker_run(Cmd="x"), {"run-config", "v1-id"}, 1),
    "Cmd null": (run(Cmd=None), set(), 0),
    "Env without =": (run(Env=["FOO", "A=b"]), {"run-env"}, 1),
    "Env without a name": (run(Env=["=FOO"]), {"run-env"}, 1),
    "Env empty": (run(Env=[""]), {"run-env"}, 1),
    "Env of Windows": (
        layout(lambda b: b.config.update(os="windows", config={"Env": ["=C:=C:\\", "A="]})),
        set(),
        0,
    ),
    "an empty value": (run(Env=["A="]), set(), 0),
    "too much history": (
        layout(lambda b: b.config.update(history=[{"created_by": "x"}] * 2)),
        {"history-too-long"},
        1,
    ),
    "no rootfs": (layout(lambda b: b.config.pop("rootfs")), {"schema", "layer-count", "history-too-long"}, 1),
    "rootfs null": (layout(lambda b: b.config.update(rootfs=None)), {"schema", "layer-count", "history-too-long"}, 1),
    "no rootfs in docker-save": (
        docker(lambda a: a.edit_config(rootfs=...)),
        {"schema", "layer-count", "history-too-long"},
        1,
    ),
    "a config only inline": (inline("config"), {"inline-only"}, 1),
    "a layer only inline": (inline("layer"), {"inline-only"}, 1),
    "a manifest only inline": (inline("manifest"), {"inline-only"}, 1),
    "125 layers": (many_layers(125), set(), 0),
    "126 layers": (many_layers(126), {"many-layers"}, 1),
    "127 layers": (many_layers(127), {"many-layers"}, 1),
    "zstd in OCI": (zstd("layer.v1.tar+zstd"), set(), 0),
    "zstd in schema 2": (
        zstd(DOCKER_TYPE + "image.rootfs.diff.tar.zstd", DOCKER_TYPE + "distribution.manifest.v2+json"),
        {"docker-zstd"},
        1,
    ),
    "OCI's zstd in schema 2": (
        zstd("layer.v1.tar+zstd", DOCKER_TYPE + "distribution.manifest.v2+json"),
        {"docker-zstd", "docker-type"},
        1,
    ),
    "Docker's zstd in OCI": (zstd(DOCKER_TYPE + "image.rootfs.diff.tar.zstd"), {"docker-zstd", "docker-type"}, 1),
    "an empty config": (artifact(b"{}"), set(), 0),
    "an empty config with a space": (artifact(b"{ }"), {"empty-json"}, 1),
    "an empty config of nothing": (artifact(b""), {"empty-json"}, 1),
    "an empty layer that is not": (artifact(b"[]", as_layer=True), {"empty-json"}, 1),
    "no blobs": (without_blobs("none"), {"layout-blobs", "no-images"}, 3),
    "blobs a file": (without_blobs("file"), {"layout-blobs", "no-images"}, 3),
    "no manifest there": (absent(lambda _: None), {"missing", "no-images"}, 3),
    "nothing below an index": (index_of_nothing, {"no-images"}, 3),
    "schemaVersion 0 in the index": (layout(after=lambda b: b.index.update(schemaVersion=0)), {"schema"}, 1),
    "schemaVersion 0 in the manifest": (layout(lambda b: b.manifest.update(schemaVersion=0)), {"schema"}, 1),
    "an empty list": (
        lambda: tar({"manifest.json": b"[]"}),
        {"no-images"},
        3,
    ),
    **{
        f"the ref.name {name}": (named(name), {"ref-name"}, 1)
        for name in ("a b", "a//b", "a---b", "-a", "a-", "a..b", "a/", "a__b", "/a", "ä", "a\n")
    },
    **{
        f"the ref.name {name}": (named(name), set(), 0)
        for name in ("a", "v1.2.3", "a--b", "example.com:5000/a/b:c", "a@sha256:ab", "a+b", "A_b")
    },
}


@pytest.mark.parametrize("case", DAMAGE)
def test_archives_break_these_rules_and_no_other(case, tmp_path):
    make, rules, status = DAMAGE[case]
    verdict = from_file_and_pipe(make(), tmp_path)
    assert counted(verdict) == rules
    assert verdict.status == status
    assert jsonschema.validate(document([verdict]), schema.load("report-validate")) is None
    assert len(sarif([verdict], "1")["runs"][0]["results"]) == len(verdict.findings)


def test_a_folder_without_blobs(tmp_path):
    for name in ("oci-layout", "index.json"):
        (tmp_path / name).write_bytes(b'{"imageLayoutVersion":"1.0.0","schemaVersion":2,"manifests":[]}')
    assert counted(validate(str(tmp_path))) == {"layout-blobs", "no-images"}
    (tmp_path / "blobs").mkdir()
    assert counted(validate(str(tmp_path))) == {"no-images"}
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_bytes(b"")
    assert counted(validate(str(tmp_path))) == {"layout-blobs", "no-images"}


def test_a_name_by_digest_as_containerd_writes_it_is_a_note(tmp_path):
    digest = "@" + sha256(b"x")
    verdict = from_file_and_pipe(named(digest, **{IMAGE_NAME: "example.com/x" + digest})(), tmp_path)
    assert (counted(verdict), noted(verdict)) == (set(), {"ref-name"})


def test_what_only_manifest_json_names_is_referenced(tmp_path):
    verdict = from_file_and_pipe(both(lambda _, index: index.update(manifests=[])), tmp_path)
    wrong = [one.member for one in verdict.findings if one.rule == "unreferenced"]
    # What is left is the manifest, which manifest.json does not name.
    assert len(wrong) == 1


def test_what_manifest_json_names_is_held_against_its_name(tmp_path):
    files = {}

    def change(listed, index):
        index.update(manifests=[])
        files["config"] = listed[0]["Config"]

    raw = both(change)
    (tmp_path / "x.tar").write_bytes(raw.replace(b'"architecture":"amd64"', b'"architecture":"amd65"'))
    found = {(one.rule, one.member) for one in validate(str(tmp_path / "x.tar")).findings}
    assert ("digest", files["config"]) in found


@pytest.mark.parametrize("text", ["a'b", 'a"b', "a\\b", "\u202e", "\x1b[1m"])
def test_no_message_shows_a_value_as_python_writes_it(text, tmp_path):
    archive = Docker()
    archive.item["RepoTags"].append(text)
    archive.repositories["fmt-html"]["1"] = text
    archive.edit(f"{archive.layers[1].partition('/')[0]}/json", parent=text, id=None)
    archive.files[archive.layers[0].partition("/")[0] + "/VERSION"] = b"\xff\x00"
    (tmp_path / "x.tar").write_bytes(archive.bytes())
    messages = [one.message for one in validate(str(tmp_path / "x.tar")).findings]
    assert len(messages) > 3
    for message in messages:
        assert message.isprintable()
        assert not re.search(r"(?:^| )b'|\bNone\b|\bTrue\b|<[a-z.]+ object", message), message


# -- rules -----------------------------------------------------------------------------


def test_every_rule_has_its_row_in_the_documentation():
    text = (ROOT / "docs" / "validate.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(rule.id, rule.severity.value, rule.text, rule.refused_by or "-") for rule in RULES.values()]


def test_every_rule_is_broken_by_some_test():
    tables = [*DOCKER_DAMAGE.values(), *LAYOUT_DAMAGE.values(), *LAYOUT_NOTES.values()]
    broken = {rule for _, rules in tables for rule in rules} | {rule for _, rule in NOTES.values()}
    broken |= {rule for _, findings in REGISTRY_FAULTS.values() for rule, _, _ in findings}
    broken |= {rule for _, rules, _ in DAMAGE.values() for rule in rules}
    checked = {"layer-tar", "layer-header", "layer-path-twice", "layer-trailing", "layer-not-compared"}
    checked |= {"no-architecture"}
    elsewhere = {"not-an-image", "damaged", "index-manifest", "v1-scheme", "left-out", "filled", "needs-mark"} | checked
    assert broken | elsewhere == set(RULES)
    assert not broken & elsewhere


@pytest.mark.parametrize(
    ("name", "rules", "status"),
    [
        ("config-cmd-string.tar", {"run-config"}, 1),
        ("config-long-history.tar", {"history-too-long"}, 1),
        ("config-only-inline.oci", {"inline-only"}, 1),
        ("gzip-trailing-garbage.oci", {"layer-trailing"}, 1),
        ("zstd-in-docker-schema2.oci", {"docker-zstd"}, 1),
        ("index-no-platform-present.tar", {"no-images"}, 3),
        ("name-by-digest.tar", set(), 0),
        ("repotags-only-in-manifest-json.tar", set(), 0),
    ],
)
def test_the_inputs_of_the_issue(name, rules, status):
    verdict = validate(str(fixtures.get(f"cases/{name}")))
    assert (counted(verdict), verdict.status) == (rules, status)
