"""`imgconv inspect`: exact output and exit status.

DiffIDs, ChainIDs and v1 IDs of docker20-html are those of the worked
example in docs/formats.md#identifiers; who wrote each archive stands in testdata/match/archives/README.md.
"""

import gzip
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import fixtures
import jsonschema
import pytest
from hostile.building import DIFF_ID, PLAIN, Docker, config, dump

from convert.jsonio import schema

ROOT = Path(__file__).parents[2]
HTML = "sha256:78739f629b263dfbcccf88218563348eb0785077bae8756eca62147ddbd10ee5"
AMD64 = "383ba1401e01c3bdaab0e8ff91054ae6845ce3ae2493def90f3c027302e84455"
IMPORTED = "sha256:768741c5396a2ffff583a2c9ad54b0c4d72dff10b6761d1250d826c79a8f6285"

NARROW = f"""\
docker20-html.tar
format   docker-save
from     docker save of Docker 1.10 to 20.10, a distribution's build (v1
         folders, manifest.json with a newline; modes with file type bits; user
         name root)

fmt-html:1 example.com:5000/ns/html:v1 fmt-html:zz  linux/amd64
image ID {HTML}
manifest none in the source
         containerd makes this one when it imports it:
         {IMPORTED}
created  2026-11-20T23:05:33.070919797Z
shown by docker, podman, cri-o: image ID; docker-containerd, containerd:
         manifest
layers   3 layers, 13.8 kB
#   DiffID             ChainID            v1 ID              layer digest
─────────────────────────────────────────────────────────────────────────
1   14421e24818de21e   14421e24818de21e   d87fce61b59ba2c6   -
2   90ff0f1d477cc397   ad16b4d69995070b   29f4f89b67113011   -
3   b289c5f7d62199c7   b7c218cba8140db8   d7884205ab1bf589   -

#      size   unpacked   stored as   made by
────────────────────────────────────────────────────────────────────────────────
1   10.2 kB    10.2 kB   none        Imported from -
2    1.5 kB     1.5 kB   none        /bin/bash -c #(nop) WORKDIR /w
3    2.0 kB     2.0 kB   none        /bin/bash -c #(nop) COPY file:00ec16333078…
12 further steps of the history made no layer.
"""

WIDE_TABLE = """\
#   DiffID             ChainID            v1 ID              layer digest      size   unpacked   stored as   made by
{rule}
1   14421e24818de21e   14421e24818de21e   d87fce61b59ba2c6   -              10.2 kB    10.2 kB   none        \
Imported from -
2   90ff0f1d477cc397   ad16b4d69995070b   29f4f89b67113011   -               1.5 kB     1.5 kB   none        \
/bin/bash -c #(nop) WORKDIR /w
"""

#: Archive -> start of the tool's name.
PRODUCERS = {
    "docker20-html": "docker save of Docker 1.10 to 20.10, a distribution's build",
    "docker24-html": "docker save of Docker 24",
    "docker25-hybrid-html": "docker save of Docker 25 or later",
    "docker29-hybrid-byid": "docker save of Docker 25 or later",
    "containerd29-export": "Docker with the containerd store",
    "containerd29-export-multiplatform": "Docker with the containerd store",
    "crane-tarball": "crane",
    "ggcr-legacy": "crane, or another tool of go-containerregistry (legacy format)",
    "skopeo-docker-archive": "skopeo, podman or buildah",
    "podman-docker-archive": "podman or buildah",
    "podman-oci-archive": "podman or buildah",
    "legacy-repositories-only": "docker save before 1.10",
}


@pytest.fixture
def columns(monkeypatch):
    """Make the terminal so many columns wide."""
    return lambda width: monkeypatch.setenv("COLUMNS", str(width))


def test_eighty_columns_show_everything(imgconv, archive, columns):
    columns(80)
    done = imgconv("inspect", archive("docker20-html"))
    assert (done.status, done.err) == (0, "")
    assert done.out == NARROW
    assert max(map(len, done.out.splitlines())) <= 80


def test_wide_terminals_get_one_line_a_layer(imgconv, archive, columns):
    columns(160)
    done = imgconv("inspect", archive("docker20-html"))
    assert WIDE_TABLE.format(rule="─" * 160) in done.out
    assert max(map(len, done.out.splitlines())) <= 160


