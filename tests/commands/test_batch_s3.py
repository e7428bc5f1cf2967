"""URLs of a batch against a server that speaks S3: moto's, which runs in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from batch_archives import archive, write_archives

pytest.importorskip("s3fs", reason="s3fs is not installed (extra `test-s3`)")
moto_server = pytest.importorskip("moto.server", reason="moto's server is not installed (extra `test-s3`)")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (extra `test-s3`)")

import s3fs  # noqa: E402 - after the checks

from convert import batch  # noqa: E402
from convert.cli.main import run  # noqa: E402

# Of botocore, moto and Python's own HTTP server, not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def server():
    found = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    yield "http://{}:{}".format(*found.get_host_and_port())
    found.stop()


@pytest.fixture
def storage(server, monkeypatch):
    """Return a client for an empty bucket `in` and `out`; s3fs finds the server by the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3", endpoint_url=server)
    for bucket in ("in", "out"):
        client.create_bucket(Bucket=f"{bucket}-bucket")
    yield client
    for bucket in ("in-bucket", "out-bucket"):
        for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=entry["Key"])


def put(storage, folder, count=6, size=20_000):
    write_archives(folder, count, size)
    for path in sorted(folder.iterdir()):
        storage.put_object(Bucket="in-bucket", Key=f"x/{path.name}", Body=path.read_bytes())


def test_a_bucket_gives_the_rows_and_results_of_its_files(storage, tmp_path):
    put(storage, tmp_path / "in")
    rows = [batch.run_one(item) for item in batch.items(["s3://in-bucket/x/*.tar"], "validate")]
    local = [batch.run_one(item) for item in batch.items([tmp_path / "in" / "*.tar"], "validate")]
    assert [(row.exit, row.code, row.stamp.size) for row in rows] == [
        (row.exit, row.code, row.stamp.size) for row in local
    ]
    assert [row.source for row in rows] == [f"s3://in-bucket/x/{number:05}.tar" for number in range(6)]
    assert all(row.stamp.etag for row in rows)
    options = {"to": "oci-archive", "recompress": True}
    items = batch.items(["s3://in-bucket/x/*.tar"], "convert", out="s3://out-bucket/y/{stem}.tar", **options)
    rows = [batch.run_one(item) for item in items]
    alone = batch.items([tmp_path / "in" / "*.tar"], "convert", out=str(tmp_path / "{stem}.tar"), **options)
    for row, other in zip(rows, map(batch.run_one, alone), strict=True):
        assert (row.exit, row.code, row.bytes) == (other.exit, other.code, other.bytes)
        if row.exit == 0:
            found = storage.get_object(Bucket="out-bucket", Key=row.output.removeprefix("s3://out-bucket/"))
            assert found["Body"].read() == Path(other.output).read_bytes()
    listed = storage.list_objects_v2(Bucket="out-bucket")["Contents"]
    assert len(listed) == sum(row.exit == 0 for row in rows) == 5
    # Again: the same bytes count as written, and nothing is uploaded.
    assert [row.exit for row in map(batch.run_one, items)] == [row.exit for row in rows]
    assert storage.list_objects_v2(Bucket="out-bucket")["Contents"] == listed


def test_a_large_object_is_completed_in_the_last_step(storage, tmp_path, monkeypatch):
    """Until then nothing is there; an upload that fails is given up."""
    path = tmp_path / "a.tar"
    path.write_bytes(archive(1, 14 << 20))
    monkeypatch.setattr(s3fs.core.S3File, "part_max", 5 << 20, raising=False)
    monkeypatch.setattr(s3fs.S3FileSystem, "default_block_size", 5 << 20)
    s3fs.S3FileSystem.clear_instance_cache()
    seen = []
    commit = s3fs.core.S3File.commit

    def watched(self):
        seen.append((len(self.parts or ()), storage.list_objects_v2(Bucket="out-bucket").get("KeyCount")))
        commit(self)

    monkeypatch.setattr(s3fs.core.S3File, "commit", watched)
    (item,) = batch.items([path], "convert", out="s3://out-bucket/{stem}.tar", to="docker-save")
    row = batch.run_one(item)
    assert (row.exit, row.message) == (0, None)
    ((parts, count),) = seen
    assert parts > 1
    assert count == 0
    assert storage.head_object(Bucket="out-bucket", Key="a.tar")["ContentLength"] == row.bytes
    storage.delete_object(Bucket="out-bucket", Key="a.tar")

    def fail(self):
        raise OSError("no more")

    monkeypatch.setattr(s3fs.core.S3File, "commit", fail)
    row = batch.run_one(item)
    assert (row.exit, row.code) == (4, "storage")
    assert storage.list_objects_v2(Bucket="out-bucket").get("KeyCount") == 0
    assert not storage.list_multipart_uploads(Bucket="out-bucket").get("Uploads")


def test_the_command_line_restarts_by_etag(storage, tmp_path, monkeypatch, capfd):
    """Its processes find the server by the environment too."""
    put(storage, tmp_path / "in", 4)
    words = ["batch", "id", "s3://in-bucket/x/*.tar", "--journal", str(tmp_path / "run.jsonl"), "--jobs", "1"]
    assert run(words) == 3
    rows = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert sorted(row["exit"] for row in rows) == [0, 0, 0, 3]
    storage.put_object(Bucket="in-bucket", Key="x/00003.tar", Body=archive(3))
    assert run(words) == 0
    again = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()][4:]
    assert [(row["source"], row["exit"]) for row in again] == [("s3://in-bucket/x/00003.tar", 0)]
    assert "4 items, 4 done, 0 failed, 3 from an earlier run" in capfd.readouterr().err


def test_denied_and_missing_are_rows(storage, monkeypatch):
    (row,) = map(batch.run_one, batch.items(["s3://in-bucket/none.tar"], "id"))
    assert (row.exit, row.code) == (4, "not-found")
    (row,) = map(batch.run_one, batch.items(["s3://no-such-bucket/none.tar"], "id"))
    assert (row.exit, row.code) == (4, "not-found")
    (row,) = map(batch.run_one, batch.items([f"s3://{KEY}:{SECRET}@in-bucket/a.tar"], "id"))
    assert row.exit == 4
    assert SECRET not in f"{row}"
