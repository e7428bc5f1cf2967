"""Signals that end a run, where CPython loses them."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time

import pytest

from convert import cancel
from convert.archive.atomic import held_back
from convert.cancel import Cancelled
from convert.cli import signals
from convert.errors import TruncatedError

# From Python 3.13 on `io` tells what its finalisers swallow; pytest makes a warning of it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Swallowing(io.RawIOBase):
    """A stream whose finaliser is where the signal is acted on, as it may be for any."""

    def __init__(self, number):
        self.number = number

    def close(self):
        if not self.closed:
            signal.raise_signal(self.number)
        super().close()


@pytest.mark.parametrize("number", NUMBERS)
def test_what_a_finaliser_swallowed_is_raised_once_more(number):
    with signals.ending() as came:
        Swallowing(number)
        assert came.number == number  # and nothing was raised
        with pytest.raises(Cancelled) as error:
            time.sleep(20)
        assert error.value.number == number


@pytest.mark.parametrize("number", NUMBERS)
def test_cleaning_up_is_not_disturbed(number):
    cleaned = False

    def work():
        nonlocal cleaned
        try:
            signal.raise_signal(number)
        finally:
            time.sleep(4 * signals._WAKE)
            cleaned = True

    with signals.ending(), pytest.raises(Cancelled):
        work()
    assert cleaned


def test_what_is_held_back_is_not_disturbed_by_what_got_lost():
    done = False

    def work():
        nonlocal done
        with held_back():
            time.sleep(3 * signals._WAKE)
            done = True

    with signals.ending():
        Swallowing(signal.SIGTERM)
        with pytest.raises(Cancelled):
            work()
    assert done


@pytest.mark.parametrize("number", NUMBERS)
def test_handlers_are_put_back(number):
    before = {which: signal.getsignal(which) for which in (*NUMBERS, signal.SIGALRM)}
    with signals.ending(), pytest.raises(Cancelled):
        signal.raise_signal(number)
    assert {which: signal.getsignal(which) for which in before} == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_caller_ignores_stays_ignored(number):
    code = (
        "import signal, sys; from convert.cli import signals\n"
        f"signal.signal({number}, signal.SIG_IGN)\n"
        "with signals.ending() as came:\n"
        f"    signal.raise_signal({number})\n"
        "print(came.number)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_second_signal_does_not_disturb_the_cleaning_up():
    cleaned = False

    def work():
        nonlocal cleaned
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleaned = True

    with signals.ending() as came, pytest.raises(Cancelled) as error:
        work()
    assert cleaned
    assert (error.value.number, came.number) == (signal.SIGINT, None)


def test_a_third_signal_ends_the_process_at_once():
    code = (
        "import signal, time; from convert.cli import signals\n"
        "with signals.ending():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        print('cleaning', flush=True)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        print('never')\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "cleaning\n", "")


def test_python_prints_nothing_about_what_a_signal_does_to_finalisers():
    code = (
        "import signal, time, weakref; from convert.cli import signals\n"
        "class Thing: pass\n"
        "with signals.ending():\n"
        "    thing = Thing()\n"
        "    seen = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    try:\n"
        "        del thing\n"
        "        time.sleep(20)\n"
        "    except KeyboardInterrupt as error:\n"
        "        print(error.number)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_finaliser_that_fails_without_a_signal_is_reported():
    code = (
        "from convert.cli import signals\n"
        "class Thing:\n"
        "    def __del__(self): raise ValueError('here')\n"
        "with signals.ending():\n"
        "    Thing()\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "ValueError: here" in done.stderr


def test_the_token_is_asked_in_every_thread():
    with signals.ending() as token:
        cancel.check()
        token.request(signal.SIGHUP)
        token.request(signal.SIGINT)  # the first one counts
        with pytest.raises(Cancelled) as error:
            cancel.check()
        assert error.value.number == signal.SIGHUP
    cancel.check()


def test_a_run_that_fails_after_a_signal_has_ended_by_it(imgconv, monkeypatch):
    """`docker save | imgconv`: both get Ctrl-C, and the pipe that ends then is no damaged archive."""

    def ended(_):
        Swallowing(signal.SIGINT)
        raise TruncatedError("the archive ends")

    monkeypatch.setattr(sys.modules["convert.cli.main"], "_command", ended)
    done = imgconv("id", "x")
    assert (done.status, done.err) == (130, "")
