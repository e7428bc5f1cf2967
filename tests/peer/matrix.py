"""Load archives into every real consumer that is found, and compare what happens with `imgconv doctor`.

    python tests/peer/matrix.py run OUTCOMES.json ARCHIVE…                load each archive into each consumer
    python tests/peer/matrix.py compare OUTCOMES.json ARCHIVE…            compare the outcomes with the rules
    python tests/peer/matrix.py record OUTCOMES.json RECORD ARCHIVE…      the same, as a record of bench/records

Consumers are found by environment variables, each a path or an address of something that may be filled and
emptied: IMGCONV_MATRIX_DOCKER20, _DOCKER29, _DOCKER29_CONTAINERD (hosts of engines), _CONTAINERD16,
_CONTAINERD22, _CONTAINERD2 (sockets), _CTR16, _CTR22, _CTR2, _K3S, _PODMAN, _SKOPEO, _CRANE, _UMOCI (programs,
several separated by colons) and _REGISTRY (host and port). OUTCOMES.json keeps what was loaded: a run continues
where it was ended, and the comparison takes seconds.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from peer.consumers.engines import Ctr, Docker, K3s
from peer.consumers.tools import Crane, Podman, Skopeo, Umoci

from convert.archive.open import open_source
from convert.consumers.consumer import parse_consumer
from convert.consumers.contents import Contents
from convert.consumers.diagnose import diagnose_one, diagnose_way
from convert.consumers.rule import Verdict
from convert.errors import UnknownFormatError
from convert.model.platform import Platform

#: What consumers call an image without a name: a prefix of the day, its ID, or its number.
_MADE_UP = re.compile(r"@\d+\Z|import(?:-\d{4}-\d\d-\d\d)?[@:]|(?:\A|:)[0-9a-f]{64}\Z")
KIND = ("--all-platforms", "--digests")


def given(name):
    """Return what a variable names, "" if it is not set."""
    return os.environ.get(f"IMGCONV_MATRIX_{name}", "")


def several(name):
    """Return the programs that a variable names."""
    return [path for path in given(name).split(":") if path]


def consumers():
    """Return the drivers of all consumers that are found, by the name and version of their rules."""
    found = {}
    client = given("DOCKER") or "docker"
    for name, variable in (("docker@20.10.24", "DOCKER20"), ("docker@29.7", "DOCKER29")):
        if given(variable):
            found[name] = Docker(client, given(variable))
    if given("DOCKER29_CONTAINERD"):
        inner = Ctr(given("CTR2"), given("DOCKER29_CONTAINERD_SOCKET"), "--snapshotter=native")
        found["docker-containerd@29.7"] = Docker(client, given("DOCKER29_CONTAINERD"), inner)
    snapshotter = f"--snapshotter={given('SNAPSHOTTER') or 'overlayfs'}"
    for variable in ("16", "22", "2"):
        if given(f"CONTAINERD{variable}"):
            driver = Ctr(given(f"CTR{variable}"), given(f"CONTAINERD{variable}"), *KIND, snapshotter)
            found[f"containerd@{driver.version().removeprefix('v').partition('~')[0]}"] = driver
    if given("K3S"):
        # A program that calls the client's Import as k3s does; the name of the archive decides its compression.
        found["k3s@1.36"] = K3s(given("K3S"), given("CTR2"), given("CONTAINERD2"), snapshotter)
    for path in several("PODMAN"):
        driver = Podman(path)
        found[f"podman@{driver.version()}"] = driver
    for path in several("SKOPEO"):
        for transport in ("docker-archive", "oci-archive", "oci", "dir"):
            driver = Skopeo(path, transport)
            found[f"skopeo@{driver.version()}/{transport}"] = driver
    for path in several("CRANE"):
        if given("REGISTRY"):
            driver = Crane(path, given("REGISTRY"))
            found[f"crane@{driver.version()}"] = driver
    for path in several("UMOCI"):
        driver = Umoci(path)
        found[f"umoci@{driver.version()}"] = driver
    return found


def run(record, archives):
    """Load each archive into each consumer that did not have it, saving after each consumer's archive."""
    outcomes = json.loads(record.read_text()) if record.exists() else {}
    drivers = consumers()
    wanted = os.environ.get("IMGCONV_MATRIX_ONLY", "").split(",")
    for name, driver in drivers.items():
        if wanted != [""] and not any(name.startswith(each) for each in wanted):
            continue
        done = outcomes.setdefault(name, {"version": driver.version(), "archives": {}})
        todo = [each for each in archives if each.name not in done["archives"]]
        saved = time.monotonic()
        for archive in todo:
            started = time.monotonic()
            outcome = driver.load(archive.resolve()).document()
            outcome["seconds"] = round(time.monotonic() - started, 2)
            done["archives"][archive.name] = outcome
            if time.monotonic() - saved > 10:
                save(record, outcomes)
                saved = time.monotonic()
        save(record, outcomes)
        loaded = sum(one["loads"] for one in done["archives"].values())
        say(f"{name} ({done['version']}): {loaded} of {len(done['archives'])} load")