@pytest.mark.parametrize("width", [20, 40, 79, 80, 120, 139, 140, 300])
def test_no_line_is_wider_than_the_terminal(imgconv, archive, columns, width):
    columns(width)
    done = imgconv("inspect", archive("containerd29-export-multiplatform"))
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= width


@pytest.mark.parametrize(
    ("stated", "width"), [("0", 80), ("00", 80), ("1", 20), ("9" * 30, 10_000), ("-1", 80), ("x", 80)]
)
def test_a_number_of_columns_that_no_terminal_has_changes_no_status(imgconv, stated, width, monkeypatch, tmp_path):
    """Without a column nothing was printed, and with very many there was no memory."""
    source = tmp_path / "in.tar"
    source.write_bytes(Docker().build())
    for command in ("inspect", "doctor", "digest"):
        monkeypatch.setenv("COLUMNS", str(width))
        wanted = imgconv(command, source)
        assert wanted.out
        monkeypatch.setenv("COLUMNS", stated)
        assert imgconv(command, source) == wanted


def test_an_index_is_shown_with_what_is_absent(imgconv, archive, columns):
    columns(80)
    done = imgconv("inspect", archive("containerd29-export-multiplatform"))
    assert "linux/arm64     image   aaaaaaaaaaaaaaaa   -                  no\n" in done.out
    assert "linux/amd64     image   383ba1401e01c3bd   2975c50d0cc5405d   yes\n" in done.out
    assert done.out.count("\nindex    sha256:ce1cac3b06a0f7eaa8d84ed28268d552343970981c09d4af740bc9f5466e4bc2\n") == 2


def test_colours_are_for_terminals_and_no_color_turns_them_off(archive):
    path = archive("docker20-html")
    code = "import sys; from convert.cli.main import run; sys.exit(run(['inspect', sys.argv[1]]))"

    def shown(**environment):
        try:
            ours, theirs = os.openpty()
        except OSError:
            pytest.skip("no terminals here")
        environment |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PATH": os.environ["PATH"]}
        with subprocess.Popen([sys.executable, "-P", "-c", code, path], stdout=theirs, env=environment) as process:
            os.close(theirs)
            output = b""
            while True:
                try:
                    output += os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
            os.close(ours)
        assert process.returncode == 0
        assert HTML.encode() in output
        return output

    cyan = b"\x1b[1;36m"
    assert cyan in shown()
    assert cyan not in shown(NO_COLOR="1")
    assert b"36m" not in shown(NO_COLOR="1")


def test_the_environment_does_not_change_json(archive):
    path = archive("docker20-html")
    code = "import sys; from convert.cli.main import run; sys.exit(run(sys.argv[1:]))"
    outputs = set()
    for environment in (
        {},
        {"COLUMNS": "20", "NO_COLOR": "1", "TERM": "dumb"},
        {"FORCE_COLOR": "1", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, "inspect", "--json", path],
            capture_output=True,
            check=True,
            env={"PYTHONPATH": str(ROOT), **environment},
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_json_holds_every_name_of_a_layer(imgconv, archive):
    done = imgconv("inspect", archive("docker20-html"), "--json")
    assert findings(done.json) == []
    (image,) = done.json["images"]
    assert image["image_id"] == HTML
    assert image["v1_ids"] == "source"
    assert [layer["diff_id"][7:19] for layer in image["layers"]] == ["14421e24818d", "90ff0f1d477c", "b289c5f7d621"]
    assert [layer["chain_id"] for layer in image["layers"]][1:] == [
        "sha256:ad16b4d69995070b99ffa8018932bd24fccce92054ee8d4f9ad6762388d0209c",
        "sha256:b7c218cba8140db8f25d5732b62badfdbad96be7ab0434131f662864df9493d0",
    ]
    assert [layer["v1_id"] for layer in image["layers"]] == [
        "d87fce61b59ba2c6fea46297c5703a18280f8503eab476cab40e42882f718a37",
        "29f4f89b671130112bc8988a31eae7d685ef8d4707ce8644eba1d7543820dcfa",
        "d7884205ab1bf589e8202adb2cae735555acb3affe2231227e5fa673760022bb",
    ]
    assert [layer["digest"] for layer in image["layers"]] == [None] * 3
    assert [layer["verified"] for layer in image["layers"]] == [False] * 3


def test_v1_ids_are_computed_where_the_source_has_none(imgconv, archive):
    """Docker's own v1 folders of docker20-html are the expected values."""
    own = imgconv("inspect", archive("docker20-html"), "--json").json["images"][0]
    computed = imgconv("inspect", archive("docker29-hybrid-html"), "--json").json["images"][0]
    assert computed["v1_ids"] == "docker"
    assert [layer["v1_id"] for layer in computed["layers"]] == [layer["v1_id"] for layer in own["layers"]]


def test_an_image_inside_an_index_keeps_names_of_its_own(imgconv, archive):
    """index.json names the index mp:1 and, behind it, one of its images."""

    def change(name, data):
        if name != "index.json":
            return data
        index = json.loads(data)
        (top,) = index["manifests"]
        own = {"io.containerd.image.name": "docker.io/library/own:2", "org.opencontainers.image.ref.name": "2"}
        child = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{AMD64}",
            "size": sizes[f"blobs/sha256/{AMD64}"],
            "annotations": own,
        }
        return json.dumps(index | {"manifests": [child, top, child]}).encode()

    path = archive("containerd29-export-multiplatform")
    with tarfile.open(path) as tar:
        sizes = {member.name: member.size for member in tar}
    path = archive("containerd29-export-multiplatform", change)
    done = imgconv("inspect", path, "--json", "--graph", "names.svg")
    assert done.status == 0
    names = {image["manifest_digest"].removeprefix("sha256:"): image["names"] for image in done.json["images"]}
    assert len(names) == 2
    assert names.pop(AMD64) == ["own:2"]
    assert list(names.values()) == [["mp:1"]]
    drawing = Path("names.svg").read_text(encoding="utf-8")
    assert ">own:2</text>" in drawing
    assert ">mp:1</text>" in drawing


