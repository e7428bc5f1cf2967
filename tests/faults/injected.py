"""Faults at the n-th call into the system: a kill, a signal, an error, a short write.

Counted is each call that writes, names or syncs, in any thread (or each that
reads), by wrapping the functions of `os` through which imgconv makes them.
"""

from __future__ import annotations

import errno
import os
import signal
import threading

from convert.archive import folders

WRITES = ("write", "pwrite", "copy_file_range", "sendfile", "ftruncate")
NAMES = ("open", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync", "fchmod", "fchown")
READS = ("read", "pread", "preadv")
#: Calls that end in a ctypes call, so that wrapping `os` does not meet them.
ATOMIC = ("rename_new", "exchange", "sync_all")


ERRORS = {"enospc": errno.ENOSPC, "edquot": errno.EDQUOT, "eio": errno.EIO, "read-eio": errno.EIO}
SIGNALS = {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM}
MODES = (*SIGNALS, *ERRORS, "short")


class Fault:
    """`install` it in a process that is about to run imgconv; it cannot be taken away again."""

    def __init__(self, mode: str, number: int) -> None:
        self.mode, self.number, self.count = mode, number, 0
        self._lock = threading.Lock()

    def install(self) -> None:
        for name in READS if self.mode == "read-eio" else (*WRITES, *NAMES):
            if hasattr(os, name):
                setattr(os, name, self._wrapped(name, getattr(os, name)))
        if self.mode != "read-eio":
            for name in ATOMIC:
                setattr(folders, name, self._wrapped(name, getattr(folders, name)))

    def _wrapped(self, name, call):
        def counted(*arguments, **options):
            with self._lock:
                self.count += 1
                now, after = self.count == self.number, self.count >= self.number
            if now and self.mode in SIGNALS:
                os.kill(os.getpid(), SIGNALS[self.mode])
            # A full disk stays full; what frees it may go on.
            full = self.mode in {"enospc", "edquot"}
            makes = name in {*WRITES, "mkdir", "fsync", *ATOMIC} or (name == "open" and arguments[1] & os.O_CREAT)
            if (full and after and makes) or (now and self.mode in {"eio", "read-eio"}):
                raise OSError(ERRORS[self.mode], os.strerror(ERRORS[self.mode]))
            if after and self.mode == "short" and name in {"write", "pwrite"}:
                fd, data, *rest = arguments
                return call(fd, memoryview(data)[:7], *rest)
            return call(*arguments, **options)

        return counted
