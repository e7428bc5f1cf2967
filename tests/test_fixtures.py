"""Fixtures outside the repository are verified before use, and a test names the one that it lacks."""

import re
from pathlib import Path

import fixtures
import pytest

TESTS = Path(__file__).parent


@pytest.fixture
def root(monkeypatch, tmp_path):
    """Return a folder with two fixtures and a manifest of its own."""
    for name, value in (("ROOT", tmp_path / "shared"), ("MANIFEST", tmp_path / "fixtures.json")):
        monkeypatch.setattr(fixtures, name, value)
    for folder in fixtures.FOLDERS:
        (tmp_path / "shared" / folder).mkdir(parents=True)
    (tmp_path / "shared" / "cases" / "one.tar").write_bytes(b"one")
    layout = tmp_path / "shared" / "images" / "layout"
    (layout / "blobs").mkdir(parents=True)
    (layout / "index.json").write_bytes(b"{}")
    (layout / "blobs" / "x").write_bytes(b"x")
    fixtures.update()
    forget()
    yield tmp_path / "shared"
    monkeypatch.undo()
    forget()


def forget():
    fixtures.manifest.cache_clear()
    fixtures.problem.cache_clear()


def test_fixtures_as_the_manifest_says_are_used(root):
    assert fixtures.get("cases/one.tar").read_bytes() == b"one"
    assert fixtures.get("images/layout").is_dir()
    assert fixtures.present("images") == [root / "images/layout"]
    assert fixtures.names("cases") == ["one.tar"]


def test_the_digest_of_a_folder_is_that_of_sha256sum(root):
    # printf of: find -type f | sort | xargs sha256sum, without "./"
    listing = (
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  blobs/x\n"
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  index.json\n"
    )
    (root / "cases" / "listing").write_text(listing)
    assert fixtures.describe(root / "cases/listing").sha256 == fixtures.manifest()["images/layout"].sha256


DAMAGE = {
    "a changed byte": ("cases/one.tar", lambda path: path.write_bytes(b"two"), "different"),
    "another size": ("cases/one.tar", lambda path: path.write_bytes(b"one and more"), "different"),
    "no file": ("cases/one.tar", Path.unlink, "missing"),
    "a changed file": ("images/layout", lambda path: (path / "blobs/x").write_bytes(b"y"), "different"),
    "a renamed file": ("images/layout", lambda path: (path / "blobs/x").rename(path / "blobs/y"), "different"),
    "a file more": ("images/layout", lambda path: (path / "blobs/y").write_bytes(b""), "different"),
    "a link": ("images/layout", lambda path: (path / "blobs/y").symlink_to("x"), "cannot be used"),
}


@pytest.mark.parametrize(("name", "change", "words"), DAMAGE.values(), ids=DAMAGE)
def test_a_test_without_its_fixture_is_skipped_and_names_it(root, name, change, words):
    change(root / name)
    with pytest.raises(pytest.skip.Exception, match=words) as skipped:
        fixtures.get(name)
    assert name in str(skipped.value)
    assert root / name not in fixtures.present("cases") + fixtures.present("images")


def test_a_fixture_that_the_manifest_does_not_list_is_an_error(root):
    (root / "cases" / "new.tar").write_bytes(b"")
    with pytest.raises(KeyError):
        fixtures.get("cases/new.tar")


def test_the_manifest_lists_what_is_in_the_folders():
    if not fixtures.ROOT.is_dir():
        pytest.skip(f"no fixtures at {fixtures.ROOT}")
    listed = set(fixtures.manifest())
    there = {f"{folder}/{path.name}" for folder in fixtures.FOLDERS for path in (fixtures.ROOT / folder).glob("*")}
    assert there <= listed


def test_nothing_else_looks_outside_the_repository():
    """Every other way would use a fixture without its digest."""
    outside = re.compile(r"""["'/]shared["'/]""")
    found = [path for path in TESTS.rglob("*.py") if outside.search(path.read_text())]
    assert set(found) <= {TESTS / "fixtures.py", Path(__file__)}
