"""Small archives that make much work: time and memory stay in bounds, whatever the command.

Each runs in a process of its own with a limit on its processor time, address
space and what it may write; the peak of its memory is measured.
"""

from __future__ import annotations

import zlib

import pytest
from hostile import cases_scale
from hostile.building import DIFF_ID, END, LAYER, MANIFEST, Docker, Layout, blob, config, dump, header, member, v1
from hostile.dimensions import DIMENSIONS
from hostile.measuring import MIB, MOST_MEMORY, run_bounded
from hostile.scaling import manifest_for, sweep

from convert.limits import MAX_ALL_LAYERS, MAX_ALL_NAMES


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
    return b"".join(DIMENSIONS["v1_chains"].make(MAX_ALL_LAYERS))


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


def within_bounds(make, folder, commands):
    source = folder / "in.tar"
    source.write_bytes(make())
    for name in commands:
        words = [word.format(source=source, out=folder / "out") for word in COMMANDS[name]]
        status, text, memory, _ = run_bounded(words)
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
    status, text, memory, _ = run_bounded(["id", source])
    assert status == 3
    assert "it expands more than 200 times" in text
    assert memory < MOST_MEMORY


# -- the table of issue 12, and growth ------------------------------------------------------


def written(path, pieces):
    with open(path, "wb") as file:
        file.writelines(pieces)
    return path


def stays_small(words, statuses):
    """Run a command; it must end by itself, within the bounds, with one of these statuses."""
    status, text, peak, _ = run_bounded(words)
    assert status in statuses, (words, status, text[-500:])
    assert peak < MOST_MEMORY, (words, peak >> 20)
    assert "Traceback" not in text
    return text


def source_of(name, folder):
    """Return a source of the table, and what its commands end with."""
    return written(folder / "in.tar", SOURCES[name]())


