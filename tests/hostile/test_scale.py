"""Small archives that make much work: time and memory stay in bounds, whatever the command.

Each runs in a process of its own with a limit on its processor time, address
space and what it may write; the peak of its memory is measured.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zlib

import pytest
from hostile.building import DIFF_ID, END, LAYER, MANIFEST, Docker, Layout, blob, config, dump, header, member, v1
from support import COMMAND

from convert.limits import MAX_ALL_LAYERS, MAX_LAYERS

MIB = 1 << 20
#: Seconds of a processor, and bytes resident. Most need a tenth.
MOST_TIME = 20
MOST_MEMORY = 300 * MIB


def bomb(size):
    """Return what gzip makes of `size` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, packer.flush()])


def many_bad_names():
    return b"".join(member(b"../x%d" % number) for number in range(50_000)) + Docker().build()


def one_large_config_many_times():
    large = dump(config(x="y" * 3_900_000))
    manifest = b"[" + b",".join([b'{"Config":"config.json"}'] * 90_000) + b"]"
    return Docker(config=large, manifest=manifest).build()


def ten_thousand_diff_ids_many_times():
    manifest = b"[" + b",".join([b'{"Config":"config.json"}'] * 90_000) + b"]"
    return Docker(config=config(*[DIFF_ID] * 10_000), manifest=manifest).build()


def a_name_of_a_million_folders():
    return Docker(manifest=[{"Config": "config.json", "Layers": ["a/" * 1_900_000]}]).build()


def fifteen_thousand_sources_of_layers():
    sources = {f"sha256:{n:064x}": {"mediaType": LAYER, "size": 1, "digest": DIFF_ID} for n in range(15_000)}
    return Docker(item={"LayerSources": sources}).build()


def large_repositories_for_each_image():
    table = {f"r/{number:05}": {"t": "a" * 64} for number in range(30_000)}
    manifest = [{"Config": "config.json", "RepoTags": [f"x/y:{n}"], "Layers": ["layer.tar"]} for n in range(2000)]
    return Docker(manifest=manifest, extra=(("repositories", dump(table)),)).build()


def many_folders_for_images_without_names():
    extra = []
    for number in range(5000):
        v1_id = f"{number:064x}"
        extra.append(
            (f"{v1_id}/json", dump({"id": v1_id, "parent": f"{number - 1:064x}"} if number else {"id": v1_id}))
        )
        extra.append(member(f"{v1_id}/layer.tar".encode(), flag=b"2", link=b"../layer.tar"))
    manifest = [{"Config": "config.json", "Layers": ["layer.tar"]} for _ in range(2000)]
    return Docker(manifest=manifest, extra=tuple(extra)).build()


def one_damaged_manifest_many_times():
    damaged = b'{"a":' + b"0," * 2_000_000
    name, described = blob(damaged)
    entries = [{"mediaType": MANIFEST, **described}] * 20_000
    return Layout(blobs={name: damaged}, index={"manifests": entries}).build()


def many_links_to_one_blob():
    entries, links = [], []
    for number in range(20_000):
        entries.append({"mediaType": MANIFEST, "digest": f"sha256:{number:064x}", "size": 4_000_001})
        links.append(member(b"blobs/sha256/%064x" % number, flag=b"1", link=b"large"))
    return Layout(blobs={"large": b"{" + b" " * 4_000_000}, index={"manifests": entries}, extra=tuple(links)).build()


def a_v1_chain_under_many_names():
    layers = [(f"{n:064x}", f"{n - 1:064x}" if n else None, END) for n in range(200)]
    return v1(
        *layers,
        repositories={
            "a/b": {f"t{n}": f"{199:064x}" for n in range(10)},
            "c": {f"t{n}": f"{n:064x}" for n in range(200)},
        },
    )


def as_many_layers_as_an_archive_may_have():
    """One that holds no config: each layer is three members and two documents."""
    layers, names = [], {}
    for number in range(MAX_ALL_LAYERS):
        first = number % MAX_LAYERS == 0
        layers.append((f"{number:064x}", None if first else f"{number - 1:064x}", END))
        names[f"t{number // MAX_LAYERS}"] = f"{number:064x}"
    return v1(*layers, repositories={"a/b": names})


