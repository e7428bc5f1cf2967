"""`inspect --files`: what is in layers, for real archives, against an independent count and against dive."""

import io
import json
import subprocess
import sys
import tarfile

import fixtures
import jsonschema
import pytest
from hostile.building import config
from oracle import waste as oracle
from oracle.reading import members, plain, sha256, unpacked
from support import MATCH, READ

import convert
from convert import limits
from convert.jsonio import schema
from convert.layer.contents import listing

#: Archives of `docker save` and others with a manifest.json, small ones with something in their layers.
ARCHIVES = [
    *(
        MATCH / f"{name}.tar.gz"
        for name in ("docker20-html", "docker20-duplayer", "docker20-multi", "docker29-hybrid-duplayer")
    ),
    *(
        READ / f"{name}.tar.gz"
        for name in (
            "docker-save-overwrite-file",
            "kaniko-busybox",
            "podman-test-info",
            "docker-engine-test-info",
            "docker-save-unnamed",
            "bazel-bundle-two-images-bare-tags",
            "docker-layer-symlink-attack",
        )
    ),
]

#: What dive's own code (dive/image/docker and dive/image/analysis.go at d6c6919, built with Go 1.26) gives for each
#: archive, converted to docker-save: layers, size, size without the lowest layer, waste, paths, efficiency.
DIVE = {
    "docker-save-dive-14-layers.tar": (14, 1220598, 66237, 32025, 3, 0.9844212134184309),
    "docker-save-no-repositories-file.tar": (4, 32, 26, 20, 3, 0.6875),
    "docker-save-overwrite-file.tar": (2, 46, 29, 46, 1, 0.3695652173913043),
    "kaniko-dive-14-layers.tar": (14, 1326410, 94677, 46245, 3, 0.9793688490216431),
    # From docker-oci: dive takes a layer that is a link in a docker-save archive for empty.
    "kaniko-49-layers.tar": (49, 4197682, 192, 192, 1, 0.9999552133772878),
    "docker-save-java-uberjar.tar": (2, 2565326, 2556545, 0, 0, 1),
    "docker-save-symlinks.tar": (2, 12, 0, 0, 0, 1),
    "jib-busybox-lowercase-keys.tar": (2, 1223906, 12, 0, 0, 1),
    "skopeo-distroless-base.tar.gz": (2, 64573, 41371, 0, 0, 1),
    "docker-save-operator-bundle.tar": (2, 351775, 402, 0, 0, 1),
    "oci-sylabs-whiteout-file": (2, 6, 3, 3, 1, 0.5),
}


def faults(document):
    validator = jsonschema.Draft202012Validator(schema.load("report-inspect"))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_archives_of_tools_count_as_the_independent_count_has_them(path):
    report = convert.inspect(path, files=True)
    assert faults(report.document) == []
    images = {image["image_id"]: image for image in report.document["images"]}
    files = members(plain(path))
    listed = json.loads(files["manifest.json"])
    assert listed
    for entry in listed:
        image = images[sha256(files[entry["Config"]])]
        layers = [oracle.layer_of(io.BytesIO(unpacked(files[name]))) for name in entry["Layers"]]
        waste, efficiency, wasted, parts = oracle.dive(layers)
        found = image["contents"]
        assert (found["waste"], found["efficiency"], found["wasted_paths"]) == (waste, efficiency, len(wasted))
        hidden = [layer["contents"]["hidden"] for layer in image["layers"]]
        keys = ("overwritten_files", "overwritten_size", "deleted_files", "deleted_size")
        assert [[one[key] for key in keys] for one in hidden] == oracle.hidden(layers)
        assert [one["waste"] for one in hidden] == parts
        assert [layer["contents"]["size"] for layer in image["layers"]] == [size for *_, size in layers]
        assert found["complete"]


