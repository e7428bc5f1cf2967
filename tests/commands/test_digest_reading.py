"""`digest` with all pushers reads a source once, and each pusher finds in it what it finds alone."""

from __future__ import annotations

import collections

import pytest
from hostile.building import Docker, Layout, config, sha256
from hostile.test_hostile import CASES, IDS

import convert
from convert.archive.tree import Tree
from convert.errors import ImgconvError, InputError, UsageError
from convert.identity import manifest
from convert.identity.push.pushers import BUILDAH, CRANE, DOCKER, PODMAN, PUSHERS, SKOPEO
from convert.identity.push.tool import PushTool
from convert.jsonio import strict
from convert.layer import stored_digests
from convert.model.config import Config
from convert.model.reference import Reference
from convert.reader import shared_documents
from convert.reader.readings import Readings

TAGS = [f"example.com/app:{number}" for number in range(20)]
#: Readers that different pushers have of a docker archive with an index: crane, the rest, containerd, imgconv.
READINGS = 4


def docker(path):
    path.write_bytes(Docker(tags=TAGS).build())


def docker_of_several_images(path):
    extra = tuple((f"c{number}.json", config(number=number)) for number in range(3))
    items = [{"Config": name, "RepoTags": [f"a:{name[1]}"], "Layers": ["layer.tar"]} for name, _ in extra]
    path.write_bytes(Docker(manifest=items, extra=tuple((name, _dump(value)) for name, value in extra)).build())


def _dump(value):
    import json

    return json.dumps(value).encode()


def layout_archive(path):
    path.write_bytes(Layout().build())


def layout_folder(path):
    path.mkdir()
    Layout().write(path)


def converted(to):
    def make(path):
        source = path.with_name("source.tar")
        docker(source)
        convert.convert(source, path, to=to)

    make.__name__ = to
    return make


FORMS = [
    docker, docker_of_several_images, layout_archive, layout_folder,
    *map(converted, ("docker-save", "docker-save@25", "docker-oci", "crane", "oci")),
]  # fmt: skip


@pytest.fixture(params=FORMS, ids=lambda make: make.__name__)
def source(request, tmp_path):
    path = tmp_path / "source"
    request.param(path)
    return path


def counted(monkeypatch, owner, name, key):
    """Return a counter of the calls of a function from now on, by what `key` returns of the arguments."""
    counts = collections.Counter()
    real = getattr(owner, name)

    def count(*args, **more):
        counts[key(*args, **more)] += 1
        return real(*args, **more)

    monkeypatch.setattr(owner, name, count)
    return counts


def test_each_document_is_read_once_for_all_pushers(source, monkeypatch):
    reads = counted(monkeypatch, Tree, "read", lambda _, name, *rest: name)
    report = convert.digest(source)
    assert len({pushed.pusher.tool for pushed in report.pushed}) > 1
    assert max(reads.values()) == 1
    assert {"manifest.json", "index.json"} & reads.keys()


def test_each_config_and_name_is_parsed_once_for_all_pushers(source, monkeypatch):
    parses = counted(monkeypatch, strict, "parse", lambda raw, *, member, **rest: member)
    names = counted(monkeypatch, Reference, "parse", lambda text: text)
    convert.digest(source)
    assert parses["manifest.json"] <= 1
    assert parses["config.json"] <= 2  # once for its layers, and once to be decoded as all tools do
    # What a layout lists is parsed again by those who read it together with manifest.json.
    assert all(count <= READINGS for count in parses.values())
    assert all(count <= READINGS - 1 for count in names.values())


def test_a_config_is_one_object_for_all_pushers(source, monkeypatch):
    parses = counted(monkeypatch, Config, "parse", lambda raw, **rest: sha256(raw))
    report = convert.digest(source)
    assert parses
    assert set(parses.values()) == {1}
    configs = {pushed.node.image_id: set() for pushed in report.pushed}
    for pushed in report.pushed:
        configs[pushed.node.image_id].add(pushed.node.config)
    assert {len(each) for each in configs.values()} == {1}


def test_a_manifest_that_several_tools_write_is_made_once(tmp_path, monkeypatch):
    docker_of_several_images(tmp_path / "in.tar")
    made = counted(monkeypatch, manifest, "docker_manifest", lambda config, layers: config.digest)
    report = convert.digest(tmp_path / "in.tar")
    alike = [pushed for pushed in report.pushed if pushed.pusher.tool in {PODMAN, SKOPEO, BUILDAH}]
    assert len(alike) == 5 * len(made)
    assert len({pushed.digest for pushed in alike}) == len(made)
    assert set(made.values()) == {1}


