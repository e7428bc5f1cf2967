"""Contents for tests of tar outputs, and the archives that are expected of them."""

import io
import os
from contextlib import contextmanager

from convert.archive.blob import SliceBlob
from convert.archive.tar_writer import END, header, padding
from convert.errors import DigestMismatchError
from convert.writer.destination import open_tar


class Data:
    """A content in memory; `size` and `hint` say what is known of it."""

    def __init__(self, data, *, size=None, hint=None, verified=False, fixed=False, wrong=False):
        self.data = data
        self.size = size
        self.size_hint = hint
        self.verified = verified or fixed
        self.fixed = fixed
        self.opened = 0
        self._wrong = wrong

    def open(self):
        self.opened += 1
        return Lying(self.data) if self._wrong else io.BytesIO(self.data)

    def extent(self):
        return None


class Lying(io.BytesIO):
    """Fails at its end, as a stream does that was verified."""

    def readinto(self, buffer):
        return self._passed(super().readinto(buffer))

    def read(self, size=-1):
        return self._passed(super().read(size))

    def _passed(self, what):
        if not what:
            raise DigestMismatchError("content is not what it should be", member="layer")
        return what


class InFile(Data):
    """A verified content in a file that no other process can change."""

    def __init__(self, file, data):
        super().__init__(data, size=len(data), fixed=True)
        self._blob = SliceBlob(file.fileno(), file.seek(0, os.SEEK_END), len(data), "m", "f")
        file.write(data)
        file.flush()

    def extent(self):
        return self._blob.extent()


def expected(items):
    """The archive as a loop over the items would write it."""
    parts = []
    for item in items:
        data = item.content if isinstance(item.content, bytes) else item.content.data
        parts += [header(item, len(data)), data, padding(len(data))]
    return b"".join(parts) + END


def written(path, items, pool, progress=None):
    with open_tar(str(path)) as out:
        out.write(items, pool, progress)
        out.commit()
    return path.read_bytes()


def streamed(items, pool):
    out = io.BytesIO()
    with open_tar("-", stdout=out) as tar:
        tar.write(items, pool)
        tar.commit()
    return out.getvalue()


@contextmanager
def nothing_left(folder):
    before = sorted(os.listdir(folder))
    yield
    assert sorted(os.listdir(folder)) == before
