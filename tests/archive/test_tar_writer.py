"""Headers are those of Go's archive/tar, and tar readers of others agree with them."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.archive.tar_writer import END, Item, header, padding

VECTORS = json.loads((Path(__file__).parents[2] / "testdata" / "tar" / "go-headers.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["headers"], ids=lambda vector: f"{vector['kind']}-{vector['name'][:30]}")
def test_headers_are_those_of_go(vector):
    item = Item(
        vector["name"], vector["kind"], vector["mode"], vector["mtime"], vector["link"],
        uname=vector["uname"], gname=vector["uname"],
    )  # fmt: skip
    assert header(item, vector["size"]) == bytes.fromhex(vector["header"])


def test_a_folder_gets_its_slash():
    assert header(Item("a", "dir"), 0) == header(Item("a/", "dir"), 0)


def test_nul_in_a_name_is_never_written():
    with pytest.raises(ValueError, match="NUL"):
        header(Item("a\0b"), 0)


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=120).filter(
    lambda part: part not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(name=PATHS, data=st.binary(max_size=2000), mtime=st.integers(-(1 << 40), 1 << 40))
def test_python_reads_back_what_was_written(name, data, mtime):
    item = Item(name, mtime=mtime, content=data)
    archive = header(item, len(data)) + data + padding(len(data)) + END
    assert len(archive) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (info,) = tar.getmembers()
        assert (info.name, info.size, info.mtime, info.mode) == (name, len(data), mtime, 0o644)
        assert tar.extractfile(info).read() == data
