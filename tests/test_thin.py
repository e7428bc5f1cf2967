"""Thin archives: what is left out is what the base has, and filling gives the full conversion again."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import run
from thin_archives import archive, chain_id, content, diff_id, layer

import convert
from convert.errors import ImgconvError, InputError, UsageError

TARGETS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "oci", "oci-archive"]


#: What the fixtures `old` and `new` share, from the bottom up.
LEFT_OUT = {diff_id(layer(1)), diff_id(layer(2))}


@pytest.fixture
def old(tmp_path):
    return archive(tmp_path / "old.tar", [("app:1", [layer(1), layer(2), layer(3)])])


@pytest.fixture
def new(tmp_path):
    return archive(
        tmp_path / "new.tar",
        [("app:2", [layer(1), layer(2), layer(9)]), ("tool:1", [layer(7), layer(1)]), ("app:1b", [layer(1)])],
    )


@pytest.mark.parametrize("to", TARGETS)
def test_only_layers_of_the_base_are_left_out(tmp_path, old, new, to):
    convert.convert(new, tmp_path / "full", to=to)
    report = convert.convert(new, tmp_path / "thin", to=to, without=[str(old)])
    full, thin = content(tmp_path / "full"), content(tmp_path / "thin")
    # Docker looks layers up by ChainID, so layer 1 on top of layer 7 has to be there; in blobs it is there once.
    wanted = {diff_id(layer(2))} if to in {"docker-save@25", "docker-save@29", "docker-oci"} else LEFT_OUT
    assert {str(one.diff_id) for need in report.needs for one in need.layers} == wanted
    assert full.keys() - thin.keys()
    links = {name for name, data in full.items() if data.startswith(b"../")}
    same = full.keys() & thin.keys() - {"index.json", ".imgconv-layers.json"} - links
    assert all(full[name] == thin[name] for name in same)
    # The mark and nothing else is new.
    assert thin.keys() - full.keys() == ({".imgconv-needs.json"} if "save" in to else set())


@pytest.mark.parametrize("thin_form", TARGETS)
@pytest.mark.parametrize("to", [*TARGETS, "crane"])
def test_filling_gives_the_full_conversion(tmp_path, old, new, thin_form, to):
    convert.convert(new, tmp_path / "full", to=thin_form)
    convert.convert(new, tmp_path / "thin", to=thin_form, without=[str(old)])
    convert.convert(tmp_path / "full", tmp_path / "direct", to=to)
    convert.convert(tmp_path / "thin", tmp_path / "filled", to=to, with_=[str(old)])
    if (tmp_path / "direct").is_dir():
        assert content(tmp_path / "direct") == content(tmp_path / "filled")
    else:
        assert (tmp_path / "direct").read_bytes() == (tmp_path / "filled").read_bytes()


@pytest.mark.parametrize("base_form", ["oci", "crane", "docker-save", "zstd"])
@pytest.mark.parametrize("thin_form", ["docker-save", "docker-oci", "oci"])
def test_the_base_may_hold_layers_in_any_form(tmp_path, old, new, base_form, thin_form):
    base = tmp_path / "base"
    if base_form == "zstd":
        convert.convert(old, base, to="oci", compress="zstd")
    else:
        convert.convert(old, base, to=base_form)
    convert.convert(new, tmp_path / "full", to=thin_form)
    convert.convert(new, tmp_path / "thin", to=thin_form, without=[str(old)])
    convert.convert(tmp_path / "full", tmp_path / "direct", to="oci")
    convert.convert(tmp_path / "thin", tmp_path / "filled", to="oci", with_=[str(base)])
    assert content(tmp_path / "direct") == content(tmp_path / "filled")


def test_a_base_in_other_bytes_leaves_nothing_out_of_a_layout(tmp_path, old, new):
    convert.convert(old, tmp_path / "base", to="oci", compress="go1.26-9")
    report = convert.convert(new, tmp_path / "thin", to="oci", without=[str(tmp_path / "base")])
    assert report.needs == ()
    convert.convert(new, tmp_path / "full", to="oci")
    assert content(tmp_path / "thin") == content(tmp_path / "full")


# -- inventories -------------------------------------------------------------------


def inspected(tars, tag="app:1"):
    return {
        "Id": "sha256:" + "1" * 64,
        "RepoTags": [tag],
        "RootFS": {"Type": "layers", "Layers": [*map(diff_id, tars)]},
    }


def crictl(tars):
    rootfs = {"type": "layers", "diff_ids": [diff_id(tar) for tar in tars]}
    return {"status": {"repoTags": ["app:1"]}, "info": {"imageSpec": {"rootfs": rootfs}}}


@pytest.mark.parametrize("form", ["docker", "one", "crictl", "chain", "chain list"])
@pytest.mark.parametrize("to", ["docker-save", "docker-save@25"])
def test_an_inventory_of_diff_ids_is_enough_for_docker_save(tmp_path, new, to, form):
    base = [layer(1), layer(2), layer(3)]
    documents = {
        "docker": json.dumps([inspected(base)]),
        "one": json.dumps(inspected(base)),
        "crictl": json.dumps(crictl(base)),
        "chain": "\n".join(chain_id(base[:n]) for n in range(1, 4)),
        "chain list": json.dumps([chain_id(base[:n]) for n in range(1, 4)]),
    }
    have = tmp_path / "have"
    have.write_text(documents[form])
    report = convert.convert(new, tmp_path / "thin", to=to, without=[str(have)])
    assert str(report.needs[0].chain_id) == chain_id(base[:2])


def test_an_inventory_of_diff_ids_is_refused_where_blobs_count(tmp_path, new):
    have = tmp_path / "have.json"
    have.write_text(json.dumps([inspected([layer(1)])]))
    for to in ("docker-oci", "oci", "oci-archive"):
        with pytest.raises(UsageError) as caught:
            convert.convert(new, tmp_path / "thin", to=to, without=[str(have)])
        assert caught.value.code == "inventory-without-blobs"
        assert not (tmp_path / "thin").exists()


@pytest.mark.parametrize("form", ["inspect", "manifest", "list", "lines", "skopeo"])
def test_an_inventory_of_blobs_fits_every_layout(tmp_path, old, new, form):
    convert.convert(old, tmp_path / "layout", to="oci")
    document = convert.inspect(tmp_path / "layout").document
    blobs = [one["digest"] for one in document["images"][0]["layers"]]
    manifest = document["images"][0]["manifest_digest"].partition(":")[2]
    texts = {
        "inspect": json.dumps(document),
        "manifest": (tmp_path / "layout/blobs/sha256" / manifest).read_text(),
        "list": json.dumps(blobs),
        "lines": "\n".join(blobs) + "\n",
        "skopeo": json.dumps({"Name": "example.com/app", "Digest": "sha256:" + "2" * 64, "Layers": blobs}),
    }
    have = tmp_path / "have"
    have.write_text(texts[form])
    for to in ("docker-oci", "oci", "oci-archive"):
        convert.convert(new, tmp_path / f"a-{to}", to=to, without=[str(have)])
        convert.convert(new, tmp_path / f"b-{to}", to=to, without=[str(old)])
        ours, wanted = content(tmp_path / f"a-{to}"), content(tmp_path / f"b-{to}")
        # Only an archive or a report with names gives the names of the mark.
        assert ours.keys() == wanted.keys()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '["sha256:12"]',
        '{"a": 1}',
        "sha256:12",
        "hello",
        '[{"RootFS": {"Layers": [7]}}]',
        "[[]]",
        '{"layers": 1}',
    ],
)
def test_an_inventory_of_an_unknown_form_is_refused(tmp_path, new, text):
    have = tmp_path / "have"
    have.write_text(text)
    with pytest.raises(InputError):
        convert.convert(new, tmp_path / "thin", to="docker-save", without=[str(have)])
    assert not (tmp_path / "thin").exists()


@settings(max_examples=60, deadline=None)
@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_as_an_inventory_end_in_a_clean_error_or_leave_nothing_out(tmp_path_factory, data):
    tmp_path = tmp_path_factory.mktemp("x")
    have = tmp_path / "have"
    have.write_bytes(data)
    source = archive(tmp_path / "new.tar", [("app:2", [layer(1)])])
    try:
        report = convert.convert(source, tmp_path / "thin", to="docker-save", without=[str(have)])
    except ImgconvError:
        assert not (tmp_path / "thin").exists()
    else:
        assert report.needs == ()


# -- lies ----------------------------------------------------------------------------


def rotten(path, old, *, place: int):
    """Copy an archive with one byte of a layer changed."""
    raw = bytearray(old.read_bytes())
    at = raw.index(layer(place)[600:700])
    raw[at] ^= 1
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("to", TARGETS)
def test_a_base_that_does_not_hold_what_it_says_is_refused(tmp_path, old, new, to):
    lie = rotten(tmp_path / "lie.tar", old, place=2)
    with pytest.raises(InputError):
        convert.convert(new, tmp_path / "thin", to=to, without=[str(lie)])
    assert not (tmp_path / "thin").exists()


@pytest.mark.parametrize("to", TARGETS)
def test_a_layout_that_does_not_hold_what_it_says_is_refused(tmp_path, old, new, to):
    """A compressed layer of the base with another byte; its source may be compressed or not."""
    convert.convert(old, tmp_path / "old", to="oci")
    convert.convert(new, tmp_path / "new", to="oci")
    document = convert.inspect(tmp_path / "old").document
    digest = document["images"][0]["layers"][1]["digest"].partition(":")[2]
    blob = tmp_path / "old/blobs/sha256" / digest
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    for source in (new, tmp_path / "new"):
        with pytest.raises(InputError) as caught:
            convert.convert(source, tmp_path / "thin", to=to, without=[str(tmp_path / "old")])
        assert str(tmp_path / "old") in str(caught.value)
        assert not (tmp_path / "thin").exists()


@pytest.mark.parametrize("to", ["docker-save", "docker-save@25", "docker-oci", "oci-archive"])
def test_nothing_is_sent_where_the_base_lies(tmp_path, old, new, to):
    lie = rotten(tmp_path / "lie.tar", old, place=2)
    done = run(new, "--without", lie, "--to", to, "-")
    assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.parametrize("base_form", ["docker-save", "oci"])
def test_a_layer_of_the_source_that_lies_about_its_size_changes_nothing(tmp_path, old, new, base_form):
    """docker-save@25 states the size of a layer that is left out: it is that of the layer that was verified."""
    convert.convert(old, tmp_path / "base", to=base_form)
    convert.convert(new, tmp_path / "honest", to="docker-save@25", without=[str(tmp_path / "base")])
    with tarfile.open(new) as tar, tarfile.open(tmp_path / "lie.tar", "w") as lie:
        for member in tar:
            data = tar.extractfile(member).read()
            if member.name == f"{diff_id(layer(2))[7:]}.tar":
                data += bytes(5120)
            member.size = len(data)
            lie.addfile(member, io.BytesIO(data))
    convert.convert(tmp_path / "lie.tar", tmp_path / "thin", to="docker-save@25", without=[str(tmp_path / "base")])
    assert (tmp_path / "thin").read_bytes() == (tmp_path / "honest").read_bytes()


@pytest.mark.parametrize("to", [*TARGETS, "crane"])
@pytest.mark.parametrize("thin_form", ["docker-save", "docker-oci"])
def test_filling_from_a_lying_base_is_refused(tmp_path, old, new, to, thin_form):
    lie = rotten(tmp_path / "lie.tar", old, place=2)
    convert.convert(new, tmp_path / "thin", to=thin_form, without=[str(old)])
    with pytest.raises(InputError):
        convert.convert(tmp_path / "thin", tmp_path / "filled", to=to, with_=[str(lie)])
    assert not (tmp_path / "filled").exists()


@pytest.mark.parametrize("thin_form", TARGETS)
def test_a_thin_archive_never_passes_for_a_full_one(tmp_path, old, new, thin_form):
    thin = tmp_path / "thin"
    convert.convert(new, thin, to=thin_form, without=[str(old)])
    runs = [
        [str(thin), "--to", "oci", str(tmp_path / "a")],
        [str(thin), "--to", "docker-save", str(tmp_path / "a"), "--force"],
        ["digest", str(thin)],
        ["diff", str(thin), str(new)],
    ]
    convert.convert(old, tmp_path / "layout", to="oci")
    runs.append([str(thin), "--to", "oci", str(tmp_path / "layout"), "--append"])
    for arguments in runs:
        assert run(*arguments).returncode == 3, arguments
    assert not (tmp_path / "a").exists()
    assert run("id", str(thin)).returncode == 0
    document = convert.inspect(thin).document
    layers = [one for image in document["images"] for one in image["layers"]]
    assert any(not one["present"] for one in layers)
    assert any(one["code"] == "absent-layers" for one in document["warnings"])


def test_commands_that_read_layers_take_the_base(tmp_path, old, new):
    thin = tmp_path / "thin"
    convert.convert(new, thin, to="docker-save", without=[str(old)])
    with_ = [str(old)]
    full = convert.digest(new)
    assert [str(one.node.manifest.digest) for one in convert.digest(thin, with_=with_).pushed] == [
        str(one.node.manifest.digest) for one in full.pushed
    ]
    assert convert.diff(thin, new, with_=with_).same
    assert convert.diff(thin, new, with_=with_, files=True).same


def test_a_mark_is_not_kept_in_a_full_archive(tmp_path, old, new):
    convert.convert(new, tmp_path / "thin", to="oci", without=[str(old)])
    assert b"dev.imgconv.needs" in (tmp_path / "thin/index.json").read_bytes()
    convert.convert(tmp_path / "thin", tmp_path / "full", to="oci", with_=[str(old)])
    assert b"dev.imgconv.needs" not in (tmp_path / "full/index.json").read_bytes()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"to": "crane"}, "target-cannot-be-thin"),
        ({"to": "oci", "append": True}, "incompatible-options"),
    ],
)
def test_what_cannot_be_thin_is_refused(tmp_path, old, new, given, code):
    with pytest.raises(UsageError) as caught:
        convert.convert(new, tmp_path / "thin", without=[str(old)], **given)
    assert caught.value.code == code


def test_the_result_can_be_verified(tmp_path, old, new):
    for to in TARGETS:
        convert.convert(new, tmp_path / to, to=to, without=[str(old)], verify_output=True, verify="full")


def test_no_list_of_layers_names_what_is_absent(tmp_path, old, new):
    convert.convert(new, tmp_path / "thin", to="oci", without=[str(old)])
    listed = (tmp_path / "thin/.imgconv-layers.json").read_text()
    assert hashlib.sha256(layer(9)).hexdigest() in listed
    assert hashlib.sha256(layer(2)).hexdigest() not in listed


# -- validate ------------------------------------------------------------------------


def rules(path) -> dict[str, int]:
    """Return how often each rule occurs in the findings, notes included."""
    found: dict[str, int] = {}
    for one in convert.validate(path).findings:
        found[one.rule] = found.get(one.rule, 0) + 1
    return found


@pytest.mark.parametrize("to", TARGETS)
def test_validate_takes_what_a_mark_lists_as_left_out(tmp_path, old, new, to):
    thin = tmp_path / "thin"
    convert.convert(new, thin, to=to, without=[str(old)])
    verdict = convert.validate(thin)
    assert verdict.status == 0
    assert rules(thin)["left-out"] == len(content_lack(tmp_path, new, to))


def content_lack(tmp_path, new, to) -> set[str]:
    """Return the layers that the thin archive of the test lacks; v1 metadata is not needed."""
    convert.convert(new, tmp_path / "full", to=to)
    full, thin = content(tmp_path / "full"), content(tmp_path / "thin")
    held = {f"sha256:{hashlib.sha256(full[name]).hexdigest()}" for name in full.keys() - thin.keys()}
    if to == "docker-save":
        return {name for name in full.keys() - thin.keys() if name.endswith("/layer.tar")}
    images = convert.inspect(tmp_path / "full").document["images"]
    return held & {each[key] for image in images for each in image["layers"] for key in ("digest", "diff_id")}


def test_validate_refuses_a_thin_archive_without_its_mark(tmp_path, old, new):
    convert.convert(new, tmp_path / "thin", to="oci", without=[str(old)])
    index = json.loads((tmp_path / "thin/index.json").read_bytes())
    for entry in index["manifests"]:
        entry["annotations"].pop("dev.imgconv.needs", None)
    (tmp_path / "thin/index.json").write_text(json.dumps(index))
    assert convert.validate(tmp_path / "thin").status == 1
    assert rules(tmp_path / "thin")["missing"]
    assert "left-out" not in rules(tmp_path / "thin")


@pytest.mark.parametrize(
    "mark", ["", "{}", '{"blobs": 1}', '{"blobs": ["000000000000"]}', '{"blobs": []}', "[" * 100, '{"blobs": [{}]}']
)
def test_a_mark_that_lies_is_a_finding(tmp_path, old, new, mark):
    convert.convert(new, tmp_path / "thin", to="oci", without=[str(old)])
    index = json.loads((tmp_path / "thin/index.json").read_bytes())
    for entry in index["manifests"]:
        entry["annotations"]["dev.imgconv.needs"] = mark
    (tmp_path / "thin/index.json").write_text(json.dumps(index))
    found = rules(tmp_path / "thin")
    assert found["needs-mark"]
    assert found["missing"]


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "{}",
        '{"images": [{}]}',
        '{"images": [{"id": "x", "chain_id": "y"}]}',
        f'{{"images": [{{"id": "sha256:{"0" * 64}", "chain_id": "sha256:{"0" * 64}"}}]}}',
    ],
)
def test_a_document_that_is_no_mark_is_a_finding(tmp_path, new, mark):
    source = tmp_path / "marked.tar"
    source.write_bytes(new.read_bytes())
    with tarfile.open(source, "a") as tar:
        member = tarfile.TarInfo(".imgconv-needs.json")
        member.size = len(mark)
        tar.addfile(member, io.BytesIO(mark.encode()))
    assert rules(source)["needs-mark"] == 1
    # It changes nothing else: it is a hint.
    assert convert.diff(source, new).same


# -- what reviewers found -------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    ['{"RootFS":{"Layers":5}}', '{"info":{"imageSpec":{"rootfs":{"diff_ids":true}}}}', '{"RootFS":{"Layers":{"a":1}}}'],
)
def test_an_inventory_whose_lists_are_none_is_refused(tmp_path, new, form):
    have = tmp_path / "have.json"
    have.write_text(form)
    with pytest.raises(InputError):
        convert.convert(new, tmp_path / "thin", to="docker-save", without=[str(have)])


@pytest.mark.parametrize("option", ["without", "with_"])
def test_a_result_never_replaces_its_base(tmp_path, old, new, option):
    before = old.read_bytes()
    link = tmp_path / "link.tar"
    link.symlink_to(old)
    for text in (str(old), str(link)):
        with pytest.raises(UsageError) as caught:
            convert.convert(new, old, to="docker-oci", force=True, **{option: [text]})
        assert caught.value.code == "destination-overlaps-source"
    assert old.read_bytes() == before


@pytest.mark.parametrize("order", [1, -1])
def test_the_archive_that_gives_a_chain_is_verified_in_any_order(tmp_path, new, order):
    parts = archive(tmp_path / "parts.tar", [("a:1", [layer(1)]), ("b:1", [layer(2)])])
    whole = archive(tmp_path / "whole.tar", [("app:1", [layer(1), layer(2)])])
    lie = rotten(tmp_path / "lie.tar", whole, place=2)
    with pytest.raises(InputError):
        convert.convert(new, tmp_path / "thin", to="docker-save", without=[str(parts), str(lie)][::order])
    assert not (tmp_path / "thin").exists()


def test_a_name_from_an_inventory_is_bounded(tmp_path, new):
    have = tmp_path / "have.json"
    have.write_text(json.dumps([inspected([layer(1), layer(2)], tag="A" * 100_000)]))
    report = convert.convert(new, tmp_path / "thin", to="docker-save", without=[str(have)])
    assert report.needs[0].of == ()
    assert len(content(tmp_path / "thin")[".imgconv-needs.json"]) < 2000


@pytest.mark.parametrize("given", ["pipe", "file"])
@pytest.mark.parametrize("what", ["docker", "list", "archive", "gzip"])
def test_standard_input_may_be_what_the_receiver_has(tmp_path, old, new, what, given):
    base = [layer(1), layer(2), layer(3)]
    data = {
        "docker": json.dumps([inspected(base)]).encode(),
        "list": "\n".join(chain_id(base[:n]) for n in range(1, 4)).encode(),
        "archive": old.read_bytes(),
        "gzip": gzip.compress(old.read_bytes()),
    }[what]
    convert.convert(new, tmp_path / "wanted", to="docker-save", without=[str(old)])
    arguments = (new, "--without", "-", "--to", "docker-save", tmp_path / "thin", "-q")
    if given == "pipe":
        done = run(*arguments, input=data)
    else:
        (tmp_path / "data").write_bytes(data)
        with (tmp_path / "data").open("rb") as stdin:
            done = run(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    ours, wanted = content(tmp_path / "thin"), content(tmp_path / "wanted")
    assert ours.keys() == wanted.keys()
    done = run(tmp_path / "thin", "--with", "-", "--to", "docker-save", tmp_path / "full", "-q", input=data)
    assert done.returncode == (0 if what in {"archive", "gzip"} else 2)
    assert (tmp_path / "full").exists() == (done.returncode == 0)


@pytest.mark.parametrize("data", [b"", b"{", b"hello", b"\x1f\x8b", b"sha256:12", b"[" * 600])
def test_standard_input_that_is_neither_is_refused(tmp_path, new, data):
    done = run(new, "--without", "-", "--to", "docker-save", tmp_path / "thin", input=data)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "thin").exists()
