"""Every bound on untrusted input, in one place (docs/contract.md#limits).

Sizes are bytes. Layers have no ratio limit: good images hold sparse files that
compress 1000:1 and more; they are streamed in constant memory instead.
"""

from __future__ import annotations

import os
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

#: A manifest, index, config, `manifest.json`, `repositories` or v1 `json`.
MAX_DOCUMENT_SIZE: Final = 4 * MIB
#: Nesting of arrays and objects in a document.
MAX_DOCUMENT_DEPTH: Final = 64
#: Values (and, in objects, keys with them) in a document: 4 MiB of them in Python
#: objects would take 150 MB. Thirty thousand descriptors have fewer.
MAX_DOCUMENT_VALUES: Final = 300_000
#: Digits of one number in a document (a longer one costs quadratic time).
MAX_NUMBER_DIGITS: Final = 64

#: Default of `--max-layer-size`: one layer, uncompressed.
MAX_LAYER_SIZE: Final = 64 * GIB

#: The compression of a whole archive: its ratio is checked only after this many
#: bytes came out of it.
ARCHIVE_RATIO_FREE_SIZE: Final = 1 * GIB
#: Largest ratio of uncompressed to compressed bytes after that.
MAX_ARCHIVE_RATIO: Final = 200

#: Members of one archive, each of which takes 400 bytes of memory, and the bytes of a name and of PAX records.
MAX_MEMBERS: Final = 300_000
MAX_MEMBER_NAME: Final = 4096
MAX_PAX_SIZE: Final = 1 * MIB
#: Bytes of all extended headers of one archive together, and PAX records in them (lines are
#: counted). `tar --posix` writes three records of 90 bytes together for each member.
MAX_ALL_EXTENSIONS: Final = 64 * MIB
MAX_PAX_RECORDS: Final = 2_000_000
#: Bytes of all names and link targets of one archive together: a count alone would
#: allow a gigabyte.
MAX_ALL_MEMBER_NAMES: Final = 64 * MIB
#: Parts of a name that is looked up in an archive, each of which may be a link.
MAX_NAME_PARTS: Final = 256
#: Names of one layer that `validate` compares with each other, in 8 MiB of memory a thread.
MAX_LAYER_NAMES: Final = 690_000
#: Links followed from a name to a regular member.
MAX_LINK_HOPS: Final = 8

#: Index inside index inside index.
MAX_INDEX_DEPTH: Final = 8
#: Manifests, indexes and configs read from one source.
MAX_NODES: Final = 100_000
#: What all names and indexes of one source list, counted again for each that leads there.
MAX_LISTED: Final = 1_000_000
#: Layers of an image that Docker loads with a graph driver (moby daemon/internal/layer, `maxLayerDepth`).
MAX_DOCKER_LAYERS: Final = 125
#: Layers of one image.
MAX_LAYERS: Final = 10_000
#: All documents of one source together: bytes (each reading counts), values, and
#: DiffIDs. They bound time and memory where a small archive names one large
#: document a hundred thousand times. Five thousand usual images have fewer; an archive
#: with a folder for each layer has four members for one.
MAX_ALL_DOCUMENTS_SIZE: Final = 96 * MIB
MAX_ALL_VALUES: Final = 1_500_000
MAX_ALL_LAYERS: Final = 40_000
#: Images of one source: `digest` looks at each once for every tool whose push it computes.
MAX_ALL_IMAGES: Final = 10_000
#: Names of all images of one source together, each of which takes a kilobyte or two
#: on its way to a target. A repository of many years has ten thousand.
MAX_ALL_NAMES: Final = 100_000
#: Faults collected before nobody wants to know of more.
MAX_PROBLEMS: Final = 1000

#: Images and the like that `inspect` shows a person, and the lines of all their tables;
#: `--json` has the rest.
MAX_SHOWN: Final = 1000
MAX_SHOWN_LINES: Final = 2000

#: Bytes of the histories that `inspect` puts into its document, those of a config that many
#: images share counted for each; and of a whole `--json` document.
MAX_HISTORIES_SIZE: Final = 16 * MIB
MAX_REPORT_SIZE: Final = 64 * MIB
#: Layers of no known encoder after which `match` tries no more: each costs a run of every encoder.
MAX_UNKNOWN_LAYERS: Final = 200
#: Places in which two documents differ that `diff` lists, and boxes of a graph.
MAX_DIFFERENCES: Final = 1000
MAX_BOXES: Final = 10_000

#: Warnings about one source that are kept.
MAX_WARNINGS: Final = 1000

#: Members of a gzip stream, streams of bzip2 or xz, and frames of zstd, in one layer,
#: that are smaller than a block of a tar. A layer in the form of eStargz has one or two a file.
MAX_SMALL_MEMBERS: Final = 1_000_000
SMALL_MEMBER: Final = 512

#: The window or dictionary of one zstd or xz stream: what zstd's "long" mode uses by
#: default, and `xz -9` needs 65 MiB.
MAX_DECODER_MEMORY: Final = 128 * MIB
#: The same of all streams that are unpacked at once, however many threads there are,
#: and the size up to which one is not counted.
DECODING_MEMORY: Final = 128 * MIB
FREE_MEMORY: Final = 1 * MIB
#: The same for the inner stream of an archive that is compressed twice.
MAX_INNER_DECODER_MEMORY: Final = 16 * MIB

#: Bytes handled at a time when streaming.
CHUNK: Final = 1 * MIB


def usable_cores() -> int:
    """Return how many cores this process may use: taskset and cpusets count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
