"""A real Docker engine loads what imgconv writes; what it saves comes back byte for byte.

Needs IMGCONV_DOCKER_HOST: an empty engine, for one that has a layer never reads it.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from oracle.reading import check, docker_images, members, nameless
from support import MATCH
from tools import engine  # noqa: F401 - a fixture

import convert

DOCKER = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane"]
SOURCES = [
    "docker20-html",
    "docker20-duplayer",
    "docker20-multi",
    "docker20-oddconfig",
    "docker29-hybrid-html",
    "containerd29-export",
    "crane-tarball",
    "skopeo-docker-archive",
    "legacy-repositories-only",
]


@pytest.fixture
def docker(engine):  # noqa: F811
    engine.empty()
    yield engine
    engine.empty()


@pytest.mark.parametrize("form", DOCKER)
@pytest.mark.parametrize("source", SOURCES)
def test_docker_load_shows_the_image_id_that_was_printed(tmp_path, docker, source, form):
    out = tmp_path / "out.tar"
    result = convert.convert(str(MATCH / f"{source}.tar.gz"), out, to=form)
    docker.load(out)
    printed = {name: str(image.image_id) for image in result.images for name in image.names}
    assert printed
    assert docker.ids() == printed


def test_a_root_file_system_becomes_an_image_as_the_hint_says(tmp_path, docker):
    """`docker export` of a container, then the command that imgconv names."""
    convert.convert(str(MATCH / "docker20-html.tar.gz"), tmp_path / "in.tar", to="docker-save", images=["fmt-html:1"])
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as archive:
        for name in ("bin", "etc", "usr", "var"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
    with pytest.raises(convert.ImgconvError) as caught:
        convert.identify(root)
    (command,) = re.findall(r"docker (import \S+) NAME:TAG", caught.value.hint)
    docker(*command.split(), "imported:1")
    docker("save", "--output", tmp_path / "saved.tar", "imported:1")
    assert [str(image.id) for image in convert.identify(tmp_path / "saved.tar").images] == [docker.ids()["imported:1"]]


def test_added_v1_directories_do_not_disturb_an_engine(tmp_path, docker):
    out = tmp_path / "out.tar"
    convert.convert(str(MATCH / "docker20-html.tar.gz"), out, to="crane", add_repositories=True)
    docker.load(out)
    assert set(docker.ids().values()) == {image.image_id for image in check(out, "crane")}


def test_an_engine_reads_the_legacy_part_alone(tmp_path, docker):
    """What `--add-repositories` adds is enough by itself, as for engines before 1.10 (to 28)."""
    convert.convert(str(MATCH / "docker20-html.tar.gz"), tmp_path / "whole.tar", to="docker-save")
    with tarfile.open(tmp_path / "whole.tar") as whole, tarfile.open(tmp_path / "old.tar", "w") as old:
        for member in whole:
            if member.name != "manifest.json" and not member.name.endswith(".json"):
                old.addfile(member, whole.extractfile(member) if member.isfile() else None)
    if int(docker("version", "--format", "{{.Server.Version}}").partition(".")[0]) >= 29:
        pytest.skip("engines from 29 on read no legacy archives")
    docker.load(tmp_path / "old.tar")
    assert set(docker.ids()) == {"fmt-html:1", "fmt-html:zz", "example.com:5000/ns/html:v1"}


# -- images made by the engine --------------------------------------------------------------

ODD = '<a href="x">&\'ünï\u2028code</a>'
BUILDS = {
    "layers": 'FROM scratch\nADD one /one\nADD two /two\nENV A=b\nADD three /three\nCMD ["/one"]\n',
    "repeat": "FROM scratch\nADD one /one\nADD one /one\nADD two /two\nADD one /one\n",
    "labels": f"FROM scratch\nADD one /\nLABEL odd={json.dumps(ODD, ensure_ascii=False)} plain=yes\nENV X=<&>\n",
    "empty": "FROM scratch\nENV A=1\nADD one /\nENV B=2\nEXPOSE 80/tcp\nVOLUME /v\nWORKDIR /\nUSER 3:4\nLABEL l=\n",
    "health": 'FROM scratch\nADD two /\nHEALTHCHECK --interval=3s CMD ["/two"]\nSTOPSIGNAL 9\nONBUILD ENV Q=1\n',
    "tags": "FROM scratch\nADD three /\n",
}


@pytest.fixture
def built(tmp_path, docker):
    """Images built by the engine: name to what `docker save` is asked for."""
    context = tmp_path / "context"
    context.mkdir()
    for name in ("one", "two", "three"):
        (context / name).write_bytes(name.encode() * 5000)
    for name, text in BUILDS.items():
        (context / "Dockerfile").write_text(text)
        docker("build", "--quiet", "--tag", f"imgconv-{name}:1", context)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo("hello")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    (tmp_path / "rootfs.tar").write_bytes(raw.getvalue())
    docker("import", tmp_path / "rootfs.tar", "imgconv-import:1")
    docker(
        "import",
        "--change",
        'CMD ["/hello"]',
        "--message",
        "made by <hand>",
        tmp_path / "rootfs.tar",
        "imgconv-change:1",
    )
    for name in ("imgconv-tags:2", "localhost:5000/a/tags:x"):
        docker("tag", "imgconv-tags:1", name)
    identity = docker("inspect", "--format", "{{.Id}}", "imgconv-labels:1").strip()
    return {
        **{name: [f"imgconv-{name}:1"] for name in [*BUILDS, "import", "change"]},
        "all tags": ["imgconv-tags:2", "localhost:5000/a/tags:x", "imgconv-tags:1"],
        "untagged": [identity],
        # None has another's layer: the engine would stamp the link to it with its clock.
        "several": ["imgconv-layers:1", "imgconv-import:1"],
    }


def saved_by(version):
    """Return the format that this engine saves from a graph driver; a development build is the newest."""
    found = re.match(r"(\d+)\.(\d+)", version)
    number = (int(found[1]), int(found[2])) if found else (29, 6)
    return "docker-save" if number < (25, 0) else "docker-save@25" if number < (29, 6) else "docker-save@29"


def test_what_the_engine_saves_comes_back_byte_for_byte_through_a_layout(tmp_path, docker, built):
    """Eleven saves; a layer that occurs twice carries the engine's clock, which no layout holds."""
    own = saved_by(docker("version", "--format", "{{.Server.Version}}"))
    equal = []
    for name, what in built.items():
        saved = tmp_path / "saved.tar"
        docker("save", "--output", saved, *what)
        convert.convert(str(saved), tmp_path / "layout", to="oci", force=True)
        convert.convert(str(tmp_path / "layout"), tmp_path / "back.tar", to=own, force=True)
        before, after = nameless(saved.read_bytes()), (tmp_path / "back.tar").read_bytes()
        if name == "repeat" and own == "docker-save":
            assert members(before) == members(after)
            continue
        assert before == after, name
        equal.append(name)
    assert len(equal) >= 8


def test_what_was_saved_is_what_is_loaded_again(tmp_path, docker, built):
    docker("save", "--output", tmp_path / "all.tar", *(what[0] for what in built.values()))
    names = docker.ids()
    for form in DOCKER:
        convert.convert(str(tmp_path / "all.tar"), tmp_path / form, to=form)
        assert {image.image_id for image in docker_images(members((tmp_path / form).read_bytes()))} == {
            image.image_id for image in docker_images(members((tmp_path / "all.tar").read_bytes()))
        }
        docker.empty()
        docker.load(tmp_path / form)
        loaded = docker.ids()
        assert loaded
        assert all(names[name] == identity for name, identity in loaded.items())
