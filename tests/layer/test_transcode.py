"""Layers are finished the same way on one core and on many, and what goes wrong comes out."""

import gzip
import hashlib
import io
import random
import tarfile
import threading

import pytest

import convert
from convert.archive.blob import MemoryBlob
from convert.codec import profile as profiles
from convert.codec.readahead import read_ahead
from convert.errors import DigestMismatchError, FormatError, TruncatedError, UnsafeInputError
from convert.layer.balance import fill_cores
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.layer.staging import NoStaging
from convert.layer.streams import drain
from convert.layer.transcode import SPLIT_SIZE, LayerTranscoder
from convert.layer.verify import PlainContent
from convert.limits import CHUNK, MIB
from convert.model.digest import Digest
from convert.model.image import Layer


def plain_bytes(size, seed=1):
    """Bytes that compress somewhat, different for each seed."""
    rand = random.Random(seed)
    words = [rand.randbytes(rand.randrange(3, 40)) for _ in range(300)]
    made = bytearray()
    while len(made) < size:
        made += rand.choice(words)
    return bytes(made[:size])


def digest(data):
    return Digest("sha256", hashlib.sha256(data).hexdigest())


def layer_of(plain, stored=None):
    return Layer(digest(plain), MemoryBlob(plain if stored is None else stored, "layer.tar"))


class Counts:
    """A progress that remembers."""

    def __init__(self):
        self.expected = 0
        self.done = 0
        self.parts = {}
        self._lock = threading.Lock()

    def expect(self, size):
        self.expected += size

    def begin(self, name, size):
        self.parts[name] = [size, 0]

        def advance(count):
            with self._lock:
                self.done += count
                self.parts[name][1] += count

        return advance

    def advance(self, size):
        with self._lock:
            self.done += size

    def close(self):
        pass


# -- encoding --------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1000, SPLIT_SIZE - 1, SPLIT_SIZE, SPLIT_SIZE + 3 * MIB + 17])
def test_a_layer_has_the_same_digest_on_any_number_of_cores(jobs, size):
    plain = plain_bytes(size)
    encoder = profiles.get("crane").encoder()
    wanted = digest(encoder.write(plain) + encoder.finish())
    with Pool(jobs) as pool:
        transcoder = LayerTranscoder(pool, profile=profiles.get("crane"), context=ReadContext())
        descriptor, _ = transcoder.encode(io.BytesIO(plain), NoStaging(), size)
    assert descriptor.digest == wanted


def test_only_one_layer_at_a_time_is_split():
    """Others at the same moment are encoded in order: that is what bounds the memory."""
    inside = threading.Event()
    leave = threading.Event()
    split = []

    class Watched(profiles.Profile):
        def encoder(self, executor=None, workers=1):
            split.append(executor is not None)
            return profiles.get("crane").encoder(executor, workers)

    class Held(io.BytesIO):
        def readinto(self, buffer):
            inside.set()
            leave.wait(60)
            return super().readinto(buffer)

    profile = Watched("go1.26-1", "gzip")
    data = plain_bytes(SPLIT_SIZE)
    with Pool(4) as pool:
        transcoder = LayerTranscoder(pool, profile=profile, context=ReadContext())
        first = pool.submit(transcoder.encode, Held(data), NoStaging(), len(data))
        assert inside.wait(60)
        second = transcoder.encode(io.BytesIO(data), NoStaging(), len(data))
        leave.set()
        assert first.result()[0] == second[0]
        third = transcoder.encode(io.BytesIO(data), NoStaging(), len(data))
        assert third[0] == second[0]
    assert split == [True, False, True]


def test_a_profile_that_cannot_be_split_never_is():
    assert [
        name for name in ("go1.26-1", "go1.27-9", "zstd-3", "none", "go1.26-store") if profiles.get(name).splits
    ] == [
        "go1.26-1",
        "go1.27-9",
    ]


# -- unpacking in one thread, hashing in another ----------------------------------


