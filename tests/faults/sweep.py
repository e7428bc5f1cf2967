"""Runs one conversion again and again, each time with a fault one call later, and looks at what is left.

    python sweep.py MODE FORM BEFORE SOURCE FOLDER [STEP]
    python sweep.py random FORM BEFORE SOURCE FOLDER TIMES

The second kills each run at a random moment instead.

BEFORE is what lies at the destination: `new` (nothing), `force` (an older
result), `fill` (an empty folder) or `append` (a layout). FORM may also be `manifest`
(`digest --manifest`), `graph` (`inspect --graph`) or `export`, which write a document;
`add-repositories`, `tag` and `untag`, which change an archive in place, and `tag-layout`,
which changes a layout. `config` and `image-manifest` print a document to standard output,
which is a file here. `split:FORM` writes one result for each image, `merge:FORM` one of three
archives, `join:FORM` one index of two platforms, `rename:FORM` one with another name. `thin:FORM`
writes a thin archive without the layers of one image, and `filled:FORM` fills such an archive again; `thin-piped:FORM`
and `filled-piped:FORM` do so with SOURCE from a pipe.
Prints one JSON document: how many faults there were and what was wrong after them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import injected
from oracle import reading

# Whatever is imported later would be counted.
import convert
import convert.cli.config
import convert.cli.convert
import convert.cli.digest
import convert.cli.export
import convert.cli.inspect
import convert.cli.manifest
import convert.cli.tag
import convert.codec.gzip
import convert.commands.add_repositories
import convert.commands.convert
import convert.commands.convert_split
import convert.commands.digest
import convert.commands.document
import convert.commands.export
import convert.commands.tag
import convert.commands.thin
import convert.commands.verify_output
import convert.identity.legacy_config
import convert.plan.edit.edits
import convert.plan.join
import convert.plan.merge
import convert.plan.template
import convert.report.graph.svg
import convert.writer.dest.layout_dir
from convert.archive.temporary import is_temporary
from convert.cli.main import run

MOST = 2000
#: Forms that are no target of a conversion, each with its command.
OTHERS = {
    "manifest": [
        "digest",
        "SOURCE",
        "--image",
        "fmt-scr:1",
        "--as",
        "docker@go1.26",
        "--jobs",
        "1",
        "--manifest",
        "OUT",
    ],
    "graph": ["inspect", "SOURCE", "--graph", "OUT"],
    "add-repositories": ["--add-repositories", "OUT", "--jobs", "1", "-q"],
    "tag": ["tag", "OUT", "fmt-scr:1", "new.example/name:1"],
    "untag": ["untag", "OUT", "fmt-scr:1"],
    "tag-layout": ["tag", "OUT", "fmt-scr:1", "new.example/name:1"],
    "export": ["export", "SOURCE", "fmt-html:1", "OUT", "-q"],
    "config": ["config", "SOURCE", "fmt-scr:1"],
    "image-manifest": ["manifest", "SOURCE", "fmt-scr:1"],
}
#: Those that print a document.
PRINTED = {"config", "image-manifest"}
#: Options of a conversion that edits.
EDITS = {"join": ["--join", "fmt-joined:1"], "rename": ["--rename", "fmt-scr:1=new.example/other/scr:1"]}
#: The images of the sources that are put together.
MERGED = ("fmt-scr:1", "fmt-html:1", "fmt-c:dup")
PLATFORMS = Path(__file__).parents[2] / "testdata" / "match" / "archives" / "containerd29-export-multiplatform.tar.gz"
#: Not counted: it opens what stands for standard output.
_open = os.open
#: Those that change what is there.
IN_PLACE = {"add-repositories", "tag", "untag", "tag-layout"}
#: Those that replace what is there only with --force.
FORCED = {"export"}
#: What changes nothing where the name is gone already.
DONE_ALREADY = ["tag", "OUT", "fmt-html:1", "fmt-html:1"]
#: What completes a folder.
LAST = {"dir": "manifest.json"}
#: The only image of a `dir:` folder, another than OLD.
ONE = ("--image", "fmt-html:1")
#: The image that an older result holds.
OLD = ("--image", "fmt-scr:1")


def feed(path):
    """Make standard input a pipe with the bytes of a file; whoever writes them ends with its reader."""
    reader, writer = os.pipe()
    if not os.fork():
        try:
            os.close(reader)
            os.dup2(writer, 1)
            with open(path, "rb") as file, open(1, "wb", closefd=False) as out:
                shutil.copyfileobj(file, out)
        finally:
            os._exit(0)
    os.close(writer)
    os.dup2(reader, 0)
    os.close(reader)


def forked(action, piped=None):
    """Run `action` in a child; return its status (or minus the signal) and what it printed.

    `piped` is a file whose bytes come to it through a pipe.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        code = 70
        try:
            os.close(reader)
            if piped is not None:
                feed(piped)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            code = action()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        printed = file.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), printed


