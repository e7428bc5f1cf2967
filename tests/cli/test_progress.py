"""What `--progress` shows."""

import contextlib
import hashlib
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tarfile
import threading

import pytest
from support import tar_of

import convert
from convert import cancel
from convert.cli import progress
from convert.progress import Silent


class Drawn:
    """A display that remembers."""

    first = 0.001
    interval = 0.001

    def __init__(self):
        self.snapshots = []
        self.closed = 0

    def draw(self, now):
        self.snapshots.append(now)

    def close(self):
        self.closed += 1


class Still(Drawn):
    """A display that never gets to draw."""

    first = interval = 3600.0


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def counted():
    shown = progress.Counted(Still())
    yield shown
    shown.close()


def test_a_layer_is_shown_until_its_last_byte(counted):
    counted.expect(100)
    first, second = counted.begin("one", 60), counted.begin("two", 40)
    first(50)
    second(10)
    now = counted.snapshot()
    assert (now.done, now.total) == (60, 100)
    assert [(part.name, part.done, part.size) for part in now.parts] == [("one", 50, 60), ("two", 10, 40)]
    first(10)
    assert [part.name for part in counted.snapshot().parts] == ["two"]
    first(0)  # a stream reports its end, too
    second(30)
    now = counted.snapshot()
    assert (now.done, now.total, now.parts) == (100, 100, ())


def test_the_whole_is_unknown_while_more_comes_than_anyone_announced(counted):
    counted.begin("layer.tar", 10)(10)
    assert counted.snapshot().total is None
    counted.expect(30)
    assert counted.snapshot().total == 30


def test_bytes_of_no_layer_count_in_the_whole(counted):
    counted.expect(5)
    counted.advance(3)
    assert counted.snapshot().done == 3


def test_work_that_never_begins_starts_no_thread():
    before = threading.active_count()
    drawn = Drawn()
    progress.Counted(drawn)
    assert threading.active_count() == before
    progress.Counted(drawn).close()
    assert (drawn.snapshots, drawn.closed) == ([], 0)


def test_the_display_is_closed_once_and_then_left_alone():
    drawn = Drawn()
    shown = progress.Counted(drawn)
    shown.expect(1)
    shown.close()
    number = len(drawn.snapshots)
    shown.advance(1)
    assert drawn.closed == 1
    assert len(drawn.snapshots) == number


def test_closing_after_a_signal_does_not_wait_for_a_stopped_terminal():
    drawing, release = threading.Event(), threading.Event()

    class Stuck(Drawn):
        def draw(self, now):
            drawing.set()
            release.wait(60)

    shown = progress.Counted(Stuck())
    shown.expect(1)
    assert drawing.wait(60)
    cancel.TOKEN.request(15)
    try:
        shown.close()
        assert not release.is_set()
    finally:
        cancel.TOKEN.clear()
        release.set()


def snapshot(*parts, done=3_000_000, total=12_000_000):
    return progress.Snapshot(2.0, done, total, parts)


def test_lines_tell_bytes_and_rate_of_the_whole_and_of_each_layer(capsys, monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 14.0)
    progress.Lines().draw(snapshot(progress.Part("3bec91ac5d94", 8_000_000, 10.0, 2_000_000)))
    assert capsys.readouterr().err == (
        "imgconv: 3 of 12 MB (25 %), 2 MB/s, 0:06 left; 3bec91ac5d94 2 of 8 MB (25 %), 0 MB/s, 0:12 left\n"
    )


def test_names_out_of_an_archive_are_not_printed_raw(capsys):
    progress.Lines().draw(snapshot(progress.Part("\x1b[2Jlayer", 10, 0.0), total=None))
    line = capsys.readouterr().err
    assert "\x1b" not in line
    assert line.startswith("imgconv: 3 MB, ")