def save(record, outcomes):
    """Write the record beside itself, then rename it: a run may be ended at any time."""
    text = json.dumps(outcomes, indent=1, sort_keys=True)
    beside = record.with_suffix(".part")
    beside.write_text(text)
    beside.replace(record)


def say(text):
    """Print a line at once: a run takes long."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def consumer_of(name):
    """Return the consumer and the transport that a name in the outcomes stands for."""
    who, _, way = name.partition("/")
    program, _, version = who.partition("@")
    return parse_consumer(f"{program}@{version.partition('+')[0].partition('-')[0]}"), way


def judge(name, archive):
    """Return what the rules say of an archive, None where imgconv reads it as no image."""
    consumer, way = consumer_of(name)
    try:
        with open_source(str(archive)) as opened:
            contents = Contents(opened, Platform("linux", "amd64"))
            return diagnose_way(contents, consumer, way) if way else diagnose_one(contents, consumer)
    except UnknownFormatError:
        return None


def differences(name, archive, outcome):
    """Yield what the rules state otherwise than a real consumer did: the verdict, names, or IDs."""
    found = judge(name, archive)
    if found is None or found.verdict is Verdict.UNKNOWN:
        return
    if found.verdict.fits != outcome["loads"]:
        why = "; ".join(each.text for each in found.reasons)
        yield f"{found.verdict.value} ({why}), but: {outcome['error'][-200:]}"
        return
    if not outcome["loads"]:
        return
    # A consumer makes up names for what has none: of the day, or the ID.
    held = {each for each in outcome["images"] if each and not _MADE_UP.search(each)}
    stated = {each.name for each in found.known if each.name}
    if stated and held and not held <= stated:
        yield f"known as {sorted(stated)}, but: {sorted(held)}"
    ids = {str(each.id) for each in found.known if each.id}
    if ids and not set(outcome["images"].values()) & ids:
        yield f"shown as {sorted(ids)}, but: {sorted(outcome['images'].values())}"


def compare(record, archives):
    """Print what differs, and return one row for each consumer."""
    outcomes = json.loads(record.read_text())
    by_name = {each.name: each for each in archives}
    rows = []
    for name, rec in outcomes.items():
        counts = {"archives": 0, "load": 0, "refused": 0, "unknown": 0, "no image": 0, "wrong": 0}
        for each, outcome in rec["archives"].items():
            if each not in by_name or outcome["error"] == "not tried":
                continue
            counts["archives"] += 1
            counts["load" if outcome["loads"] else "refused"] += 1
            found = judge(name, by_name[each])
            counts["no image"] += found is None
            counts["unknown"] += found is not None and found.verdict is Verdict.UNKNOWN
            for text in differences(name, by_name[each], outcome):
                counts["wrong"] += 1
                say(f"{name}: {each}: {text}")
        rows.append({"consumer": name, "version": rec["version"], **counts})
        say(f"{name}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    return rows


def main(command, record, *rest):
    """Run one of the commands."""
    if command == "run":
        run(Path(record), [Path(each) for each in rest])
        return
    archives = [Path(each) for each in (rest[1:] if command == "record" else rest)]
    rows = compare(Path(record), archives)
    if command == "record":
        Path(rest[0]).write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    sys.exit(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
