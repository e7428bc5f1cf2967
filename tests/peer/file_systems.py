"""What a file system holds, from a tar or a folder, in a form to compare. Nothing of imgconv is used."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile

#: Set by the file system that a tool unpacks to, not by the image.
_LOCAL_XATTRS = ("security.selinux", "trusted.overlay.")


def of_tar(path):
    """Return {path: facts} of a tar; hard links are followed to the first name of their file."""
    found, links = {}, {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.strip("/") or "."
            if name == ".":
                continue
            assert name not in found, f"{name} is there twice"
            if member.islnk():
                links[name] = member.linkname.strip("/")
                found[name] = found[links[name]]
                continue
            xattrs = {
                key.removeprefix("SCHILY.xattr."): value
                for key, value in member.pax_headers.items()
                if key.startswith("SCHILY.xattr.")
            }
            content = hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else None
            found[name] = {
                "type": _TYPES.get(member.type, "file"),
                "mode": None if member.issym() else member.mode & 0o7777,
                "owner": (member.uid, member.gid),
                "mtime": None if member.isdir() and not member.mtime else int(member.mtime),
                "link": member.linkname if member.issym() else None,
                "device": (member.devmajor, member.devminor) if member.type in b"34" else None,
                "xattrs": sorted(xattrs),
                "content": content,
            }
    return found, _groups(links)


_TYPES = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
}


def _groups(links):
    """Return the sets of names that share one file."""
    groups = {}
    for name, target in links.items():
        groups.setdefault(target, {target}).add(name)
    return sorted(map(sorted, groups.values()))


def of_folder(root):
    """Return {path: facts} of a folder, and the sets of names that share one file."""
    found, inodes = {}, {}
    for folder, folders, files in os.walk(root):
        for each in (*folders, *files):
            path = os.path.join(folder, each)
            name = os.path.relpath(path, root)
            status = os.lstat(path)
            mode = status.st_mode
            kind = next(kind for kind, test in _KINDS.items() if test(mode))
            if kind != "dir" and status.st_nlink > 1:
                inodes.setdefault(status.st_ino, []).append(name)
            found[name] = {
                "type": kind,
                "mode": None if kind == "symlink" else stat.S_IMODE(mode),
                "owner": (status.st_uid, status.st_gid),
                "mtime": int(status.st_mtime_ns // 10**9),
                "link": os.readlink(path) if kind == "symlink" else None,
                "device": (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in {"char", "block"} else None,
                "xattrs": sorted(
                    each for each in os.listxattr(path, follow_symlinks=False) if not each.startswith(_LOCAL_XATTRS)
                ),
                "content": _hash(path) if kind == "file" else None,
            }
    return found, sorted(map(sorted, inodes.values()))


_KINDS = {
    "dir": stat.S_ISDIR,
    "symlink": stat.S_ISLNK,
    "file": stat.S_ISREG,
    "char": stat.S_ISCHR,
    "block": stat.S_ISBLK,
    "fifo": stat.S_ISFIFO,
}


def _hash(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            hasher.update(data)
    return hasher.hexdigest()


def differences(ours, theirs, ignore=()):
    """Return lines about what differs; a time that no layer gives is not compared."""
    (one, links), (other, other_links) = ours, theirs
    lines = [f"only exported: {name}" for name in sorted(one.keys() - other.keys())]
    lines += [f"not exported: {name}" for name in sorted(other.keys() - one.keys())]
    for name in sorted(one.keys() & other.keys()):
        for key, value in one[name].items():
            if key in ignore or (key == "mtime" and value is None):
                continue
            if value != other[name][key]:
                lines.append(f"{name}: {key} is {value}, unpacked {other[name][key]}")
    if links != other_links and "links" not in ignore:
        lines.append(f"hard links are {links}, unpacked {other_links}")
    return lines
