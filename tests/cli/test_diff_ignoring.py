"""`diff --ignore` and `--brief`."""

from __future__ import annotations

import io
import json
import tarfile

import jsonschema
import pytest
from layouts import GZIP, Layout, digest_of, named, packed
from support import ROOT

SCHEMA = json.loads((ROOT / "schemas" / "report-diff.json").read_text())


def layer(*members):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content, fields in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in fields.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def image(folder, plain, **config):
    layout = Layout(folder)
    written = layout.config([digest_of(plain)], **config)
    manifest = layout.manifest([layout.blob(packed(plain), GZIP)], [digest_of(plain)], config=written)
    return layout.write(named(manifest, "docker.io/library/app:1"))


A, B = ("a", b"1", {}), ("b", b"2", {})
HISTORY = [{"created": "2024-01-01T00:00:00Z", "created_by": "x"}]
LATER = [{"created": "2025-01-01T00:00:00Z", "created_by": "x"}]


@pytest.mark.parametrize(
    ("other", "config", "ignored"),
    [
        ([("a", b"1", {"mtime": 5}), B], {}, "timestamps"),
        ([A, B], {"created": "2025-01-01T00:00:00Z", "history": LATER}, "timestamps"),
        ([("a", b"1", {"uid": 5, "uname": "x"}), B], {}, "owner"),
        ([B, A], {}, "order"),
        ([B, ("a", b"1", {"uid": 5, "mtime": 5})], {"created": "2025-01-01T00:00:00Z"}, "timestamps,owner,order"),
    ],
)
def test_what_is_ignored_does_not_count(imgconv, tmp_path, other, config, ignored):
    one = image(tmp_path / "one", layer(A, B), created="2024-01-01T00:00:00Z", history=HISTORY)
    two = image(tmp_path / "two", layer(*other), **{"created": "2024-01-01T00:00:00Z", "history": HISTORY, **config})
    assert imgconv("diff", one, two).status == 1
    done = imgconv("diff", one, two, "--ignore", ignored, "--json")
    assert done.status == 0
    jsonschema.validate(done.json, SCHEMA)
    assert (done.json["same"], done.json["ignore"]) == (True, ignored.split(","))
    assert imgconv("diff", one, two, "--ignore", ignored, "--brief").out == ""
    repeated = [word for each in ignored.split(",") for word in ("--ignore", each)]
    assert imgconv("diff", one, two, *repeated).status == 0
    for missing in ignored.split(","):
        rest = [each for each in ("timestamps", "owner", "order") if each != missing]
        assert imgconv("diff", one, two, "--ignore", ",".join(rest)).status == 1


@pytest.mark.parametrize(
    ("other", "config"),
    [
        ([A, ("b", b"3", {})], {}),
        ([A], {}),
        ([A, ("b", b"2", {"mode": 0o600})], {}),
        ([A, B], {"config": {"Env": ["A=1"]}}),
    ],
)
def test_everything_else_counts(imgconv, tmp_path, other, config):
    one, two = image(tmp_path / "one", layer(A, B)), image(tmp_path / "two", layer(*other), **config)
    done = imgconv("diff", one, two, "--ignore", "timestamps,owner,order", "--brief")
    assert done.status == 1
    assert len(done.out.splitlines()) == 1
    assert done.out.startswith("app:1")


def test_values_that_do_not_exist_are_refused(imgconv, tmp_path):
    one = image(tmp_path / "one", layer(A))
    done = imgconv("diff", one, one, "--ignore", "timestamp")
    assert done.status == 2
    assert "did you mean 'timestamps'" in done.err
    assert imgconv("diff", one, one, "--ignore", "order", "--by", "digest").status == 2
