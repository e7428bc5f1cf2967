"""v1 IDs: every value here was taken out of an archive that the tool itself wrote."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import fixtures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import FormatError, NotRepresentableError
from convert.identity import v1_id
from convert.identity.v1_id import Engine, V1Entry
from convert.identity.v1_id.ggcr import chain_free
from convert.model.config import Config
from convert.model.digest import Digest

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "testdata/match/v1-ids.json").read_bytes())

A, B = (Digest.of(letter) for letter in (b"a", b"b"))


def parse(document: object) -> Config:
    raw = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return Config.parse(raw, where="x.tar", member="config.json")


def with_layers(*diff_ids: Digest, **fields: object) -> Config:
    return parse({"rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}, **fields})


def wanted(case) -> list[V1Entry]:
    return [V1Entry(v1_id, file.encode()) for v1_id, file in zip(case["v1_ids"], case["layer_json"], strict=True)]


def cases(scheme: str):
    return pytest.mark.parametrize("case", GOLDEN[scheme], ids=lambda case: case["name"])


@cases("docker")
def test_docker_gives_what_engine_20_10_wrote(case):
    assert v1_id.docker(parse(case["config"])) == wanted(case)


@cases("skopeo")
def test_skopeo_gives_what_containers_image_wrote(case):
    assert v1_id.skopeo(parse(case["config"])) == wanted(case)


@cases("chain_free")
def test_chain_free_gives_what_go_containerregistry_wrote(case):
    digests = [Digest.parse(text) for text in case["layer_digests"]]
    assert chain_free(parse(case["config"]), digests) == wanted(case)


@cases("docker")
def test_chain_ids_are_those_of_the_engine(case):
    diff_ids = [Digest.parse(text) for text in case["diff_ids"]]
    assert [str(chain_id) for chain_id in v1_id.chain_ids(diff_ids)] == case["chain_ids"]


def test_a_chain_id_hashes_the_one_below_and_the_diff_id():
    """image-spec config.md, "Layer ChainID": one space, both with their prefix."""
    below, top = v1_id.chain_ids([A, B])
    assert below == A
    assert top.hex == hashlib.sha256(f"{A} {B}".encode()).hexdigest()
    assert v1_id.chain_ids([]) == []


def test_the_lowest_layer_of_every_image_has_one_id():
    """The preimage as moby's code spells it out; nothing of the config is in it."""
    nothing = (
        '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
        '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,'
        '"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}'
    )
    preimage = f'{{"container_config":{nothing},"created":"1970-01-01T00:00:00Z","layer_id":"{A}"}}'
    lowest = v1_id.docker(with_layers(A, B, os="linux", author="me"))[0]
    assert lowest.v1_id == hashlib.sha256(preimage.encode()).hexdigest()
    assert json.loads(lowest.json)["os"] == "linux"


