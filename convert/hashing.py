"""Digests of streams that are read side by side, several on one core at once.

A processor with SHA instructions spends half of its time waiting for the next round of
the same stream. So what comes of a stream is held for a moment, until what came of the
others meanwhile can be taken along: a layer's compressed and plain bytes, and those of
other layers (`_native/sha256.h`). Where the processor cannot, each is hashed as it comes.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from typing import Final, Protocol

from convert._native import _lanes
from convert.limits import KIB, MIB

#: Bytes of one stream from which on somebody hashes, rather than hold more.
_HELD: Final = 2 * MIB
#: Where somebody else is hashing that stream, so much may be held before its own thread waits.
_MOST: Final = 4 * MIB
#: Pieces below this are joined: each call takes as much of every stream as the shortest piece has.
_SMALL: Final = 64 * KIB


class Hasher(Protocol):
    """The digest of one stream. One thread may use it at a time."""

    def update(self, data: bytes, /) -> None:
        """Take bytes, which may be held for a while."""

    def update_from(self, data: memoryview, /) -> None:
        """Take bytes of a buffer that the caller is about to use again."""

    def hexdigest(self) -> str:
        """Return the digest of all that was taken."""

    def close(self) -> None:
        """Forget what is held: nobody wants the digest any more. Harmless after it was told."""


class Hashing:
    """Makes hashers; those it made are hashed together, whichever threads use them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._together = _Together()

    def begin(self, algorithm: str) -> Hasher:
        """Start a stream: "sha256" or "sha512"."""
        if algorithm != "sha256" or not _lanes.LANES:
            return _Alone(algorithm)
        return _Abreast(self._together)


class _Alone:
    """A stream that is hashed as it comes."""

    def __init__(self, algorithm: str) -> None:
        hasher = hashlib.new(algorithm)
        self.update = self.update_from = hasher.update
        self.hexdigest = hasher.hexdigest

    def close(self) -> None:
        return


class _Abreast:
    """A stream that is hashed with others."""

    def __init__(self, together: _Together) -> None:
        self._together = together
        self._held = _Held()

    def update(self, data: bytes, /) -> None:
        if data:
            self._together.hold(self._held, data)
            if self._held.size >= (_MOST if self._held.busy else _HELD):
                self._together.hash(self._held, _HELD)

    def update_from(self, data: memoryview, /) -> None:
        self._together.hash(self._held)
        _lanes.update([self._held.native], [data])

    def hexdigest(self) -> str:
        self._together.hash(self._held)
        self.close()
        return self._held.native.digest().hex()

    def close(self) -> None:
        self._together.forget(self._held)


class _Held:
    """What came of a stream and is not hashed yet."""

    def __init__(self) -> None:
        self.native = _lanes.Sha256()
        self.size = 0
        self.busy = False  # somebody hashes the first piece
        self._pieces: deque[memoryview] = deque()

    def add(self, data: bytes) -> None:
        self._pieces.append(memoryview(data))
        self.size += len(data)

    def begin(self) -> memoryview:
        """Return the first piece, which is about to be hashed, joined with the next where it is small."""
        self.busy = True
        if len(self._pieces) > 1 and len(self._pieces[0]) < _SMALL:
            joined = bytearray()
            while self._pieces and len(joined) < _SMALL:
                joined += self._pieces.popleft()
            self._pieces.appendleft(memoryview(joined))
        return self._pieces[0]

    def end(self, count: int) -> None:
        """Let go of the first bytes: they are hashed."""
        self.busy = False
        self.size -= count
        rest = self._pieces.popleft()[count:]
        if len(rest):
            self._pieces.appendleft(rest)


class _Together:
    """All streams of which something is held.

    No thread is there for hashing alone: whoever has brought enough hashes it, and takes
    along what the others have brought.
    """

    def __init__(self) -> None:
        self._guard = threading.Condition()
        self._streams: dict[int, _Held] = {}

    def hold(self, own: _Held, data: bytes) -> None:
        with self._guard:
            self._streams[id(own)] = own
            own.add(data)

    def forget(self, own: _Held) -> None:
        with self._guard:
            self._streams.pop(id(own), None)

    def hash(self, own: _Held, most: int = 1) -> None:
        """Hash until less than `most` bytes of a stream are held."""
        while True:
            chosen: list[_Held] = []
            count = 0
            try:
                with self._guard:
                    while own.busy:
                        self._guard.wait()
                    if own.size < most:
                        return
                    chosen = [own, *self._others(own)]
                    pieces = [held.begin() for held in chosen]
                count = _lanes.update([held.native for held in chosen], pieces)
            finally:
                with self._guard:
                    for held in chosen:
                        held.end(count)
                    self._guard.notify_all()

    def _others(self, own: _Held) -> list[_Held]:
        """Return the streams that are taken along: those of which most is held."""
        free = [held for held in self._streams.values() if held is not own and held.size and not held.busy]
        return sorted(free, key=lambda held: -held.size)[: _lanes.LANES - 1]
