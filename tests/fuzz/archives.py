"""Whole archives, made by mutating real ones: read with the right digests, or refused.

    python tests/fuzz/archives.py [--runs N] [--seed S] [--keep FOLDER]

needs no fuzzer: it changes members, documents and headers of testdata/match/archives
(checksums are mended, so that a change is seen by what lies behind them), each run
from a seed of its own. `--keep` receives what was found.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import support
from fuzzing import ROOT, in_memory, one_line

from convert.archive.source import open_source
from convert.content import PlainContent, Proofs, StoredContent, drain
from convert.errors import InputError
from convert.formats.read import read
from convert.transform import layers_of

BLOCK = 512
#: What replaces a piece of a document or a name.
WORDS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"[]", b"{}", b'""', b'".."', b'"/etc/passwd"', b'"sha256:"', b"[[]]",
    b"99999999999999999999", b'"\\ud800"', b'"a\\u001b[2Jb"', b'"\xff"', b"NaN", b",", b":", b'"', b"}", b"]",
    b'"manifest.json"', b'"application/vnd.oci.image.index.v1+json"', b'"application/vnd.oci.image.manifest.v1+json"',
]  # fmt: skip
SIZES = [b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"00000000000\0", b"00000001000\0", b"abc         "]


def one(data: bytes) -> None:
    """Read an archive in both ways; prove what was read by other code than ours."""
    fd = in_memory(data)
    try:
        path = f"/proc/self/fd/{fd}" if os.path.isdir("/proc/self/fd") else f"/dev/fd/{fd}"
        try:
            with open_source(path) as opened:
                _tolerant(opened.tree)
                _strict(opened.tree)
        except InputError as error:
            one_line(error)
    finally:
        os.close(fd)


def _tolerant(tree) -> None:
    problems: list[InputError] = []
    try:
        read(tree, problems=problems)
    except InputError:
        return
    assert all(str(problem).isprintable() for problem in problems)


def _strict(tree) -> None:
    images = read(tree)
    for image in images.images():
        assert str(image.image_id) == support.sha256(image.config.raw)
        assert len(image.layers) == len(image.config.diff_ids)
    proofs = Proofs(max_layer_size=1 << 24)
    for _, layer in layers_of(images):
        if layer.blob is None:
            continue
        with layer.blob.open() as stream:
            raw = stream.read()
        if layer.stored is not None:
            with StoredContent(layer.blob, layer.stored, proofs).open() as stored:
                drain(stored)
            assert hashlib.new(layer.stored.digest.algorithm, raw).hexdigest() == layer.stored.digest.hex
        hasher = hashlib.new(layer.diff_id.algorithm)
        with PlainContent(layer, proofs).open() as plain:
            drain(plain, hasher.update)
        assert hasher.hexdigest() == layer.diff_id.hex


# -- mutation --------------------------------------------------------------------------


def blocks_of(data):
    """Return where each header stands, as far as the tar can be followed."""
    found, position = [], 0
    while position + BLOCK <= len(data) and data[position]:
        found.append(position)
        position += BLOCK + -(-_size(data, position) // BLOCK) * BLOCK
    return found


def mend(data, position):
    """Make a header's checksum right again."""
    data[position + 148 : position + 156] = b" " * 8
    total = sum(data[position : position + BLOCK])
    data[position + 148 : position + 156] = b"%06o\0 " % total


