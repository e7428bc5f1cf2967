"""Kills batches at random moments, and compares what is left in the end with a run that nobody disturbed.

    python batch_kills.py run|worker|dask|scheduler|dask-worker TIMES FOLDER [ARCHIVES]

`run` kills the process of the run itself, `worker` one of its processes, `dask` one of those that it has with the
engine dask, `scheduler` and `dask-worker` those of a Dask cluster that exists. Prints one JSON document: how many kills
there were, how many runs they took, and what was wrong afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from batch_archives import table_of, write_archives
from support import COMMAND

from convert.archive.temporary import is_temporary

#: Seconds between two kills of workers at most; the moment is random.
LATEST = 0.3
#: The same for workers that take longer to start.
LATEST_DASK = 1.5


def words(engine: str, *more: str) -> list[str]:
    options = ["--engine", engine, "--journal", "run.jsonl", "--out", "out/{stem}/result.tar", "-q", *more]
    if engine in {"local", "dask"}:
        options += ["--jobs", "2"]
    return [*COMMAND, "batch", "convert", "in/*.tar", *options, "--", "--to", "oci-archive", "--recompress"]


def start(folder: Path, engine: str, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words(engine, *more), cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)


def results_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def children_of(pid: int) -> list[int]:
    """Return the processes that any thread of a process started."""
    found = []
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += [int(each) for each in (thread / "children").read_text().split()]
    return found


def workers_of(pid: int) -> list[int]:
    """Return the workers of a run: the children of its fork server, which is one of its own children."""
    found = []
    for child in children_of(pid):
        with contextlib.suppress(OSError):
            if "forkserver" in Path(f"/proc/{child}/cmdline").read_text():
                found += children_of(child)
    return found


class Cluster:
    """A scheduler and two workers, each a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def engine(self) -> str:
        return f"dask:tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start what does not run."""
        address = f"tcp://127.0.0.1:{self.port}"
        commands = {"scheduler": ["scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]}
        for number in (1, 2):
            # Without a nanny, so that the process that is killed is the worker.
            commands[f"worker{number}"] = [
                "worker",
                address,
                *("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder / "dask")),
            ]
        for name, arguments in commands.items():
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                code = f"from distributed.cli.dask_{arguments[0]} import main; main()"
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-P", "-c", code, *arguments[1:]],
                    cwd=self.folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )

    def kill(self, kind: str, source: random.Random) -> None:
        names = ["scheduler"] if kind == "scheduler" else ["worker1", "worker2"]
        self.end(source.choice(names))

    def replace(self) -> None:
        """End workers that lost their scheduler; each would do so by itself, at some time after the next run began."""
        if self.processes.get("scheduler") is not None and self.processes["scheduler"].poll() is not None:
            for name in ("worker1", "worker2"):
                self.end(name)

    def end(self, name: str) -> None:
        process = self.processes[name]
        process.kill()
        process.wait()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def kills(kind: str, times: int, folder: Path, count: int = 40, seed: int = 0) -> dict[str, object]:
    """Kill until it was done `times` times; whenever a batch is complete, compare it and begin a new one."""
    source = random.Random(seed)
    if not (folder / "in").exists():
        write_archives(folder / "in", count)
    cluster = Cluster(folder) if kind in {"scheduler", "dask-worker"} else None
    wrong: list[str] = []
    report = {"kind": kind, "kills": 0, "runs": 0, "batches": 0, "wrong": wrong}
    try:
        clear(folder)
        begin = time.monotonic()
        errors = start(folder, "local").communicate()[1]
        whole = time.monotonic() - begin
        wanted, files = table_of(folder / "run.jsonl"), results_of(folder / "out")
        if len(wanted) != count or errors:
            wrong.append(f"the undisturbed run: {len(wanted)} rows, {errors!r}")
        while report["kills"] < times:
            clear(folder)
            complete(kind, times, folder, cluster, source, report, whole)
            report["batches"] += 1
            if table_of(folder / "run.jsonl") != wanted:
                wrong.append(f"another table after {report['kills']} kills")
            if results_of(folder / "out") != files:
                wrong.append(f"other files after {report['kills']} kills")
    finally:
        if cluster is not None:
            cluster.close()
    return report


def clear(folder: Path) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    (folder / "run.jsonl").unlink(missing_ok=True)


def wait_for_begin(process, folder: Path) -> None:
    """Wait until a run has workers, or noted more rows."""
    size = (folder / "run.jsonl").stat().st_size if (folder / "run.jsonl").exists() else 0
    while process.poll() is None and not workers_of(process.pid):
        if (folder / "run.jsonl").exists() and (folder / "run.jsonl").stat().st_size > size:
            return
        time.sleep(0.01)


def complete(kind, times, folder, cluster, source, report, whole) -> None:
    """Run one batch to its end, with kills; an undisturbed one takes `whole` seconds."""
    engine = cluster.engine if cluster is not None else "dask" if kind == "dask" else "local"
    latest = {"run": whole, "dask": LATEST_DASK}.get(kind, LATEST)
    while True:
        if cluster is not None:
            cluster.replace()
            cluster.start()
        process = start(folder, engine, "--retry-failed")
        report["runs"] += 1
        killed = False
        while report["kills"] < times and process.poll() is None:
            if kind != "run":
                wait_for_begin(process, folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(source.uniform(0, latest))
                break
            if kind == "run":
                process.kill()
            elif kind in {"worker", "dask"}:
                pids = workers_of(process.pid)
                if not pids:
                    continue
                with contextlib.suppress(OSError):
                    os.kill(source.choice(pids), signal.SIGKILL)
            else:
                cluster.kill(kind, source)
            killed = True
            report["kills"] += 1
            if kind in {"run", "scheduler"}:
                break
            if cluster is not None:
                cluster.start()
        _, errors = process.communicate(timeout=120)
        if b"Traceback" in errors or b"internal error" in errors:
            report["wrong"].append(errors.decode()[-500:])
        statuses = {3, 4, -signal.SIGKILL}
        if process.returncode not in statuses:
            report["wrong"].append(f"exit status {process.returncode}: {errors.decode()[-300:]}")
        if process.returncode == 3 and not killed:
            return
        # Rows are whole at every moment, and what they name is there.
        for row in table_of(folder / "run.jsonl") if (folder / "run.jsonl").exists() else ():
            if row["exit"] == 0 and not (folder / row["output"]).exists():
                report["wrong"].append(f"a row without its output: {row['output']}")


def left_over(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".imgconv-*") if is_temporary(path.name)]


if __name__ == "__main__":
    kind, times, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    report = kills(kind, times, folder, *(int(word) for word in sys.argv[4:5]))
    report |= {"seconds": round(time.monotonic() - begin), "left": left_over(folder)}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(report["wrong"]))