@pytest.mark.parametrize("overlap", [False, True])
def test_a_compressed_layer_proves_its_diff_id_in_one_thread_or_two(overlap):
    plain = random.Random(3).randbytes(3 * CHUNK + 5)
    layer = layer_of(plain, gzip.compress(plain, 1))
    context = ReadContext(ReadOptions(overlap=overlap))
    seen = []
    with PlainContent(layer, context).open() as stream:
        assert drain(stream, lambda chunk: seen.append(bytes(chunk))) == len(plain)
    assert b"".join(seen) == plain
    assert context.verified.layers.has(layer.blob, layer.diff_id)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_wrong_diff_id_is_told_in_one_thread_or_two(overlap):
    plain = random.Random(4).randbytes(2 * CHUNK)
    layer = Layer(digest(b"another"), MemoryBlob(gzip.compress(plain, 1), "layer.tar"))
    with (
        PlainContent(layer, ReadContext(ReadOptions(overlap=overlap))).open() as stream,
        pytest.raises(DigestMismatchError),
    ):
        drain(stream)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(
    ("damage", "error"),
    [(lambda data: data[: len(data) // 2], TruncatedError), (lambda data: data[:-8] + bytes(8), FormatError)],
)
def test_damage_is_told_in_one_thread_or_two(overlap, damage, error):
    plain = random.Random(5).randbytes(4 * CHUNK)
    layer = layer_of(plain, damage(gzip.compress(plain, 1)))
    with PlainContent(layer, ReadContext(ReadOptions(overlap=overlap))).open() as stream, pytest.raises(error):
        drain(stream)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_layer_over_the_limit_is_refused_in_one_thread_or_two(overlap):
    plain = random.Random(6).randbytes(4 * CHUNK)
    layer = layer_of(plain, gzip.compress(plain, 1))
    stream = PlainContent(layer, ReadContext(ReadOptions(2 * CHUNK, overlap=overlap))).open()
    with stream, pytest.raises(UnsafeInputError):
        drain(stream)


class Endless(io.RawIOBase):
    """Never ends; notes when it is closed and that nobody reads it afterwards."""

    def __init__(self):
        self.read_after_close = False

    def readable(self):
        return True

    def read(self, size=-1):
        self.read_after_close |= self.closed
        return bytes(1000)


def test_a_reader_that_stops_early_ends_the_thread():
    before = threading.active_count()
    source = Endless()
    with read_ahead(source) as stream:
        assert stream.read(10) == bytes(10)
    assert source.closed
    assert not source.read_after_close
    assert threading.active_count() == before


def test_reading_ahead_raises_at_the_place_of_the_error():
    class Broken(io.RawIOBase):
        def __init__(self):
            self.left = 3

        def read(self, size=-1):
            self.left -= 1
            if self.left < 0:
                raise FormatError("damaged")
            return b"ab"

    with read_ahead(Broken()) as stream:
        assert b"".join(stream.read(100) for _ in range(3)) == b"ababab"
        with pytest.raises(FormatError, match="damaged"):
            stream.read(100)


# -- progress --------------------------------------------------------------------


def archive(path, layers):
    """Write a docker-save archive of one image."""
    import json

    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(digest(layer)) for layer in layers]},
        }
    ).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": names}]
    with tarfile.open(path, "w") as tar:
        for name, data in [
            *zip(names, layers, strict=True),
            ("c.json", config),
            ("manifest.json", json.dumps(manifest).encode()),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def layer_tar(size, seed):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(f"file-{seed}")
        info.size = size
        tar.addfile(info, io.BytesIO(plain_bytes(size, seed)))
    return out.getvalue()


@pytest.fixture
def layers():
    return [layer_tar(size, seed) for seed, size in enumerate((5 * MIB, 100, 70_000))]


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        (["oci"], {}),
        (["docker-save"], {}),
        (["oci", "docker-save"], {}),
        (["oci", "oci"], {}),
        (["oci", "oci"], {"verify": "full"}),
        (["crane", "oci"], {}),
        (["crane", "docker-save@25"], {}),
        (["oci", "oci-archive"], {"recompress": True, "compress": "docker"}),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_counts_each_layer_once_and_wholly(tmp_path, layers, steps, options, jobs):
    """Whatever becomes of the layers: what is expected is what gets done."""
    source = tmp_path / "source.tar"
    archive(source, layers)
    for number, to in enumerate(steps):
        counts = Counts()
        target = tmp_path / f"out-{number}"
        convert.convert(str(source), target, to=to, jobs=jobs, progress=counts, **(options if number else {}))
        source = target
        assert counts.expected > 0
        assert counts.done == counts.expected
        assert len(counts.parts) == len(layers)
        assert all(size == done for size, done in counts.parts.values())


def test_progress_counts_a_pipe_while_it_arrives(tmp_path, layers, monkeypatch):
    import os

    source = tmp_path / "source.tar"
    archive(source, layers)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(source.read_bytes()))
    writer.start()
    counts = Counts()
    convert.convert(str(fifo), tmp_path / "out", to="oci", progress=counts)
    writer.join()
    assert counts.done == sum(map(len, layers))
    assert {name: size for name, (size, _) in counts.parts.items()} == {
        f"{number}/layer.tar": len(layer) for number, layer in enumerate(layers)
    }


@pytest.mark.parametrize("jobs", [1, 3])
def test_many_small_layers_of_a_pipe_become_what_they_become_from_a_file(tmp_path, jobs):
    import os

    source = tmp_path / "source.tar"
    archive(source, [layer_tar(200_000 + seed, seed) for seed in range(40)])
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(source.read_bytes()))
    writer.start()
    piped = convert.convert(str(fifo), tmp_path / "piped", to="oci", jobs=jobs)
    writer.join()
    filed = convert.convert(str(source), tmp_path / "filed", to="oci", jobs=jobs)
    assert piped.images == filed.images
    names = {path.relative_to(tmp_path / "filed") for path in (tmp_path / "filed").rglob("*")}
    assert {path.relative_to(tmp_path / "piped") for path in (tmp_path / "piped").rglob("*")} == names
    for name in names:
        if (tmp_path / "filed" / name).is_file():
            assert (tmp_path / "piped" / name).read_bytes() == (tmp_path / "filed" / name).read_bytes()


# -- large layers: side by side, or split ----------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "cores", "even"),
    [
        ([225, 204], 2, True),
        ([100], 1, True),
        ([100], 2, False),
        ([300, 60, 60], 2, False),
        ([16] * 8, 2, True),
        ([16] * 8, 3, False),
        ([50, 30, 20], 2, True),
        ([100, 100, 100], 2, False),
    ],
)
def test_layers_are_split_where_a_core_would_wait_for_the_last_of_them(sizes, cores, even):
    assert fill_cores(sizes, cores) is even
    assert fill_cores(sizes[::-1], cores) is even


@pytest.mark.parametrize("sizes", [(5, 5), (9, 5)])
def test_even_and_uneven_layers_have_the_bytes_that_one_core_makes(tmp_path, sizes):
    layers = [plain_bytes(size * MIB, seed) for seed, size in enumerate(sizes)]
    source = tmp_path / "image.tar"
    archive(source, layers)
    results = []
    for jobs in (1, 2, 3):
        out = tmp_path / f"out-{jobs}"
        convert.convert(str(source), str(out), to="oci", jobs=jobs)
        results.append({path.name: path.read_bytes() for path in (out / "blobs/sha256").iterdir()})
    assert results[0] == results[1] == results[2]
