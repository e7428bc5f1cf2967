"""The documents that say what an image is, each inside an archive that is sound otherwise.

The first byte says which one the rest is: `index.json`, a manifest, a config,
`manifest.json`, `repositories`, a v1 `json`, the list of known layers, a platform or
what `--image` is given.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing import fuzz, in_memory, one_line
from hostile.building import END, Docker, Layout, v1

from convert.archive.tar_tree import TarTree
from convert.errors import InputError, UsageError
from convert.identity import engine_id, manifest
from convert.jsonio import go_encode
from convert.model import platform
from convert.model.platform import Platform
from convert.plan import select_image
from convert.reader import docker_archive, docker_legacy, document, oci_layout
from convert.reader import manifest as reader_manifest
from convert.reader.detect import read
from convert.reader.sink import CollectingSink
from convert.writer import layer_cache, repositories

ID = "1" * 64
_FOLDER = []


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    number = kind[0] % 9 if kind else 0
    if number == 6:
        _known(rest)
    elif number == 7:
        _platform(rest)
    elif number == 8:
        _selected(Docker().build(), rest.decode("utf-8", "surrogateescape"))
    else:
        _read(_archive(number, rest))


def _archive(number, rest):
    match number:
        case 0:
            return Layout(raw_index=rest).build()
        case 1:
            return Layout(raw_manifest=rest).build()
        case 2:
            return Layout(config=rest).build()
        case 3:
            return Docker(manifest=rest).build()
        case 4:
            return Docker(extra=(("repositories", rest),)).build()
        case _:
            archive = v1((ID, None, END), repositories={"a": {"b": ID}})
            # The same member again is refused, so it takes the place of the first.
            begin = archive.index(b'{"id"')
            size = len(rest)
            head = bytearray(archive[begin - 512 : begin])
            head[124:136] = b"%011o\0" % size
            head[148:156] = b" " * 8
            head[148:156] = b"%06o\0 " % sum(head)
            return archive[: begin - 512] + bytes(head) + rest + bytes(-size % 512) + archive[begin + 512 :]


def _read(data):
    fd = in_memory(data)
    with TarTree(fd, "x") as tree:
        sink = CollectingSink()
        try:
            images = read(tree, sink=sink)
        except InputError as error:
            one_line(error)
            return
        for fault in sink.faults:
            one_line(fault.error)
        for item in engine_id.list_images(images):
            engine_id.image_id(item.node)
            engine_id.manifest_digest(item.node)


def _known(data):
    if not _FOLDER:
        _FOLDER.append(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    Path(_FOLDER[0], layer_cache.NAME).write_bytes(data)
    folder = os.open(_FOLDER[0], os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = layer_cache.read(folder, _FOLDER[0])
    finally:
        os.close(folder)
    for (profile, diff_id), (digest, size) in found.layers.items():
        assert found.find(profile, diff_id) == (digest, size)


def _platform(data):
    try:
        found = Platform.parse(data.decode("utf-8", "surrogateescape"))
    except (InputError, UsageError) as error:
        one_line(error)
    else:
        assert Platform.parse(found.full) == found


def _selected(data, text):
    fd = in_memory(data)
    with TarTree(fd, "x") as tree:
        try:
            found = select_image.select_by_image(read(tree), [text])
        except (InputError, UsageError) as error:
            one_line(error)
        else:
            assert len(found.entries) == 1


if __name__ == "__main__":
    fuzz(
        one,
        *(go_encode, layer_cache, engine_id, platform, select_image),
        *(manifest, reader_manifest, docker_archive, oci_layout, docker_legacy, document, repositories),
    )
