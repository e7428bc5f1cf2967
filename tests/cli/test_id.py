"""`imgconv id`: exact output and exit status.

Image IDs are those in the worked example of docs/formats.md#identifiers or, for the archives of other
projects, what their index lists. The digests that containerd shows were read off
containerd 2.3 (`ctr images import` into an empty namespace) and Docker 29 with
the containerd store (`docker load`, then `docker image inspect`).
"""

import hashlib
import json
import re
import tarfile
from pathlib import Path

import fixtures
import pytest

from convert.cli import id_
from convert.identity.engine_id import Engine
from convert.jsonio import schema

HTML = "sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5"
MULTI = {
    "linux/ppc64le": "sha256:95c8ec09e2cfbe076f246ec68111eaab7fd0457f266ec5e31a0b4cdd68b65630",
    "linux/amd64": "sha256:2975c50d0cc5405dabb6ee8d8f1b95c49994c9e2a62772dec45a3c812f9229ca",
}
INDEX = "sha256:ce1cac3b06a0f7eaa8d84ed28268d552343970981c09d4af740bc9f5466e4bc2"

#: Archive -> name -> what containerd shows.
CONTAINERD = {
    "docker20-html": {
        "fmt-html:1": "768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285",
        "fmt-html:zz": "768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285",
        "example.com:5000/ns/html:v1": "768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285",
    },
    "docker20-multi": {
        "fmt-imp:1": "02dd4cc8e5c59d35a1eec8055ce6a9a994dafab050ee41e3f4d9248296c57e67",
        "fmt-c:oci": "1ad2721998349e49ca6edb268462684c5eb4c20a83a617ae047a865ac7db176a",
        "fmt-html:1": "768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285",
        "fmt-c:nocreated2": "8b43b8d0d2c51a6b8297f7776144424bda392b1739a042672c07d90adc95fedc",
        "fmt-imp:2": "a6c12c355c94b609d069d0a798287bc07770282dafe3450978f0911fd9460751",
        "fmt-scr:1": "a7adfc20a09c45a742023445477e42c2cfaaa7e143b59f60d43a29ea9337f0f5",
        "fmt-c:dup": "f39f58dd602b1fb518160dc81d15a5d740827571c17388559c5aaf94f0eca6af",
    },
    "docker20-duplayer": {"fmt-c:dup": "f39f58dd602b1fb518160dc81d15a5d740827571c17388559c5aaf94f0eca6af"},
    "skopeo-docker-archive": {"example.com/x/y:z": "3b02982288a7a26f0a7f6dd2b8dd4bdb540f6b20a0b134f473de30326025f04c"},
    "podman-docker-archive": {
        "localhost/fmt-html:1": "768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285"
    },
    "crane-tarball": {"example.com/x/y:z": "81b844528a584f3f1e25c155d72a6cab895e01776b80561d67e83ee47acaaedc"},
    "docker25-hybrid-html": {"fmt-html:1": "150992ac5bb47888d35f1eb21b1190905dee8d38d6a187ffcee2518068f3e5ff"},
    "docker29-hybrid-html": {"fmt-html:zz": "150992ac5bb47888d35f1eb21b1190905dee8d38d6a187ffcee2518068f3e5ff"},
    "containerd29-export-multiplatform": {"mp:1": INDEX.removeprefix("sha256:")},
}
#: The same of published archives.
CONTAINERD_SHARED = {
    "docker-save-dive-14-layers.tar": "a9a2a5d0a9e42278e5289e2ae21dfb2ddda433876ef8e7d3984bb87f85f09ea1",
    "kaniko-dive-14-layers.tar": "ffeb2054e638855e50920ae1f420b66ad2a10bef99654c4d56b7c4dbe50f66fa",
    "docker25-busybox-armv7.tar": "7aabb59a4cd2e069234070f763403f230d03117b93d55ba531952f9f697b19c3",
    "docker-save-symlinks.tar": "1a61b204b31559df60624da7af747ede093e832f56d1d3af8db60a582a992f73",
    "docker-engine-test-info.tar": "51cebcea13ceba46f6316dd55e1a13edd3da8ddc7de6d651fd285bd670f69104",
    "containerd-busybox-attestation.tar": "183b1c266030c632d6d7decc62be45b72509c6a48c81b32a31d5ab58e91cb92a",
    "bazel-symlinked-layer.tar": "db57ad2c9f0d1098cf4f6cf6036d83da864a5e47ac852b0fb0e231a9ae0f266e",
}


