"""What `--progress` shows."""

import io
import sys
import threading

import pytest

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
    first(0)  # a stream tells its end, too
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
    assert capsys.readouterr().err == ("imgconv: 3 of 12 MB, 2 MB/s; 3bec91ac5d94 2 of 8 MB, 0 MB/s\n")


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