@pytest.mark.parametrize("name", DIVE)
def test_the_figures_of_dive(name):
    [image] = convert.inspect(fixtures.get(f"images/{name}"), files=True).document["images"]
    found = image["contents"]
    assert (
        len(image["layers"]),
        found["size"],
        found["upper_size"],
        found["waste"],
        found["wasted_paths"],
        found["efficiency"],
    ) == DIVE[name]


def test_layers_are_not_looked_into_unless_it_is_asked_for():
    report = convert.inspect(ARCHIVES[0])
    assert report.contents is None
    [image] = report.document["images"]
    assert image["contents"] is None
    assert {layer["contents"] for layer in image["layers"]} == {None}
    assert not any(layer["verified"] for layer in image["layers"])


def layer(*named):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, size in named:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    return out.getvalue()


def archive_of(path, *layers, diff_ids=None, repeated=1):
    """Write a docker-save archive with these layers, which its image lists `repeated` times."""
    built = {"config.json": json.dumps(config(*(diff_ids or [sha256(raw) for raw in layers] * repeated))).encode()}
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    built |= dict(zip(names, layers, strict=True))
    names *= repeated
    built["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": names}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in built.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_damaged_layer_is_listed_as_far_as_it_goes(tmp_path):
    whole = layer(("a", 700), ("b", 700), ("c", 700))
    path = archive_of(
        tmp_path / "x.tar", layer(("a", 5)), whole[:2000], diff_ids=[sha256(layer(("a", 5))), sha256(whole)]
    )
    report = convert.inspect(path, files=True)
    assert report.status == 3
    assert faults(report.document) == []
    [image] = report.document["images"]
    below, damaged = image["layers"]
    assert below["contents"]["complete"]
    assert below["verified"]
    assert below["contents"]["hidden"]["overwritten_size"] == 5
    assert not damaged["contents"]["complete"]
    assert not damaged["verified"]
    assert damaged["contents"]["files"] >= 1
    assert not image["contents"]["complete"]


def test_a_layer_that_is_not_what_names_it_is_a_problem(tmp_path):
    path = archive_of(tmp_path / "x.tar", layer(("a", 5)), diff_ids=["sha256:" + "0" * 64])
    report = convert.inspect(path, files=True)
    assert [problem.code for problem in report.problems] == ["diff-id-mismatch"]
    assert not report.document["images"][0]["layers"][0]["contents"]["complete"]


def test_verify_and_files_find_the_same_facts():
    documents = [convert.inspect(ARCHIVES[0], verify=verify, files=True).document for verify in (True, False)]
    assert documents[0] == documents[1]
    keys = ("digest", "plain_size", "verified", "problem")
    checked = convert.inspect(ARCHIVES[0], verify=True).document["images"][0]["layers"]
    assert [[one[key] for key in keys] for one in checked] == [
        [one[key] for key in keys] for one in documents[0]["images"][0]["layers"]
    ]


def test_more_files_than_the_limit_count_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_LISTED_FILES", 3)
    path = archive_of(tmp_path / "x.tar", layer(("a", 1), ("b", 2)), layer(("c", 4), ("a", 8), ("d/e", 16)))
    report = convert.inspect(path, files=True)
    [image] = report.document["images"]
    lower, upper = (one["contents"] for one in image["layers"])
    assert (lower["left_out"], upper["left_out"], upper["size"], upper["files"]) == (0, 2, 28, 1)
    assert (image["contents"]["size"], image["contents"]["complete"]) == (31, False)
    assert [note["code"] for note in report.document["notes"]] == ["files-not-listed"]


def test_more_paths_than_the_limit_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("convert.layer.contents.largest.MAX_SHOWN_PATHS_SIZE", 2)
    path = archive_of(tmp_path / "x.tar", layer(("a", 1), ("b", 2)), layer(("a", 4)))
    report = convert.inspect(path, files=True)
    [image] = report.document["images"]
    assert [len(one["contents"]["largest_files"]) for one in image["layers"]] == [2, 0]
    assert (image["contents"]["waste"], image["contents"]["wasted"]) == (5, [])
    assert [note["code"] for note in report.document["notes"]] == ["paths-not-shown"]