def test_each_image_has_a_line_with_its_names(imgconv, archive):
    done = imgconv("id", archive("docker20-html"))
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{HTML}  fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz\n"


def test_an_image_without_a_name_says_so(imgconv, archive):
    done = imgconv("id", archive("docker20-byid"))
    assert (done.status, done.out) == (0, f"{HTML}  <none>\n")


def test_the_platforms_of_an_index_are_told_apart(imgconv, archive):
    done = imgconv("id", archive("containerd29-export-multiplatform"))
    assert (done.status, done.err) == (0, "")
    assert done.out == "".join(f"{digest}  mp:1 ({platform})\n" for platform, digest in MULTI.items())


@pytest.mark.parametrize(
    "ref",
    [
        "fmt-html:1",
        "docker.io/library/fmt-html:zz",
        "example.com:5000/ns/html",
        HTML,
        "sha256:78739f62",
        "7873",
    ],
)
def test_one_ref_prints_just_the_id(imgconv, archive, ref):
    done = imgconv("id", archive("docker20-html"), ref)
    assert (done.status, done.out, done.err) == (0, f"{HTML}\n", "")


def test_a_ref_in_the_spelling_of_source_is_one(imgconv, archive):
    done = imgconv("id", f"docker-archive:{archive('docker20-html')}:fmt-html:zz")
    assert (done.status, done.out) == (0, f"{HTML}\n")


def test_several_refs_print_lines_in_their_order(imgconv, archive):
    done = imgconv("id", archive("docker20-multi"), "fmt-imp:1", "fmt-html:1")
    lines = done.out.splitlines()
    assert [line.split()[1] for line in lines] == ["fmt-imp:1", "fmt-html:1"]
    assert lines[1] == f"{HTML}  fmt-html:1"


def test_an_unknown_ref_lists_those_that_are_there(imgconv, archive):
    done = imgconv("id", archive("docker20-html"), "busybox")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "imgconv: docker20-html.tar: no image 'busybox' in the source "
        "(it holds fmt-html:1, example.com:5000/ns/html:v1, fmt-html:zz)\n"
    )


def test_a_name_of_several_platforms_is_no_single_id(imgconv, archive):
    done = imgconv("id", archive("containerd29-export-multiplatform"), "mp:1")
    assert (done.status, done.out) == (2, "")
    assert "this name stands for 2 platforms: linux/ppc64le sha256:95c8" in done.err
    picked = imgconv("id", "containerd29-export-multiplatform.tar", MULTI["linux/amd64"][:15])
    assert (picked.status, picked.out) == (0, MULTI["linux/amd64"] + "\n")


@pytest.mark.parametrize("engine", ["docker", "podman", "cri-o"])
def test_engines_that_keep_configs_show_the_configs_digest(imgconv, archive, engine):
    assert imgconv("id", archive("docker20-html"), "fmt-html:1", "--engine", engine).out == f"{HTML}\n"


@pytest.mark.parametrize("engine", ["docker-containerd", "containerd"])
@pytest.mark.parametrize("name", CONTAINERD)
def test_engines_that_keep_manifests_show_what_they_really_show(imgconv, archive, name, engine):
    path = archive(name)
    for ref, expected in CONTAINERD[name].items():
        done = imgconv("id", path, ref, "--engine", engine)
        assert (done.status, done.out) == (0, f"sha256:{expected}\n")


@pytest.mark.parametrize("name", CONTAINERD_SHARED)
def test_published_archives_have_the_ids_that_docker_29_showed(imgconv, name):
    done = imgconv("id", fixtures.get(f"images/{name}"), "--engine", "docker-containerd")
    assert done.status == 0
    assert {line.split()[0] for line in done.out.splitlines()} == {f"sha256:{CONTAINERD_SHARED[name]}"}


def test_layers_are_read_only_where_an_id_needs_them_and_that_is_said(imgconv, archive):
    path = archive("crane-tarball")
    assert imgconv("id", path).err == ""
    done = imgconv("id", path, "--engine", "containerd")
    with tarfile.open(path) as tar:
        compressed = sum(member.size for member in tar if member.name.endswith(".tar.gz"))
    assert done.err == f"imgconv: {path}: read {compressed} bytes of compressed layers without a listed digest\n"


