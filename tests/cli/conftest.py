"""Running commands in this process, and small archives to run them on."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from convert.cli.main import run

ROOT = Path(__file__).parents[2]
ARCHIVES = ROOT / "testdata" / "match" / "archives"


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def imgconv(capsys):
    """Run a command line; gives status, standard output and standard error."""

    def call(*arguments):
        status = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(status, printed.out, printed.err)

    return call


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Put an archive of testdata, unpacked, into the working folder; gives its name."""
    monkeypatch.chdir(tmp_path)

    def put(name, change=None):
        data = gzip.decompress((ARCHIVES / f"{name}.tar.gz").read_bytes())
        Path(f"{name}.tar").write_bytes(data if change is None else changed(data, change))
        return f"{name}.tar"

    return put


def changed(data, change):
    """Return a tar with each file's content as `change(name, content)` says; None leaves it out."""
    output = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=output, mode="w") as new:
        for member in old:
            content = old.extractfile(member).read() if member.isfile() else b""
            if member.isfile():
                content = change(member.name, content)
                if content is None:
                    continue
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return output.getvalue()