def test_verify_reads_and_proves_all_layers(imgconv, archive):
    done = imgconv("inspect", archive("crane-tarball"), "--verify", "--json")
    assert (done.status, done.err) == (0, "")
    layers = done.json["images"][0]["layers"]
    assert all(layer["verified"] for layer in layers)
    # crane names its layers by their digests: labels to the reader, here the expected values.
    assert [layer["member"] for layer in layers] == [
        layer["digest"].removeprefix("sha256:") + ".tar.gz" for layer in layers
    ]
    assert [layer["plain_size"] for layer in layers] == [10240, 1536, 2048]
    # What crane's layers are called being known, so is what containerd makes of them.
    imported = "sha256:81b844528a584f3f1e25c155d72a6cab895e01776b80561d67e83ee47acaaedc"
    assert done.json["images"][0]["engines"]["containerd"] == imported


def test_verify_finds_a_layer_that_is_another(imgconv, archive, columns):
    columns(80)

    def change(name, data):
        return data[:-1] + b"x" if name.endswith("layer.tar") and len(data) == 2048 else data

    path = archive("docker20-html", change)
    assert imgconv("inspect", path).status == 0
    done = imgconv("inspect", path, "--verify")
    assert done.status == 3
    assert "expected sha256:b289c5f7d62199c7d7126fc3a04b7865d34ce5383769f09b7872d35920af54b9" in done.err
    assert [
        line.split()[6] for line in done.out.splitlines() if line.startswith(("1  ", "2  ", "3  ")) and "kB" in line
    ] == [
        "ok",
        "ok",
        "BAD",
    ]
    report = imgconv("inspect", path, "--verify", "--json")
    assert [layer["verified"] for layer in report.json["images"][0]["layers"]] == [True, True, False]
    assert findings(report.json) == []


def test_a_lost_layer_is_told_and_the_rest_shown(imgconv, archive, columns):
    columns(80)
    path = archive(
        "docker20-html", lambda name, data: None if name.endswith("layer.tar") and len(data) == 2048 else data
    )
    done = imgconv("inspect", path)
    assert done.status == 0
    assert "is missing, though manifest.json names it as [0].Layers[2]" in done.err
    assert HTML in done.out
    assert "3         -          -   -           (not in the source) /bin/bash" in done.out


@pytest.mark.parametrize("name", PRODUCERS)
def test_the_tool_that_wrote_an_archive_is_recognised(imgconv, archive, name):
    producer = imgconv("inspect", archive(name), "--json").json["source"]["producer"]
    assert producer["name"].startswith(PRODUCERS[name])
    assert producer["evidence"]