def test_json_holds_the_ids_of_all_engines(imgconv, archive):
    done = imgconv("id", archive("docker20-html"), "--json")
    assert (done.status, done.err) == (0, "")
    assert schema_findings(done.json, "report-id") == []
    (image,) = done.json["images"]
    imported = "sha256:" + CONTAINERD["docker20-html"]["fmt-html:1"]
    assert image["engines"] == {
        "docker": HTML,
        "docker-containerd": imported,
        "podman": HTML,
        "cri-o": HTML,
        "containerd": imported,
    }
    assert image["names"] == ["fmt-html:1", "example.com:5000/ns/html:v1", "fmt-html:zz"]
    assert (image["image_id"], image["manifest_digest"], image["platform"]) == (HTML, None, "linux/amd64")


def test_json_says_what_it_would_take_to_know_more(imgconv, archive):
    done = imgconv("id", archive("crane-tarball"), "--json")
    assert done.json["images"][0]["engines"]["containerd"] is None
    assert [note["code"] for note in done.json["notes"]] == ["no-containerd-id"]
    read = imgconv("id", "crane-tarball.tar", "--json", "--engine", "containerd").json
    assert read["images"][0]["engines"]["containerd"] == "sha256:" + CONTAINERD["crane-tarball"]["example.com/x/y:z"]
    assert read["notes"] == []


def test_an_archive_that_an_engine_does_not_load_has_no_id_there(imgconv, archive):
    path = archive("legacy-repositories-only")
    assert imgconv("id", path, "fmt-leg:1").status == 0
    done = imgconv("id", path, "fmt-leg:1", "--engine", "containerd")
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("containerd has no ID for fmt-leg:1: containerd reads no archive without manifest.json\n")


def test_a_lost_layer_leaves_the_id(imgconv, archive):
    lost = archive("docker20-html", lambda name, data: None if name.endswith("/layer.tar") else data)
    done = imgconv("id", lost, "fmt-html:1")
    assert (done.status, done.out) == (0, f"{HTML}\n")
    assert len(done.err.splitlines()) == 1
    assert "is missing, though manifest.json names it as [0].Layers[0]" in done.err


def test_damage_that_hides_an_id_leaves_the_names(imgconv, archive):
    def rot(name, data):
        return data.replace(b"linux", b"limux") if b'"architecture":"amd64"' in data and b"rootfs" in data else data

    path = archive("containerd29-export", lambda name, data: data[:-1] if b'"layers"' in data else data)
    done = imgconv("id", path)
    assert (done.status, done.out) == (3, "-  fmt-html:1 example.com/x/y:z\n")
    # The manifest, which is sound, still says what the config's digest must be.
    rotten = imgconv("id", archive("containerd29-export", rot))
    assert rotten.status == 3
    assert rotten.out.splitlines()[0] == f"{MULTI['linux/amd64']}  fmt-html:1 example.com/x/y:z"


def test_a_ref_counts_only_the_damage_that_it_meets(imgconv, archive):
    """index.json still names the image whose manifest is damaged: that one is not known, others are not there."""
    path = archive("containerd29-export", lambda name, data: data[:-1] if b'"layers"' in data else data)
    done = imgconv("id", path, "fmt-html:1")
    assert (done.status, done.out) == (3, "")
    assert "no image" not in done.err
    assert done.err.count("\n") == 1
    done = imgconv("id", path, "nosuch:1")
    assert (done.status, done.out) == (2, "")
    assert "no image 'nosuch:1'" in done.err


def test_control_characters_and_markup_are_shown_as_text(imgconv, archive):
    def hostile(name, data):
        if name not in {"index.json", "manifest.json"}:
            return data
        value = json.loads(data)
        if name == "manifest.json":
            value[0]["RepoTags"] = ["\x1b[31mgreen[/]"]
        else:
            entry = value["manifests"][0]
            entries = [
                {**entry, "annotations": {"org.opencontainers.image.ref.name": text}}
                for text in ("\x1b[31mred[/]", "\u202e[bold]x")
            ]
            value["manifests"] = entries
        return json.dumps(value).encode()

    path = archive("containerd29-export", hostile)
    done = imgconv("id", path)
    assert done.out.endswith('  "\\x1b[31mred[/]" "\\u202e[bold]x"\n')
    assert "\\x1b[31mgreen" in done.err
    assert "\x1b" not in done.err
    shown = imgconv("inspect", path)
    assert "\x1b" not in shown.out
    assert '"\\x1b[31mred[/]" "\\u202e[bold]x"' in shown.out