def mutated(data, chance):
    """Return a copy with one to four changes."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        headers = blocks_of(result)
        if not headers:
            break
        chance.choice(CHANGES)(result, chance.choice(headers), headers, chance)
    return bytes(result)


def _size(data, position):
    try:
        return max(0, int(bytes(data[position + 124 : position + 135]).strip(b"\0 ") or b"0", 8))
    except ValueError:
        return 0


def flip(data, position, headers, chance):
    size = min(_size(data, position), len(data) - position - BLOCK)
    if size > 0:
        data[position + BLOCK + chance.randrange(size)] ^= 1 << chance.randrange(8)


def header_byte(data, position, headers, chance):
    data[position + chance.randrange(BLOCK)] = chance.randrange(256)
    mend(data, position)


def header_size(data, position, headers, chance):
    data[position + 124 : position + 136] = chance.choice(SIZES)
    mend(data, position)


def header_kind(data, position, headers, chance):
    data[position + 156] = chance.choice(b"0123456789LKxgSVMDNX\0")
    mend(data, position)


def header_name(data, position, headers, chance):
    other = chance.choice(headers)
    data[position : position + 100] = data[other : other + 100]
    mend(data, position)


def header_link(data, position, headers, chance):
    target = chance.choice([b"..", b"/etc/passwd", b"manifest.json", bytes(data[chance.choice(headers) :][:99])])
    data[position + 157 : position + 257] = target[:100].ljust(100, b"\0")
    data[position + 156] = chance.choice(b"12")
    mend(data, position)


def document(data, position, headers, chance):
    """Change a word of a document in place, keeping or mending its size."""
    size = _size(data, position)
    body = bytes(data[position + BLOCK : position + BLOCK + size])
    if not body.startswith((b"{", b"[")):
        return
    at = chance.randrange(len(body))
    end = min(len(body), at + chance.choice((0, 1, 1, 4, 16)))
    new = body[:at] + chance.choice([*WORDS, body[chance.randrange(len(body)) :][:40]]) + body[end:]
    _replace(data, position, size, new)


def structure(data, position, headers, chance):
    """Replace, drop or repeat one value of a document, and write it whole."""
    size = _size(data, position)
    try:
        value = json.loads(bytes(data[position + BLOCK : position + BLOCK + size]))
    except ValueError:
        return
    holder = value
    while isinstance(holder, (dict, list)) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[key], (dict, list)) or not holder[key] or chance.random() < 0.3:
            if chance.random() < 0.3:
                del holder[key]
            elif isinstance(holder, list) and chance.random() < 0.5:
                holder.append(holder[key])
            else:
                holder[key] = chance.choice(
                    [None, True, -1, 0, 2**70, "", "..", "a" * 300, [], {}, [[]], {"a": 1}, 1.5]
                )
            break
        holder = holder[key]
    _replace(data, position, size, json.dumps(value).encode())


def _replace(data, position, size, new):
    data[position + 124 : position + 136] = b"%011o\0" % len(new)
    mend(data, position)
    data[position + BLOCK : position + BLOCK + size + -size % BLOCK] = new + bytes(-len(new) % BLOCK)


def drop(data, position, headers, chance):
    size = _size(data, position)
    del data[position : position + BLOCK + size + -size % BLOCK]


def repeat(data, position, headers, chance):
    size = _size(data, position)
    part = data[position : position + BLOCK + size + -size % BLOCK]
    at = chance.choice(headers)
    data[at:at] = part


def cut(data, position, headers, chance):
    del data[chance.randrange(len(data)) :]


CHANGES = [flip, header_byte, header_size, header_kind, header_name, header_link, drop, repeat, cut]
CHANGES += [document] * 6 + [structure] * 8


def sources():
    """Return real archives, uncompressed, small enough to be read a million times."""
    folder = ROOT / "testdata" / "match" / "archives"
    return {path.name: support.plain(path) for path in sorted(folder.glob("*.tar.gz"))}


def made(seed, archives):
    chance = random.Random(seed)
    name = chance.choice(sorted(archives))
    return name, mutated(archives[name], chance)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--keep", default="")
    options.add_argument("--seconds", type=int, default=0, help="stop after so long")
    given = options.parse_args()
    archives = sources()
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    found, begin, slowest, run = 0, time.monotonic(), 0.0, 0
    for run in range(1, given.runs + 1):
        _, data = made(given.seed + run, archives)
        start = time.process_time()
        signal.alarm(60)
        try:
            one(data)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every one of them is a finding
            found += 1
            sys.stdout.write(f"seed {given.seed + run}: {type(error).__name__}: {error}\n")
            if found <= 20:
                traceback.print_exc()
            if given.keep:
                Path(given.keep, f"archive-{given.seed + run}").write_bytes(data)
        signal.alarm(0)
        slowest = max(slowest, time.process_time() - start)
        if given.seconds and time.monotonic() - begin > given.seconds:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    sys.stdout.write(
        f"{run} runs, {found} findings, slowest {slowest:.2f} s, peak {peak} MiB, {time.monotonic() - begin:.0f} s\n"
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