def configs_of_many_values():
    items, files = [], []
    for number in range(50):
        values = b",".join([b'{"ab":"cd"}'] * 140_000)
        raw = dump(config())[:-1] + b',"x":[' + values + b'],"n":%d}' % number
        files.append((f"c{number}.json", raw))
        items.append({"Config": f"c{number}.json", "Layers": ["layer.tar"]})
    return Docker(manifest=items, extra=tuple(files)).build()


def a_layer_that_unpacks_to_a_gigabyte():
    return Docker(layers={"layer.tar": bomb(1 << 30)}).build()


def a_config_that_is_a_gigabyte():
    return header(b"config.json", 4 * MIB + 1) + bytes(4 * MIB + 512) + Docker().build()


CASES = [
    many_bad_names, one_large_config_many_times, ten_thousand_diff_ids_many_times, a_name_of_a_million_folders,
    fifteen_thousand_sources_of_layers, large_repositories_for_each_image, many_folders_for_images_without_names,
    as_many_layers_as_an_archive_may_have,
    one_damaged_manifest_many_times, many_links_to_one_blob, a_v1_chain_under_many_names, configs_of_many_values,
    a_layer_that_unpacks_to_a_gigabyte, a_config_that_is_a_gigabyte,
]  # fmt: skip
COMMANDS = {
    "convert": ["{source}", "--to", "oci", "{out}", "-q"],
    "id": ["id", "{source}"],
    "inspect": ["inspect", "{source}"],
    "validate": ["validate", "{source}"],
    "digest": ["digest", "{source}", "--as", "imgconv"],
    "diff": ["diff", "{source}", "{source}"],
}


# A process of its own sets the bounds and looks at the memory: the peak that the
# kernel tells of a child counts what its parent held when it was made, and a
# worker of the suite holds more than a run of imgconv may.
LAUNCH = f"""
import os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_TIME}, {MOST_TIME + 1}))
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))
process = subprocess.Popen(sys.argv[2:], stderr=subprocess.STDOUT)
_, status, used = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{{os.waitstatus_to_exitcode(status)}} {{used.ru_maxrss}}")
"""


def run_bounded(words):
    """Run a command; return its status, what it printed and its peak memory."""
    with tempfile.NamedTemporaryFile("r") as told:
        launch = [sys.executable, "-P", "-c", LAUNCH, told.name, *COMMAND, *words]
        text = subprocess.run(launch, stdout=subprocess.PIPE, check=True).stdout.decode()
        status, peak = map(int, told.read().split())
    return status, text, peak * (1 if sys.platform == "darwin" else 1024)


def within_bounds(make, folder, commands):
    source = folder / "in.tar"
    source.write_bytes(make())
    for name in commands:
        words = [word.format(source=source, out=folder / "out") for word in COMMANDS[name]]
        status, text, memory = run_bounded(words)
        assert status in {0, 1, 2, 3}, (name, status, text[-500:])
        assert memory < MOST_MEMORY, (name, memory)
        assert "Traceback" not in text


@pytest.mark.parametrize("make", CASES[1:4], ids=lambda make: make.__name__)
def test_a_small_archive_does_not_make_id_or_convert_run_away(make, tmp_path):
    """Those that once took 21 GB or minutes."""
    within_bounds(make, tmp_path, ["id", "convert"])


@pytest.mark.slow
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_no_command_runs_away(make, tmp_path):
    within_bounds(make, tmp_path, COMMANDS)


def test_a_wrapper_that_expands_without_bound_is_refused(tmp_path):
    """The ratio counts from 1 GiB on: an honest archive of a small image may be all zeros."""
    source = tmp_path / "in.tar.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with open(source, "wb") as file:
        file.write(packer.compress(header(b"x", 3 << 30)))
        file.writelines(packer.compress(bytes(MIB)) for _ in range(1100))
        file.write(packer.flush())
    status, text, memory = run_bounded(["id", str(source)])
    assert status == 3
    assert "it expands more than 200 times" in text
    assert memory < MOST_MEMORY