def test_the_first_bytes_of_a_layer_are_read_once_for_all_pushers(source, monkeypatch):
    looks = counted(monkeypatch, stored_digests, "compression_of", lambda blob: blob.where)
    convert.digest(source)
    assert all(count <= 2 for count in looks.values())  # crane has a reading of its own


def test_a_layer_of_several_images_is_described_once_by_each_pusher(tmp_path, monkeypatch):
    docker_of_several_images(tmp_path / "in.tar")
    described = counted(monkeypatch, PushTool, "describe", lambda tool, _, uploaded: (tool, uploaded))
    report = convert.digest(tmp_path / "in.tar")
    assert {tool for tool, _ in described} == {CRANE, DOCKER}
    assert len({pushed.node for pushed in report.pushed if pushed.pusher.tool is DOCKER}) == 3 * 2
    assert set(described.values()) == {1}


def test_documents_that_are_not_kept_are_read_again(source, monkeypatch):
    wanted = convert.digest(source)
    monkeypatch.setattr(shared_documents, "MAX_KEPT_DOCUMENTS_SIZE", 0)
    assert _rows(convert.digest(source)) == _rows(wanted)


def test_what_changes_between_two_readings_is_not_taken_for_verified(tmp_path, monkeypatch):
    """A document that was read again was verified with other bytes."""
    path = tmp_path / "archive"
    converted("docker-oci")(path)
    monkeypatch.setattr(shared_documents, "MAX_KEPT_DOCUMENTS_SIZE", 0)
    real = Tree.read
    seen = collections.Counter()

    def read(self, name, *rest):
        seen[name] += 1
        raw = real(self, name, *rest)
        return raw.replace(b"amd64", b"arm64") if seen[name] > 1 else raw

    monkeypatch.setattr(Tree, "read", read)
    # Without the models that are shared, every reading verifies what it reads.
    monkeypatch.setattr(Readings, "read", lambda self, reader, sink: reader(self.start(sink)))
    with pytest.raises(InputError) as raised:
        convert.digest(path)
    assert raised.value.code == "document-digest-mismatch"


def _rows(report):
    rows = [(each.pusher.name, each.names, each.digest, each.media_type, each.size) for each in report.pushed]
    return rows, [(each.pusher.name, each.reason, each.code) for each in report.refused], list(report.warnings)


def _outcome(source, pushers=(), **options):
    """Return the rows, refusals and warnings, or the error."""
    try:
        return _rows(convert.digest(source, pushers=pushers, jobs=1, **options))
    except ImgconvError as error:
        return error


def same_as_alone(source, **options):
    """Check that all pushers together find what each finds alone."""
    together = _outcome(source, **options)
    alone = {pusher: _outcome(source, [pusher.name], **options) for pusher in PUSHERS}
    rows, refused, warnings = [], [], set()
    for pusher, found in alone.items():
        if isinstance(found, UsageError):
            refused.append((pusher.name, found.message, found.code))
        elif isinstance(found, ImgconvError):
            # The first error that is not a refusal ends the run.
            assert isinstance(together, ImgconvError)
            assert (together.code, str(together)) == (found.code, str(found))
            return
        else:
            rows += found[0]
            warnings |= set(found[2])
    if isinstance(together, ImgconvError):
        assert not rows
        assert str(together) == str(alone[PUSHERS[-1]])
        return
    assert together[0] == rows
    assert together[1] == refused
    assert set(together[2]) >= warnings


def test_all_pushers_together_find_what_each_finds_alone(source):
    same_as_alone(source)
    same_as_alone(source, images=["example.com/app:1"])


def test_a_descriptor_that_crane_pushes_as_given_is_verified_for_the_others(tmp_path):
    (case,) = [case for case in CASES if case.name == "LayerSources of a foreign layer that lie"]
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    assert convert.digest(source, pushers=["crane"]).pushed
    with pytest.raises(InputError):
        convert.digest(source)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_all_pushers_together_find_in_a_hostile_source_what_each_finds_alone(case, tmp_path):
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    same_as_alone(source)
    same_as_alone(source, images=["example.com/app:1"])
