"""Tar headers: a file and a pipe give the same members, which lie inside the archive."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import fuzz, in_memory, one_line, stream

from convert.archive import cursor, tar_reader, tree
from convert.errors import InputError


def one(data: bytes) -> None:
    fd = in_memory(data)
    try:
        try:
            members, _ = tar_reader.index(fd, len(data), where="x")
        except InputError as error:
            one_line(error)
            members = None
    finally:
        os.close(fd)
    try:
        reader = tar_reader.TarReader(cursor.StreamCursor(stream(data)), where="x")
        streamed = list(reader)
    except InputError:
        assert members is None
        return
    assert streamed == members
    for member in streamed:
        assert 0 <= member.start < member.offset <= member.offset + member.size <= member.end
        assert member.offset + member.size <= len(data)
        name = tree.clean(member.name)
        assert name is None or not (name.startswith("/") or ".." in name.split("/"))


if __name__ == "__main__":
    fuzz(one, tar_reader, tree)
