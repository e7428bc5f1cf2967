"""Documents that would be too large are refused before layers are read."""

from __future__ import annotations

import json

import pytest
from hostile.building import Docker, Layout, dump
from oracle.reading import files_of

import convert
from convert.commands import convert_for
from convert.errors import DigestMismatchError, NotRepresentableError
from convert.plan import document_size
from convert.writer import document_size as written

DOCUMENTS = ("index.json", "manifest.json", "repositories")
TARGETS = ("docker-save", "docker-save@25", "docker-oci", "crane", "oci-archive")
TAGS = [*(f"example.com/some/where/app{n}:tag{n}" for n in range(60)), *(f"b:{n}" for n in range(40)), "c"]


@pytest.fixture(autouse=True)
def _many(monkeypatch):
    monkeypatch.setattr(document_size, "_FEW", 0)


def sources():
    yield "docker", Docker(tags=TAGS).build()
    entry = json.loads(Layout().parts()["index.json"])["manifests"][0]
    names = [{"io.containerd.image.name": f"example.com/a:{n}"} for n in range(30)]
    names += [{"org.opencontainers.image.ref.name": f"chosen-{n}"} for n in range(30)]
    names += [{**name, "org.opencontainers.image.ref.name": f"r{n}"} for n, name in enumerate(names[:30])]
    entries = [entry | {"annotations": each} for each in names]
    yield "layout", Layout(raw_index=dump({"schemaVersion": 2, "manifests": [entry, *entries]})).build()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("raw", [raw for _, raw in sources()], ids=[name for name, _ in sources()])
def test_no_document_that_fits_is_refused(target, raw, tmp_path, monkeypatch):
    source = tmp_path / "in.tar"
    source.write_bytes(raw)
    options = {"to": target, "add_repositories": target in {"docker-oci", "crane"}}
    convert.convert(source, tmp_path / "out.tar", **options)
    files = files_of(tmp_path / "out.tar")
    sizes = [len(files[name]) for name in DOCUMENTS if name in files]
    monkeypatch.setattr(written, "MAX_DOCUMENT_SIZE", max(sizes))
    convert.convert(source, tmp_path / "again.tar", **options)
    assert files_of(tmp_path / "again.tar") == files


@pytest.mark.parametrize("target", TARGETS)
def test_names_that_do_not_fit_are_refused_before_layers_are_read(target, tmp_path, monkeypatch):
    """The layer is damaged: who reads it says so."""
    source, path = tmp_path / "in.tar", tmp_path / "out.tar"
    source.write_bytes(Docker(tags=TAGS, layers={"layer.tar": bytes(10240)}).build())
    with pytest.raises(DigestMismatchError):
        convert.convert(source, path, to=target)
    monkeypatch.setattr(written, "MAX_DOCUMENT_SIZE", 2000)
    with pytest.raises(NotRepresentableError) as caught:
        convert.convert(source, path, to=target)
    assert caught.value.code == "output-too-large"
    assert not path.exists()


def test_a_format_whose_documents_do_not_fit_is_no_candidate(tmp_path, monkeypatch):
    """`--for` once wrote each such format to its end, for each set of edits."""
    source, path = tmp_path / "in.tar", tmp_path / "out.tar"
    source.write_bytes(Docker(tags=TAGS).build())
    planned, runs = [], []
    plan, run = convert_for.plan_result, convert_for.convert_run
    monkeypatch.setattr(convert_for, "plan_result", lambda *given: (planned.append(given), plan(*given))[1])
    monkeypatch.setattr(convert_for, "convert_run", lambda *given: (runs.append(given), run(*given))[1])
    manifest = Docker(tags=TAGS).members()
    size = next(len(data) for name, data in manifest if name == "manifest.json")
    monkeypatch.setattr(written, "MAX_DOCUMENT_SIZE", size + 500)
    report = convert.convert(source, path, consumers=["docker"])
    assert report.target == "crane"
    assert len(runs) == 1
    assert len(planned) == len({str(each[0].target.name) for each in planned}), "each format once"