class Printed(io.RawIOBase):
    """Standard output on a file, through the calls that are counted."""

    def __init__(self, fd):
        self.fd = fd

    def writable(self):
        return True

    def write(self, data):
        return os.write(self.fd, data)


class Sweep:
    def __init__(self, mode, form, before, source, folder):
        self.mode, self.form, self.before = mode, form, before
        self.source, self.folder = source, Path(folder)
        kind, _, self.target = form.rpartition(":")
        self.kind = kind.removesuffix("-piped")
        self.base = []
        self.sources = []
        if self.kind in {"thin", "filled"}:
            self.make_base()
        elif self.kind in {"merge", "join"}:
            self.make_sources()
        elif form == "image-manifest":
            self.source = self.folder.parent / "layout"
            convert.convert(str(source), str(self.source), to="oci", jobs=1)
        self.piped = self.source if kind != self.kind else None
        self.out = self.folder / ("out.svg" if form == "graph" else "out")
        self.wrong = []
        self.faults = 0
        self.random = mode == "random"

    def make_base(self):
        """Write what the receiver has, and for `filled` the thin archive that is the source."""
        base = self.folder.parent / "base"
        convert.convert(str(self.source), str(base), to="oci", images=[OLD[1]], jobs=1)
        if self.kind == "filled":
            thin = self.folder.parent / "thin"
            convert.convert(str(self.source), str(thin), to="docker-save", without=[str(base)], jobs=1)
            self.source = thin
        self.base = ["--without" if self.kind == "thin" else "--with", str(base)]

    def make_sources(self):
        """Write the archives that are put together: three images, or one image for two platforms."""
        self.sources = []
        options = {"images": MERGED} if self.kind == "merge" else {"platforms": ("linux/amd64", "linux/ppc64le")}
        ((name, values),) = options.items()
        for number, value in enumerate(values):
            path = self.folder.parent / f"source{number}"
            given = self.source if self.kind == "merge" else PLATFORMS
            convert.convert(str(given), str(path), to="oci-archive", jobs=1, **{name: [value]})
            self.sources.append(path)

    def run(self, arguments=None):
        """Run the command; what it prints on standard output without errors is ignored."""
        if self.form not in OTHERS:
            return run(arguments or self.arguments())
        if self.form in PRINTED:
            fd = _open(self.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            # It is kept: what could not be written is not written at its end either.
            self.printed = io.TextIOWrapper(io.BufferedWriter(Printed(fd)))
            with contextlib.redirect_stdout(self.printed):
                return run(arguments or self.arguments())
        with contextlib.redirect_stdout(io.StringIO()):
            return run(arguments or self.arguments())

    def arguments(self):
        if self.form in OTHERS:
            names = {"SOURCE": str(self.source), "OUT": str(self.out)}
            force = ["--force"] if self.form == "export" and self.before == "force" else []
            return [*(names.get(word, word) for word in OTHERS[self.form]), *force]
        extra = {"force": ["--force"], "append": ["--append"]}.get(self.before, [])
        out = str(self.out / "{name}_{tag}") if self.kind == "split" else str(self.out)
        image = ONE if self.target == "dir" and self.kind != "split" else ()
        sources = [str(each) for each in self.sources or [self.source]]
        edits = EDITS.get(self.kind, [])
        if image and edits:
            edits = [edits[0], f"{image[1]}=new.example/other/html:1"]
        return [*sources, "--to", self.target, out, "--jobs", "1", "-q", *image, *edits, *self.base, *extra]

    def prepare(self):
        self.folder.mkdir(exist_ok=True)
        for each in self.folder.iterdir():  # a file system may be mounted there
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        if self.form == "tag-layout":
            convert.convert(str(self.source), str(self.out), to="oci", jobs=1)
        elif self.form in IN_PLACE:
            shutil.copyfile(self.source, self.out)
        elif self.kind == "split" or self.before == "fill":
            self.out.mkdir()
        elif self.form in PRINTED:
            self.out.touch()
        elif (self.form in OTHERS or self.kind in {"merge", "join"}) and self.before == "force":
            # Several sources never replace an archive.
            self.out.write_bytes(b"older")
        elif self.before != "new":
            with_ = self.base[1:] if self.kind == "filled" else ()
            convert.convert(str(self.source), str(self.out), to=self.target, images=[OLD[1]], jobs=1, with_=with_)

    def state(self):
        """Return what lies at the destination, None if nothing does."""
        if not self.out.exists():
            return None
        if (self.form in OTHERS or self.kind in {"merge", "join"}) and self.out.is_file():
            return self.out.read_bytes()
        found = reading.contents(self.out)
        if isinstance(found, dict):
            found = {name: data for name, data in found.items() if not is_temporary(name.split("/")[0])}
        return found

    def go(self, step=1):
        self.prepare()
        old = self.state()
        status, printed = forked(self.run, self.piped)
        if status:
            raise SystemExit(f"the conversion itself fails: {printed}")
        new = self.state()
        for number in range(1, MOST, step):
            self.prepare()
            fault = injected.Fault(self.mode, number)

            def faulty(fault=fault):
                fault.install()
                code = self.run()
                # Reported through the pipe, because the parent has another counter.
                sys.stdout.write(f"calls {fault.count}\n")
                return code

            status, printed = forked(faulty, self.piped)
            calls = [int(line.split()[1]) for line in printed.splitlines() if line.startswith("calls ")]
            if calls and calls[0] < number:
                return
            self.faults += 1
            self.check(number, status, printed, old, new)
        raise SystemExit(f"more than {MOST} calls")

    def go_at_random(self, times):
        """Kill `times` runs, each at a moment between its begin and its usual end."""
        self.prepare()
        old = self.state()
        begin = time.monotonic()
        status, printed = forked(self.run, self.piped)
        if status:
            raise SystemExit(f"the conversion itself fails: {printed}")
        took, new = time.monotonic() - begin, self.state()
        self.mode = "kill"
        chance = random.Random(0)
        for number in range(times):
            self.prepare()
            delay = chance.uniform(0, took)
            begin = time.monotonic()

            def doomed(delay=delay):
                # A timer of the process itself: no race with its end.
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-6))
                return self.run()

            status, printed = forked(doomed, self.piped)
            if status == -signal.SIGALRM:
                status = -signal.SIGKILL  # SIGKILL cannot be handled
                self.faults += 1
            else:
                took = 0.7 * took + 0.3 * (time.monotonic() - begin)
            self.check(number, status, printed, old, new)

    def say(self, number, text):
        self.wrong.append(f"{self.mode} {self.form} {self.before} at {number}: {text}")

    def check(self, number, status, printed, old, new):
        lines = [line for line in printed.splitlines() if not line.startswith("calls ")]
        wanted = {"kill": {-9, 0} if self.random else {-9}, "int": {130, 0}, "term": {143, 0}, "short": {0}}.get(
            self.mode, {4, 0}
        )
        if status not in wanted:
            self.say(number, f"status {status}: {printed[-300:]}")
        if any("Traceback" in line for line in lines) or len(lines) > (status != 0):
            self.say(number, f"printed {lines}")
        found = self.state()
        if not self.sound(found, old, new):
            self.say(number, "what lies at the destination is neither the old nor the new")
        if status == 0 and found != new:
            self.say(number, "done, and the result is not there")
        left = [name for name in os.listdir(self.folder) if name != self.out.name]
        left += [name for name in os.listdir(self.out) if is_temporary(name)] if self.out.is_dir() else []
        if self.mode == "kill":
            if any(not is_temporary(name) for name in left):
                self.say(number, f"left {left}")
            self.again(number, new, found)
        elif self.mode == "eio" and all(is_temporary(name) for name in left):
            self.again(number, new, found)  # it may have been the cleaning up that failed
        elif left:
            self.say(number, f"left {left}")

    def sound(self, found, old, new):
        """Whether what lies at the destination is the old state, the new one, or a part that says nothing wrong."""
        if found in (old, new):
            return True
        if self.form in PRINTED:
            # What a reader of standard output got; the status tells that it is not all.
            return new.startswith(found)
        if self.before == "append":
            return self.whole(found)
        if self.kind == "split":
            # Each result appears whole; all of them only if nothing ends the run meanwhile.
            return self.mode in {"kill", "int", "term"} and found.items() <= new.items()
        if self.before == "fill":
            # Blobs come first; without its last document it holds no image.
            return LAST.get(self.target, "index.json") not in found and all(
                new.get(name) == data for name, data in found.items()
            )
        return False

    def whole(self, found):
        """Whether a layout names nothing that it lacks; blobs that nothing names yet are well."""
        documents = [json.loads(found["index.json"])]
        while documents:
            document = documents.pop()
            parts = [*document.get("manifests", ()), *document.get("layers", ())]
            for part in [*parts, document["config"]] if "config" in document else parts:
                data = found.get("blobs/" + part["digest"].replace(":", "/"))
                if data is None or reading.sha256(data) != part["digest"]:
                    return False
                if "manifest" in part["mediaType"] or "index" in part["mediaType"]:
                    documents.append(json.loads(data))
        return True

    def again(self, number, new, found):
        """Whatever a kill left, the next run does its work and cleans up."""
        arguments = self.arguments()
        if self.form == "untag" and found == new:
            arguments = [str(self.out) if word == "OUT" else word for word in DONE_ALREADY]
        elif self.kind in {"merge", "join"} and found == new and self.before != "append":
            # Several sources never replace an archive, not with --force either.
            shutil.rmtree(self.out) if self.out.is_dir() else self.out.unlink()
            if self.before == "fill":
                self.out.mkdir()
        elif (self.before in {"new", "fill"} and found == new and (self.form not in OTHERS or self.form in FORCED)) or (
            self.kind == "split" and found
        ):
            arguments.append("--force")
        status, printed = forked(lambda: self.run(arguments), self.piped)
        if status or self.state() != new:
            self.say(number, f"the next run: status {status}, {printed[-300:]}")
        left = [name for name in os.listdir(self.folder) if name != self.out.name]
        left += [name for name in os.listdir(self.out) if is_temporary(name)] if self.out.is_dir() else []
        if left:
            self.say(number, f"the next run left {left}")


def main():
    mode, form, before, source, folder, *step = sys.argv[1:]
    sweep = Sweep(mode, form, before, source, folder)
    number = int(step[0]) if step else 1
    if sweep.random:
        sweep.go_at_random(number)
    else:
        sweep.go(number)
    sys.stdout.write(json.dumps({"faults": sweep.faults, "wrong": sweep.wrong}))


if __name__ == "__main__":
    main()