def test_a_terminal_gets_a_row_for_the_whole_and_one_for_each_layer(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    table = progress.Table()
    table.draw(snapshot(progress.Part("3bec91ac5d94", 8_000_000, 10.0, 2_000_000), progress.Part("\x1b]0;x", 9, 11.0)))
    table.draw(snapshot(done=9_000_000))
    table.close()
    text = screen.getvalue()
    assert "total" in text
    assert "3.0/12.0 MB" in text
    assert "3bec91ac5d94" in text
    assert "2.0/8.0 MB" in text
    assert "\x1b]0;x" not in text
    assert "9.0/12.0 MB" in text
    assert "25%" in text
    assert "75%" in text
    assert "0:06 left" in text


def test_a_line_of_the_table_fits_into_80_columns(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    table = progress.Table()
    table.draw(progress.Snapshot(20000.0, 12_345_000_000, 98_765_000_000, (progress.Part("3bec91ac5d94", 9, 11.0),)))
    table.close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "12.3/98.8 GB" in text
    assert "38:53:28 left" in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("done", "total", "seconds", "left"),
    [
        (25, 100, 10.0, "0:30 left"),
        (1, 3, 40.0, "1:20 left"),
        (1, 201, 36.0, "2:00:00 left"),
        (0, 100, 10.0, ""),  # no rate yet
        (100, 100, 10.0, ""),
        (5, None, 10.0, ""),
        (50, 100, 0.5, ""),  # too early to say
    ],
)
def test_time_left_is_the_rest_at_the_present_rate(done, total, seconds, left):
    assert progress.time_left(done, total, seconds) == left


def test_nothing_is_drawn_while_something_else_is_printed():
    drawn = Drawn()
    shown = progress.Counted(drawn)
    shown.expect(1)
    with shown.paused():
        closed, number = drawn.closed, len(drawn.snapshots)
        assert closed >= 1
        threading.Event().wait(0.05)
        assert (drawn.closed, len(drawn.snapshots)) == (closed, number)
    shown.close()


def test_a_table_can_be_drawn_again_after_it_was_removed(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    table = progress.Table()
    table.draw(snapshot())
    table.close()
    before = len(screen.getvalue())
    table.draw(snapshot(done=6_000_000))
    table.close()
    assert "6.0/12.0 MB" in screen.getvalue()[before:]


class Recorder:
    """Adds up what a command reports."""

    def __init__(self):
        self.expected = self.done = 0
        self.parts = []

    def expect(self, size):
        self.expected += size

    def begin(self, name, size):
        self.parts.append((name, size))
        return self.advance

    def advance(self, size):
        self.done += size

    def close(self):
        pass


def stored_bytes(path):
    with tarfile.open(path) as archive:
        return sum(member.size for member in archive if member.name.endswith("layer.tar"))


@pytest.mark.parametrize("encoders", [False, True])
def test_inspect_counts_each_layer_for_each_reading(archive, encoders):
    layout = "layout"
    convert.convert(archive("docker20-html"), layout, to="oci")
    recorder = Recorder()
    report = convert.inspect(layout, verify=True, encoders=encoders, progress=recorder)
    size = sum(layer["size"] for image in report.document["images"] for layer in image["layers"])
    assert recorder.expected == recorder.done == size * (1 + encoders) > 0


def test_inspect_without_reading_layers_reports_nothing(archive):
    recorder = Recorder()
    convert.inspect(archive("docker20-html"), progress=recorder)
    assert (recorder.expected, recorder.done, recorder.parts) == (0, 0, [])


@pytest.mark.parametrize("name", ["docker20-html", "docker20-multi", "containerd29-export"])
def test_validate_counts_every_blob_once(archive, name):
    path = archive(name)
    recorder = Recorder()
    assert convert.validate(path, progress=recorder).status == 0
    assert recorder.expected == recorder.done >= stored_bytes(path)
    assert recorder.done == sum(size for _, size in recorder.parts) > 0


def test_diff_counts_the_layers_whose_files_it_compares(archive):
    a, b = archive("docker20-html"), archive("docker20-multi")
    for files in (False, True):
        recorder = Recorder()
        convert.diff(a, b, files=files, progress=recorder)
        assert recorder.expected == recorder.done
        assert bool(recorder.done) == files


QUIET = [
    ("inspect", "{a}"),
    ("inspect", "{a}", "--verify"),
    ("validate", "{a}"),
    ("diff", "{a}", "{a}"),
    ("diff", "{a}", "{b}", "--files"),
    ("{a}", "--to", "oci", "out"),
]


@pytest.mark.parametrize("words", QUIET, ids=" ".join)
def test_quiet_prints_nothing_and_keeps_the_status(imgconv, archive, words):
    names = {"a": archive("docker20-html"), "b": archive("docker20-multi")}
    arguments = [word.format_map(names) for word in words]
    quiet = imgconv(*arguments, "--quiet")
    assert (quiet.out, quiet.err) == ("", "")
    shutil.rmtree("out", ignore_errors=True)
    loud = imgconv(*arguments)
    assert quiet.status == loud.status
    if "validate" not in arguments:
        assert loud.out


def test_quiet_leaves_errors_and_documents(imgconv, archive):
    name = archive("docker20-html")
    for arguments in (("validate", name, "--json"), ("inspect", name, "--json"), ("diff", name, name, "--json")):
        assert imgconv(*arguments, "-q").json == imgconv(*arguments).json
    done = imgconv("digest", name, "--as", "crane", "-q")
    assert (done.out.count("\n"), done.err) == (1, "")
    for command in ("validate", "inspect"):
        done = imgconv(command, "absent.tar", "-q")
        assert (done.status, done.out) == (4, "")
        assert "absent.tar" in done.err


def docker_archive(layer):
    """Return what `docker save` writes for an image of one layer."""
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    items = [{"Config": name, "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]
    return tar_of({name: config, "layer.tar": layer, "manifest.json": json.dumps(items).encode()})


#: The command line, drawing at once: real runs are too short for a display.
EAGER = (
    "from convert.cli import progress; progress.Table.first = progress.Table.interval = 0.0;"
    "progress.Lines.first = progress.Lines.interval = 0.0; from convert.cli import main; main()"
)


@pytest.mark.parametrize(
    "words", [("validate", "big.tar"), ("inspect", "big.tar", "--verify"), ("diff", "big.tar", "other.tar", "--files")]
)
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(tmp_path, words, terminal):
    for name, seed in (("big", b"a"), ("other", b"b")):
        layer = tar_of({f"file{number}": seed * (1 << 20) for number in range(24)})
        (tmp_path / f"{name}.tar").write_bytes(docker_archive(layer))
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", EAGER, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=follower if terminal else subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    seen = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while terminal and (data := os.read(leader, 1 << 16)):
            seen += data
    out, err = process.communicate()
    os.close(leader)
    assert process.returncode in {0, 1}
    assert (b"%" in seen) == terminal
    assert b"%" not in out + (err or b"")


def test_short_work_does_not_import_rich():
    table = progress.Table()
    table.close()
    assert table.first >= 1


@pytest.mark.parametrize(
    ("kind", "terminal", "display"),
    [
        ("auto", True, progress.Table),
        ("auto", False, progress.Lines),
        ("plain", True, progress.Lines),
        ("plain", False, progress.Lines),
    ],
)
def test_auto_is_a_table_on_a_terminal_and_lines_elsewhere(monkeypatch, kind, terminal, display):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    shown = progress.choose(kind)
    shown.close()
    assert isinstance(shown._display, display)


@pytest.mark.parametrize("terminal", [True, False])
def test_none_shows_nothing(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    assert isinstance(progress.choose("none"), Silent)
