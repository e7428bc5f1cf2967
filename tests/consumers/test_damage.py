"""What must be mended first comes first, and what cannot work on a damaged archive is not offered."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import ARM, CASES, SETTINGS, build, for_platform, index_of, layout
from layouts import GZIP, digest_of, packed, tar_of
from support import run as run_apart

from convert.cli.main import run
from convert.commands.doctor import doctor
from convert.consumers.rule import Repair, Verdict
from convert.report.helps import FOR_REPAIR

#: Cases that are whole, against whose reasons a conversion helps.
REPAIRED = ["unnamed", "unnamed-layout", "unnamed-folder", "tag-only", "two-images", "nested-index", "layout-archive"]
#: Repairs that read no layer, or that only a person can do.
UNPREVENTED = {None, Repair.SOURCE, Repair.PLATFORM}


def damaged(path):
    """Change a byte in the middle of one layer of a case, and return its path."""
    if path.is_dir():
        victim = next(each for each in sorted(path.rglob("*")) if each.is_file() and is_layer(each.read_bytes()))
        victim.write_bytes(flipped(victim.read_bytes()))
        return path
    with tarfile.open(path) as archive:
        layers = [each for each in archive if each.isfile() and is_layer(archive.extractfile(each).read())]
    at = layers[0].offset_data + layers[0].size // 2
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def is_layer(data):
    return data.startswith(b"\x1f\x8b") or data[257:262] == b"ustar"


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def offers(report):
    """Yield each consumer with the repairs that are offered to it."""
    for each in report.diagnoses:
        if each.verdict is not Verdict.UNKNOWN and each.reasons:
            yield each, [reason.helps for reason in each.reasons]


@pytest.mark.parametrize("case", REPAIRED)
def test_damage_comes_first_and_nothing_else_is_offered(case, tmp_path):
    path = build(case, tmp_path)
    whole = {each.consumer.name: helps for each, helps in offers(doctor(path))}
    assert any(set(helps) - UNPREVENTED for helps in whole.values())
    assert not any(Repair.SOURCE in helps for helps in whole.values())
    for each, helps in offers(doctor(damaged(path))):
        assert set(helps) <= UNPREVENTED
        assert helps[0] is Repair.SOURCE, (each.consumer, each.reasons)
        assert helps.count(Repair.SOURCE) == 1
        if set(whole.get(each.consumer.name, ())) - UNPREVENTED and each.reasons[0].rule is None:
            assert each.reasons[0].text.startswith("the archive is damaged: ")


def test_damage_that_a_reason_states_is_stated_once(tmp_path):
    (found,) = doctor(damaged(build("unnamed-layout", tmp_path)), consumers=["docker-containerd"]).diagnoses
    texts = [each.text for each in found.reasons]
    assert sum("is not what its digest identifies" in text for text in texts) == 1
    assert [each.helps for each in found.reasons] == [Repair.SOURCE, None]


def test_every_output_offers_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    path = damaged(build("unnamed-layout", tmp_path))
    page = tmp_path / "page.html"
    for form in ("text", "json", "markdown"):
        done = run_apart("doctor", path, "--format", form, "--html", page)
        assert done.returncode == 1
        for text in (done.stdout.decode(), page.read_text()):
            assert "save or build" in text.lower()
            assert not re.search(r"--tag|--rename|another format|Another format", text)
    document = json.loads(run_apart("doctor", path, "--json").stdout)
    for each in document["sources"][0]["consumers"]:
        assert {reason["helps"] for reason in each["reasons"]} <= {None, "save or build the image again"}


def test_a_platform_that_is_whole_may_be_selected(tmp_path, capsys):
    """Of two platforms one is damaged: `--platform` with the other one works."""

    def make(built):
        arm = built.image("b", described={"platform": ARM})
        config = built.config([digest_of(tar_of("b"))], **ARM)
        bad = packed(tar_of("b"))
        arm = built.manifest(
            [built.blob(bad, GZIP)], [digest_of(tar_of("b"))], config=config, described={"platform": ARM}
        )
        made = index_of(built, for_platform(built, "a", SETTINGS), arm)
        layer = next(each for each in (built.folder / "blobs" / "sha256").iterdir() if each.name == digest_of(bad)[7:])
        layer.write_bytes(flipped(bad))
        return made

    path = layout(tmp_path / "two.tar", make)
    found = {each.consumer.name: each for each, _ in offers(doctor(path))}
    first, second = found["skopeo"].reasons
    assert (first.helps, second.helps) == (Repair.SOURCE, Repair.PLATFORM)
    assert run([str(path), "--platform", "linux/amd64", "--for", "skopeo", str(tmp_path / "out")]) == 0
    assert run([str(path), "--for", "skopeo", str(tmp_path / "other")]) != 0
    capsys.readouterr()


def test_without_a_complete_image_nothing_can_be_left_out(tmp_path, capsys):
    """`--prune` leaves nothing of an archive whose only image lacks its layer."""
    path = build("missing-layer", tmp_path)
    assert all(set(helps) <= UNPREVENTED for _, helps in offers(doctor(path)))
    assert run([str(path), "--prune", "--for", "docker", str(tmp_path / "out")]) == 3
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda path: path, damaged], ids=["as it is", "damaged"])
def test_no_command_that_is_offered_fails_because_the_archive_is_damaged(change, tmp_path, capsys):
    tried = 0
    for case in CASES:
        try:
            path = change(build(case, tmp_path))
        except (IndexError, StopIteration, tarfile.TarError):
            continue  # it has no layer that can be damaged
        lines = {
            FOR_REPAIR[helps].line(str(path), str(each.consumer))
            for each, found in offers(doctor(path))
            for helps in found
            if helps not in {None, Repair.SOURCE, Repair.BASE, Repair.FILL}
        }
        for number, line in enumerate(sorted(lines)):
            dest = tmp_path / f"{path.name}-{number}"
            words = [str(dest) if word == "DEST" else word for word in shlex.split(line)[1:]]
            words = [{"OS/ARCH": "linux/amd64", "NAME": "new.example/x:1"}.get(word, word) for word in words]
            if "{name}" in line or "OLD=NEW" in line:
                continue  # a folder, and a name that only a person knows
            assert run(words) != 3, (case, line, capsys.readouterr().err)
            tried += 1
    capsys.readouterr()
    assert tried > 5
