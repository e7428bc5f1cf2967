"""`imgconv match`: registries' blobs made again from what `docker save` kept.

The manifests are the registry's own; `testdata/match/rebuilt/README.md` says how the
layers were compressed.
"""

import gzip
import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
from hostile.building import DIFF_ID, LAYER, PLAIN, Docker, config, dump

from convert.jsonio import schema

MATCH = Path(__file__).parents[2] / "testdata" / "match"
REBUILT = MATCH / "rebuilt"
MADE = json.loads((MATCH / "manifests.json").read_text())["made"]
PUSHED = [one for one in MADE if one["form"] != "containerd_import_manifest"]


def findings(document, name):
    return list(jsonschema.Draft202012Validator(schema.load(name)).iter_errors(document))


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("saved.tar").write_bytes(gzip.decompress((REBUILT / "docker-save.tar.gz").read_bytes()))
    return "saved.tar"


def check_layout(path, manifest):
    """Every blob that the registry's manifest lists is there, digest for digest."""
    folder = Path(path) / "blobs" / "sha256"
    digest = hashlib.sha256(manifest).hexdigest()
    assert (folder / digest).read_bytes() == manifest
    document = json.loads(manifest)
    for part in (document["config"], *document["layers"]):
        raw = (folder / part["digest"].removeprefix("sha256:")).read_bytes()
        assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == part["digest"]
        assert len(raw) == part["size"]
    assert json.loads((Path(path) / "index.json").read_bytes())["manifests"][0]["digest"] == f"sha256:{digest}"


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("gzip6n", "gzip-6"), ("gzip9n", "gzip-9"), ("python9", "zlib-9"), ("python-gzipfile6", "zlib-6")],
)
def test_layers_of_gzip_and_python_are_made_again(imgconv, saved, name, encoder):
    manifest = REBUILT / f"{name}.manifest.json"
    done = imgconv("match", saved, manifest, "--to", "oci", "layout")
    assert done.status == 0
    assert f"  {encoder}  " in done.out
    # The address that it reports holds the real destination.
    assert "use oci:layout" in done.err
    check_layout("layout", manifest.read_bytes())


@pytest.mark.parametrize("pushed", PUSHED, ids=lambda one: one["by"])
def test_what_docker_and_crane_pushed_is_made_again(imgconv, archive, pushed):
    Path("manifest.json").write_text(pushed["manifest"])
    done = imgconv("match", archive(pushed["archive"]), "manifest.json", "--to", "oci", "layout")
    assert done.status == 0
    check_layout("layout", pushed["manifest"].encode())


def test_the_index_alone_is_enough_for_a_manifest_of_a_known_tool(imgconv, archive):
    source = archive(PUSHED[0]["archive"])
    raw = PUSHED[0]["manifest"].encode()
    child = {
        "mediaType": json.loads(raw)["mediaType"],
        "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "size": len(raw),
    }
    Path("index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [child]}))
    done = imgconv("match", source, "index.json", "--to", "oci", "layout")
    assert done.status == 0
    check_layout("layout", raw)


def unknown_manifest():
    """Write a manifest that lists a layer of no encoder."""
    document = json.loads((REBUILT / "pigz.manifest.json").read_text())
    document["layers"][0]["digest"] = "sha256:" + "1" * 64
    Path("unknown.json").write_text(json.dumps(document))
    return "unknown.json"


def test_a_layer_that_stays_unknown_is_status_1_and_nothing_is_written(imgconv, saved):
    done = imgconv("match", saved, unknown_manifest(), "--to", "oci", "layout")
    assert done.status == 1
    assert "unknown" in done.out
    assert "nothing was written" in done.err
    assert not Path("layout").exists()


def test_a_manifest_of_another_image_is_status_1(imgconv, archive):
    done = imgconv("match", archive("docker20-html"), REBUILT / "gzip9n.manifest.json")
    assert done.status == 1
    assert "no image in the source has the config sha256:b69f5010" in done.err


@pytest.mark.parametrize("known", [True, False])
def test_the_json_fits_its_schema(imgconv, saved, known):
    done = imgconv("match", saved, REBUILT / "gzip9n.manifest.json" if known else unknown_manifest(), "--json")
    assert findings(done.json, "report-match") == []
    assert done.json["complete"] is known


def test_a_time_in_the_header_is_suspected(imgconv, saved):
    manifest = json.loads((REBUILT / "python9.manifest.json").read_text())
    manifest["layers"][0]["digest"] = "sha256:" + "0" * 64
    Path("manifest.json").write_text(json.dumps(manifest))
    done = imgconv("match", saved, "manifest.json")
    assert done.status == 1
    assert "zlib-9 would fit, with a time in the gzip header" in done.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("absent.json",), 4),
        (("saved.tar",), 3),
        ((REBUILT / "gzip9n.manifest.json", "--to", "oci"), 2),
        ((REBUILT / "gzip9n.manifest.json", "out"), 2),
        ((REBUILT / "gzip9n.manifest.json", "--to", "docker-save", "out"), 2),
        ((REBUILT / "gzip9n.manifest.json", "--to", "oci", "saved.tar"), 2),
    ],
)
def test_requests_and_inputs_that_are_wrong(imgconv, saved, arguments, status):
    done = imgconv("match", saved, *arguments)
    assert done.status == status
    assert done.out == ""
    assert done.err.count("\n") == 1


#: A change of the registry's manifest, and what is said: such a manifest fits no image.
LIES = {
    "config size": (lambda it: it["config"].update(size=it["config"]["size"] + 1), "its descriptor"),
    "config data": (lambda it: it["config"].update(data="aGk="), "(data)"),
    "config type": (lambda it: it["config"].update(mediaType="application/vnd.example+json"), "its config is"),
    "layer data": (lambda it: it["layers"][0].update(data="aGk="), "(data)"),
    "two spellings": (lambda it: it["layers"][0].update({"\u017fize": 1}), "mean the same"),
    "MediaType of an index": (
        lambda it: it.update({"MEDIATYPE": "application/vnd.oci.image.index.v1+json", "mediaType": None}),
        "mean the same",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_manifest_that_lies_is_refused_and_nothing_written(imgconv, saved, name):
    """What imgconv would not read back it does not write."""
    change, said = LIES[name]
    document = json.loads((REBUILT / "gzip6n.manifest.json").read_bytes())
    change(document)
    Path("lie.json").write_text(json.dumps(document))
    for words in ((), ("--to", "oci", "layout"), ("--to", "docker-oci", "archive.tar")):
        done = imgconv("match", saved, "lie.json", *words)
        assert done.status == 3, done.err
        assert said in done.err
    assert not Path("layout").exists()


def test_two_sizes_for_one_layer_are_not_both_found(imgconv, tmp_path, monkeypatch):
    """The size is part of what a layer has to match, also the second time."""
    monkeypatch.chdir(tmp_path)
    twice = config(DIFF_ID, DIFF_ID)
    raw = dump(twice)
    Path("saved.tar").write_bytes(
        Docker(config=twice, layers={"a.tar": PLAIN}, item={"Layers": ["a.tar", "a.tar"]}).build()
    )
    layer = {"mediaType": LAYER, "digest": DIFF_ID, "size": len(PLAIN)}
    document = {
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}",
            "size": len(raw),
        },
        "layers": [layer, {**layer, "size": len(PLAIN) + 1}],
    }
    Path("lie.json").write_text(json.dumps(document))
    assert imgconv("match", "saved.tar", "lie.json", "--to", "oci", "layout").status == 1
    assert not Path("layout").exists()
