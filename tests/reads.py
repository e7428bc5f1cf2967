"""Counts what imgconv reads of each file."""

from __future__ import annotations

import collections

from convert.archive.blob import PreadStream


def counted_reads(monkeypatch):
    """Return a counter of the bytes that are read of each file from now on."""
    counts = collections.Counter()
    real_read, real_readinto = PreadStream.read, PreadStream.readinto

    def read(self, size=-1, /):
        data = real_read(self, size)
        if size is not None and size >= 0:
            counts[self._member] += len(data)
        return data

    def readinto(self, buffer, /):
        count = real_readinto(self, buffer)
        counts[self._member] += count
        return count

    monkeypatch.setattr(PreadStream, "read", read)
    monkeypatch.setattr(PreadStream, "readinto", readinto)
    return counts
