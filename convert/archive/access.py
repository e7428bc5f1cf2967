"""Owner, mode and ACL. What replaces a file or folder gives no user more access than the old one did.

Other extended attributes are not kept: they describe the old bytes (checksums,
capabilities), or are set by the system for the new file (SELinux labels). A POSIX
ACL is kept where the system permits it; the ACLs of macOS and NFSv4 are not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, replace
from typing import Final, Self

_ACL: Final = "system.posix_acl_access"
_NO_ACL: Final = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP) if hasattr(errno, "ENODATA") else ()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with a file or folder. `acl` is None where it has no POSIX ACL."""

    uid: int
    gid: int
    mode: int
    acl: bytes | None = None
    #: Whether the ACL could be read.
    acl_known: bool = True

    @classmethod
    def of(cls, folder: int, name: str, status: os.stat_result) -> Self:
        """Return that of an entry of a folder, whose status is given."""
        acl, acl_known = _read_acl(folder, name, status)
        return cls(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), acl, acl_known)

    def is_that_of(self, fd: int) -> bool:
        """Whether an open file has just this."""
        status = os.fstat(fd)
        same = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (self.uid, self.gid, self.mode)
        return same and self.acl_known and self.acl is None and _acl_of(fd) == (None, True)

    def movable(self) -> Access:
        """Return the same with what an owner needs to move a folder into another one."""
        return replace(self, mode=self.mode | stat.S_IRWXU)

    def apply(self, fd: int) -> None:
        """Set it on an open file or folder, as far as the system permits, never more.

        An owner or a group that cannot be kept takes the setuid and setgid bits with
        it. The members of a group that is not the old one, or whose ACL cannot be
        kept, may do what everybody may.

        Raises:
            OSError: the mode cannot be set, and the one it has gives more.
        """
        status = os.fstat(fd)
        if (status.st_uid, status.st_gid) != (self.uid, self.gid):
            try:
                os.fchown(fd, self.uid, self.gid)
            except OSError:
                with contextlib.suppress(OSError):
                    os.fchown(fd, -1, self.gid)
            status = os.fstat(fd)
        mode = self.mode
        same_group = status.st_gid == self.gid
        if status.st_uid != self.uid or not same_group:
            mode &= 0o777
        if not (_write_acl(fd, self.acl) and self.acl_known and same_group):
            mode &= ~0o070 | (mode & 0o007) << 3
        try:
            os.fchmod(fd, mode)
        except OSError:  # a file system on which all files have one mode
            if stat.S_IMODE(os.fstat(fd).st_mode) & ~mode:
                raise


def _read_acl(folder: int, name: str, status: os.stat_result) -> tuple[bytes | None, bool]:
    """Return the ACL of the entry with this status, and whether it could be read."""
    if not hasattr(os, "getxattr"):
        return None, True
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None, False
    try:
        # Something else may have come to the name, with an ACL that gives more.
        return _acl_of(fd) if os.path.samestat(os.fstat(fd), status) else (None, False)
    finally:
        os.close(fd)


def _acl_of(fd: int) -> tuple[bytes | None, bool]:
    if not hasattr(os, "getxattr"):
        return None, True
    try:
        return os.getxattr(fd, _ACL), True
    except OSError as error:
        return None, error.errno in _NO_ACL


def _write_acl(fd: int, acl: bytes | None) -> bool:
    """Set the ACL of an open file, or remove the one that its folder gave it; False if that failed."""
    if not hasattr(os, "setxattr"):
        return True
    try:
        if acl is not None:
            os.setxattr(fd, _ACL, acl)
        else:
            os.removexattr(fd, _ACL)
    except OSError as error:
        return acl is None and error.errno in _NO_ACL
    return True
