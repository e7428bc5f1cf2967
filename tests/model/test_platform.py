"""Platforms as users spell them: containerd's and docker's form with a version, crane's form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import Layout, named, piped

from convert.cli.main import run
from convert.errors import UsageError
from convert.model.platform import Platform

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1)
VERSIONS = ("10.0.17763.4974", "10.0.20348.3091")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("windows(10.0.17763)/amd64", Platform("windows", "amd64", "", "10.0.17763")),
        ("windows/amd64:10.0.17763", Platform("windows", "amd64", "", "10.0.17763")),
        ("Windows(10.0.17763)/x86_64/v2", Platform("windows", "amd64", "v2", "10.0.17763")),
        ("windows()/amd64", Platform("windows", "amd64")),
        ("windows(10%2Bbuild%2F%C3%A9)/amd64", Platform("windows", "amd64", "", "10+build/é")),
        ("linux/arm64/8", Platform("linux", "arm64", "v8")),
    ],
)
def test_spellings(text, expected):
    assert Platform.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "linux", "amd64", "/linux/arm", "linux/arm/", "linux /arm", "linux/&arm", "linux/arm/v7/x"),
        *("windows(10/amd64", "windows10)/amd64", "(10)/amd64", "windows(1)(2)/amd64", "windows(1 2)/amd64"),
        *("windows(%4)/amd64", "windows(%zz)/amd64", "linux(+gpu)/amd64", "windows/amd64:", "windows(1)/amd64:2"),
        *("linux/amd64\n", "linux/amd64:1\n", "windows(1)\n/amd64"),
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(UsageError, match="is not a platform"):
        Platform.parse(text)


@given(os=WORDS, architecture=WORDS, variant=st.one_of(st.just(""), WORDS), version=st.text())
def test_the_full_form_is_read_back(os, architecture, variant, version):
    first = Platform.parse("/".join(part for part in (os, architecture, variant) if part))
    platform = Platform(first.os, first.architecture, first.variant, version)
    if "\ud800" <= max(version, default="") <= "\udfff":
        return
    assert Platform.parse(platform.full) == platform


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ("", "10.0.17763.4974", True),
        ("10.0.17763", "", True),
        ("10.0.17763", "10.0.17763", True),
        ("10.0.17763", "10.0.17763.4974", True),
        ("10.0.17763", "10.0.177630.1", False),
        ("10.0.17763.4974", "10.0.17763", False),
        ("10.0.17763", "10.0.20348.1", False),
    ],
)
@pytest.mark.parametrize("os", ["windows", "linux"])
def test_versions_match_by_whole_parts(os, asked, there, expected):
    assert Platform(os, "amd64", "", asked).matches(Platform(os, "amd64", "", there)) is expected


@pytest.fixture
def versions(tmp_path):
    """Write an index of one Windows image for each version; gives its path and the digests."""
    layout = Layout(tmp_path / "in")
    images = [
        layout.image(version, described={"platform": {"os": "windows", "architecture": "amd64", "os.version": version}})
        for version in VERSIONS
    ]
    layout.write(named(layout.index(*images), "docker.io/library/win:1"))
    return tmp_path, [image["digest"] for image in images]


@pytest.mark.parametrize("form", ["windows({})/amd64", "windows/amd64:{}"])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("pipe", [False, True])
def test_a_version_picks_the_image(versions, form, number, pipe):
    folder, digests = versions
    source = folder / "in"
    if pipe:
        (folder / "in.tar").write_bytes(piped(source))
        source = folder / "in.tar"
    version = VERSIONS[number].rpartition(".")[0]
    assert run([str(source), "--platform", form.format(version), "--to", "oci", str(folder / "out"), "-q"]) == 0
    found = json.loads((folder / "out" / "index.json").read_bytes())["manifests"]
    assert [each["digest"] for each in found] == [digests[number]]


def test_without_a_version_the_message_gives_the_versions(versions, capsys):
    folder, _ = versions
    assert run([str(folder / "in"), "--platform", "windows/amd64", "--to", "oci", str(folder / "out")]) == 2
    err = capsys.readouterr().err
    for version in VERSIONS:
        assert f"windows({version})/amd64" in err
    assert run([str(folder / "in"), "--platform", "windows(6.1)/amd64", "--to", "oci", str(folder / "out")]) == 2
    assert "no image for windows(6.1)/amd64" in (err := capsys.readouterr().err)
    assert f"windows({VERSIONS[0]})/amd64" in err


@pytest.mark.parametrize("under_an_index", [True, False])
def test_the_platform_of_a_descriptor_goes_before_that_of_the_config(tmp_path, under_an_index):
    layout = Layout(tmp_path / "in")
    names = ("amd64", "arm64")
    images = [layout.image(name, described={"platform": {"os": "linux", "architecture": name}}) for name in names]
    entries = [layout.index(*images)] if under_an_index else images
    layout.write(*(named(entry, "docker.io/library/app:1") for entry in entries))
    assert run([str(tmp_path / "in"), "--platform", "linux/arm64", "--to", "oci", str(tmp_path / "out"), "-q"]) == 0
    found = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"]
    assert [each["digest"] for each in found] == [images[1]["digest"]]