LONG = "x" * 50_000
SOURCES = {
    "20,000 tags": lambda: cases_scale.many_tags(20_000),
    "100,000 tags": lambda: cases_scale.short_tags(100_000),
    "250,000 tags": lambda: cases_scale.short_tags(250_000),
    "12,000 absent children": lambda: cases_scale.absent_children(12_000),
    "500 layers through long links": lambda: cases_scale.long_links(500),
    "500 layers through long links of their own": lambda: cases_scale.distinct_long_links(500, parts=200),
    "400 bad base64": lambda: cases_scale.bad_base64(400, 20_000),
    "600 times 10,000 history": lambda: cases_scale.long_histories(600, 10_000),
    "100 times one long command": lambda: cases_scale.long_commands(100, 3_900_000),
    "4,000 times long texts": lambda: cases_scale.shared_config(4000, dump(config(created=LONG, variant=LONG))),
    "250,000 keys under 300 manifests": lambda: cases_scale.configs_of_keys(300, 250_000),
    "14 configs of 100,000 keys": lambda: cases_scale.many_configs_of_keys(14, 100_000),
    "60 indexes of 60 images": lambda: cases_scale.shared_indexes(60, 60, 20),
    "170,000 names of 4 KB": lambda: cases_scale.long_names(170_000),
    "145,000 blobs": lambda: cases_scale.unreferenced_blobs(145_000),
    "16 large windows": lambda: cases_scale.large_windows(16, 127 * MIB),
    "empty gzip members": lambda: cases_scale.empty_members("gzip", 64 * MIB),
    "empty bzip2 streams": lambda: cases_scale.empty_members("bzip2", 64 * MIB),
    "empty xz streams": lambda: cases_scale.empty_members("xz", 64 * MIB),
}
CONVERT = {to: ["{source}", "--to", to, "{out}", "-q"] for to in ("docker-save", "docker-save@25", "docker-oci", "oci")}
TABLE = [
    *[("20,000 tags", words) for words in CONVERT.values()],
    ("20,000 tags", ["{source}", "--to", "crane", "{out}", "-q"]),
    ("20,000 tags", ["--add-repositories", "{source}", "{out}"]),
    *[(f"{n} tags", words) for n in ("100,000", "250,000") for words in (
        CONVERT["oci"], CONVERT["docker-oci"], ["digest", "{source}", "--as", "imgconv"],
        ["id", "{source}", "nosuch:9"],
        ["diff", "{source}", "{source}"], ["validate", "{source}"],
    )],
    ("12,000 absent children", ["diff", "{source}", "{source}"]),
    ("500 layers through long links", ["id", "{source}"]),
    ("500 layers through long links of their own", ["id", "{source}"]),
    ("400 bad base64", ["id", "{source}"]),
    ("600 times 10,000 history", ["digest", "{source}"]),
    ("600 times 10,000 history", ["inspect", "{source}"]),
    ("600 times 10,000 history", ["inspect", "{source}", "--json"]),
    ("100 times one long command", ["inspect", "{source}"]),
    ("100 times one long command", ["inspect", "{source}", "--json"]),
    ("4,000 times long texts", ["inspect", "{source}"]),
    ("4,000 times long texts", ["inspect", "{source}", "--json"]),
    ("250,000 keys under 300 manifests", ["id", "{source}"]),
    ("250,000 keys under 300 manifests", ["inspect", "{source}"]),
    ("250,000 keys under 300 manifests", ["validate", "{source}"]),
    ("14 configs of 100,000 keys", ["diff", "{source}", "{other}"]),
    ("60 indexes of 60 images", ["inspect", "{source}", "--graph", "{out}.svg"]),
    ("170,000 names of 4 KB", ["id", "{source}"]),
    ("145,000 blobs", ["validate", "{source}"]),
    ("16 large windows", ["{source}", "--to", "docker-save", "{out}", "-q", "--jobs", "16"]),
    ("16 large windows", ["validate", "{source}", "--jobs", "16"]),
    ("empty gzip members", ["validate", "{source}"]),
    ("empty bzip2 streams", ["validate", "{source}"]),
    ("empty xz streams", ["validate", "{source}"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"), TABLE, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_a_small_source_costs_little(name, words, tmp_path):
    source = source_of(name, tmp_path)
    other = tmp_path / "other.tar"
    if "{other}" in words:
        written(other, cases_scale.many_configs_of_keys(14, 100_000, salt=100))
    places = {"source": source, "out": tmp_path / "out", "other": other}
    stays_small([word.format(**places) for word in words], {0, 1, 2, 3})


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, 4])
def test_match_tries_each_encoder_once_on_a_layer_that_is_listed_ten_thousand_times(images, tmp_path):
    source = written(tmp_path / "in.tar", cases_scale.many_layers(10_000 * images))
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(manifest_for(source))
    stays_small(["match", source, manifest], {1})


def test_tags_by_the_thousand_are_grouped_in_one_pass(tmp_path):
    """Each was once looked for among all those before it."""
    source = written(tmp_path / "in.tar", cases_scale.many_tags(4000))
    for to in ("docker-save", "crane"):
        stays_small([source, "--to", to, tmp_path / to, "-q"], {0})


def test_more_names_than_any_image_has_are_refused(tmp_path):
    source = written(tmp_path / "in.tar", cases_scale.short_tags(MAX_ALL_NAMES + 1))
    text = stays_small(["id", source], {3})
    assert str(MAX_ALL_NAMES) in text


def test_an_index_that_nobody_could_read_is_not_written(tmp_path):
    source = written(tmp_path / "in.tar", cases_scale.many_tags(20_000))
    text = stays_small([source, "--to", "docker-oci", tmp_path / "out.tar"], {2})
    assert "index.json" in text
    assert not (tmp_path / "out.tar").exists()


def test_a_history_that_images_share_is_shown_once_for_each_as_long_as_there_is_room(tmp_path):
    source = written(tmp_path / "in.tar", cases_scale.long_commands(40, 1_000_000))
    text = stays_small(["inspect", source, "--json"], {0})
    assert "histories of" in text


def test_lies_about_one_layer_cost_one_run_of_each_encoder(tmp_path):
    source = written(tmp_path / "in.tar", cases_scale.many_layers(1000))
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(manifest_for(source))
    stays_small(["match", source, manifest], {1})


@pytest.mark.slow
@pytest.mark.parametrize(
    "dimension", ["tags", "absent", "members", "history", "names_times_children", "bad_references"]
)
def test_cost_grows_no_faster_than_the_source(dimension, tmp_path):
    """A part of what `scaling.py` measures."""
    commands = ["id REF", "inspect --json", "convert docker-save", "diff", "validate"]
    for row in sweep(tmp_path, [dimension], commands, steps=3):
        assert not row.faults, str(row)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "words"),
    [
        (50_000, ["{source}", "--for", "docker", "{out}"]),
        (100_000, ["inspect", "{source}", "-q", "--html", "{out}"]),
        (100_000, ["doctor", "{source}", "-q", "--html", "{out}"]),
        (100_000, ["digest", "{source}", "-q"]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else " ".join(value[:2]),
)
def test_names_are_read_once_however_many_readers_there_are(count, words, tmp_path):
    """With 100,000 names these took 18 to 95 seconds, and the pages 345 and 402 MB."""
    source = written(tmp_path / "in.tar", cases_scale.many_tags(count))
    stays_small([word.format(source=source, out=tmp_path / "out") for word in words], {0, 1})
