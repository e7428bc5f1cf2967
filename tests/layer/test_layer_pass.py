"""One reading of a layer feeds every sink and verifies the layer."""

import gzip
import hashlib
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.archive.blob import MemoryBlob
from convert.codec import encoders
from convert.codec import profile as profiles
from convert.errors import DigestMismatchError
from convert.layer.context import ReadContext
from convert.layer.layer_pass import EncodeSink, LayerPass
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Layer

PLAIN = bytes(range(256)) * 9000


def digest(data, algorithm="sha256"):
    return Digest(algorithm, hashlib.new(algorithm, data).hexdigest())


@pytest.mark.parametrize(
    ("stored", "media_type"),
    [
        (PLAIN, "application/vnd.oci.image.layer.v1.tar"),
        (gzip.compress(PLAIN), "application/vnd.oci.image.layer.v1.tar+gzip"),
        (lzma.compress(PLAIN), "application/vnd.oci.image.layer.v1.tar"),
    ],
    ids=["plain", "gzip", "xz"],
)
def test_every_sink_gets_the_plain_bytes_and_the_stored_ones_are_described(stored, media_type):
    first, second = bytearray(), bytearray()
    context = ReadContext()
    read = LayerPass(Layer(digest(PLAIN), MemoryBlob(stored, "layer")), context)
    described = read.run(first.extend, second.extend)
    assert first == second == PLAIN
    assert read.plain_size == len(PLAIN)
    assert described == Descriptor(media_type, digest(stored), len(stored))


def test_a_descriptor_that_came_with_the_layer_is_verified_in_the_same_reading():
    stored = gzip.compress(PLAIN)
    named = Descriptor("t", digest(stored), len(stored))
    assert LayerPass(Layer(digest(PLAIN), MemoryBlob(stored, "x"), named), ReadContext()).run() is named
    wrong = Descriptor("t", digest(b"other"), len(stored))
    with pytest.raises(DigestMismatchError):
        LayerPass(Layer(digest(PLAIN), MemoryBlob(stored, "x"), wrong), ReadContext()).run()


def test_a_copy_is_read_in_place_of_the_blob():
    stored = gzip.compress(PLAIN)
    layer = Layer(digest(PLAIN), MemoryBlob(stored, "x"))
    assert LayerPass(layer, ReadContext()).run(copy=io.BytesIO(stored)).digest == digest(stored)
    with pytest.raises(DigestMismatchError):
        LayerPass(layer, ReadContext()).run(copy=io.BytesIO(gzip.compress(b"other")))


def test_the_stored_digest_is_reported_on_request_whatever_names_the_layer():
    found = []
    layer = Layer(digest(PLAIN, "sha512"), MemoryBlob(PLAIN, "x"), Descriptor("t", digest(PLAIN), len(PLAIN)))
    LayerPass(layer, ReadContext()).run(described=lambda *pair: found.append(pair))
    assert found == [(digest(PLAIN), len(PLAIN))]


@given(st.binary(max_size=5000), st.integers(1, 700))
def test_an_encode_sink_has_the_same_result_by_chunks_and_from_a_stream(data, step):
    out, other = bytearray(), bytearray()
    chunks = EncodeSink(profiles.get("go1.26-1").encoder(), out.extend)
    for at in range(0, len(data), step):
        chunks.write(memoryview(data)[at : at + step])
    stream = EncodeSink(profiles.get("go1.26-1").encoder(), other.extend)
    stream.read_from(io.BytesIO(data))
    assert chunks.finish() == stream.finish() == [digest(out)]
    assert out == other
    assert gzip.decompress(out) == data
    assert chunks.size == stream.size == len(out)


def test_one_run_of_an_encoder_gives_the_digest_behind_every_header():
    spec = next(spec for spec in encoders.encoder_specs("gzip") if spec.name == "zlib-6")
    headers = [header.raw for header in spec.headers]
    out = bytearray()
    sink = EncodeSink(spec.encoder(), out.extend, headers=headers, skip=10, algorithm="sha512")
    sink.write(memoryview(PLAIN))
    digests = sink.finish()
    assert bytes(out[:10]) == headers[0]
    assert digests == [digest(header + bytes(out[10:]), "sha512") for header in headers]
    assert sink.size == len(out)
