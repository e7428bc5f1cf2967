"""Time `imgconv digest --as crane` beside `crane digest --tarball`, in turn, in one run.

    python bench/digest.py --crane crane ARCHIVE...

The definition: whole processes, wall clock, files in the page cache (each is read
once before), rounds in turn so that both meet the same machine; the median of the
ratios of each round counts. Both must print the same digest, or there is no time.
`--crane` is a crane built with the generation of Go that `--as` names.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def timed(command):
    """Return the seconds a command took and what it printed."""
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin, done.stdout.decode().strip()


def warm(path):
    """Read a file into the page cache."""
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass


def compare(archive, ours, theirs, rounds):
    """Print the times of both over an archive; return the median ratio."""
    warm(archive)
    ratios, mine, peer = [], [], []
    for _ in range(rounds):
        seconds, digest = timed([*theirs, str(archive)])
        peer.append(seconds)
        seconds, answer = timed([*ours, str(archive)])
        mine.append(seconds)
        if answer != digest:
            sys.exit(f"{archive}: imgconv says {answer}, crane {digest}")
        ratios.append(peer[-1] / mine[-1])
    ratio = statistics.median(ratios)
    print(
        f"{archive.name}: {archive.stat().st_size / 1e6:.0f} MB, crane {statistics.median(peer):.2f} s, "
        f"imgconv {statistics.median(mine):.2f} s, {ratio:.2f} times as fast "
        f"(rounds: {', '.join(f'{each:.2f}' for each in ratios)})"
    )
    return ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    parser.add_argument("--crane", default="crane", help="crane to run (default: the one on the PATH)")
    parser.add_argument("--as", dest="pusher", default="crane@go1.26", help="pusher with crane's generation of Go")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    ours = [sys.executable, "-P", "-c", "from convert.cli import main; main()", "digest", "--as", options.pusher]
    theirs = [options.crane, "digest", "--tarball"]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{os.cpu_count()} cores, load {load:.1f} at the start")
    for archive in options.archives:
        compare(archive, ours, theirs, options.rounds)


if __name__ == "__main__":
    main()
