"""Signals that end a run, where CPython loses them."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time

import pytest

from convert.archive.atomic import held_back
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
        with pytest.raises(signals.Ended) as error:
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

    with signals.ending(), pytest.raises(signals.Ended):
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
        with pytest.raises(signals.Ended):
            work()
    assert done


@pytest.mark.parametrize("number", NUMBERS)
def test_handlers_are_put_back(number):
    before = {which: signal.getsignal(which) for which in (*NUMBERS, signal.SIGALRM)}
    with signals.ending(), pytest.raises(signals.Ended):
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
        "signals.die_at_once()\n"
        f"signal.raise_signal({number})\n"
        "print(came.number)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_run_that_fails_after_a_signal_has_ended_by_it(imgconv, monkeypatch):
    """`docker save | imgconv`: both get Ctrl-C, and the pipe that ends then is no damaged archive."""

    def ended(_):
        Swallowing(signal.SIGINT)
        raise TruncatedError("the archive ends")

    monkeypatch.setattr(sys.modules["convert.cli.main"], "_command", ended)
    done = imgconv("id", "x")
    assert (done.status, done.err) == (130, "")
