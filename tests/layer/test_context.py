"""What all reading of a run shares: what was verified, progress, and whether to go on."""

import hashlib
import os
import subprocess
import sys

import pytest

from convert.archive.blob import MemoryBlob
from convert.cancel import TOKEN, Cancel, Cancelled, Stopped
from convert.layer.context import BlobProgress, ReadContext, VerifiedBlobs, VerifiedLayers
from convert.layer.pool import Pool
from convert.layer.streams import drain
from convert.layer.verify import PlainContent, StoredContent
from convert.limits import CHUNK, usable_cores
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Layer


def digest(data):
    return Digest("sha256", hashlib.sha256(data).hexdigest())


class Recorded:
    """A progress that records."""

    def __init__(self):
        self.parts = []

    def begin(self, name, size):
        part = [name, size, 0]
        self.parts.append(part)

        def advance(count):
            part[2] += count

        return advance

    def expect(self, size):
        raise NotImplementedError

    def advance(self, size):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


def test_the_bytes_of_each_blob_are_counted_once_however_often_it_is_read():
    shown = Recorded()
    context = ReadContext(progress=BlobProgress(shown))
    blobs = [MemoryBlob(data, name) for data, name in ((b"a" * 3000, "a"), (b"b" * 10, "b"))]
    for blob in (*blobs, *blobs):
        stored = Descriptor("", digest(blob.data), blob.size)
        with StoredContent(blob, stored, context).open() as stream:
            drain(stream)
        with PlainContent(Layer(stored.digest, blob), context).open() as stream:
            drain(stream)
    assert shown.parts == [[digest(blob.data).hex[:12], blob.size, blob.size] for blob in blobs]


def test_a_verified_blob_is_not_a_verified_layer():
    blob, named = MemoryBlob(b"x", "x"), digest(b"x")
    blobs, layers = VerifiedBlobs(), VerifiedLayers()
    blobs.add(blob, named, 1)
    assert blobs.has(blob, named, 1)
    assert not blobs.has(blob, named, 2)
    assert not layers.has(blob, named)
    layers.add(blob, named)
    assert layers.has(blob, named)
    assert not layers.has(MemoryBlob(b"x", "x"), named)
    assert list(blobs) == [(blob, named, 1)]


@pytest.mark.parametrize("content", ["stored", "plain"])
def test_a_stopped_run_ends_at_the_next_chunk(content):
    data = bytes(5 * CHUNK)
    blob = MemoryBlob(data, "layer")
    context = ReadContext()
    layer = Layer(digest(data), blob)
    opened = PlainContent(layer, context) if content == "plain" else None
    opened = opened or StoredContent(blob, Descriptor("", digest(data), len(data)), context)
    with opened.open() as stream:
        assert stream.read(CHUNK)
        context.cancel.stop()
        with pytest.raises(Stopped):
            stream.read(CHUNK)


def test_a_signal_counts_for_every_run_and_an_error_for_its_own():
    one, other = Cancel(), Cancel()
    one.stop()
    with pytest.raises(Stopped):
        one.check()
    other.check()
    TOKEN.request(15)
    try:
        for cancel in (one, other):
            with pytest.raises(Cancelled):
                cancel.check()
    finally:
        TOKEN.clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_a_process_that_may_use_one_core_works_with_one_thread():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import threading\n"
        "from convert.layer.pool import Pool\n"
        "from convert.limits import usable_cores\n"
        "with Pool(usable_cores()) as pool:\n"
        "    names = set(pool.map(lambda _: threading.current_thread().name, range(100)))\n"
        "print(usable_cores(), pool.jobs, len(names))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "1"]


def test_a_pool_without_a_number_of_its_own_uses_what_the_process_may_use():
    assert Pool(usable_cores()).jobs == usable_cores() >= 1
    assert Pool(0).jobs == 1