@pytest.mark.parametrize(
    "name", sorted(path.name.removesuffix(".tar.gz") for path in (ROOT / "testdata/match/archives").glob("*.gz"))
)
def test_every_report_meets_its_schema(imgconv, archive, name):
    path = archive(name)
    for options in ([], ["--verify"]):
        done = imgconv("inspect", path, "--json", *options)
        assert done.status == 0
        assert findings(done.json) == []


@pytest.mark.parametrize("name", fixtures.names("images"))
def test_reports_of_published_archives_meet_their_schema(imgconv, name):
    path = fixtures.get(f"images/{name}")
    done = imgconv("inspect", path, "--json")
    assert done.status in {0, 3}
    assert (done.status == 3) == bool(done.err and "imgconv: " in done.err and not only_warnings(done))
    if done.out:
        assert findings(done.json) == []
    assert imgconv("inspect", path).status == done.status


@pytest.mark.parametrize("suffix", ["svg", "mmd", "dot"])
def test_a_graph_is_written_beside_the_answer(imgconv, archive, suffix):
    done = imgconv("inspect", archive("docker20-html"), "--graph", f"names.{suffix}")
    assert done.status == 0
    assert "sha256:14421e24818d…" in Path(f"names.{suffix}").read_text(encoding="utf-8")
    assert HTML in done.out


def test_a_graph_needs_a_kind_that_can_be_drawn(imgconv, archive):
    done = imgconv("inspect", archive("docker20-html"), "--graph", "names.png")
    assert (done.status, done.out) == (2, "")
    assert (
        done.err == "imgconv: cannot draw a graph into 'names.png' (the file's name must end in .svg, .mmd or .dot)\n"
    )
    assert not Path("names.png").exists()


def test_a_graph_that_cannot_be_written_is_a_storage_error(imgconv, archive):
    done = imgconv("inspect", archive("docker20-html"), "--graph", "nowhere/names.svg")
    assert done.status == 4
    assert done.err.startswith("imgconv: nowhere/names.svg: ")
    assert "its folder does not exist" in done.err


def test_a_compressed_source_says_by_what(imgconv, archive):
    path = archive("docker20-html")
    Path("small.tgz").write_bytes(gzip.compress(Path(path).read_bytes()))
    done = imgconv("inspect", "small.tgz", "--json")
    assert done.json["source"]["wrapper"] == "gzip"
    assert done.json["images"][0]["image_id"] == HTML


def findings(document):
    validator = jsonschema.Draft202012Validator(schema.load("report-inspect"))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def only_warnings(done):
    return bool(done.out) and not json.loads(done.out)["problems"]


def test_a_person_is_not_shown_a_text_of_pages(imgconv, tmp_path, columns):
    """Many images may share one config, so what each line of it costs is paid for each of them."""
    columns(80)
    path = tmp_path / "in.tar"
    path.write_bytes(Docker(config=config(created="x" * 50_000, variant="y" * 50_000)).build())
    done = imgconv("inspect", path)
    assert len(done.out) < 5000
    assert "xxx" in done.out
    assert "yyy" in done.out
    (image,) = imgconv("inspect", path, "--json").json["images"]
    assert (image["created"], image["platform"]) == ("x" * 50_000, "linux/amd64/" + "y" * 50_000)


def test_a_person_is_shown_so_many_layers_and_told_of_the_rest(imgconv, tmp_path, monkeypatch):
    """Drawing tables takes a millisecond a line; a hostile archive has 60,000."""
    monkeypatch.setattr("convert.cli.tables.MAX_SHOWN", 2)
    monkeypatch.setattr("convert.cli.tables.MAX_SHOWN_LINES", 3)
    source = tmp_path / "in.tar"
    layers = {"a.tar": PLAIN, "b.tar": PLAIN}
    names = [f"c{number}.json" for number in range(4)]
    source.write_bytes(
        Docker(
            layers=layers,
            manifest=[{"Config": name, "RepoTags": [f"x/y:{name[1]}"], "Layers": [*layers]} for name in names],
            extra=tuple((name, dump(config(DIFF_ID, DIFF_ID, author=name))) for name in names),
        ).build()
    )
    shown = imgconv("inspect", source).out.splitlines()
    assert [line for line in shown if "more" in line] == [
        "1 more layers (--json has them all)",
        "2 more images (--json has them all)",
    ]
    assert len(imgconv("inspect", "--json", source).json["images"]) == 4
