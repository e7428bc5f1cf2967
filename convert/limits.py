"""All limits on untrusted input (docs/contract.md#limits).

Sizes are bytes. The compression ratio of layers is not limited, because valid images contain
sparse files that compress 1000:1 and more; layers are streamed in constant memory instead.
"""

from __future__ import annotations

import os
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30

#: A manifest, index, config, `manifest.json`, `repositories` or v1 `json`.
MAX_DOCUMENT_SIZE: Final = 4 * MIB
#: Maximum nesting of arrays and objects in a document.
MAX_DOCUMENT_DEPTH: Final = 64
#: Values in a document; keys of objects count too. 4 MiB of them would take 150 MB as Python
#: objects. Thirty thousand descriptors have fewer.
MAX_DOCUMENT_VALUES: Final = 300_000
#: Digits of one number in a document; parsing a number takes quadratic time.
MAX_NUMBER_DIGITS: Final = 64

#: Default of `--max-layer-size`: one layer, uncompressed.
MAX_LAYER_SIZE: Final = 64 * GIB

#: Uncompressed bytes after which the ratio of whole-archive compression is checked.
ARCHIVE_RATIO_FREE_SIZE: Final = 1 * GIB
#: Maximum ratio of uncompressed to compressed bytes after that.
MAX_ARCHIVE_RATIO: Final = 200
#: The same for bzip2, which takes ten times as long for a byte; images shrink to a third.
BZIP2_RATIO_FREE_SIZE: Final = 256 * MIB
MAX_BZIP2_RATIO: Final = 50

#: Members of one archive, each of which takes 400 bytes of memory; bytes of a name and of PAX records.
MAX_MEMBERS: Final = 150_000
#: Members of one layer whose files `diff` compares.
MAX_LAYER_MEMBERS: Final = 300_000
MAX_MEMBER_NAME: Final = 4096
MAX_PAX_SIZE: Final = 1 * MIB
#: Total bytes of the extended headers of one archive, and their PAX records (lines are counted).
#: `tar --posix` writes three records, 90 bytes in total, for each member.
MAX_ALL_EXTENSIONS: Final = 64 * MIB
MAX_PAX_RECORDS: Final = 2_000_000
#: Total bytes of the names and link targets of one archive; the limit on members alone would allow
#: a gigabyte.
MAX_ALL_MEMBER_NAMES: Final = 64 * MIB
#: Parts of a name that is looked up in an archive; each part may be a link.
MAX_NAME_PARTS: Final = 256
#: Folders in all long names that are looked up in one archive, counted again for each link on the way.
MAX_NAME_STEPS: Final = 2_000_000
#: Names of one layer that `validate` compares, in 8 MiB of memory for each thread.
MAX_LAYER_NAMES: Final = 690_000
#: Files in all layers of one source that `inspect --files` lists, and bytes of their names: they are in a temporary
#: file of less than 1 GB. Rows that are compared for all images together, where images that share a layer each take
#: its rows: a number, and as many times all that the layers have, so that large images of one base are compared.
MAX_LISTED_FILES: Final = 2_000_000
MAX_LISTED_NAMES_SIZE: Final = 256 * MIB
MAX_COMPARED_FILES: Final = 2_000_000
MAX_COMPARED_TIMES: Final = 10
#: Largest files, folders and wasted paths of one layer or image that are shown, and bytes of all of them together.
MAX_SHOWN_PATHS: Final = 20
MAX_SHOWN_PATHS_SIZE: Final = 8 * MIB
#: Links followed from a name to a regular member.
MAX_LINK_HOPS: Final = 8
#: Symbolic links that the folders of one path in a layer may lead through: as Linux follows (path_resolution(7)).
MAX_FOLDER_LINKS: Final = 40

#: Bytes of a link in the storage of a registry: the longest digest, of sha512, has 135.
MAX_LINK_SIZE: Final = 256
#: Parts of the name of a repository, which has at most 255 characters.
MAX_REPOSITORY_PARTS: Final = 128
#: Blobs and tags of one storage that `validate` compares; each takes some hundred bytes of memory.
MAX_STORED_BLOBS: Final = 2_000_000
MAX_STORED_TAGS: Final = 1_000_000
#: Layers that all manifests of one storage name together, counted once for each manifest; each takes 4 bytes.
MAX_STORED_PARTS: Final = 50_000_000

