"""The secret key of the user who runs imgconv: it authenticates the marks of `layer_cache.py`.

The key is stored outside every image, layout and container file system, in
`$XDG_STATE_HOME/imgconv/layers.key` (XDG Base Directory Specification; by default
below `~/.local/state`), with mode 0600. Without it, as without a home, no mark is
accepted and every layer is verified again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from functools import cache
from typing import Final

_NAME: Final = "layers.key"
_SIZE: Final = 32


@cache
def user_key() -> bytes:
    """Return the key, created on first use; b"" if it cannot be read, created or trusted."""
    folder = _folder()
    if not folder:
        return b""
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read(folder)
        _create(folder)
        return _read(folder)
    except OSError:
        return b""


def _folder() -> str:
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the specification: a relative path is to be ignored
        home = os.path.expanduser("~")
        state = os.path.join(home, ".local", "state") if os.path.isabs(home) else ""
    return os.path.join(state, "imgconv") if state else ""


def _read(folder: str) -> bytes:
    """Return the key if file and folder belong to this user and no other user can read or write the key."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fd = os.open(_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=top)
        try:
            status = os.fstat(fd)
            private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077 and status.st_nlink == 1
            if not private or {status.st_uid, os.fstat(top).st_uid} != {os.geteuid()}:
                return b""
            data = os.read(fd, _SIZE + 1)
        finally:
            os.close(fd)
    finally:
        os.close(top)
    return data if len(data) == _SIZE else b""


def _create(folder: str) -> None:
    """Create the key atomically; if two processes do so at once, the key of the first stays."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, f".{os.getpid()}-{os.urandom(8).hex()}")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, os.urandom(_SIZE)) == _SIZE:
            with contextlib.suppress(FileExistsError):
                os.link(path, os.path.join(folder, _NAME))
    finally:
        os.close(fd)
        os.unlink(path)
