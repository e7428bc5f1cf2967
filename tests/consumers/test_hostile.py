"""Archives that are built to make `doctor` fail or work without end. Work is bounded by counts, not by time."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from cases import SETTINGS, tar
from layouts import CONFIG, INDEX, MANIFEST, REF_NAME, Layout, digest_of, dumps, named, tar_of

import convert
from convert import cancel
from convert.archive.open import open_source
from convert.consumers import docker, umoci
from convert.consumers.consumer import newest
from convert.consumers.contents import Contents
from convert.consumers.diagnose import diagnose
from convert.consumers.rule import Verdict
from convert.consumers.unpack import config_of
from convert.consumers.values import UnknownError
from convert.errors import ImgconvError
from convert.jsonio import strict
from convert.limits import MAX_ALL_VALUES, MAX_LAYERS
from convert.model.platform import Platform

HOST = Platform("linux", "amd64")
NAMED = {"annotations": {REF_NAME: "1"}}


def descriptor(number, media_type, size=1):
    """Return a descriptor with a digest that nothing has."""
    return {"mediaType": media_type, "digest": f"sha256:{number:064x}", "size": size}


def false_documents(folder, documents, *tops):
    """Write a layout whose documents stand under false digests, and return its path."""
    built = Layout(folder)
    for number, document in enumerate(documents):
        built.path(descriptor(number, "")).write_bytes(dumps(document))
    return built.write(*tops)


@pytest.fixture
def checks(monkeypatch):
    """Count the calls of the check for signals; each loop over what an archive lists makes one."""
    count = [0]

    def check():
        count[0] += 1
        assert count[0] < 20_000, "work without a bound"

    monkeypatch.setattr(cancel, "check", check)
    return count


def verdicts(path):
    """Return the verdict of every consumer."""
    with open_source(str(path)) as opened:
        return {each.consumer.name: each.verdict for each in diagnose(Contents(opened, HOST), newest())}


# -- work ----------------------------------------------------------------------------------


def test_indexes_with_false_digests_are_not_followed(tmp_path, checks):
    documents = [
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(number + 1, INDEX)] * 60}
        for number in range(7)
    ]
    path = false_documents(tmp_path / "layout", documents, descriptor(0, INDEX) | NAMED)
    assert not any(verdict.fits for verdict in verdicts(path).values())


def test_indexes_that_list_one_another_many_times_are_unknown(tmp_path, checks):
    built = Layout(tmp_path / "layout")
    child = built.image("a")
    for _ in range(6):
        child = built.index(*[child] * 60)
    path = built.write(named(child, "example.com/app:1"))
    found = verdicts(path)
    assert found["umoci"] is Verdict.UNKNOWN
    assert found["skopeo"] is Verdict.UNKNOWN
    assert not any(verdict.fits for verdict in found.values())


def test_manifests_are_counted_only_to_the_second(tmp_path, monkeypatch):
    built = Layout(tmp_path / "layout")
    path = built.write(built.index(*[built.image("a")] * 1000) | NAMED)
    with open_source(path) as opened:
        contents = Contents(opened, HOST)
        assert len(contents.tops[0].children) == 1000
        count = [0]
        monkeypatch.setattr(cancel, "check", lambda: count.__setitem__(0, count[0] + 1))
        assert umoci.ambiguous(contents)
    assert count[0] < 10


def docker_archive(path, diff_ids, layers):
    """Write a docker archive with a config of these DiffIDs."""
    config = dumps(SETTINGS | {"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    item = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": layers}
    return tar(path, {"a": tar_of("a"), "c.json": config, "manifest.json": dumps([item])})


def test_chains_of_diff_ids_take_linear_memory(tmp_path):
    import tracemalloc

    count = MAX_LAYERS
    path = docker_archive(tmp_path / "x.tar", [""] * count, ["a"] * count)
    with open_source(str(path)) as opened:
        contents = Contents(opened, HOST)
        assert len(contents.items[0].layers) == count
        tracemalloc.start()
        assert docker.missing_layer(contents) == ""
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1000 * count


@pytest.mark.parametrize(
    ("second", "missing"), [(["a", "b"], ""), (["b", "a"], "layer gone is"), (["a"], ""), (["a", "c"], "layer gone is")]
)
def test_a_registered_chain_is_not_looked_for(second, missing, tmp_path):
    files = {"a": tar_of("a"), "b": tar_of("b")}
    items = []
    for name, diff_ids, layers in (("1", ["a", "b"], ["a", "b"]), ("2", second, ["gone"] * 2)):
        files[name] = dumps(SETTINGS | {"rootfs": {"type": "layers", "diff_ids": diff_ids}})
        items.append({"Config": name, "RepoTags": None, "Layers": layers})
    path = tar(tmp_path / "x.tar", files | {"manifest.json": dumps(items)})
    with open_source(str(path)) as opened:
        assert docker.missing_layer(Contents(opened, HOST)).startswith(missing)
        assert bool(missing) == bool(docker.missing_layer(Contents(opened, HOST)))


def test_more_layers_than_an_image_may_have_are_unknown(tmp_path):
    count = MAX_LAYERS + 1
    path = docker_archive(tmp_path / "x.tar", [], ["a"] * count)
    built = Layout(tmp_path / "layout")
    layout = built.write(built.manifest([None] * count, []) | NAMED)
    with open_source(str(path)) as opened, pytest.raises(UnknownError):
        _ = Contents(opened, HOST).items
    with open_source(layout) as opened:
        contents = Contents(opened, HOST)
        # Asking again does not find what was read before the reason.
        for _ in range(2):
            with pytest.raises(UnknownError):
                _ = contents.tops


def test_documents_with_false_digests_are_not_parsed(tmp_path, monkeypatch):
    parsed = []
    real = strict.parse
    monkeypatch.setattr(strict, "parse", lambda raw, **more: parsed.append(more["member"]) or real(raw, **more))
    built = Layout(tmp_path / "layout")
    for number in range(50):
        built.path(descriptor(number, MANIFEST)).write_bytes(b'{"config":{}}')
    index = built.index(*(descriptor(number, MANIFEST) for number in range(50)))
    path = built.write(index | NAMED)
    with open_source(path) as opened:
        (top,) = Contents(opened, HOST).tops
    assert len(top.children) == 50
    assert all(child.keys is None and child.was_read and not child.intact for child in top.children)
    assert len(parsed) == 2


BIG = b'{"x":[' + b",".join([b"[]"] * 90_000) + b"]}"


def all_configs(contents):
    """Yield what each entry has as its config."""
    return (config_of(contents, top.config) for top in contents.tops)


@pytest.mark.parametrize("what", ["manifests", "configs"])
def test_all_documents_together_are_limited(what, tmp_path, monkeypatch):
    values = [0]
    real = strict.parse

    def parse(raw, **more):
        values[0] += raw.count(b",") + raw.count(b"[")
        return real(raw, **more) if len(raw) < 50_000 else {}

    monkeypatch.setattr(strict, "parse", parse)
    built = Layout(tmp_path / "layout")
    tops = []
    for number in range(30):
        raw = BIG[:-1] + b',"n":%d}' % number
        if what == "manifests":
            tops.append(built.blob(raw, MANIFEST))
        else:
            tops.append(built.manifest([], [], config=built.blob(raw, CONFIG)))
    path = built.write(*tops)
    with open_source(path) as opened:
        contents = Contents(opened, HOST)
        for _ in range(2):
            with pytest.raises(UnknownError):
                list(all_configs(contents))
    assert values[0] < MAX_ALL_VALUES + 200_000


# -- types ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": ["x"]},
        {"annotations": "x"},
        {"annotations": {"a": 1}},
        {"platform": []},
        {"platform": {"os": 1, "architecture": "amd64"}},
        {"platform": {"os": "linux", "architecture": ["amd64"]}},
        {"platform": {"os": "linux", "architecture": "amd64", "os.features": 3}},
        {"size": -5},
        {"size": "5"},
        {"size": 1 << 63},
        {"size": 1.5},
        {"size": True},
        {"urls": [1]},
        {"data": "é"},
        {"mediaType": 1},
        {"digest": 1},
        {"digest": "sha256:x"},
    ],
    ids=json.dumps,
)
def test_a_descriptor_with_wrong_types_is_unknown(change, tmp_path):
    built = Layout(tmp_path / "layout")
    path = built.write(named(built.image("a"), "example.com/app:1") | change)
    with open_source(path) as opened, pytest.raises(UnknownError):
        _ = Contents(opened, HOST).tops
    assert not any(verdict.fits for verdict in verdicts(path).values())


def places(value, path=()):
    """Yield the path of every value below a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield (*path, key)
        yield from places(each, (*path, key))