#: Maximum nesting of indexes.
MAX_INDEX_DEPTH: Final = 8
#: Manifests, indexes and configs read from one source.
MAX_NODES: Final = 100_000
#: Entries of all names and indexes of one source, counted once for each path that leads to them.
MAX_LISTED: Final = 1_000_000
#: Layers of an image that Docker loads with a graph driver (moby daemon/internal/layer, `maxLayerDepth`).
MAX_DOCKER_LAYERS: Final = 125
#: Layers of one image.
MAX_LAYERS: Final = 10_000
#: Totals over all documents of one source: bytes (each reading counts), values, and DiffIDs. They
#: bound time and memory if a small archive refers to one large document a hundred thousand times.
#: Five thousand usual images have fewer.
MAX_ALL_DOCUMENTS_SIZE: Final = 96 * MIB
MAX_ALL_VALUES: Final = 1_500_000
MAX_ALL_LAYERS: Final = 40_000
#: Different layers of all images of one source: the smallest costs `digest` a millisecond.
MAX_DIFFERENT_LAYERS: Final = 10_000
#: Bytes of layers that `export` and `diff` read once more because images list them again, beside a number of times
#: that each layer may be repeated. Honest images repeat empty layers, and share others with images like them.
MAX_REPEATED_SIZE: Final = 32 * MIB
MAX_REPEATS: Final = 8
#: The same for layers that unpack to `LARGE_LAYER` or more: a base of very many images.
MAX_LARGE_REPEATS: Final = 100
LARGE_LAYER: Final = 16 * MIB
#: Bytes of the differences between layers that `diff` keeps, for pairs that stand in many images.
MAX_KEPT_DIFFERENCES_SIZE: Final = 16 * MIB
#: Bytes of documents that are kept while a source is read more than once, beside those that images refer to.
MAX_KEPT_DOCUMENTS_SIZE: Final = 16 * MIB
#: Images of one source; `digest` processes each once for every tool whose push it computes.
MAX_ALL_IMAGES: Final = 5_000
#: Results of one conversion with a template as DEST; all are open until the last is complete.
MAX_RESULTS: Final = 4_000
#: Total names of the images of one source; each takes one or two kilobytes during a conversion.
#: A repository of many years has ten thousand.
MAX_ALL_NAMES: Final = 100_000
#: Maximum number of problems collected.
MAX_PROBLEMS: Final = 1000

#: Maximum number of images and other nodes that `inspect` prints, and of lines in their tables;
#: `--json` is not limited.
MAX_SHOWN: Final = 1000
MAX_SHOWN_LINES: Final = 2000

#: Bytes of an HTML page; it says what it leaves out.
MAX_PAGE_SIZE: Final = 5_000_000
#: Layers of all images together up to which a page of `inspect` has the digests of pushes; pairs of layers whose files
#: a page of `diff` compares.
MAX_PAGE_LAYERS: Final = 5_000

#: Bytes of the histories in the document of `inspect`, where a config that images share counts for
#: each of them; and bytes of any `--json` document.
MAX_HISTORIES_SIZE: Final = 16 * MIB
MAX_REPORT_SIZE: Final = 64 * MIB
#: Unrecognised layers after which `match` stops: each costs a run of every encoder.
MAX_UNKNOWN_LAYERS: Final = 200
#: Differences between two documents that `diff` lists, and boxes of a graph.
MAX_DIFFERENCES: Final = 1000
MAX_BOXES: Final = 10_000

#: Bytes of an inventory, which lists what the receiver of a thin archive has.
MAX_INVENTORY_SIZE: Final = 16 * MIB

#: Items of one batch, each of which takes about a kilobyte of memory; bytes of a list of them.
MAX_BATCH_ITEMS: Final = 10_000_000
MAX_LIST_SIZE: Final = 1 * GIB
#: Bytes of one row of a journal. The names and digests of ten thousand images need fewer.
MAX_ROW_SIZE: Final = 16 * MIB
#: Sources, lists and journals of a batch that an output with fields of images could be; each item holds them.
MAX_KEPT: Final = 10_000
#: Lines about one item that a batch passes on.
MAX_ITEM_NOTES: Final = 20

#: Warnings about one source that are kept.
MAX_WARNINGS: Final = 1000

#: Gzip members, bzip2 or xz streams and zstd frames in one layer that are smaller than a tar block.
#: An eStargz layer has one or two for each file.
MAX_SMALL_MEMBERS: Final = 1_000_000
SMALL_MEMBER: Final = 512

#: The header of one gzip member, with its name, comment and extra field.
MAX_GZIP_HEADER: Final = 64 * KIB

#: The window or dictionary of one zstd or xz stream. zstd's "long" mode uses this size by default;
#: `xz -9` needs 65 MiB.
MAX_DECODER_MEMORY: Final = 128 * MIB
#: The total for all streams that are decompressed at the same time, in any number of threads, and
#: the size up to which a stream is not counted.
DECODING_MEMORY: Final = 128 * MIB
FREE_MEMORY: Final = 1 * MIB
#: The same for the inner stream of an archive that is compressed twice.
MAX_INNER_DECODER_MEMORY: Final = 16 * MIB

#: Encoders that `inspect --encoders` starts for one gzip stream: a member may need a run of each.
MAX_ENCODER_RUNS: Final = 300_000

#: Bytes processed at a time when streaming.
CHUNK: Final = 1 * MIB


def usable_cores() -> int:
    """Return how many cores this process may use, with respect to taskset and cpusets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