def test_what_is_no_image_has_no_id(imgconv, tmp_path):
    layout = tmp_path / "layout"
    layout.mkdir()
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    done = imgconv("id", layout)
    assert (done.status, done.out) == (3, "")
    assert done.err.startswith(f"imgconv: {layout}: the source holds no image")
    assert done.err.count("\n") == 1
    assert imgconv("id", tmp_path / "nowhere.tar").status == 4
    (tmp_path / "text.tar").write_text("no tar " * 200)
    assert imgconv("id", tmp_path / "text.tar").status == 3


def test_forty_gigabytes_are_not_read(imgconv, tmp_path):
    """Layers are holes of 8 GiB each; the process reads a few kilobytes of the file."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        pytest.skip("this system does not count what a process reads")
    path = tmp_path / "big.tar"
    image_id = write_sparse_archive(path, layers=5, size=8 << 30)
    imgconv("id", path)  # imports are no part of it
    before = read_bytes(counters)
    done = imgconv("id", path)
    assert (done.status, done.out) == (0, f"{image_id}  big:1\n")
    assert read_bytes(counters) - before < 200_000


def test_the_option_knows_every_engine():
    assert list(id_._ENGINES) == [engine.value for engine in Engine]


def published():
    if reason := fixtures.problem("images/INDEX.md"):
        return [pytest.param("", set(), False, id="none", marks=pytest.mark.skip(reason=reason))]
    text = fixtures.get("images/INDEX.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = []
    for row in rows:
        name = row[0].removeprefix("| ").rstrip("/")
        ids = set(re.findall(r"image ID (sha256:[0-9a-f]{64})", row[-1]))
        # Damage is in bold. The config of the signature is called an image config, but what it signs with
        # is not a layer: to imgconv it is an artifact (docs/contract.md#images-and-artifacts).
        if ids and "**" not in row[-1] and name != "oci-mirror-cosign-signature":
            found.append(pytest.param(name, ids, "more images" in row[-1], id=name))
    return found


@pytest.mark.parametrize(("name", "ids", "cut_short"), published())
def test_published_archives_have_the_image_ids_that_others_found(imgconv, name, ids, cut_short):
    path = fixtures.get(f"images/{name}")
    done = imgconv("id", path)
    shown = {line.split()[0] for line in done.out.splitlines()}
    assert done.status == 0
    if cut_short:
        assert ids <= shown
    elif path.is_dir():
        # There the configs of attestations are listed too.
        assert shown
        assert shown <= ids
    else:
        assert shown == ids


def schema_findings(document, name):
    import jsonschema

    validator = jsonschema.Draft202012Validator(schema.load(name))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def read_bytes(counters):
    return int(re.search(r"rchar: (\d+)", counters.read_text())[1])


def write_sparse_archive(path, *, layers, size):
    diff_ids = ["sha256:" + hashlib.sha256(str(number).encode()).hexdigest() for number in range(layers)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    image_id = hashlib.sha256(config.encode()).hexdigest()
    names = [hashlib.sha256(text.encode()).hexdigest() + "/layer.tar" for text in diff_ids]
    manifest = [{"Config": f"{image_id}.json", "RepoTags": ["big:1"], "Layers": names}]
    with path.open("wb") as file:
        for name in names:
            header = tarfile.TarInfo(name)
            header.size = size
            file.write(header.tobuf(tarfile.PAX_FORMAT))
            file.seek(size, 1)
        for name, data in ((f"{image_id}.json", config.encode()), ("manifest.json", json.dumps(manifest).encode())):
            header = tarfile.TarInfo(name)
            header.size = len(data)
            file.write(header.tobuf() + data + bytes(-len(data) % 512))
        file.write(bytes(1024))
    return f"sha256:{image_id}"