def replaced(document, place, value):
    """Return a document with another value at a place."""
    result = copy.deepcopy(document)
    inner = result
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return result


OTHER = st.sampled_from([None, 0, -1, 1.5, True, "", "x", "sha256:x", [], ["x"], [None], [[]], {}, {"os": 1}, {"": []}])
RICH = SETTINGS | {
    "config": {"Cmd": ["a"], "Env": ["A=b"], "Labels": {"a": "b"}},
    "history": [{"created_by": "a", "empty_layer": False}],
}


def a_docker_archive(change):
    """Return the files of a docker archive, each document changed by a function of its name and value."""
    layer = tar_of("a")
    config = dumps(change("config", RICH | {"rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}))
    item = {"Config": "c.json", "RepoTags": ["example.com/a:1"], "Layers": ["a.tar"], "LayerSources": {"a": {}}}
    return {
        "a.tar": layer,
        "c.json": config,
        "manifest.json": dumps(change("manifest.json", [item])),
        "repositories": dumps(change("repositories", {"example.com/a": {"1": "a"}})),
    }


def a_layout(change):
    """Return the files of a layout of an index with one image, changed in the same way."""
    files = {}

    def described(name, value, media_type, **more):
        raw = value if isinstance(value, bytes) else dumps(change(name, value))
        files["blobs/sha256/" + digest_of(raw)[7:]] = raw
        return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw)} | more

    layer = described("", tar_of("a"), MANIFEST.replace("manifest.v1+json", "layer.v1.tar"))
    config = described("config", RICH | {"rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}, CONFIG)
    both = {"schemaVersion": 2}
    manifest = described(
        "manifest", both | {"mediaType": MANIFEST, "config": config, "layers": [layer]}, MANIFEST, platform=SETTINGS
    )
    index = described("index", both | {"mediaType": INDEX, "manifests": [manifest]}, INDEX)
    top = named(index, "example.com/app:1")
    files["index.json"] = dumps(change("index.json", both | {"manifests": [top]}))
    files["oci-layout"] = dumps(change("oci-layout", {"imageLayoutVersion": "1.0.0"}))
    return files


def written(path, files, *, folder):
    """Write an archive as a folder or a tar."""
    if not folder:
        return tar(path, files)
    for name, raw in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def documents_of(built):
    """Return the documents of an archive by name."""
    documents = {}
    built(documents.setdefault)
    return documents


def changing(name, place, value):
    """Return a function that replaces one value in one document."""
    return lambda this, document: document if this != name else replaced(document, place, value) if place else value


@pytest.mark.parametrize(
    ("built", "name"), [(built, name) for built in (a_docker_archive, a_layout) for name in documents_of(built) if name]
)
def test_no_value_of_another_type_makes_the_rules_fail(built, name, tmp_path):
    """Each value of each document, replaced by one of each type: what else than an error of imgconv fails here."""
    document = documents_of(built)[name]
    for number, place in enumerate([(), *places(document)]):
        for kind, value in enumerate([None, 1, "x", ["x"], {"x": 1}]):
            files = built(changing(name, place, value))
            path = written(tmp_path / f"{number}-{kind}", files, folder=built is a_layout)
            with open_source(str(path)) as opened, contextlib.suppress(ImgconvError):
                diagnose(Contents(opened, HOST), newest())


@given(st.data(), st.sampled_from([a_docker_archive, a_layout]), st.booleans())
@settings(max_examples=60)
def test_no_json_makes_doctor_fail(data, built, folder):
    """Documents in which one value has another type."""
    documents = documents_of(built)
    name = data.draw(st.sampled_from(sorted(filter(None, documents))))
    place = data.draw(st.sampled_from([(), *places(documents[name])]))
    files = built(changing(name, place, data.draw(OTHER)))
    with tempfile.TemporaryDirectory() as temporary, contextlib.suppress(ImgconvError):
        convert.doctor(written(Path(temporary) / "source", files, folder=folder))
