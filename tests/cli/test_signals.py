"""Signals that end a run: the handler requests cancellation, and whoever reads, writes or waits obeys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from convert import cancel
from convert.archive.stream_sink import DescriptorStream
from convert.archive.streams import FileStream
from convert.cancel import Cancelled
from convert.cli import signals
from convert.errors import TruncatedError

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def run(code):
    """Run Python code in a process of its own."""
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_sets_the_token_and_raises_nothing(number):
    with signals.ending() as came:
        signal.raise_signal(number)
        assert came.number == number
        with pytest.raises(Cancelled) as error:
            cancel.check()
        assert error.value.number == number


@pytest.mark.parametrize("number", NUMBERS)
def test_handlers_are_put_back(number):
    before = {which: signal.getsignal(which) for which in (*NUMBERS, signal.SIGALRM)}
    with signals.ending():
        signal.raise_signal(number)
    assert {which: signal.getsignal(which) for which in before} == before
    cancel.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_caller_ignores_stays_ignored(number):
    done = run(
        "import signal, sys; from convert.cli import signals\n"
        f"signal.signal({number}, signal.SIG_IGN)\n"
        "with signals.ending() as came:\n"
        f"    signal.raise_signal({number})\n"
        "print(came.number)\n"
    )
    assert done.stdout == "None\n"


def test_the_first_signal_counts_and_a_second_one_changes_nothing():
    with signals.ending() as came:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGINT)
        assert came.number == signal.SIGHUP


def test_a_third_signal_ends_the_process_at_once():
    done = run(
        "import signal; from convert.cli import signals\n"
        "with signals.ending():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('cleaning', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('never')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "cleaning\n", "")


def test_a_signal_in_a_finaliser_is_not_lost():
    """CPython prints and drops what a finaliser raises: nothing is raised there."""
    done = run(
        "import signal, weakref; from convert import cancel; from convert.cli import signals\n"
        "class Thing: pass\n"
        "with signals.ending():\n"
        "    thing = Thing()\n"
        "    seen = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del thing\n"
        "    try:\n"
        "        cancel.check()\n"
        "    except KeyboardInterrupt as error:\n"
        "        print(error.number)\n"
    )
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_the_token_is_asked_in_every_thread():
    found = []

    def work():
        try:
            cancel.check()
        except Cancelled as error:
            found.append(error.number)

    with signals.ending() as token:
        token.request(signal.SIGHUP)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [signal.SIGHUP]
    cancel.check()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def soon(number):
    """Request cancellation from another thread, without waking this one."""
    thread = threading.Thread(target=lambda: (time.sleep(0.05), cancel.TOKEN.request(number)))
    thread.start()
    return thread


def test_waiting_for_a_silent_pipe_does_not_sleep_through_a_request(pipe):
    with signals.ending(), FileStream(os.dup(pipe[0]), "pipe") as stream:
        thread = soon(signal.SIGTERM)
        with pytest.raises(Cancelled):
            stream.read(1)
        thread.join()


@pytest.mark.parametrize("again", [True, False], ids=["opened again", "written in small parts"])
def test_writing_to_a_full_pipe_does_not_sleep_through_a_request(pipe, again, monkeypatch):
    if not again:
        monkeypatch.setattr("convert.archive.stream_sink._open_again", lambda _: None)
    out = DescriptorStream(pipe[1], owned=False)
    with signals.ending():
        thread = soon(signal.SIGTERM)
        with pytest.raises(Cancelled):
            out.write(bytes(64 << 20))
        thread.join()
    out.close()


@pytest.mark.parametrize("again", [True, False], ids=["opened again", "written in small parts"])
def test_a_slow_reader_gets_every_byte(pipe, again, monkeypatch):
    if not again:
        monkeypatch.setattr("convert.archive.stream_sink._open_again", lambda _: None)
    data = os.urandom(3 << 20)
    got = bytearray()

    def read():
        while len(got) < len(data):
            got.extend(os.read(pipe[0], 5000))

    thread = threading.Thread(target=read)
    thread.start()
    out = DescriptorStream(pipe[1], owned=False)
    out.write(data)
    thread.join()
    out.close()
    assert got == data
    assert os.get_blocking(pipe[1])


def test_a_run_that_fails_after_a_signal_has_ended_by_it(imgconv, monkeypatch):
    """`docker save | imgconv`: both get Ctrl-C, and the pipe that ends then is not a damaged archive."""

    def ended(_):
        signal.raise_signal(signal.SIGINT)
        raise TruncatedError("the archive ends")

    monkeypatch.setattr(sys.modules["convert.cli.main"], "_command", ended)
    done = imgconv("id", "x")
    assert (done.status, done.err) == (130, "")


def test_a_run_that_is_complete_when_a_signal_comes_has_its_own_status(imgconv, monkeypatch):
    def completes(_):
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(sys.modules["convert.cli.main"], "_command", completes)
    assert imgconv("id", "x").status == 0