def test_more_images_than_can_be_compared(monkeypatch):
    monkeypatch.setattr("convert.layer.contents.read.MAX_COMPARED_FILES", 0)
    monkeypatch.setattr("convert.layer.contents.read.MAX_COMPARED_TIMES", 0)
    report = convert.inspect(ARCHIVES[0], files=True)
    assert faults(report.document) == []
    [image] = report.document["images"]
    assert image["contents"] is None
    assert {one["contents"]["hidden"] for one in image["layers"]} == {None}
    assert [note["code"] for note in report.document["notes"]] == ["images-not-compared"]


def test_layers_are_compared_as_many_times_as_the_limit(tmp_path, monkeypatch):
    """Beside that a number of files may be compared, of whatever layers."""
    monkeypatch.setattr("convert.layer.contents.read.MAX_COMPARED_TIMES", 2)
    path = archive_of(tmp_path / "x.tar", layer(("a", 1), ("b", 2)), repeated=3)
    for number, codes in ((1, ["images-not-compared"]), (2, [])):
        monkeypatch.setattr("convert.layer.contents.read.MAX_COMPARED_FILES", number)
        assert [note["code"] for note in convert.inspect(path, files=True).document["notes"]] == codes


def test_a_path_too_deep_is_left_out(tmp_path):
    path = archive_of(tmp_path / "x.tar", layer(("d/" * limits.MAX_NAME_PARTS + "a", 7), ("b", 1)))
    [image] = convert.inspect(path, files=True).document["images"]
    found = image["layers"][0]["contents"]
    assert (found["left_out"], found["files"], found["size"]) == (1, 1, 8)


NAMES = ["\x1b[31mred", "\u202ecod.exe", "[bold]x[/bold]", "a\nb", "##[error]x", "<script>", "\udcff\udcfe"]


def test_names_in_layers_are_no_commands_for_a_terminal(tmp_path, monkeypatch, capsys):
    from convert.cli.main import run

    monkeypatch.setenv("COLUMNS", "200")
    path = archive_of(tmp_path / "x.tar", *(layer((name, 100)) for name in NAMES), layer((NAMES[0], 9)))
    assert run(["inspect", str(path), "--files"]) == 0
    printed = capsys.readouterr().out
    assert "[bold]x[/bold]" in printed
    assert not {"\x1b", "\u202e", "\udcff"} & set(printed)
    assert "##[" not in printed
    assert run(["inspect", str(path), "--files", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert faults(document) == []
    layers = document["images"][0]["layers"]
    paths = {each["path"] for one in layers for each in one["contents"]["largest_files"]}
    assert {"\x1b[31mred", "\\xff\\xfe"} <= paths


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read from /proc")
def test_memory_does_not_grow_with_files(tmp_path):
    """Names go into a temporary file. A million files, measured by hand, take as much as these."""
    script = (
        "import convert, re, sys\n"
        "found = convert.inspect(sys.argv[1], files=True).document['images'][0]\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(found['layers'][0]['contents']['files'], peak)\n"
    )
    head = tarfile.TarInfo("0" * 60).tobuf(tarfile.USTAR_FORMAT)
    most = []
    for count in (10_000, 150_000):
        names = (b"d%03d/e%03d/%050d" % (number % 997, number % 89, number) for number in range(count))
        raw = b"".join(renamed(head, name) for name in names) + bytes(1024)
        path = archive_of(tmp_path / f"{count}.tar", raw, layer((".wh.d001", 0)))
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=600
        )
        files, peak = map(int, done.stdout.split())
        assert files == count
        most.append(peak)
    # In KiB; the cache of the database is at most 8 MiB.
    assert most[1] - most[0] < 20 << 10


def renamed(head, name):
    """Return a header of tar with another name of the same length or shorter."""
    raw = bytearray(head)
    raw[:100] = name.ljust(100, b"\0")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)