class TestDockerEngines:
    """What differs in the v1 json of 25 and 29 (docs/formats-docker.md#dockers-scheme)."""

    @staticmethod
    def top(engine: Engine, **fields: object):
        (entry,) = v1_id.docker(with_layers(A, **fields), engine)
        assert json.loads(entry.json)["id"] == entry.v1_id
        return json.loads(entry.json)

    def test_a_missing_creation_time_is_the_year_1_before_25_and_null_since(self):
        assert self.top(Engine.DOCKER_20)["created"] == "0001-01-01T00:00:00Z"
        assert self.top(Engine.DOCKER_25)["created"] is None
        assert self.top(Engine.DOCKER_29)["created"] is None

    def test_health_checks_have_a_start_interval_since_25(self):
        config = {"Healthcheck": {"StartInterval": 5, "Retries": 1}}
        assert self.top(Engine.DOCKER_20, config=config)["config"]["Healthcheck"] == {"Retries": 1}
        for engine in (Engine.DOCKER_25, Engine.DOCKER_29):
            check = self.top(engine, config=config)["config"]["Healthcheck"]
            assert list(check.items()) == [("StartInterval", 5), ("Retries", 1)]

    def test_29_knows_no_mac_address_and_drops_an_empty_onbuild(self):
        config = {"MacAddress": "02:42:ac:11:00:02", "OnBuild": []}
        assert self.top(Engine.DOCKER_25, config=config)["config"]["OnBuild"] == []
        assert self.top(Engine.DOCKER_25, config=config)["config"]["MacAddress"] == "02:42:ac:11:00:02"
        newest = self.top(Engine.DOCKER_29, config=config)
        assert "OnBuild" not in newest["config"]
        assert "OnBuild" not in newest["container_config"]
        assert "MacAddress" not in newest["config"]

    def test_29_normalises_ports(self):
        config = {"ExposedPorts": {"443/TCP": {}, "80": {}, "080/tcp": {}, "53/udp": {}, "": {}}}
        ports = self.top(Engine.DOCKER_29, config=config)["config"]["ExposedPorts"]
        assert list(ports) == ["", "443/tcp", "53/udp", "80/tcp"]
        assert set(self.top(Engine.DOCKER_25, config=config)["config"]["ExposedPorts"]) == set(config["ExposedPorts"])

    @pytest.mark.parametrize("port", ["x", "80-90/tcp", "65536", "+80", "/tcp", "٨٠"])
    def test_29_refuses_what_is_no_port(self, port):
        config = with_layers(A, config={"ExposedPorts": {port: {}}})
        with pytest.raises(FormatError, match="is not a valid port"):
            v1_id.docker(config, Engine.DOCKER_29)
        assert v1_id.docker(config)

    def test_29_escapes_backspace_and_form_feed_as_newer_go_does(self):
        config = with_layers(A, author="\b\f")
        assert b'"author":"\\u0008\\u000c"' in v1_id.docker(config)[0].json
        assert b'"author":"\\b\\f"' in v1_id.docker(config, Engine.DOCKER_29)[0].json

    def test_a_command_given_as_a_string_is_an_array_of_it_for_every_engine(self):
        for engine in Engine:
            assert self.top(engine, config={"Cmd": "sh"})["config"]["Cmd"] == ["sh"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"config": {"Env": "A=b"}}, "config.Env: expected an array of strings, found a string"),
        ({"created": "yesterday"}, "created: 'yesterday' is not a valid RFC 3339 time"),
        ({"Size": 1.5}, "Size: expected a 64-bit integer"),
        ({"config": {"Cmd": [], "cmd": []}}, "mean the same"),
    ],
)
def test_a_config_that_no_engine_loads_is_refused_with_its_name(fields, message):
    with pytest.raises(FormatError, match=rf"^x\.tar: config\.json: .*{message}"):
        v1_id.docker(with_layers(A, **fields))


class TestChainFree:
    def test_an_id_is_made_of_digest_parent_and_at_the_top_the_config(self):
        config = with_layers(A, A)
        lower, top = chain_free(config, [A, B])
        assert lower.v1_id == hashlib.sha256(f"{A.hex} ".encode()).hexdigest()
        assert top.v1_id == hashlib.sha256(f"{B.hex} {lower.v1_id} ".encode() + config.raw).hexdigest()

    def test_a_history_of_empty_layers_alone_is_as_none(self):
        (entry,) = chain_free(with_layers(A, history=[{"created_by": "ENV", "empty_layer": True}]), [A])
        assert json.loads(entry.json)["container_config"] == {"Cmd": [""]}

    def test_a_history_for_another_number_of_layers_is_refused(self):
        with pytest.raises(NotRepresentableError, match="history: its entries do not match the 1 layers"):
            chain_free(with_layers(A, history=[{}, {}]), [A])

    def test_a_creation_time_that_is_none_is_refused(self):
        with pytest.raises(
            FormatError, match=r"^x\.tar: config\.json: history\[0\]\.created: 'x' is not a valid RFC 3339 time"
        ):
            chain_free(with_layers(A, B, history=[{"created": "x"}, {}]), [A, B])

    def test_every_layer_needs_its_digest(self):
        with pytest.raises(ValueError, match="1 digests for 2 layers"):
            chain_free(with_layers(A, B), [A])


def test_an_image_without_layers_has_no_v1_ids():
    empty = parse({})
    assert v1_id.docker(empty) == v1_id.skopeo(empty) == chain_free(empty, []) == []


@given(st.lists(st.sampled_from([A, B]), min_size=1, max_size=5), st.text(max_size=3))
def test_no_two_layers_of_an_image_share_an_id(diff_ids, author):
    """Even if their content is the same: each stands on another parent."""
    config = with_layers(*diff_ids, author=author)
    for entries in (v1_id.docker(config), v1_id.skopeo(config), chain_free(config, diff_ids)):
        assert len({entry.v1_id for entry in entries}) == len(diff_ids)
        parents = [json.loads(entry.json).get("parent") for entry in entries]
        assert parents == [None, *(entry.v1_id for entry in entries[:-1])]


# Archives of the tools themselves, not in this repository.

