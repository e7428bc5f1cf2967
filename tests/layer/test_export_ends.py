"""An export that ends writes no more, also where it reads no layer."""

import hashlib
import io
import tarfile

import pytest

from convert.archive.blob import MemoryBlob
from convert.cancel import Stopped
from convert.layer.context import ReadContext
from convert.layer.export import Exporter
from convert.model.digest import Digest
from convert.model.image import Layer


def test_a_run_that_ends_writes_no_more_folders():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    data = raw.getvalue()
    digest = Digest.parse(f"sha256:{hashlib.sha256(data).hexdigest()}")
    context, written = ReadContext(), []
    exporter = Exporter([Layer(digest, MemoryBlob(data, "layer"))], context)
    exporter.read_names()
    context.cancel.stop()
    with pytest.raises(Stopped):
        exporter.write(written.append)
    assert written == []