DOCKER_IN_UTC = [
    "vectors/docker20-byid.tar.gz",
    "vectors/docker20-duplayer.tar.gz",
    "vectors/docker20-html.tar.gz",
    "vectors/docker20-import.tar.gz",
    "vectors/docker20-multi.tar.gz",
    "vectors/docker20-oddconfig.tar.gz",
    "vectors/docker20-parents.tar.gz",
    "vectors/docker24-html.tar.gz",
    "images/docker-save-3-level-jar.tar",
    "images/docker-save-almost-empty.tar",
    "images/docker-save-alpine-3.10.tar.gz",
    "images/docker-save-alpine-3.11.tar.gz",
    "images/docker-save-busybox-jib.tar",
    "images/docker-save-hello-world-other-layer.tar",
    "images/docker-save-helloscratch.tar",
    "images/docker-save-java-uberjar.tar",
    "images/docker-save-minitag.tar",
    "images/docker-save-openjdk-test.tar",
    "images/docker-save-osless.tar",
    "images/docker-save-overwrite-file.tar",
    "images/docker-save-poetry.tar",
    "images/docker-save-registry-name.tar.xz",
    "images/docker-save-symlinks.tar",
    "images/docker-save-two-images-layer-symlink.tar.xz",
    "images/docker-save-unnamed.tar.xz",
]


def archive(name: str) -> dict[str, bytes]:
    """Return the small regular members of an archive."""
    with tarfile.open(fixtures.get(name)) as tar:
        return {
            member.name: stream.read()
            for member in tar
            if member.size < 1 << 20 and (stream := tar.extractfile(member)) is not None and member.isreg()
        }


def images(members: dict[str, bytes]):
    for item in json.loads(members["manifest.json"]):
        yield item, Config.parse(members[item["Config"]], where="", member=item["Config"])


@pytest.mark.parametrize("name", DOCKER_IN_UTC)
def test_docker_save_archives_hold_these_ids_and_files(name):
    members = archive(name)
    for item, config in images(members):
        entries = v1_id.docker(config)
        assert item["Layers"] == [f"{entry.v1_id}/layer.tar" for entry in entries]
        for entry in entries:
            assert members[f"{entry.v1_id}/json"] == entry.json


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("vectors/docker25-hybrid-html.tar.gz", Engine.DOCKER_25),
        ("vectors/docker29-hybrid-byid.tar.gz", Engine.DOCKER_29),
        ("vectors/docker29-hybrid-duplayer.tar.gz", Engine.DOCKER_29),
        ("vectors/docker29-hybrid-html.tar.gz", Engine.DOCKER_29),
        ("images/docker25-busybox-armv7.tar", Engine.DOCKER_25),
        ("images/docker25-untagged-null-manifests.tar", Engine.DOCKER_25),
    ],
)
def test_docker_25_archives_hold_these_files_as_blobs(name, engine):
    members = archive(name)
    for _, config in images(members):
        for entry in v1_id.docker(config, engine):
            assert members[f"blobs/sha256/{Digest.of(entry.json).hex}"] == entry.json


@pytest.mark.parametrize(
    "name",
    [
        "vectors/skopeo-docker-archive.tar.gz",
        "vectors/podman-docker-archive.tar.gz",
        "images/podman-test-info.tar",
        "images/podman-cnb-builder-symlinks.tar",
    ],
)
def test_skopeo_and_podman_archives_hold_these_ids_and_files(name):
    members = archive(name)
    held = {member for member in members if member.endswith("/json")}
    for _, config in images(members):
        entries = v1_id.skopeo(config)
        # An archive whose layers were cut away by hand may lack the upper ones.
        files = {f"{entry.v1_id}/json": entry.json for entry in entries}
        found = held & files.keys()
        assert found
        assert {member: members[member] for member in found} == {member: files[member] for member in found}
        held -= found
    assert not held


def test_go_containerregistry_archives_hold_these_ids_and_files():
    members = archive("vectors/ggcr-legacy.tar.gz")
    ((item, config),) = images(members)
    # The compressed layers are not in the archive; the golden case has their digests.
    (case,) = (case for case in GOLDEN["chain_free"] if case["config"].encode() == config.raw)
    entries = chain_free(config, [Digest.parse(text) for text in case["layer_digests"]])
    assert item["Layers"] == [f"{entry.v1_id}/layer.tar" for entry in entries]
    assert [members[f"{entry.v1_id}/json"] for entry in entries] == [entry.json for entry in entries]


def test_the_golden_file_is_that_of_the_shared_vectors():
    vectors = json.loads(fixtures.get("vectors/v1-ids.json").read_bytes())
    for here, there in (("docker", "moby"), ("skopeo", "containers_image"), ("chain_free", "ggcr_legacy")):
        for case, vector in zip(GOLDEN[here], vectors[there], strict=True):
            assert case.items() <= vector.items()
